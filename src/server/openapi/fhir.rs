//! The endpoints of FHIR's RESTful API: what the CapabilityStatement names, as methods and paths.

use serde_json::Value;

use super::endpoints::{Endpoint, FHIR_JSON, FORM, Group};
use crate::interactions::capabilities::{RESOURCE_INTERACTIONS, SYSTEM_INTERACTIONS};
use crate::interactions::patch::JSON_PATCH;
use crate::operations::{On, SERVED};

type Pairs = &'static [(&'static str, &'static str)];
type Answers = &'static [(u16, &'static str)];

/// How an interaction is done over HTTP (R4 http.html).
struct Http {
    interaction: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    scope: &'static str,
    query: Pairs,
    headers: Pairs,
    body: &'static [&'static str],
    answers: Answers,
}

const PREFER: (&str, &str) = ("Prefer", "return=minimal, return=representation or return=OperationOutcome");
const IF_MATCH: (&str, &str) = ("If-Match", "The version it must have, W/\"2\"; otherwise 412");
/// Stands for any search parameters of the type.
pub(super) const CRITERIA: &str = "criteria";
const ONE_MATCH: (&str, &str) = (CRITERIA, "Search parameters of the type, which must match at most one resource");

const SUMMARY: (&str, &str) = ("_summary", "true, text, data, false; of several also count");
const ELEMENTS: (&str, &str) = ("_elements", "Elements to show, beside those that are mandatory");
const IN_PART: Pairs = &[SUMMARY, ELEMENTS];

const PAGED: Pairs = &[
    ("_count", "Most entries of a page"),
    ("_since", "Only versions from this instant on"),
    ("_at", "Only versions that were current at some moment of this time"),
    ("_sort", "-_lastUpdated, newest first, or _lastUpdated"),
    SUMMARY,
    ELEMENTS,
];
const SEARCH: Pairs = &[
    (CRITERIA, "Search parameters of the type, as the CapabilityStatement lists them"),
    ("_id", "Logical ids"),
    ("_lastUpdated", "When it changed"),
    ("_count", "Most matches of a page"),
    ("_sort", "Parameters to sort by; - before one turns it round"),
    ("_total", "none, estimate or accurate"),
    ("_include", "References to follow, Type:parameter"),
    ("_revinclude", "References to follow backwards, Type:parameter"),
    SUMMARY,
    ELEMENTS,
];
const SEARCH_SYSTEM: Pairs = &[
    (CRITERIA, "Search parameters that resources of all the types have"),
    ("_type", "Types to search, separated by commas"),
    ("_lastUpdated", "When it changed"),
    ("_count", "Most matches of a page"),
    ("_sort", "_id or _lastUpdated; - before one turns it round"),
    ("_total", "none, estimate or accurate"),
    SUMMARY,
    ELEMENTS,
];

const READ: Answers = &[
    (200, "The resource"),
    (304, "It has not changed"),
    (401, "No valid token"),
    (403, "The token does not allow it"),
    (404, "There is none that the caller may see"),
    (410, "It was deleted"),
];
const WRITTEN: Answers = &[
    (200, "It is stored, or was there already"),
    (201, "It was created; see Location"),
    (400, "The body cannot be read"),
    (401, "No valid token"),
    (403, "The token does not allow it"),
    (404, "There is none that the caller may see"),
    (412, "Its version is another, or several match"),
    (413, "The body is too large"),
    (422, "The resource is not valid"),
];
const PATCHED: Answers = &[
    (200, "It is changed, or was already as the patch makes it"),
    (400, "The body is no patch"),
    (401, "No valid token"),
    (403, "The token does not allow it"),
    (404, "There is none that the caller may see"),
    (410, "It was deleted"),
    (412, "Its version is another, or several match"),
    (415, "The body is no form of a patch that is read here"),
    (422, "The patch cannot be applied, or leaves no valid resource"),
];
const DELETED: Answers = &[
    (204, "It is deleted, or was not there"),
    (401, "No valid token"),
    (403, "The token does not allow it"),
    (404, "There is none that the caller may see"),
    (412, "Its version is another, or several match"),
];
const BUNDLE: Answers = &[
    (200, "A Bundle"),
    (400, "A parameter or the body is wrong"),
    (401, "No valid token"),
    (403, "The token does not allow it"),
    (404, "There is none that the caller may see"),
];

