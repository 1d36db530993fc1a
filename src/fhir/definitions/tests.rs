//! What the compiled R4 core says, where the package is present.

use super::*;
use crate::packages::R4_CORE;

/// The R4 core, compiled once; None, with a word why, where the package is not in the cache
/// directory.
pub(crate) fn r4() -> Option<Arc<Definitions>> {
    static R4: std::sync::OnceLock<Option<Arc<Definitions>>> = std::sync::OnceLock::new();
    R4.get_or_init(|| {
        let cache_dir = crate::packages::default_cache_dir()?;
        let package = R4_CORE.path(&cache_dir);
        if !package.exists() {
            eprintln!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
            return None;
        }
        Some(Definitions::load_or_compile(&cache_dir, &[package]).unwrap())
    })
    .clone()
}

fn property(r4: &Definitions, type_name: &str, property: &str) -> (String, String) {
    let (element, ty) = r4.element(type_name, property).unwrap_or_else(|| panic!("{type_name}.{property}"));
    (element.name.clone(), ty.code.clone())
}

#[test]
fn r4_has_its_resource_types() {
    let Some(r4) = r4() else { return };
    let types: Vec<&str> = r4.resource_types().collect();
    // R4 resourcelist.html; Resource and DomainResource are abstract.
    assert_eq!(types.len(), 146);
    assert!(types.contains(&"Observation") && types.contains(&"Parameters"));
    for no_resource in ["Resource", "DomainResource", "HumanName", "Observation.component", "vitalsigns", ""] {
        assert!(!r4.is_resource_type(no_resource), "{no_resource}");
    }
    assert!(r4.types().is_a("Observation", "Resource") && r4.types().is_a("Age", "Quantity"));
    assert!(!r4.types().is_a("Bundle", "DomainResource"));
}

#[test]
fn elements_have_their_types_and_cardinalities() {
    let Some(r4) = r4() else { return };
    let observation = r4.type_definition("Observation").unwrap();
    let status = observation.element("status").unwrap();
    assert_eq!((status.min, status.max, status.is_list()), (1, Some(1), false));
    assert!(observation.element("category").unwrap().is_list());
    assert_eq!(property(&r4, "Observation", "id"), ("id".into(), "id".into()));
    assert_eq!(property(&r4, "Observation", "meta"), ("meta".into(), "Meta".into()));
    assert_eq!(property(&r4, "Observation.component", "extension"), ("extension".into(), "Extension".into()));
    assert_eq!(property(&r4, "Extension", "url"), ("url".into(), "uri".into()));
    let (_, subject) = r4.element("Observation", "subject").unwrap();
    assert_eq!(subject.target_types, ["Patient", "Group", "Device", "Location"]);
    assert!(r4.element("Observation", "focus").unwrap().1.target_types.is_empty());
    assert!(r4.element("Observation", "nonsense").is_none());
}

#[test]
fn choices_resolve_by_property() {
    let Some(r4) = r4() else { return };
    assert_eq!(property(&r4, "Observation", "valueQuantity"), ("value".into(), "Quantity".into()));
    assert_eq!(property(&r4, "Observation", "valueDateTime"), ("value".into(), "dateTime".into()));
    assert_eq!(property(&r4, "Extension", "valueBase64Binary"), ("value".into(), "base64Binary".into()));
    assert!(r4.element("Observation", "value").is_none());
    assert!(r4.element("Observation", "valueMoney").is_none());
}

#[test]
fn backbone_elements_are_types_and_content_references_resolve() {
    let Some(r4) = r4() else { return };
    assert_eq!(property(&r4, "Observation", "component").1, "Observation.component");
    assert_eq!(property(&r4, "Observation.component", "referenceRange").1, "Observation.referenceRange");
    assert_eq!(property(&r4, "Timing", "repeat").1, "Timing.repeat");
    assert_eq!(property(&r4, "Bundle.entry", "resource").1, "Resource");
    let dangling = r4.types().iter().flat_map(|ty| &ty.elements).flat_map(|element| &element.types);
    let dangling: Vec<_> = dangling.filter(|ty| r4.types().resolve(ty).is_none()).collect();
    assert!(dangling.is_empty(), "{dangling:?}");
}

