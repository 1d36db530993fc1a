//! `$everything` on a Patient, an Encounter or a Group (R4 operation-patient-everything.html,
//! operation-encounter-everything.html, operation-group-everything.html): compartments, page by page, with what they
//! refer to.

use std::collections::{HashMap, HashSet};

use salus_audit::AuditKind;
use salus_fhir::Definitions;
use salus_fhir::datatypes::Reference;
use salus_fhir::json::{self, Limits, Value};
use salus_store::Version;
use salus_store::search::{Cursor, Entry, SearchContext, SearchQuery, Total};
use serde::{Deserialize, Serialize};

use super::parameters::{bad, primitive};
use crate::bundle::BundleWriter;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::interactions::page_link::{self, CURSOR};
use crate::response::FhirResponse;

/// Most matches of a page.
const MOST_ENTRIES: i64 = 1000;
/// Most compartments that are searched together.
const MOST_TOGETHER: usize = 64;

/// What was asked.
#[derive(Default)]
struct Parameters {
    start: Option<String>,
    end: Option<String>,
    since: Option<String>,
    types: Vec<String>,
    count: i64,
    /// All of them but the cursor, for links.
    used: Vec<(String, String)>,
    cursor: Option<String>,
}

/// Compartments of resources of one type.
struct Compartments {
    owner: String,
    ids: Vec<String>,
}

/// Where a page goes on: with which of the compartments, how many of them together, and where in these.
#[derive(Serialize, Deserialize)]
struct Place {
    compartment: usize,
    together: usize,
    after: Option<Cursor>,
}

impl Default for Place {
    fn default() -> Self {
        Self { compartment: 0, together: 1, after: None }
    }
}

impl Place {
    /// Goes on behind the compartments up to `end`. As many as fit well into a page are searched together: more where
    /// those before fitted into one, fewer where they did not.
    fn advance(&mut self, end: usize, fitted: bool) {
        let together = if fitted { self.together * 2 } else { self.together / 2 };
        *self = Self { compartment: end, together: together.clamp(1, MOST_TOGETHER), after: None };
    }
}

/// A page, and where the next one begins.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    next: Option<Place>,
}

/// Gives a page.
///
/// # Errors
/// 400 for parameters that are unknown or wrong, 404 where the caller may see no such resource.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = Parameters::read(act)?;
    let resource = act.reads.read(&act.access, act.route.type_name(), act.route.id()).await?;
    let compartments = compartments(act, &resource)?;
    let path = format!("{}/{}/$everything", act.route.type_name(), act.route.id());
    let search = page_link::identity(act, &path, &parameters.used);
    let place = match &parameters.cursor {
        Some(text) => page_link::decode(&act.app.seal, text, search)?,
        None => Place::default(),
    };
    let page = gather(act, &parameters, &compartments, place).await?;
    let included = act.app.store.referenced(&act.access, &page.entries, &parameters.types).await?;

    let mut bundle = BundleWriter::new("searchset", None);
    let url = |parameters: &[(String, String)]| page_link::url(&act.app.base, &path, parameters);
    let mut links = vec![("self", url(&parameters.used))];
    if let Some(next) = &page.next {
        let mut further = parameters.used.clone();
        further.push((CURSOR.to_owned(), page_link::encode(&act.app.seal, search, next)?));
        links.push(("next", url(&further)));
    }
    bundle.links(&links);
    let matches = page.entries.iter().map(|entry| (&entry.version, "match"));
    for (version, mode) in matches.clone().chain(included.iter().map(|version| (version, "include"))) {
        let full_url = format!("{}/{}/{}", act.app.base, version.resource_type, version.id);
        bundle.search_entry(&full_url, version.body.as_deref().unwrap_or("{}"), mode);
    }
    let shown = matches.map(|(version, _)| version).chain(&included).flat_map(|version| &version.patients);
    let record = act.caller.listed(AuditKind::Operation, act.route, act.request, shown.chain(&resource.patients));
    Ok(Done { response: FhirResponse::json(200, bundle.finish()), records: vec![record] })
}

