//! From a request to its answer: route, authorize, act, account.

use std::sync::Arc;

use salus_access::{Access, Interaction};
use salus_audit::{AuditKind, AuditRecord, Outcome};
use salus_fhir::outcome::IssueCode;
use salus_store::Reads;

use crate::account::Caller;
use crate::app::App;
use crate::failure::Failure;
use crate::interactions::{self, create, delete, history, patch, read, search, update, vread};
use crate::operations;
use crate::request::FhirRequest;
use crate::request_patients::Attempt;
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
    /// Where it reads.
    pub reads: Reads<'a>,
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

/// Authorizes a request, to read where `reads` say.
///
/// # Errors
/// 401 without a token, 403 where it does not allow this.
pub(crate) async fn authorized<'a>(
    app: &'a App,
    caller: &'a Caller,
    request: &'a FhirRequest<'a>,
    route: &'a Route,
    reads: Reads<'a>,
) -> Result<Act<'a>, Failure> {
    let Some(principal) = &caller.principal else {
        return Err(Failure::new(401, IssueCode::Login, "this request needs an access token"));
    };
    FhirRequest::expect_no_token(&request.parameters())?;
    let access = app.access(principal, route.interaction, route.resource_type.as_deref()).await?;
    Ok(Act { app, caller, request, route, access, reads })
}

async fn run(app: &App, caller: &Caller, request: &FhirRequest<'_>, route: &Route) -> Result<Done, Failure> {
    let act = authorized(app, caller, request, route, Reads::committed(&app.store)).await?;
    match route.interaction {
        _ if route.type_name() == "AuditEvent" => interactions::audit_event::act(&act).await,
        Interaction::Read => read::act(&act).await,
        Interaction::Vread => vread::act(&act).await,
        Interaction::Create | Interaction::ConditionalCreate => create::act(&act).await,
        Interaction::Update | Interaction::ConditionalUpdate => update::act(&act).await,
        Interaction::Delete | Interaction::ConditionalDelete => delete::act(&act).await,
        Interaction::SearchType | Interaction::SearchSystem => search::act(&act).await,
        Interaction::HistoryInstance | Interaction::HistoryType | Interaction::HistorySystem => {
            history::act(&act).await
        }
        Interaction::Batch | Interaction::Transaction => interactions::bundle::act(&act).await,
        Interaction::Operation(operation) => operations::act(&act, operation).await,
        Interaction::Patch | Interaction::ConditionalPatch => patch::act(&act).await,
        Interaction::Capabilities => {
            Err(Failure::new(501, IssueCode::NotSupported, "this interaction is not supported here yet"))
        }
    }
}

/// Answers an entry of a transaction that reads, from inside it.
///
/// # Errors
/// What the interaction refuses, and 400 for any that a transaction does not take.
pub(crate) async fn read_within(
    app: &App,
    caller: &Caller,
    request: &FhirRequest<'_>,
    reads: Reads<'_>,
) -> Result<Done, Failure> {
    let route = Route::of(request, &app.definitions)?;
    let act = authorized(app, caller, request, &route, reads).await?;
    match route.interaction {
        // The trail is no part of what a transaction writes.
        _ if route.type_name() == "AuditEvent" => Err(outside_transactions()),
        Interaction::Read => read::act(&act).await,
        Interaction::Vread => vread::act(&act).await,
        Interaction::SearchType | Interaction::SearchSystem => search::act(&act).await,
        Interaction::HistoryInstance | Interaction::HistoryType | Interaction::HistorySystem => {
            history::act(&act).await
        }
        _ => Err(outside_transactions()),
    }
}

/// What a transaction does not take.
pub(crate) fn outside_transactions() -> Failure {
    let message =
        "a transaction may create, update, patch, delete, read and search resources, nothing else; a batch may";
    Failure::new(400, IssueCode::NotSupported, message)
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
    let mut records = vec![caller.failed(route, request, Attempt::of(app, route, request), failure)];
    if let Some(alert) = app.intrusion_detection.count(caller, failure) {
        let mut record = caller.record(AuditKind::SecurityAlert(alert), Interaction::Capabilities);
        record.interaction = "".into();
        record.outcome = Outcome::SeriousFailure;
        records.push(record);
    }
    records
}
