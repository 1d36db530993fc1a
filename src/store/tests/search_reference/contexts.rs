//! Searches of several types and of compartments, compared with searches of each type by itself.

use std::collections::BTreeSet;

use salus_access::Access;
use salus_fhir::Definitions;
use salus_store::Store;
use salus_store::search::{CompartmentOf, SearchContext, SearchQuery, Total};

use crate::reference::World;

/// What the parameters of these may be, whatever the types.
const COMMON: [&[(&str, &str)]; 6] = [
    &[],
    &[("_sort", "_id")],
    &[("_sort", "-_lastUpdated")],
    &[("_id", "x3,x6,p1,o1")],
    &[("_id:not", "x3,x6"), ("_sort", "_lastUpdated")],
    &[("_tag:missing", "true")],
];

/// What differs, if anything.
pub async fn compare(store: &Store, access: &Access, definitions: &Definitions, world: &World<'_>) -> Vec<String> {
    let mut failures = Vec::new();
    let owners = ["Patient", "Encounter", "Practitioner"].into_iter();
    for (kind, id) in owners.flat_map(|kind| world.search(kind, &[]).into_iter().map(move |id| (kind, id)).take(12)) {
        let of = CompartmentOf { owner: kind.to_owned(), id: id.clone() };
        let context = SearchContext::compartment(definitions, of, None).unwrap();
        let expected = compartment(definitions, world, &context, kind, &id);
        for parameters in [&COMMON[0], &COMMON[1]] {
            let found = found(store, access, definitions, &context, parameters).await;
            if found != expected {
                failures.push(format!("{kind}/{id}/*?{parameters:?}: {found:?} for {expected:?}"));
            }
        }
        for one in ["Observation", "Condition"] {
            let of = CompartmentOf { owner: kind.to_owned(), id: id.clone() };
            let context = SearchContext::compartment(definitions, of, Some(one)).unwrap();
            let expected = compartment(definitions, world, &context, kind, &id);
            let found = found(store, access, definitions, &context, &[]).await;
            if found != expected {
                failures.push(format!("{kind}/{id}/{one}: {found:?} for {expected:?}"));
            }
        }
    }
    for parameters in COMMON {
        for types in ["", "Patient,Observation", "Condition,Organization,Encounter"] {
            let mut all: Vec<(&str, &str)> = parameters.to_vec();
            let context = SearchContext::system(definitions);
            let named = context.types.iter().filter(|name| types.is_empty() || types.split(',').any(|t| t == *name));
            let expected = named.flat_map(|kind| of_type(world, kind, parameters)).collect();
            if !types.is_empty() {
                all.push(("_type", types));
            }
            let found = found(store, access, definitions, &context, &all).await;
            if found != expected {
                failures.push(format!("?{all:?}: {found:?} for {expected:?}"));
            }
        }
    }
    failures
}

/// By CompartmentDefinition: what points at the owner by any of the parameters, and the owner.
fn compartment(
    definitions: &Definitions,
    world: &World<'_>,
    context: &SearchContext,
    owner: &str,
    id: &str,
) -> BTreeSet<String> {
    let mut expected = BTreeSet::new();
    for kind in &context.types {
        for code in definitions.compartment(owner).unwrap().parameters(kind) {
            let reference = [(code.clone(), format!("{owner}/{id}"))];
            expected.extend(world.search(kind, &reference).into_iter().map(|id| format!("{kind}/{id}")));
        }
        if kind == owner {
            expected.insert(format!("{owner}/{id}"));
        }
    }
    expected
}

fn of_type(world: &World<'_>, kind: &str, parameters: &[(&str, &str)]) -> Vec<String> {
    world.search(kind, &owned(parameters)).into_iter().map(|id| format!("{kind}/{id}")).collect()
}

fn owned(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn found(
    store: &Store,
    access: &Access,
    definitions: &Definitions,
    context: &SearchContext,
    parameters: &[(&str, &str)],
) -> BTreeSet<String> {
    let mut parameters = owned(parameters);
    parameters.push(("_count".to_owned(), "7".to_owned()));
    let (mut query, ignored) = SearchQuery::parse(definitions, context.clone(), &parameters).unwrap();
    assert!(ignored.is_empty(), "{ignored:?}");
    query.total = Total::Accurate;
    let mut found = BTreeSet::new();
    loop {
        let page = store.search(access, &query).await.unwrap_or_else(|error| panic!("{error}: {query:?}"));
        for entry in &page.entries {
            let name = format!("{}/{}", entry.version.resource_type, entry.version.id);
            assert!(found.insert(name.clone()), "{name} twice: {parameters:?}");
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => {
                assert_eq!(page.total, Some(found.len() as i64), "{parameters:?} in {context:?}");
                return found;
            }
        }
    }
}
