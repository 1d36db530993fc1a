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
