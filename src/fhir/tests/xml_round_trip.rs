//! Every resource of the core package, JSON to XML and back.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use salus_fhir::json::{Object, Value};
use salus_fhir::packages::{Package, R4_CORE, default_cache_dir, resource_type};
use salus_fhir::xml::{self, Layout, Limits};
use salus_fhir::{Definitions, json};

/// Resources of the package that are not valid R4, and so have no XML form: what is wrong.
const NOT_VALID: &[(&str, &str)] = &[];

/// The value with its members sorted by name, since XML has its own order; and narratives with the line ends that XML
/// has (XML 1.0 section 2.11), which say the same in XHTML.
fn sorted<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::String(text) if text.starts_with("<div") && text.contains('\r') => {
            text.replace("\r\n", "\n").replace('\r', "\n").into()
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(object) => {
            let mut members: Vec<_> = object.0.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Object(members))
        }
        other => other.clone(),
    }
}

/// What differs after the way to XML and back; None where nothing does.
fn fault(resource: &Value<'_>, r4: &Definitions, layout: Layout) -> Option<String> {
    let document = match xml::write(resource, r4, layout) {
        Ok(document) => document,
        Err(error) => return Some(error.to_string()),
    };
    let back = match xml::read(&document, r4, &Limits::default()) {
        Ok(back) => back,
        Err(error) => return Some(format!("{error} in its own XML")),
    };
    let (before, after) = (sorted(resource).to_string(), sorted(&back).to_string());
    if before != after {
        let at = before.bytes().zip(after.bytes()).position(|(a, b)| a != b).unwrap_or(0);
        let near =
            |text: &str| text.get(at.saturating_sub(40)..).map(|text| text.chars().take(120).collect::<String>());
        return Some(format!("{:?} became {:?}", near(&before), near(&after)));
    }
    // From here on nothing moves any more: the second XML is the first, to the byte.
    (xml::write(&back, r4, layout).as_ref() != Ok(&document)).then(|| "the second XML differs".to_owned())
}

#[test]
fn every_resource_of_the_package_survives() {
    let Some(path) = default_cache_dir().map(|cache| R4_CORE.path(&cache)).filter(|path| path.exists()) else {
        println!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
        return;
    };
    let r4 = Definitions::load_or_compile(&default_cache_dir().unwrap(), std::slice::from_ref(&path)).unwrap();
    let package = Package::open(&path).unwrap();
    let (mut count, mut faults) = (0, Vec::new());
    let read = package.members(
        |name| resource_type(name).is_some(),
        |member| {
            let resource = json::parse_bytes(&member.content, &json::Limits::default()).unwrap();
            count += 1;
            let layout = if count % 2 == 0 { Layout::Compact } else { Layout::Pretty };
            let fault = fault(&resource, &r4, layout);
            let expected = NOT_VALID.iter().find(|(name, _)| *name == member.name).map(|(_, fault)| *fault);
            match (fault, expected) {
                (None, None) => {}
                (Some(fault), Some(expected)) if fault.contains(expected) => {}
                (fault, expected) => faults.push((member.name, fault, expected)),
            }
            true
        },
    );
    read.unwrap();
    assert!(count > 5000, "{count} resources");
    for fault in &faults {
        println!("{fault:?}");
    }
    assert!(faults.is_empty(), "{} of {count} resources", faults.len());
}