const HTTP: [Http; 20] = [
    Http {
        query: IN_PART,
        ..http("read", "GET", "/fhir/{type}/{id}", "The current version of a resource", "system/*.r", READ)
    },
    Http {
        query: IN_PART,
        ..http("vread", "GET", "/fhir/{type}/{id}/_history/{version}", "One version of a resource", "system/*.r", READ)
    },
    Http {
        headers: &[IF_MATCH, PREFER],
        body: &[FHIR_JSON],
        ..http(
            "update",
            "PUT",
            "/fhir/{type}/{id}",
            "Updates a resource, or creates it under this id",
            "system/*.u",
            WRITTEN,
        )
    },
    Http {
        query: &[ONE_MATCH],
        headers: &[IF_MATCH, PREFER],
        body: &[FHIR_JSON],
        ..http(
            "update",
            "PUT",
            "/fhir/{type}",
            "Updates the one resource that matches, or creates one",
            "system/*.us",
            WRITTEN,
        )
    },
    Http {
        headers: &[IF_MATCH, PREFER],
        body: &[JSON_PATCH, FHIR_JSON],
        ..http(
            "patch",
            "PATCH",
            "/fhir/{type}/{id}",
            "Changes a resource by a JSON Patch, or by a FHIRPath Patch (Parameters)",
            "system/*.u",
            PATCHED,
        )
    },
    Http {
        query: &[ONE_MATCH],
        headers: &[IF_MATCH, PREFER],
        body: &[JSON_PATCH, FHIR_JSON],
        ..http("patch", "PATCH", "/fhir/{type}", "Changes the one resource that matches", "system/*.us", PATCHED)
    },
    Http {
        headers: &[IF_MATCH],
        ..http("delete", "DELETE", "/fhir/{type}/{id}", "Deletes a resource", "system/*.d", DELETED)
    },
    Http {
        query: &[ONE_MATCH],
        ..http("delete", "DELETE", "/fhir/{type}", "Deletes the one resource that matches", "system/*.ds", DELETED)
    },
    Http {
        query: PAGED,
        ..http(
            "history-instance",
            "GET",
            "/fhir/{type}/{id}/_history",
            "All versions of a resource",
            "system/*.r",
            BUNDLE,
        )
    },
    Http {
        query: PAGED,
        ..http(
            "history-type",
            "GET",
            "/fhir/{type}/_history",
            "All versions of a type's resources",
            "system/*.s",
            BUNDLE,
        )
    },
    Http {
        query: PAGED,
        ..http("history-system", "GET", "/fhir/_history", "All versions of all resources", "system/*.s", BUNDLE)
    },
    Http {
        headers: &[("If-None-Exist", "Search parameters: create only where nothing matches"), PREFER],
        body: &[FHIR_JSON],
        ..http("create", "POST", "/fhir/{type}", "Creates a resource", "system/*.c", WRITTEN)
    },
    Http { query: SEARCH, ..http("search-type", "GET", "/fhir/{type}", "Searches a type", "system/*.s", BUNDLE) },
    Http {
        body: &[FORM],
        ..http(
            "search-type",
            "POST",
            "/fhir/{type}/_search",
            "Searches a type, parameters in the body",
            "system/*.s",
            BUNDLE,
        )
    },
    Http {
        query: SEARCH,
        ..http(
            "search-type",
            "GET",
            "/fhir/{compartment}/{id}/{type}",
            "Searches what is in a compartment: of a Patient, Encounter, Practitioner, RelatedPerson or Device",
            "system/*.s",
            BUNDLE,
        )
    },
    Http {
        query: SEARCH_SYSTEM,
        ..http(
            "search-system",
            "GET",
            "/fhir/{compartment}/{id}/*",
            "Searches all that is in a compartment, or the types named",
            "system/*.s",
            BUNDLE,
        )
    },
    Http {
        query: SEARCH_SYSTEM,
        ..http("search-system", "GET", "/fhir", "Searches all types, or those named", "system/*.s", BUNDLE)
    },
    Http {
        body: &[FORM],
        ..http(
            "search-system",
            "POST",
            "/fhir/_search",
            "Searches all types, or those named, parameters in the body",
            "system/*.s",
            BUNDLE,
        )
    },
    Http {
        body: &[FHIR_JSON],
        ..http(
            "transaction",
            "POST",
            "/fhir",
            "A transaction or batch Bundle; each entry takes the scope of its own request",
            "",
            BUNDLE,
        )
    },
    http("capabilities", "GET", "/fhir/metadata", "The CapabilityStatement", "", &[(200, "The CapabilityStatement")]),
];

