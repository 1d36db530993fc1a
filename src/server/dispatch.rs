//! From a request to its answer: route, authorize, act, account.

use std::sync::Arc;

use salus_access::{Access, Interaction, authorize};
use salus_audit::{AuditKind, AuditRecord, Outcome};
use salus_fhir::outcome::IssueCode;

use crate::account::Caller;
use crate::app::App;
use crate::failure::Failure;
use crate::interactions::{self, create, delete, history, read, search, update, vread};
use crate::operations;
use crate::request::FhirRequest;
use crate::response::FhirResponse;
use crate::route::Route;

/// Everything an interaction needs to act.
pub struct Act<'a> {
    /// The server.
    pub app: &'a App,
    /// Who asks.
    pub caller: &'a Caller,
    /// What was sent.
    pub request: &'a FhirRequest<'a>,
    /// What it asks for.
    pub route: &'a Route,
    /// What the caller may reach with it.
    pub access: Arc<Access>,
}

/// What an interaction did: its answer, and the records of what the answer discloses. Writes have
/// committed theirs already.
pub struct Done {
    /// The answer.
    pub response: FhirResponse,
    /// What has to be durable before the answer leaves.
    pub records: Vec<AuditRecord<'static>>,
}

impl From<FhirResponse> for Done {
    fn from(response: FhirResponse) -> Self {
        Self { response, records: Vec::new() }
    }
}

/// Answers a request. Whatever it discloses or refuses is durable in the audit log when this returns;
/// where it cannot be made so, the answer is 503.
pub async fn dispatch(app: &App, caller: &Caller, request: &FhirRequest<'_>) -> FhirResponse {
    let route = Route::of(request, &app.definitions);
    let outcome = match &route {
        Ok(route) => run(app, caller, request, route).await,
        Err(failure) => Err(failure.clone()),
    };
    let (response, records) = match outcome {
        Ok(done) => (done.response, done.records),
        Err(failure) => {
            let records = refused(app, caller, request, route.as_ref().ok(), &failure);
            (failure.into_response(), records)
        }
    };
    let response = match app.store.audit().append(&records).await {
        Ok(()) => response,
        Err(error) => Failure::from(error).into_response(),
    };
    FhirResponse { interaction: route.ok().map(|route| route.interaction), ..response }
}

async fn run(app: &App, caller: &Caller, request: &FhirRequest<'_>, route: &Route) -> Result<Done, Failure> {
    let Some(principal) = &caller.principal else {
        return Err(Failure::new(401, IssueCode::Login, "this request needs an access token"));
    };
    FhirRequest::expect_no_token(&request.parameters())?;
    let access = authorize(&app.policy, principal, route.interaction, route.resource_type.as_deref())?;
    let act = Act { app, caller, request, route, access };
    match route.interaction {
        _ if route.type_name() == "AuditEvent" => interactions::audit_event::act(&act).await,
        Interaction::Read => read::act(&act).await,
        Interaction::Vread => vread::act(&act).await,
        Interaction::Create | Interaction::ConditionalCreate => create::act(&act).await,
        Interaction::Update | Interaction::ConditionalUpdate => update::act(&act).await,
        Interaction::Delete | Interaction::ConditionalDelete => delete::act(&act).await,
        Interaction::SearchType => search::act(&act).await,
        Interaction::HistoryInstance | Interaction::HistoryType | Interaction::HistorySystem => {
            history::act(&act).await
        }
        Interaction::Batch | Interaction::Transaction => interactions::bundle::act(&act).await,
        Interaction::Operation(operation) => operations::act(&act, operation).await,
        Interaction::SearchSystem | Interaction::Patch | Interaction::ConditionalPatch | Interaction::Capabilities => {
            Err(Failure::new(501, IssueCode::NotSupported, "this interaction is not supported here yet"))
        }
    }
}

/// The answer to a request that is refused before it is dispatched, once it is accounted for.
pub(crate) async fn refuse(app: &App, caller: &Caller, request: &FhirRequest<'_>, failure: Failure) -> FhirResponse {
    let route = Route::of(request, &app.definitions).ok();
    let records = refused(app, caller, request, route.as_ref(), &failure);
    match app.store.audit().append(&records).await {
        Ok(()) => failure.into_response(),
        Err(error) => Failure::from(error).into_response(),
    }
}

/// The records of a failed request: what failed, and an alert where it is one of very many.
pub(crate) fn refused(
    app: &App,
    caller: &Caller,
    request: &FhirRequest<'_>,
    route: Option<&Route>,
    failure: &Failure,
) -> Vec<AuditRecord<'static>> {
    let mut records = vec![caller.failed(route, request, failure)];
    if let Some(alert) = app.probing.count(caller, failure) {
        let mut record = caller.record(AuditKind::SecurityAlert(alert), Interaction::Capabilities);
        record.interaction = "".into();
        record.outcome = Outcome::SeriousFailure;
        records.push(record);
    }
    records
}
