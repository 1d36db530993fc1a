//! What reads bytes from outside, an entry each: never a panic, and what is accepted means what it says.
//! `tests/hostile` gives them changed samples on every run; `fuzz/`, whose library this is, gives them to
//! libFuzzer. Each says whether it could use what it was given.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use salus::media::{Accept, Format, body_type};
use salus::request::{FhirRequest, Verb, percent_decoded};
use salus::request_patients;
use salus::route::Route;
use salus_access::{Scope, Wildcard, narrow, parse_scopes};
use salus_analytics::{FeatureObservation, Stay, Subject};
use salus_auth::{IntrospectionRequest, RevocationRequest, TokenRequest};
use salus_fhir::datatypes::{DateTime, Decimal};
use salus_fhir::fhirpath::{Environment, Expression, Node};
use salus_fhir::json::{Limits, Value, parse, parse_bytes};
use salus_fhir::patch::Patch;
use salus_fhir::subset::Subset;
use salus_fhir::{Definitions, packages, validation, xml};
use salus_store::audit::AuditQuery;
use salus_store::facts::Facts;
use salus_store::search::{SearchContext, SearchQuery};

const BASE: &str = "https://salus.example/fhir";

/// R4, from the cache that `make setup` fills; `None` where it is not there.
pub static R4: LazyLock<Option<Arc<Definitions>>> = LazyLock::new(|| {
    let cache = std::env::var_os("SALUS_CACHE_DIR").map(Into::into).or_else(packages::default_cache_dir)?;
    Definitions::load_or_compile(&cache, &[packages::R4_CORE.path(&cache)]).ok()
});

/// Any bytes as JSON: a fault lies inside the text, and what is accepted is written to text that reads as the
/// same value.
pub fn json(bytes: &[u8]) -> bool {
    match parse_bytes(bytes, &Limits::default()) {
        Ok(value) => {
            let text = value.to_string();
            let again = parse(&text, &Limits::default()).expect("what was written can be read");
            assert_eq!(value, again);
            true
        }
        Err(error) => {
            assert!(error.offset <= bytes.len());
            false
        }
    }
}

/// Any bytes as XML: what is read can be validated, and its XML reads as the same resource.
pub fn xml(bytes: &[u8]) -> bool {
    let Some(r4) = R4.as_deref() else { return false };
    let Ok(resource) = xml::read_bytes(bytes, r4, &xml::Limits::default()) else { return false };
    if let Ok(text) = xml::write(&resource, r4, xml::Layout::Compact) {
        let again = xml::read(&text, r4, &xml::Limits::default()).expect("what was written can be read");
        assert_eq!(xml::write(&again, r4, xml::Layout::Compact).as_ref(), Ok(&text));
    }
    resource_of(r4, &resource);
    true
}

/// Any JSON as a resource or a Bundle: validation, facts, Consent rules, model inputs.
pub fn resource(bytes: &[u8]) -> bool {
    let Some(r4) = R4.as_deref() else { return false };
    let Ok(value) = parse_bytes(bytes, &Limits::default()) else { return false };
    resource_of(r4, &value);
    for entry in value.items("entry") {
        if let Some(resource) = entry.get("resource") {
            resource_of(r4, resource);
        }
        let request = entry.get("request");
        if let Some(url) = request.and_then(|request| request.get_str("url")) {
            let method = request.and_then(|request| request.get_str("method")).unwrap_or_default();
            requested(r4, method, url);
        }
    }
    true
}

fn resource_of(r4: &Definitions, resource: &Value<'_>) {
    let _ = validation::validate(resource, r4);
    let _ = xml::write(resource, r4, xml::Layout::Pretty);
    Subset::Summary.take(&mut resource.clone(), r4);
    let kind = resource.get_str("resourceType").unwrap_or_default();
    if r4.is_resource_type(kind) {
        let facts = Facts::of(r4, BASE, kind, resource.get_str("id").unwrap_or_default(), resource);
        std::hint::black_box(facts);
    }
    let _ = salus_access::consent::compile(resource, BASE);
    let _ = (FeatureObservation::from_resource(resource), Subject::from_patient(resource));
    let _ = Stay::from_encounter(resource, &HashSet::new());
}

/// Any text as method, path and query.
pub fn request(text: &str) -> bool {
    let Some(r4) = R4.as_deref() else { return false };
    let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
    requested(r4, method, url)
}