const fn http(
    interaction: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    scope: &'static str,
    answers: Answers,
) -> Http {
    Http { interaction, method, path, summary, scope, query: &[], headers: &[], body: &[], answers }
}

/// Whether the CapabilityStatement says that this is supported. A batch goes the way of a transaction;
/// the statement itself need not say that it can be had.
fn is_supported(interaction: &str) -> bool {
    RESOURCE_INTERACTIONS.contains(&interaction)
        || SYSTEM_INTERACTIONS.contains(&interaction)
        || interaction == "capabilities"
}

/// The interactions that are supported.
pub(super) fn interactions() -> Vec<Endpoint> {
    let owned = |pairs: Pairs| pairs.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect();
    let endpoint = |http: &Http| Endpoint {
        group: Group::Fhir,
        interaction: http.interaction,
        method: http.method,
        path: http.path.to_owned(),
        summary: http.summary.to_owned(),
        scope: (http.interaction != "capabilities").then_some(http.scope),
        query: owned(http.query),
        headers: http.headers,
        body: http.body,
        media: FHIR_JSON,
        answers: http.answers,
    };
    HTTP.iter().filter(|http| is_supported(http.interaction)).map(endpoint).collect()
}

const OPERATION: Answers = &[
    (200, "What the operation gives"),
    (202, "It has begun; Content-Location says where to ask how far it is"),
    (400, "A parameter is wrong"),
    (401, "No valid token"),
    (403, "The token does not allow it"),
    (404, "There is none that the caller may see"),
    (422, "There is too little to go by; the OperationOutcome names what is missing"),
];

/// The operations, called as their OperationDefinitions say (R4 operations.html).
pub(super) fn operations() -> Vec<Endpoint> {
    let mut found = Vec::new();
    for served in SERVED {
        // A definition that is no JSON would have failed the tests; it is then left out here.
        let definition: Value = serde_json::from_str(served.definition).unwrap_or_default();
        let title = definition["title"].as_str().unwrap_or(served.name);
        let changes = definition["affectsState"] == true;
        let mut call = |method, level: &str, path: String, query| {
            found.push(Endpoint {
                group: Group::Operations,
                interaction: "operation",
                method,
                path,
                summary: format!("{title}, {level}"),
                scope: Some(if changes { "system/*.u" } else { "system/*.r" }),
                query,
                headers: &[],
                body: if method == "POST" { &[FHIR_JSON] } else { &[] },
                media: FHIR_JSON,
                answers: OPERATION,
            });
        };
        if definition["system"] == true {
            let path = format!("/fhir/${}", served.name);
            call("POST", "on the system", path.clone(), Vec::new());
            if !changes {
                call("GET", "on the system, parameters in the query", path, primitive_parameters(&definition));
            }
        }
        let types = match served.on {
            On::Every => &["{type}"],
            On::Types(types) => types,
        };
        for on in types {
            if definition["instance"] == true {
                let path = format!("/fhir/{on}/{{id}}/${}", served.name);
                call("POST", "parameters in the body", path.clone(), Vec::new());
                if !changes {
                    call("GET", "parameters in the query", path, primitive_parameters(&definition));
                }
            }
            if definition["type"] == true {
                let path = format!("/fhir/{on}/${}", served.name);
                call("POST", "on the type", path.clone(), Vec::new());
                if !changes && is_asked_by_query(&definition) {
                    call("GET", "on the type, parameters in the query", path, primitive_parameters(&definition));
                }
            }
        }
    }
    found
}

