//! `$lastn` on Observation (R4 observation-operation-lastn.html): the newest of each code, ties included.

use std::collections::HashMap;

use salus_audit::AuditKind;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::IssueCode;
use salus_store::search::{Dated, Ignored, SearchContext, SearchQuery};

use super::parameters::{bad, searched};
use crate::bundle::BundleWriter;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::handling;
use crate::interactions::page_link;
use crate::request_patients;
use crate::response::FhirResponse;

const TYPE: &str = "Observation";
const PATH: &str = "Observation/$lastn";

/// Most Observations of each code that may be asked for.
const MOST_NEWEST: i64 = 1000;
/// Most Observations that an answer holds.
const MOST_ENTRIES: i64 = 5000;

/// What was asked.
struct Parameters {
    newest: i64,
    /// The search.
    filters: Vec<(String, String)>,
    /// All of them, for the link.
    used: Vec<(String, String)>,
}

/// Gives the newest of each code.
///
/// # Errors
/// 400 for parameters that are wrong or missing, and for unknown ones under `Prefer: handling=strict`; 422 where the
/// answer would be very large.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = Parameters::read(act)?;
    let context = SearchContext::of_type(TYPE);
    let (query, ignored) = SearchQuery::parse(&act.app.store.definitions(), context, &parameters.filters)?;
    handling::refuse_if_strict(act, &ignored)?;
    let store = &act.app.store;
    let candidates = store.newest_of_each_code(&act.access, &query, parameters.newest, MOST_ENTRIES).await?;
    if candidates.len() as i64 > MOST_ENTRIES {
        let message = format!("the answer would hold more than {MOST_ENTRIES} Observations; ask for fewer codes");
        return Err(Failure::new(422, IssueCode::TooCostly, message));
    }
    let found = newest(candidates, parameters.newest)?;
    let named = request_patients::named(&act.app.base, TYPE, &parameters.filters);
    let patients = found.iter().flat_map(|dated| &dated.version.patients).chain(&named);
    let record = act.caller.listed(AuditKind::Operation, act.route, act.request, patients);
    let body = write(act, &parameters, &found, &ignored);
    Ok(Done { response: FhirResponse::json(200, body), records: vec![record] })
}

fn write(act: &Act<'_>, parameters: &Parameters, found: &[Dated], ignored: &[Ignored]) -> String {
    let mut bundle = BundleWriter::new("searchset", Some(found.len() as i64));
    let used = handling::used(&parameters.used, ignored);
    bundle.links(&[("self", page_link::url(&act.app.base, PATH, &used))]);
    for Dated { version, .. } in found {
        let full_url = format!("{}/{TYPE}/{}", act.app.base, version.id);
        bundle.search_entry(&full_url, version.body.as_deref().unwrap_or("{}"), "match");
    }
    handling::report(&mut bundle, ignored);
    bundle.finish()
}

/// Of the newest of each set of codings, newest first, those that are the newest of their group: group by group, in
/// the order of their newest.
fn newest(candidates: Vec<Dated>, newest: i64) -> Result<Vec<Dated>, Failure> {
    let mut groups = Groups::default();
    let mut members = Vec::with_capacity(candidates.len());
    for dated in &candidates {
        let body = dated.version.body.as_deref().unwrap_or("{}");
        let observation = json::parse(body, &Limits::default()).map_err(super::unreadable)?;
        members.push(groups.add(&codes(&observation)));
    }
    let mut of_group: HashMap<usize, usize> = HashMap::new();
    let mut ordered: Vec<Vec<Dated>> = Vec::new();
    for (dated, member) in candidates.into_iter().zip(members) {
        let position = *of_group.entry(groups.root(member)).or_insert_with(|| {
            ordered.push(Vec::new());
            ordered.len() - 1
        });
        let group = &mut ordered[position];
        let before = group.len() as i64;
        // What is no older than the last that fits is a tie.
        if before < newest || group.last().is_some_and(|last| last.at == dated.at) {
            group.push(dated);
        }
    }
    Ok(ordered.into_iter().flatten().collect())
}

