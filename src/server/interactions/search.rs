//! `search-type` and `search-system` (R4 http.html#search, search.html), of a compartment too, by GET and by POST to
//! `_search`.

use salus_audit::AuditKind;
use salus_fhir::Key;
use salus_fhir::outcome::{Issue, IssueCode};
use salus_store::search::{EntryMode, Ignored, Page, SearchContext, SearchQuery, Total};

use crate::bundle::BundleWriter;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::handling;
use crate::interactions::page_link::{self, CURSOR};
use crate::projection::Projection;
use crate::request::{Body, FORM, FhirRequest};
use crate::request_patients;
use crate::response::FhirResponse;
use crate::route::Route;

/// Searches a type, several, or a compartment.
///
/// # Errors
/// 400 for parameters that cannot be used: wrong values always, unknown ones under
/// `Prefer: handling=strict`.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = all_parameters(act)?;
    let mut cursors = parameters.iter().filter(|(name, _)| name == CURSOR).map(|(_, value)| value);
    let cursor = cursors.next_back().cloned();
    let filters: Vec<(String, String)> = parameters.into_iter().filter(|(name, _)| name != CURSOR).collect();
    let definitions = act.app.store.definitions();
    let (mut query, mut ignored) = SearchQuery::parse(&definitions, context(act)?, &filters)?;
    let types: Vec<&str> = query.context.types.iter().map(String::as_str).collect();
    let (shown, inapplicable) = Projection::read(&act.app.definitions, &types, &filters)?;
    ignored.extend(inapplicable);
    present(&filters, &shown, &mut query, &mut ignored)?;
    handling::refuse_if_strict(act, &ignored)?;
    let used = handling::used(&filters, &ignored);
    let search = page_link::identity(act, &path(act.route), &used);
    query.after = cursor.map(|text| page_link::decode(&act.app.seal, &text, search)).transpose()?;
    let page = act.reads.search(&act.access, &query).await?;
    let body = write(act, &used, search, &query, &shown, &ignored, &page)?;
    // An empty answer tells something of the patient it was asked about, too.
    let mut named = request_patients::named(&act.app.base, act.route.type_name(), &filters);
    named.extend(act.route.compartment.iter().filter(|of| of.owner == "Patient").map(|of| of.id.clone()));
    let patients = page.entries.iter().flat_map(|entry| &entry.version.patients).chain(&named);
    let mut record = act.caller.listed(AuditKind::Query, act.route, act.request, patients);
    if matches!(act.request.body, Body::Bytes(_)) {
        // The parameters of a POST stand in its body; the audit keeps them as a GET would say them.
        record.query = Some(format!("POST {}?{}", act.request.path, encode_query(&filters)).into());
    }
    Ok(Done { response: FhirResponse::json(200, body), records: vec![record] })
}

/// Where the path says to search.
fn context(act: &Act<'_>) -> Result<SearchContext, Failure> {
    let definitions = &act.app.definitions;
    Ok(match (&act.route.compartment, act.route.resource_type.as_deref()) {
        (Some(of), resource_type) => SearchContext::compartment(definitions, of.clone(), resource_type)?,
        (None, Some(resource_type)) => SearchContext::of_type(resource_type),
        (None, None) => SearchContext::system(definitions),
    })
}

/// The path of a search, below the FHIR base.
fn path(route: &Route) -> String {
    match &route.compartment {
        Some(of) => format!("{}/{}/{}", of.owner, of.id, route.resource_type.as_deref().unwrap_or("*")),
        None => route.type_name().to_owned(),
    }
}

/// Parameters of URL and body together (R4 http.html#search: a POST may use both).
pub(crate) fn all_parameters(act: &Act<'_>) -> Result<Vec<(String, String)>, Failure> {
    let mut parameters = act.request.parameters();
    if let Body::Bytes(bytes) = &act.request.body
        && !bytes.is_empty()
    {
        if !matches!(act.request.content_type.as_str(), FORM | "") {
            return Err(Failure::new(415, IssueCode::NotSupported, format!("_search takes {FORM}")));
        }
        parameters.extend(form_urlencoded::parse(bytes).into_owned());
        FhirRequest::expect_no_token(&parameters)?;
    }
    Ok(parameters)
}

/// Applies what the parameters say of the answer's form.
fn present(
    parameters: &[(String, String)],
    shown: &Projection<'_>,
    query: &mut SearchQuery,
    ignored: &mut Vec<Ignored>,
) -> Result<(), Failure> {
    if shown.is_count() {
        query.count = 0;
        query.total = Total::Accurate;
    }
    let bad =
        |name: &str, message: &str| Failure::of(400, Issue::error(IssueCode::Invalid, message).of_parameter(name));
    // R4 search.html#summary
    if shown.is_text() && !(query.include.is_empty() && query.revinclude.is_empty()) {
        return Err(bad("_summary", "'_include' and '_revinclude' cannot be mixed with '_summary=text'"));
    }
    for (name, value) in parameters {
        // Of the values the specification has, those that ask for what is not here.
        let asks = match (name.as_str(), value.as_str()) {
            ("_contained", "" | "false") | ("_containedType", "") => false,
            ("_contained", "true" | "both") | ("_containedType", "container" | "contained") => true,
            ("_contained", _) => return Err(bad(name, "'_contained' takes true, false or both")),
            ("_containedType", _) => return Err(bad(name, "'_containedType' takes container or contained")),
            _ => false,
        };
        if asks {
            let reason =
                "contained resources are not found by themselves here; they are shown in those that contain them";
            ignored.push(Ignored { parameter: name.clone(), value: value.clone(), reason: reason.to_owned() });
        }
    }
    Ok(())
}

fn write(
    act: &Act<'_>,
    used: &[(String, String)],
    search: Key,
    query: &SearchQuery,
    shown: &Projection<'_>,
    ignored: &[Ignored],
    page: &Page,
) -> Result<String, Failure> {
    let mut bundle = BundleWriter::new("searchset", page.total);
    let url = |parameters: &[(String, String)]| page_link::url(&act.app.base, &path(act.route), parameters);
    let mut links = vec![("self", url(used))];
    if let Some(cursor) = &page.next {
        let mut next = used.to_vec();
        next.push((CURSOR.to_owned(), page_link::encode(&act.app.seal, search, cursor)?));
        links.push(("next", url(&next)));
    }
    bundle.links(&links);
    if query.count > 0 {
        for entry in &page.entries {
            let version = &entry.version;
            let mode = match entry.mode {
                EntryMode::Match => "match",
                EntryMode::Include => "include",
            };
            let full_url = format!("{}/{}/{}", act.app.base, version.resource_type, version.id);
            let resource = shown.of(version.body.as_deref().unwrap_or("{}"), mode == "match");
            match entry.score {
                Some(score) => bundle.scored_entry(&full_url, &resource, score),
                None => bundle.search_entry(&full_url, &resource, mode),
            }
        }
    }
    handling::report(&mut bundle, ignored);
    Ok(bundle.finish())
}

pub(crate) fn encode_query(parameters: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}