/// The jobs of `$reindex`, beside what begins one.
pub(super) fn reindex_jobs() -> Vec<Endpoint> {
    const JOB: &str = "/fhir/$reindex/{id}";
    let of_all = [("GET", "/fhir/$reindex", "The last jobs that index stored resources anew", JOBS)];
    let of_one = [("GET", JOB, "How far a job is", STATUS), ("DELETE", JOB, "Ends a job that was asked for", ENDED)];
    let endpoint = |(method, path, summary, answers): (&'static str, &str, &str, Answers)| Endpoint {
        group: Group::Operations,
        interaction: "operation",
        method,
        path: path.to_owned(),
        summary: summary.to_owned(),
        scope: Some("system/SearchParameter.u"),
        query: Vec::new(),
        headers: &[],
        body: &[],
        media: FHIR_JSON,
        answers,
    };
    of_all.into_iter().chain(of_one).map(endpoint).collect()
}

const JOBS: Answers =
    &[(200, "Parameters"), (401, "No valid token"), (403, "The token does not allow to update all SearchParameters")];
const STATUS: Answers = &[
    (200, "It is over: Parameters"),
    (202, "It is at work; X-Progress says how far"),
    (401, "No valid token"),
    (403, "The token does not allow to update all SearchParameters"),
    (404, "There is no such job"),
];
const ENDED: Answers = &[
    (202, "It is ended, or was over"),
    (401, "No valid token"),
    (403, "The token does not allow to update all SearchParameters"),
    (404, "There is no such job"),
    (409, "The server needs it"),
];

/// Whether a query can hold what an operation on a type has to be told.
fn is_asked_by_query(definition: &Value) -> bool {
    let parameters = definition["parameter"].as_array().into_iter().flatten();
    let mut asked = parameters.filter(|parameter| parameter["use"] == "in");
    let primitive = |parameter: &Value| {
        parameter["type"].as_str().is_some_and(|kind| kind.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    let (required, optional): (Vec<&Value>, Vec<&Value>) = asked.by_ref().partition(|one| one["min"] != 0);
    match required.is_empty() {
        true => optional.into_iter().all(primitive),
        false => required.into_iter().all(primitive),
    }
}

/// Parameters that a query can hold: those of a primitive type, whose names begin in lower case.
fn primitive_parameters(definition: &Value) -> Vec<(String, String)> {
    let parameters = definition["parameter"].as_array().into_iter().flatten();
    let primitive = |parameter: &&Value| {
        let kind = parameter["type"].as_str().unwrap_or_default();
        parameter["use"] == "in" && kind.starts_with(|c: char| c.is_ascii_lowercase())
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    parameters.filter(primitive).map(|one| (text(&one["name"]), text(&one["documentation"]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interaction_of_the_capability_statement_has_a_path_and_no_other() {
        for code in RESOURCE_INTERACTIONS.iter().chain(&SYSTEM_INTERACTIONS).filter(|code| **code != "batch") {
            assert!(HTTP.iter().any(|http| http.interaction == *code), "{code}");
        }
        for http in &HTTP {
            assert!(is_supported(http.interaction), "{}", http.interaction);
        }
    }

    #[test]
    fn operations_are_called_as_their_definitions_say() {
        let calls: Vec<String> = operations().iter().map(|one| format!("{} {}", one.method, one.path)).collect();
        for call in [
            "POST /fhir/DocumentReference/$docref",
            "GET /fhir/DocumentReference/$docref",
            "POST /fhir/Encounter/{id}/$everything",
            "GET /fhir/Encounter/{id}/$everything",
            "GET /fhir/$meta",
            "GET /fhir/{type}/$meta",
            "GET /fhir/{type}/{id}/$meta",
            "POST /fhir/{type}/{id}/$meta-add",
            "POST /fhir/{type}/$reindex",
            "POST /fhir/$reindex",
            "POST /fhir/Patient/{id}/$risk-score",
            "POST /fhir/Patient/$risk-score",
            "POST /fhir/{type}/$validate",
        ] {
            assert!(calls.iter().any(|known| known == call), "{call}: {calls:#?}");
        }
        for call in ["GET /fhir/{type}/{id}/$meta-add", "GET /fhir/Patient/$everything", "GET /fhir/{type}/$validate"] {
            assert!(!calls.iter().any(|known| known == call), "{call}");
        }
        let all = operations();
        let scored = all.iter().find(|one| one.method == "GET" && one.path.ends_with("{id}/$risk-score")).unwrap();
        let query: Vec<&str> = scored.query.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(query, ["model", "as-of", "persist"]);
    }
}