fn requested(r4: &Definitions, method: &str, url: &str) -> bool {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let request = FhirRequest {
        verb: Verb::parse(method),
        path: percent_decoded(path),
        query: query.to_owned(),
        ..FhirRequest::default()
    };
    let parameters = request.parameters();
    let route = Route::of(&request, r4);
    if let Err(failure) = &route {
        assert!((400..500).contains(&failure.status), "{}", failure.status);
    }
    let kind = route.as_ref().map_or("Observation", Route::type_name).to_owned();
    let _ = request_patients::named(BASE, &kind, &parameters);
    let _ = (request.target(), request.strict());
    let context = match route.as_ref().ok().and_then(|route| route.compartment.clone()) {
        Some(of) => SearchContext::compartment(r4, of, Some(&kind)).ok(),
        None if kind.is_empty() => Some(SearchContext::system(r4)),
        None => Some(SearchContext::of_type(&kind)),
    };
    if let Some(Ok((_, ignored))) = context.map(|context| SearchQuery::parse(r4, context, &parameters)) {
        assert!(ignored.len() <= parameters.len());
    }
    let _ = AuditQuery::parse(&parameters, 0);
    for (_, value) in &parameters {
        let _ = (DateTime::parse_search(value), Decimal::parse(value));
    }
    route.is_ok()
}

/// Any text as `Accept` and as `Content-Type`: what is accepted is one of the formats that are named.
pub fn media(text: &str) -> bool {
    let accept = Accept::parse(text);
    let _ = Format::named(&body_type(text));
    let wanted = Format::wanted(None, Some(&accept));
    let _ = (Format::wanted(Some(text), None), accept.rank(&["text/plain"]));
    wanted.is_ok_and(|format| accept.rank_of(format).is_some())
}

/// Any text as FHIRPath, run over a resource of each sort: it ends within its steps.
pub fn expression(text: &str) -> bool {
    let Some(r4) = R4.as_deref() else { return false };
    let Ok(expression) = Expression::parse(text) else { return false };
    for resource in [include_str!("samples/patient.json"), include_str!("samples/observation.json")] {
        let resource = parse(resource, &Limits::default()).expect("a good sample");
        let environment = Environment::new(r4).with_resource(&resource).with_steps(20_000);
        let _ = expression.evaluate(&environment, Node::resource(&resource, r4));
    }
    true
}

/// Any bytes as a patch, of either form: what it makes of a patient is JSON that can be read again.
pub fn patch(bytes: &[u8]) -> bool {
    let Some(r4) = R4.as_deref() else { return false };
    let Ok(document) = parse_bytes(bytes, &Limits::default()) else { return false };
    let patient = parse(include_str!("samples/patient.json"), &Limits::default()).expect("a good sample");
    let patches = [Patch::json(document.clone()), Patch::fhir_path(document, r4)];
    for patch in patches.iter().flatten() {
        match patch.apply(patient.clone(), r4) {
            Ok(patched) => {
                let text = patched.to_string();
                assert_eq!(parse(&text, &Limits::default()).expect("what was written can be read"), patched);
            }
            Err(error) => assert!(matches!(error.status(), 400 | 422)),
        }
    }
    patches.iter().any(Result::is_ok)
}

/// Any text as scopes: written they read as the same, and none is granted that was not registered.
pub fn scopes(text: &str) -> bool {
    let scopes = parse_scopes(text);
    let written: Vec<String> = scopes.iter().map(Scope::to_string).collect();
    assert_eq!(parse_scopes(&written.join(" ")), scopes);
    let (some, rest) = scopes.split_at(scopes.len() / 2);
    for wildcard in [Wildcard::AllTypes, Wildcard::AllButTrail] {
        assert!(narrow(some, &[], wildcard).is_empty());
        assert!(narrow(some, rest, wildcard).len() <= some.len() * rest.len());
    }
    !scopes.is_empty()
}

/// Any bytes as the form of an OAuth request, with the assertion (a JWT) in it, or as a client's keys.
pub fn form(bytes: &[u8]) -> bool {
    let token = TokenRequest::from_form(bytes).map(|request| {
        scopes(request.scope.as_deref().unwrap_or_default());
        request.assertion.claimed_client()
    });
    let _ = IntrospectionRequest::from_form(bytes).map(|request| request.assertion.claimed_client());
    let _ = RevocationRequest::from_form(bytes).map(|request| request.assertion.claimed_client());
    token.is_ok() || salus_auth::parse_jwks(&String::from_utf8_lossy(bytes)).is_ok()
}