#[test]
fn required_codes_imply_their_system() {
    let Some(r4) = r4() else { return };
    let gender = |code| r4.implicit_system("Patient", "gender", code);
    assert_eq!(gender("female"), Some("http://hl7.org/fhir/administrative-gender"));
    assert_eq!(gender("F"), None);
    assert_eq!(r4.implicit_system("Observation", "category", "laboratory"), None);
    // Nested concepts of the code system count too.
    assert!(r4.implicit_system("Task", "status", "in-progress").is_some());
    assert!(r4.implicit_system("Bundle.entry.request", "method", "PATCH").is_some());
}

#[test]
fn search_parameters_are_those_of_the_base_specification() {
    let Some(r4) = r4() else { return };
    let all = r4.raw_search_parameters();
    let of = |base: &str| -> Vec<&str> {
        all.iter().filter(|p| p.base.iter().any(|b| b == base)).map(|p| p.code.as_str()).collect()
    };
    let mut of_resource = of("Resource");
    of_resource.sort_unstable();
    assert_eq!(of_resource, ["_content", "_id", "_lastUpdated", "_profile", "_query", "_security", "_source", "_tag"]);
    assert_eq!(of("DomainResource"), ["_text"]);
    for (base, code) in [
        ("Patient", "birthdate"),
        ("Patient", "general-practitioner"),
        ("Observation", "code-value-quantity"),
        ("Observation", "patient"),
        ("MedicationRequest", "code"),
        ("ValueSet", "url"),
        ("Location", "near"),
    ] {
        assert!(of(base).contains(&code), "{base} {code}");
    }
    for (base, code) in
        [("Patient", "age"), ("Device", "din"), ("Observation", "dna-variant"), ("Patient", "part-agree")]
    {
        assert!(!of(base).contains(&code), "{base} {code}");
    }
    // No code twice for one base.
    for base in r4.resource_types() {
        let mut codes = of(base);
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count, "{base}");
    }
    let composite = all.iter().find(|p| p.code == "code-value-quantity").unwrap();
    assert_eq!(composite.components.len(), 2);
}

#[test]
fn compartments_name_their_parameters() {
    let Some(r4) = r4() else { return };
    let patient = r4.compartment("Patient").unwrap();
    assert_eq!(patient.parameters("Observation"), ["subject", "performer"]);
    assert_eq!(patient.parameters("Patient"), ["link"]);
    assert!(patient.parameters("Medication").is_empty());
    for owner in ["Encounter", "Practitioner", "RelatedPerson", "Device"] {
        assert!(r4.compartment(owner).is_some_and(|c| c.members.len() > 5), "{owner}");
    }
    assert!(r4.compartment("Observation").is_none());
    // Each parameter named exists.
    for (resource_type, codes) in &patient.members {
        for code in codes {
            let exists = |p: &RawSearchParameter| p.code == *code && p.base.contains(resource_type);
            assert!(r4.raw_search_parameters().iter().any(exists), "{resource_type} {code}");
        }
    }
}

#[test]
fn a_damaged_cache_is_not_used_and_old_ones_go() {
    let Some(cache_dir) = crate::packages::default_cache_dir() else {
        return;
    };
    let package = R4_CORE.path(&cache_dir);
    let Some(r4) = r4() else { return };
    let directory = std::env::temp_dir().join(format!("salus-definitions-{}", std::process::id()));
    let path = cache::path(&directory, &[Package::open(&package).unwrap()]);
    cache::store(&path, &r4).unwrap();
    assert_eq!(cache::load(&path).as_ref(), Some(&*r4));
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&whole[..whole.len() / 2], &[], &flipped] {
        std::fs::write(&path, damaged).unwrap();
        assert!(cache::load(&path).is_none());
    }
    for number in 0..20 {
        std::fs::write(directory.join(format!("definitions-{number}.bin")), "").unwrap();
    }
    std::fs::write(directory.join("other.bin"), "").unwrap();
    cache::store(&path, &r4).unwrap();
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 10);
    assert!(cache::load(&path).is_some());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn without_the_core_there_are_no_definitions() {
    assert!(matches!(compile::compile(&[]), Err(DefinitionsError::NoTypes)));
}