/// Fills a page from some compartments after the others.
async fn gather(
    act: &Act<'_>,
    parameters: &Parameters,
    compartments: &Compartments,
    mut place: Place,
) -> Result<Gathered, Failure> {
    let mut gathered = Gathered::default();
    let Compartments { owner, ids } = compartments;
    // What is of several patients is given with the first of them.
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), at)).collect();
    let is_before = |patient: &String, at: usize| places.get(patient.as_str()).is_some_and(|first| *first < at);
    while place.compartment < ids.len() {
        let at = place.compartment;
        let end = ids.len().min(at + place.together);
        let mut query = parameters.query(&act.app.store.definitions(), owner, &ids[at..end])?;
        query.count = parameters.count - gathered.entries.len() as i64;
        if query.count == 0 {
            gathered.next = Some(place);
            break;
        }
        let is_first = place.after.is_none();
        query.after = place.after.take();
        let page = act.reads.search(&act.access, &query).await?;
        let is_new = |entry: &Entry| !entry.version.patients.iter().any(|patient| is_before(patient, at));
        gathered.entries.extend(page.entries.into_iter().filter(is_new));
        match page.next {
            Some(after) => place.after = Some(after),
            None => place.advance(end, is_first),
        }
    }
    Ok(gathered)
}

/// The compartments: the resource's own, or those of a Group's patients.
fn compartments(act: &Act<'_>, resource: &Version) -> Result<Compartments, Failure> {
    let of = act.route.type_name();
    if of != "Group" {
        return Ok(Compartments { owner: of.to_owned(), ids: vec![act.route.id().to_owned()] });
    }
    let body = resource.body.as_deref().unwrap_or("{}");
    let group = json::parse(body, &Limits::default()).map_err(super::unreadable)?;
    let member = |member: &Value<'_>| {
        let reference = member.get("entity")?.get_str("reference")?;
        match Reference::parse_below(reference, &act.app.base) {
            Reference::Relative { resource_type: "Patient", id, .. } => Some(id.to_owned()),
            _ => None,
        }
    };
    let mut known = HashSet::new();
    let members = group.items("member").iter().filter_map(member);
    Ok(Compartments { owner: "Patient".to_owned(), ids: members.filter(|id| known.insert(id.clone())).collect() })
}

impl Parameters {
    fn read(act: &Act<'_>) -> Result<Self, Failure> {
        let mut read = Self { count: MOST_ENTRIES, ..Self::default() };
        for (name, value) in primitive(act)? {
            match name.as_str() {
                "start" => read.start = Some(value.clone()),
                "end" => read.end = Some(value.clone()),
                "_since" => read.since = Some(value.clone()),
                "_type" => read.types.extend(value.split(',').map(str::to_owned)),
                "_count" => {
                    let count: i64 = value.parse().map_err(|_| bad("_count", "takes a whole number"))?;
                    if count < 1 {
                        return Err(bad("_count", "a page has at least one match"));
                    }
                    read.count = count.min(MOST_ENTRIES);
                }
                CURSOR => {
                    read.cursor = Some(value);
                    continue;
                }
                "_format" | "_pretty" => {}
                _ => return Err(bad(&name, "$everything has no such parameter")),
            }
            read.used.push((name, value));
        }
        if let Some(unknown) = read.types.iter().find(|name| !act.app.definitions.is_resource_type(name)) {
            return Err(bad("_type", &format!("'{unknown}' is not a resource type of R4")));
        }
        Ok(read)
    }

    fn query(&self, definitions: &Definitions, owner: &str, ids: &[String]) -> Result<SearchQuery, Failure> {
        let mut filters = Vec::new();
        if !self.types.is_empty() {
            // The trail is had by searching it.
            let types: Vec<&str> = self.types.iter().map(String::as_str).filter(|name| *name != "AuditEvent").collect();
            filters.push(("_type".to_owned(), types.join(",")));
        }
        filters.extend(self.since.iter().map(|since| ("_lastUpdated".to_owned(), format!("ge{since}"))));
        let context = SearchContext::compartments(definitions, owner, ids.to_vec())?;
        let (mut query, _) = SearchQuery::parse(definitions, context, &filters)?;
        query.happened_within(self.start.as_deref(), self.end.as_deref())?;
        query.total = Total::None;
        Ok(query)
    }
}
