//! `$docref` on DocumentReference (US Core 6.1.0 OperationDefinition-docref.html): a patient's documents, by care
//! dates and type.
//!
//! Documents are found, not generated: of those made on demand there are none. Without dates "the most recent or
//! current document is in scope", which is the newest current one of each type.

use std::collections::HashSet;

use salus_audit::AuditKind;
use salus_fhir::datatypes::DateTime;
use salus_fhir::json::{self, Limits};
use salus_fhir::outcome::{Issue, IssueCode, OperationOutcome};
use salus_store::Version;
use salus_store::search::{SearchContext, SearchQuery, Total};

use super::parameters::{bad, searched};
use crate::bundle::BundleWriter;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::interactions::page_link::{self, CURSOR};
use crate::request_patients;
use crate::response::FhirResponse;

const TYPE: &str = "DocumentReference";
const PATH: &str = "DocumentReference/$docref";

/// Most documents of a page, and most that the newest are looked for among.
const MOST_ENTRIES: i64 = 1000;

/// What was asked.
#[derive(Default)]
struct Parameters {
    patient: Option<String>,
    start: Option<String>,
    end: Option<String>,
    types: Vec<String>,
    on_demand: bool,
    profiles: bool,
    count: i64,
    /// All of them but the cursor, for links.
    used: Vec<(String, String)>,
    cursor: Option<String>,
}

/// Finds the documents.
///
/// # Errors
/// 400 for parameters that are unknown, wrong or missing.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = Parameters::read(act)?;
    let search = page_link::identity(act, PATH, &parameters.used);
    let mut found = Vec::new();
    let mut links = vec![("self", page_link::url(&act.app.base, PATH, &parameters.used))];
    if !parameters.on_demand {
        let filters = parameters.filters();
        let (mut query, _) = SearchQuery::parse(&act.app.store.definitions(), SearchContext::of_type(TYPE), &filters)?;
        query.total = Total::None;
        query.count = if parameters.is_dated() { parameters.count } else { MOST_ENTRIES };
        query.after =
            parameters.cursor.as_deref().map(|text| page_link::decode(&act.app.seal, text, search)).transpose()?;
        let page = act.reads.search(&act.access, &query).await?;
        found.extend(page.entries.into_iter().map(|entry| entry.version));
        if !parameters.is_dated() {
            found = newest_of_each_type(found)?;
        } else if let Some(next) = &page.next {
            let mut further = parameters.used.clone();
            further.push((CURSOR.to_owned(), page_link::encode(&act.app.seal, search, next)?));
            links.push(("next", page_link::url(&act.app.base, PATH, &further)));
        }
    }
    let mut bundle = BundleWriter::new("searchset", None);
    bundle.links(&links);
    for version in &found {
        let full_url = format!("{}/{TYPE}/{}", act.app.base, version.id);
        bundle.search_entry(&full_url, version.body.as_deref().unwrap_or("{}"), "match");
    }
    let issues = parameters.issues();
    if !issues.is_empty() {
        bundle.search_entry("", &OperationOutcome { issues }.to_json(), "outcome");
    }
    // An empty answer tells something of the patient it was asked about, too.
    let named =
        request_patients::named(&act.app.base, TYPE, &[("patient".to_owned(), parameters.patient.unwrap_or_default())]);
    let patients = found.iter().flat_map(|version| &version.patients).chain(&named);
    let record = act.caller.listed(AuditKind::Operation, act.route, act.request, patients);
    Ok(Done { response: FhirResponse::json(200, bundle.finish()), records: vec![record] })
}

/// Of documents that come newest first, the first of each type.
fn newest_of_each_type(documents: Vec<Version>) -> Result<Vec<Version>, Failure> {
    let mut types = HashSet::new();
    let mut newest = Vec::new();
    for version in documents {
        let body = version.body.as_deref().unwrap_or("{}");
        let document = json::parse(body, &Limits::default()).map_err(super::unreadable)?;
        let kind = document.get("type").map(ToString::to_string).unwrap_or_default();
        if types.insert(kind) {
            newest.push(version);
        }
    }
    Ok(newest)
}

impl Parameters {
    fn read(act: &Act<'_>) -> Result<Self, Failure> {
        let mut read = Self { count: MOST_ENTRIES, ..Self::default() };
        for (name, value) in searched(act)? {
            match name.as_str() {
                "patient" if read.patient.is_none() => read.patient = Some(value.clone()),
                "start" => read.start = Some(date(&name, &value)?),
                "end" => read.end = Some(date(&name, &value)?),
                "type" => read.types.push(value.clone()),
                "on-demand" => read.on_demand = value.parse().map_err(|_| bad(&name, "takes true or false"))?,
                "profile" => read.profiles = true,
                "_count" => {
                    let count: i64 = value.parse().map_err(|_| bad(&name, "takes a whole number"))?;
                    if count < 1 {
                        return Err(bad(&name, "a page has at least one document"));
                    }
                    read.count = count.min(MOST_ENTRIES);
                }
                CURSOR => {
                    read.cursor = Some(value);
                    continue;
                }
                "_format" | "_pretty" => {}
                "patient" => return Err(bad(&name, "is given once")),
                _ => return Err(bad(&name, "$docref has no such parameter")),
            }
            read.used.push((name, value));
        }
        match &read.patient {
            Some(patient) if salus_fhir::validation::is_id(patient.trim_start_matches("Patient/")) => Ok(read),
            Some(_) => Err(bad("patient", "takes the id of a patient")),
            None => Err(bad("patient", "is needed")),
        }
    }

    fn is_dated(&self) -> bool {
        self.start.is_some() || self.end.is_some()
    }

    /// What a search of DocumentReference would ask.
    fn filters(&self) -> Vec<(String, String)> {
        let mut filters = vec![("patient".to_owned(), self.patient.clone().unwrap_or_default())];
        if !self.types.is_empty() {
            filters.push(("type".to_owned(), self.types.join(",")));
        }
        // What was superseded or entered in error is no current document, whatever dates it covers.
        filters.push(("status".to_owned(), "current".to_owned()));
        for (operator, date) in [("ge", &self.start), ("le", &self.end)] {
            let Some(date) = date else { continue };
            let within = format!("period {operator} {date} or (period pr false and date {operator} {date})");
            filters.push(("_filter".to_owned(), within));
        }
        filters
    }

    /// What was asked and could not be heeded.
    fn issues(&self) -> Vec<Issue> {
        let mut issues = Vec::new();
        if self.on_demand {
            let message = "this server makes no documents on demand; without 'on-demand' those it has are given";
            issues.push(Issue::information(IssueCode::Informational, message));
        }
        if self.profiles {
            let message = "'profile' was left out: the profiles of documents are not known here";
            issues.push(Issue::warning(IssueCode::NotSupported, message));
        }
        issues
    }
}

fn date(name: &str, value: &str) -> Result<String, Failure> {
    DateTime::parse(value).map_err(|error| bad(name, &error.to_string()))?;
    Ok(value.to_owned())
}