fn parameter(change: &str) -> String {
    format!(
        r#"{{"resourceType":"SearchParameter","url":"http://x.test/SearchParameter/p","name":"P","status":"active",
            "description":"d","code":"p","base":["Patient"],"type":"token","expression":"Patient.gender"{change}}}"#
    )
}

/// Where a SearchParameter is wrong, below its type.
fn wrong(r4: &Definitions, text: &str, further: &[CustomParameter]) -> Vec<String> {
    let resource = crate::json::parse(text, &crate::json::Limits::default()).unwrap();
    let issues = r4.check_search_parameter(Some("1"), &resource, further);
    let place = |issue: crate::outcome::Issue| issue.expression.unwrap_or_default();
    let below = |place: String| place.strip_prefix("SearchParameter.").expect("it begins with its type").to_owned();
    issues.into_iter().map(place).map(below).collect()
}

#[test]
fn a_search_parameter_that_cannot_be_used_is_refused_where_it_is_wrong() {
    let Some(r4) = r4() else { return };
    let with = |from: &str, to: &str| {
        let text = parameter("").replace(from, to);
        assert_ne!(text, parameter(""), "{from}");
        wrong(&r4, &text, &[])
    };
    assert_eq!(wrong(&r4, &parameter(""), &[]), [""; 0]);
    // Whatever it says, it is not used.
    assert_eq!(with(r#""active""#, r#""draft","x":"(""#), [""; 0]);
    assert_eq!(with("Patient.gender", "Patient.nonsense"), ["expression"]);
    assert_eq!(with("Patient.gender", "Patient.gender.trace('x')"), ["expression"]);
    assert_eq!(with("Patient.gender", "Patient.name"), ["expression"]);
    assert_eq!(with("Patient.gender", "Observation.code"), ["expression"]);
    assert_eq!(with("Patient.gender", &"(".repeat(4000)), ["expression"]);
    assert_eq!(with("Patient.gender", &format!("Patient.gender{}", " ".repeat(5000))), ["expression"]);
    assert_eq!(with(r#","expression":"Patient.gender""#, ""), ["expression"]);
    assert_eq!(with(r#""Patient"]"#, r#""Patient","Nothing"]"#), ["base[1]"]);
    assert_eq!(with(r#""Patient"]"#, r#""AuditEvent"]"#), ["base[0]"]);
    assert_eq!(with(r#""code":"p""#, r#""code":"_p""#), ["code"]);
    assert_eq!(with(r#""code":"p""#, r#""code":"p.q""#), ["code"]);
    assert_eq!(with(r#""token""#, r#""special""#), ["type"]);
    // FHIR's own, and names that mean something to the server.
    assert_eq!(with(r#""code":"p""#, r#""code":"gender""#), ["code"]);
    assert_eq!(with(r#""code":"p""#, r#""code":"subject""#), ["code"]);
    assert_eq!(with(r#""code":"p""#, r#""code":"date""#), ["code"]);
    let own = parameter("")
        .replace("http://x.test/SearchParameter/p", "http://hl7.org/fhir/SearchParameter/individual-gender")
        .replace(r#""code":"p""#, r#""code":"gender""#);
    assert_eq!(wrong(&r4, &own, &[]), [""; 0]);
}

#[test]
fn a_composite_takes_components_that_the_index_can_hold() {
    let Some(r4) = r4() else { return };
    let composite = |components: &[(&str, &str)]| {
        let component = |(url, expression): &(&str, &str)| {
            format!(r#"{{"definition":"http://hl7.org/fhir/SearchParameter/{url}","expression":"{expression}"}}"#)
        };
        let components: Vec<String> = components.iter().map(component).collect();
        let text = parameter(&format!(r#","component":[{}]"#, components.join(",")))
            .replace(r#""token""#, r#""composite""#)
            .replace("Patient.gender", "Patient");
        wrong(&r4, &text, &[])
    };
    let (gender, birth) = (("individual-gender", "gender"), ("individual-birthdate", "birthDate"));
    assert_eq!(composite(&[gender, birth]), [""; 0]);
    assert_eq!(composite(&[gender]), ["component"]);
    assert_eq!(composite(&[birth, ("individual-family", "name.family")]), ["component[1].definition"]);
    assert_eq!(composite(&[gender, ("nothing", "gender")]), ["component[1].definition"]);
    assert_eq!(composite(&[gender, ("individual-birthdate", "nothing")]), ["expression"]);
}

#[test]
fn an_expression_that_multiplies_its_paths_is_refused() {
    let Some(r4) = r4() else { return };
    let text = parameter("").replace("Patient.gender", "Patient.extension.value.extension.value.extension.value");
    assert_eq!(wrong(&r4, &text, &[]), ["expression"]);
    let conditions = "Patient.where(".to_owned() + &"name.where(given.exists() and ".repeat(12) + "true = true";
    let text = parameter("").replace("Patient.gender", &conditions);
    assert_eq!(wrong(&r4, &text, &[]), ["expression"]);
}

#[test]
fn custom_parameters_stand_beside_those_of_packages_and_are_extracted_before_they_are_ready() {
    use crate::search::SearchValue;
    let Some(r4) = r4() else { return };
    let resource = |text: &str| crate::json::parse(text, &crate::json::Limits::default()).unwrap().into_static();
    let custom = CustomParameter::read("1", &resource(&parameter(""))).unwrap();
    let draft = parameter("").replace("active", "draft");
    assert!(CustomParameter::read("1", &resource(&draft)).is_none());
    let (with, refused) = r4.with_custom(vec![custom.clone()]);
    assert_eq!(refused, []);
    let found = |definitions: &Definitions, all: bool| {
        let patient = resource(r#"{"resourceType":"Patient","gender":"male"}"#);
        let mut found = Vec::new();
        let mut emit = |parameter: &crate::search::SearchParameter, value: SearchValue<'_>| {
            if matches!(value, SearchValue::Token { code: Some("male"), .. }) {
                found.push(parameter.code.clone());
            }
        };
        match all {
            true => definitions.search().extract_all_below("", "Patient", &patient, &mut emit),
            false => definitions.search().extract_below("", "Patient", &patient, &mut emit),
        }
        found.sort();
        found
    };
    assert_eq!(found(&with, false), ["gender", "p"]);
    assert_eq!(with.search().get("Patient", "p").unwrap().custom.as_deref(), Some("1"));
    assert!(with.search().get("Observation", "p").is_none());
    // What is not ready is extracted, and not to be had.
    let pending = with.with_search(with.search().ready(|_, parameter| parameter.code != "p"));
    assert!(pending.search().get("Patient", "p").is_none());
    assert_eq!((found(&pending, false), found(&pending, true)), (vec!["gender".to_owned()], found(&with, true)));
    pending.search().pending("Patient").1.unwrap().set(40);
    assert!(pending.search().why_not("Patient", "p").unwrap().contains("40 %"));
    assert_eq!(pending.search().why_not("Patient", "gender"), None);
    let ready = pending.search().ready(|_, _| true);
    assert!(ready.get("Patient", "p").is_some() && ready.why_not("Patient", "p").is_none());
    // The packages' own come first.
    let named = parameter("").replace(r#""code":"p""#, r#""code":"gender""#);
    let (with, _) = r4.with_custom(vec![CustomParameter::read("2", &resource(&named)).unwrap()]);
    assert_eq!(with.search().get("Patient", "gender").unwrap().custom, None);
    // What it says is what its hash hangs on.
    let other = parameter("").replace("Patient.gender", "Patient.active");
    let (one, other) = (&custom.definition, CustomParameter::read("1", &resource(&other)).unwrap().definition);
    let renamed = parameter("").replace("\"d\"", "\"described otherwise\"");
    let renamed = CustomParameter::read("1", &resource(&renamed)).unwrap().definition;
    assert_ne!(one.fingerprint(), other.fingerprint());
    assert_eq!(one.fingerprint(), renamed.fingerprint());
}
