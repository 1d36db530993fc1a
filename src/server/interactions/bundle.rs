//! `batch` and `transaction` (R4 http.html#transaction).
//!
//! Each entry of a batch takes the whole way of a request by itself. Those of a transaction are
//! authorized one by one and act together: its reads come last, from inside the database transaction,
//! and one that fails fails the whole (R4 http.html#trules: all is done or nothing).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use salus_access::Interaction;
use salus_audit::AuditRecord;
use salus_fhir::json::Value;
use salus_fhir::outcome::{Issue, IssueCode};
use salus_store::write::Method;
use salus_store::write::transaction::{BeforeCommit, Entry, EntryError, Target};
use salus_store::{Reads, Written};

use super::update::{expect_id, expect_whole};
use super::{answer, patch, validated};
use crate::bundle::{BundleWriter, quoted};
use crate::conditional::precondition;
use crate::dispatch::{Act, Done, authorized, dispatch, outside_transactions, read_within, refuse};
use crate::failure::Failure;
use crate::request::{Body, FhirRequest, Return, Verb, percent_decoded};
use crate::response::FhirResponse;
use crate::route::Route;

/// Handles a Bundle posted to the base.
///
/// # Errors
/// 400 for what is no batch or transaction; whatever makes an entry of a transaction fail.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let bundle = act.request.resource()?;
    if bundle.get_str("resourceType") != Some("Bundle") {
        return Err(wrong(
            bundle.get_str("resourceType").unwrap_or("Resource"),
            "a Bundle of type batch or transaction is posted to the base; other resources to their type",
        ));
    }
    if bundle.get("entry").is_some_and(|entries| !matches!(entries, Value::Array(_))) {
        return Err(wrong("Bundle.entry", "the entries must be an array"));
    }
    expect_few(bundle.items("entry").len(), act.app.limits.most_bundle_entries)?;
    let entries = bundle.items("entry").iter().enumerate();
    let requests = entries.map(|(position, entry)| entry_request(act, position, entry));
    match bundle.get_str("type") {
        Some("batch") => batch(act, requests).await,
        Some("transaction") => transaction(act, &bundle, &requests.collect::<Result<Vec<_>, _>>()?).await,
        _ => Err(wrong("Bundle.type", "only Bundles of type batch or transaction can be processed")),
    }
}

fn expect_few(entries: usize, most: usize) -> Result<(), Failure> {
    if entries <= most {
        return Ok(());
    }
    let message = format!("a Bundle takes at most {most} entries here, and this one has {entries}; send it in parts");
    Err(Failure::of(413, Issue::error(IssueCode::TooCostly, message).at("Bundle.entry")))
}

fn wrong(expression: &str, message: &str) -> Failure {
    Failure::of(400, Issue::error(IssueCode::Invalid, message).at(expression))
}

fn location(position: usize) -> String {
    format!("Bundle.entry[{position}]")
}

/// The request that an entry stands for.
fn entry_request<'v>(act: &Act<'_>, position: usize, entry: &'v Value<'v>) -> Result<FhirRequest<'v>, Failure> {
    let at = location(position);
    let request = entry.get("request").ok_or_else(|| wrong(&at, "the entry has no request"))?;
    let method = request.get_str("method").unwrap_or_default();
    let verb = Verb::parse(method)
        .ok_or_else(|| wrong(&format!("{at}.request.method"), "the method must be GET, POST, PUT, PATCH or DELETE"))?;
    let url = request.get_str("url").ok_or_else(|| wrong(&at, "the entry's request has no url"))?;
    // An absolute URL is taken where it is one of ours.
    let url = url.strip_prefix(&act.app.base).unwrap_or(url);
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let header = |name: &str| request.get_str(name).map(str::to_owned);
    Ok(FhirRequest {
        verb: Some(verb),
        path: percent_decoded(path.trim_matches('/')),
        query: query.to_owned(),
        body: entry.get("resource").map_or(Body::Empty, Body::Resource),
        content_type: String::new(),
        if_match: header("ifMatch"),
        if_none_match: header("ifNoneMatch"),
        if_modified_since: header("ifModifiedSince"),
        if_none_exist: header("ifNoneExist"),
        // What is preferred of the Bundle is preferred of its entries.
        prefer: act.request.prefer.clone(),
    })
}