/// The codings of an Observation, or its text where it has none.
fn codes(observation: &Value<'_>) -> Vec<String> {
    let Some(code) = observation.get("code") else { return Vec::new() };
    let text = |coding: &Value<'_>| {
        format!("{}|{}", coding.get_str("system").unwrap_or_default(), coding.get_str("code").unwrap_or_default())
    };
    let codings: Vec<String> = code.items("coding").iter().map(text).collect();
    match codings.is_empty() {
        true => code.get_str("text").map(|text| format!("#{text}")).into_iter().collect(),
        false => codings,
    }
}

/// Sets of codes that grow together where something has codes of both.
#[derive(Default)]
struct Groups {
    parents: Vec<usize>,
    of_code: HashMap<String, usize>,
}

impl Groups {
    /// Adds a member with these codes; without any it is a group of its own.
    fn add(&mut self, codes: &[String]) -> usize {
        let member = self.parents.len();
        self.parents.push(member);
        for code in codes {
            match self.of_code.get(code) {
                Some(&other) => {
                    let (one, other) = (self.root(member), self.root(other));
                    self.parents[one.max(other)] = one.min(other);
                }
                None => _ = self.of_code.insert(code.clone(), member),
            }
        }
        member
    }

    fn root(&mut self, member: usize) -> usize {
        let mut root = member;
        while self.parents[root] != root {
            self.parents[root] = self.parents[self.parents[root]];
            root = self.parents[root];
        }
        root
    }
}

impl Parameters {
    fn read(act: &Act<'_>) -> Result<Self, Failure> {
        let mut read = Self { newest: 1, filters: Vec::new(), used: Vec::new() };
        for (name, value) in searched(act)? {
            let base = name.split([':', '.']).next().unwrap_or_default();
            match base {
                "max" => {
                    let newest: i64 = value.parse().map_err(|_| bad("max", "takes a whole number"))?;
                    if !(1..=MOST_NEWEST).contains(&newest) {
                        return Err(bad("max", &format!("takes 1 to {MOST_NEWEST}")));
                    }
                    read.newest = newest;
                }
                "_format" | "_pretty" => {}
                "_sort" | "_count" | "_total" | "_include" | "_revinclude" | "_summary" | "_elements" | "_cursor" => {
                    return Err(bad(&name, "$lastn takes no such parameter; its answer comes whole and newest first"));
                }
                _ => read.filters.push((name.clone(), value.clone())),
            }
            read.used.push((name, value));
        }
        let has = |names: [&str; 2]| {
            let base = |name: &str| name.split([':', '.']).next().unwrap_or_default().to_owned();
            read.filters.iter().any(|(name, value)| names.contains(&base(name).as_str()) && !value.is_empty())
        };
        if !has(["patient", "subject"]) {
            return Err(bad("patient", "$lastn needs 'patient' or 'subject'"));
        }
        if !has(["code", "category"]) {
            return Err(bad("code", "$lastn needs 'code' or 'category'"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::Groups;

    #[test]
    fn what_shares_a_code_is_one_group_however_many_steps_lie_between() {
        let mut groups = Groups::default();
        let add = |groups: &mut Groups, codes: &[&str]| {
            let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
            groups.add(&codes)
        };
        let (a, b, c) = (add(&mut groups, &["a"]), add(&mut groups, &["b"]), add(&mut groups, &["c", "d"]));
        let (none, other) = (add(&mut groups, &[]), add(&mut groups, &[]));
        assert_ne!(groups.root(a), groups.root(b));
        let link = add(&mut groups, &["b", "x", "a"]);
        assert_eq!(groups.root(a), groups.root(b));
        assert_eq!(groups.root(link), groups.root(b));
        assert_ne!(groups.root(c), groups.root(b));
        assert_ne!(groups.root(none), groups.root(other));
        add(&mut groups, &["x", "d"]);
        assert_eq!(groups.root(c), groups.root(a));
    }
}
