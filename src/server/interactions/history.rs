//! `history` of an instance, a type and the whole server (R4 http.html#history).

use salus_audit::{AuditKind, Entity};
use salus_fhir::datatypes::{DateTime, instant};
use salus_fhir::outcome::{Issue, IssueCode};
use salus_store::{HistoryQuery, Version};

use crate::bundle::{BundleWriter, quoted};
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::interactions::search::encode_query;
use crate::projection::Projection;
use crate::response::FhirResponse;

const DEFAULT_COUNT: i64 = 50;
const MOST_ENTRIES: i64 = 1000;
/// Where a page starts; made by `next` links only.
const AFTER: &str = "_after";

/// Lists versions, newest first unless `_sort` says otherwise.
///
/// # Errors
/// 404 where an instance has no version the caller may see, 400 for parameters that cannot be read.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let mut query = read_query(act)?;
    let shown = Projection::of_versions(act)?;
    if shown.is_count() {
        query.count = 0;
    }
    let page = act.reads.history(&act.access, &query).await?;
    let mut bundle = BundleWriter::new("history", Some(page.total));
    let mut links = vec![("self", format!("{}/{}", act.app.base, act.request.target()))];
    if let Some((updated, rid, version)) = page.next {
        let mut further: Vec<(String, String)> = act.request.parameters();
        further.retain(|(name, _)| name != AFTER);
        further.push((AFTER.to_owned(), format!("{updated}.{rid:x}.{version}")));
        links.push(("next", format!("{}/{}?{}", act.app.base, act.request.path, encode_query(&further))));
    }
    bundle.links(&links);
    for (version, created) in &page.versions {
        bundle.entry(&entry(&act.app.base, &shown, version, *created));
    }
    let patients = page.versions.iter().flat_map(|(version, _)| &version.patients);
    let mut record = act.caller.listed(AuditKind::History, act.route, act.request, patients);
    // Of an instance the total alone tells something, so the record names it whatever the page shows.
    if let Some(reference) = act.route.reference() {
        record.entities.push(Entity::data(reference, None));
    }
    if act.route.type_name() == "Patient" && record.patients.is_empty() {
        record.patients.extend(act.route.id.iter().map(|id| id.clone().into()));
    }
    Ok(Done { response: FhirResponse::json(200, bundle.finish()), records: vec![record] })
}

fn read_query(act: &Act<'_>) -> Result<HistoryQuery, Failure> {
    let mut query = HistoryQuery {
        resource_type: act.route.resource_type.clone(),
        id: act.route.id.clone(),
        count: DEFAULT_COUNT,
        ..HistoryQuery::default()
    };
    for (name, value) in act.request.parameters() {
        let bad = |what: &str| {
            let issue = Issue::error(IssueCode::Invalid, format!("'{name}' takes {what}, not '{value}'"));
            Failure::of(400, issue.of_parameter(&name))
        };
        match name.as_str() {
            "_count" => {
                let count = value.parse::<i64>().ok().filter(|count| *count >= 0);
                query.count = count.ok_or_else(|| bad("a whole number, 0 or more"))?.min(MOST_ENTRIES);
            }
            "_since" => {
                let since = DateTime::parse_search(&value).map_err(|_| bad("an instant"))?;
                query.since = Some(since.interval.low);
            }
            "_at" => {
                let at = DateTime::parse_search(&value).map_err(|_| bad("a date or an instant"))?.interval;
                query.at = Some((at.low, at.high));
            }
            "_sort" => match value.as_str() {
                "_lastUpdated" => query.ascending = true,
                "-_lastUpdated" => query.ascending = false,
                _ => return Err(bad("_lastUpdated or -_lastUpdated")),
            },
            AFTER => query.after = Some(cursor(&value).ok_or_else(|| bad("what a next link gave"))?),
            "_format" | "_pretty" | "_summary" | "_elements" => {}
            _ => {
                let message = format!("history has no parameter '{name}' here");
                return Err(Failure::of(400, Issue::error(IssueCode::NotSupported, message).of_parameter(&name)));
            }
        }
    }
    Ok(query)
}

fn cursor(text: &str) -> Option<(i64, u128, i32)> {
    let mut parts = text.split('.');
    let (updated, rid, version) = (parts.next()?, parts.next()?, parts.next()?);
    Some((updated.parse().ok()?, u128::from_str_radix(rid, 16).ok()?, version.parse().ok()?))
}

fn entry(base: &str, shown: &Projection<'_>, version: &Version, created: bool) -> String {
    let Version { resource_type, id, method, updated, .. } = version;
    let full_url = quoted(&format!("{base}/{resource_type}/{id}"));
    let resource = version.body.as_ref().map(|body| format!(r#","resource":{}"#, shown.of(body, true)));
    let resource = resource.unwrap_or_default();
    let url = if method == "POST" { resource_type.clone() } else { format!("{resource_type}/{id}") };
    let status = match (method.as_str(), created) {
        ("DELETE", _) => "204",
        (_, true) => "201",
        (_, false) => "200",
    };
    format!(
        r#""fullUrl":{full_url}{resource},"request":{{"method":"{method}","url":{}}},"response":{{"status":"{status}","etag":"W/\"{}\"","lastModified":"{}"}}"#,
        quoted(&url),
        version.version,
        instant(*updated)
    )
}