async fn batch(
    act: &Act<'_>,
    requests: impl Iterator<Item = Result<FhirRequest<'_>, Failure>>,
) -> Result<Done, Failure> {
    let mut bundle = BundleWriter::new("batch-response", None);
    for (position, request) in requests.enumerate() {
        let request = request.and_then(|request| match request.path.is_empty() {
            true => Err(wrong(&location(position), "a batch cannot hold another one")),
            false => Ok(request),
        });
        let response = match request {
            Ok(request) => Box::pin(dispatch(act.app, act.caller, &request)).await,
            Err(failure) => {
                let unread = FhirRequest { path: location(position), ..FhirRequest::default() };
                refuse(act.app, act.caller, &unread, failure).await
            }
        };
        bundle.entry(&response_entry(act, &response));
    }
    Ok(FhirResponse::json(200, bundle.finish()).into())
}

async fn transaction(act: &Act<'_>, bundle: &Value<'_>, requests: &[FhirRequest<'_>]) -> Result<Done, Failure> {
    let (mut entries, mut positions, mut reading) = (Vec::new(), Vec::new(), Vec::new());
    for (position, request) in requests.iter().enumerate() {
        if request.verb == Some(Verb::Get) {
            reading.push((position, request));
            continue;
        }
        let full_url = bundle.items("entry")[position].get_str("fullUrl");
        let entry = write_entry(act, position, full_url, request).await;
        entries.push(entry.map_err(|failure| failure.below(&location(position)))?);
        positions.push(position);
    }
    let audit = |written: &[Written]| written.iter().map(|one| act.caller.wrote(interaction_of(one), one)).collect();
    let reading = Reading { act, entries: reading };
    let outcome = act.app.store.transaction_with(&entries, audit, &reading).await;
    let (written, read) = outcome.map_err(|failed| failed.failure(&positions))?;
    let mut responses: Vec<(usize, FhirResponse)> = read;
    for (&position, written) in positions.iter().zip(&written) {
        // R4 http.html#transaction-response: resources only where they are asked for.
        let response = match written.method {
            Method::Patch => patch::answered(act, &requests[position], written, Return::Minimal).await,
            _ => answer(&requests[position], written, Return::Minimal),
        };
        responses.push((position, response));
    }
    responses.sort_unstable_by_key(|(position, _)| *position);
    let mut answer = BundleWriter::new("transaction-response", None);
    for (_, response) in &responses {
        answer.entry(&response_entry(act, response));
    }
    Ok(FhirResponse::json(200, answer.finish()).into())
}

/// The entries of a transaction that read, at their positions.
struct Reading<'a> {
    act: &'a Act<'a>,
    entries: Vec<(usize, &'a FhirRequest<'a>)>,
}

impl BeforeCommit for Reading<'_> {
    type Seen = Vec<(usize, FhirResponse)>;
    type Failure = Failed;

    async fn read(&self, within: Reads<'_>) -> Result<(Self::Seen, Vec<AuditRecord<'static>>), Failed> {
        let (mut seen, mut records) = (Vec::with_capacity(self.entries.len()), Vec::new());
        for (position, request) in &self.entries {
            let done = read_within(self.act.app, self.act.caller, request, within).await;
            let done = done.map_err(|failure| Failed::Read(failure.below(&location(*position))))?;
            seen.push((*position, done.response));
            records.extend(done.records);
        }
        Ok((seen, records))
    }
}

/// Why a transaction failed.
enum Failed {
    /// By a write.
    Write(EntryError),
    /// By a read; it says already where.
    Read(Failure),
}

impl From<EntryError> for Failed {
    fn from(error: EntryError) -> Self {
        Self::Write(error)
    }
}

impl Failed {
    /// The failure, with the place in the Bundle; `positions` are those of the writes.
    fn failure(self, positions: &[usize]) -> Failure {
        match self {
            Self::Read(failure) => failure,
            Self::Write(EntryError { entry: Some(entry), error }) => {
                Failure::from(error).below(&location(positions[entry]))
            }
            Self::Write(EntryError { entry: None, error }) => Failure::from(error),
        }
    }
}

fn interaction_of(written: &Written) -> Interaction {
    match written.method {
        Method::Post => Interaction::Create,
        Method::Put => Interaction::Update,
        Method::Patch => Interaction::Patch,
        Method::Delete => Interaction::Delete,
    }
}

/// A write of a transaction, authorized and checked.
async fn write_entry<'v>(
    act: &Act<'v>,
    position: usize,
    full_url: Option<&str>,
    request: &'v FhirRequest<'v>,
) -> Result<Entry<'v>, Failure> {
    let route = Route::of(request, &act.app.definitions)?;
    let access = authorized(act.app, act.caller, request, &route, act.reads).await?.access;
    let id = || route.id().to_owned();
    let (method, target) = match route.interaction {
        Interaction::Create => (Method::Post, Target::New),
        Interaction::ConditionalCreate => {
            let criteria = request.if_none_exist.as_deref().unwrap_or_default();
            (Method::Post, Target::NewUnless(criteria.trim_start_matches('?').to_owned()))
        }
        Interaction::Update => (Method::Put, Target::Id(id())),
        Interaction::ConditionalUpdate => (Method::Put, Target::Criteria(request.query.clone())),
        Interaction::Patch => (Method::Patch, Target::Id(id())),
        Interaction::ConditionalPatch => (Method::Patch, Target::Criteria(request.query.clone())),
        Interaction::Delete => (Method::Delete, Target::Id(id())),
        Interaction::ConditionalDelete => (Method::Delete, Target::Criteria(request.query.clone())),
        _ => return Err(outside_transactions()),
    };
    let revision = match method {
        Method::Patch => Some(patch::revision(act.app, request, route.type_name())?),
        _ => None,
    };
    let resource = match method {
        Method::Delete | Method::Patch => None,
        _ => {
            let Body::Resource(resource) = &request.body else {
                return Err(Failure::new(400, IssueCode::Required, "the entry needs a resource"));
            };
            if method == Method::Put {
                expect_whole(resource)?;
            }
            validated(act.app, route.type_name(), resource)?;
            if route.interaction == Interaction::Update {
                expect_id(resource, route.id())?;
            }
            Some((*resource).clone())
        }
    };
    Ok(Entry {
        access,
        location: location(position),
        full_url: full_url.map(str::to_owned),
        resource_type: route.type_name().to_owned(),
        target,
        method,
        resource,
        revision,
        precondition: precondition(request)?,
    })
}

/// An entry of the answer: the response, and the resource or outcome where there is one.
fn response_entry(act: &Act<'_>, response: &FhirResponse) -> String {
    let mut members = String::new();
    // R4 Bundle.entry.response.outcome: errors, and the outcome that `Prefer` asks for.
    if !response.body.is_empty() && !response.outcome {
        let resource = match response.media_type() {
            None => response.body.clone(),
            // What is no resource stands in a Bundle as the content of one.
            Some(media) => {
                let data = STANDARD.encode(&response.body);
                format!(r#"{{"resourceType":"Binary","contentType":{},"data":"{data}"}}"#, quoted(media))
            }
        };
        members.push_str(&format!(r#""resource":{resource},"#));
    }
    members.push_str(&format!(r#""response":{{"status":"{}""#, response.status));
    if let Some(location) = &response.location {
        members.push_str(&format!(r#","location":{}"#, quoted(&format!("{}/{location}", act.app.base))));
    }
    if let Some(etag) = response.etag() {
        members.push_str(&format!(r#","etag":{}"#, quoted(&etag)));
    }
    if let Some(updated) = response.last_updated() {
        members.push_str(&format!(r#","lastModified":"{updated}""#));
    }
    if response.outcome {
        members.push_str(&format!(r#","outcome":{}"#, response.body));
    }
    members.push('}');
    members
}
