//! The official suites of patches (`FHIR/fhir-test-cases`, r4/patch), against lists of the cases that
//! do not pass.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::PathBuf;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::Event;
use salus_fhir::json::{self, Object, Value};
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_fhir::patch::{FhirPathPatch, JsonPatch};
use salus_fhir::{Definitions, xml};

/// Cases of `json-patch-tests.json` that do not pass, and why.
const JSON_NOT_PASSED: &[(&str, &str)] = &[];

/// Cases of `fhir-patch-tests.xml` that do not pass, and why.
const FHIR_NOT_PASSED: &[(&str, &str)] = &[];

fn suite(name: &str) -> Option<String> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/patch-r4")).join(name);
    if !path.exists() {
        println!("SKIPPED: the suite patch-r4/{name} is not in the shared data");
        return None;
    }
    // Line ends as an XML processor hands them on (XML 1.0, 2.11).
    Some(std::fs::read_to_string(path).unwrap().replace("\r\n", "\n"))
}

/// Compares what failed with the list of what is known to.
fn judge(suite: &str, count: usize, mut failed: Vec<(String, String)>, listed: &[(&str, &str)]) {
    println!("{suite}: {} of {count} cases passed", count - failed.len());
    for (name, _) in listed {
        let found = failed.iter().position(|(failed, _)| failed == name);
        failed.remove(found.unwrap_or_else(|| panic!("{name} passes now, or is no case: take it off the list")));
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// The value with its members sorted by name, since the order of XML is that of the definitions.
fn sorted<'a>(value: &Value<'a>) -> Value<'a> {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Object(object) => {
            let mut members: Vec<_> = object.0.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Object(members))
        }
        other => other.clone(),
    }
}

#[test]
fn json_patch() {
    let Some(text) = suite("json-patch-tests.json") else { return };
    let cases = json::parse(&text, &json::Limits::default()).unwrap();
    let cases = cases.as_array().unwrap();
    let mut failed = Vec::new();
    for case in cases {
        let document = case.get("doc").unwrap().clone();
        let patched = JsonPatch::parse(case.get("patch").unwrap().clone()).and_then(|patch| patch.apply(document));
        let fault = match (patched, case.get("expected")) {
            (Ok(patched), Some(expected)) if sorted(&patched) == sorted(expected) => continue,
            (Err(_), None) if case.get("error").is_some() => continue,
            (outcome, _) => format!("{outcome:?}"),
        };
        failed.push((case.get_str("comment").unwrap_or_default().to_owned(), fault));
    }
    judge("JSON Patch suite", cases.len(), failed, JSON_NOT_PASSED);
}

/// A case: its name, and the text of the resources in it.
#[derive(Default)]
struct Case {
    name: String,
    input: String,
    patch: String,
    output: String,
    fails: bool,
}

fn cases(text: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(text);
    let (mut cases, mut case, mut start) = (Vec::new(), Case::default(), 0);
    loop {
        let before = reader.buffer_position() as usize;
        match reader.read_event().unwrap() {
            Event::Eof => return cases,
            Event::Start(tag) => match tag.name().as_ref() {
                "case" => {
                    let name = tag.try_get_attribute("name").unwrap().unwrap();
                    let name = name.normalized_value(XmlVersion::Implicit1_0).unwrap().into_owned();
                    case = Case { name, ..Case::default() };
                }
                "input" | "diff" | "output" => start = reader.buffer_position() as usize,
                _ => {}
            },
            Event::Empty(tag) if tag.name().as_ref() == "error" => case.fails = true,
            Event::End(tag) => {
                let inner = || text[start..before].to_owned();
                match tag.name().as_ref() {
                    "input" => case.input = inner(),
                    "diff" => case.patch = inner(),
                    "output" => case.output = inner(),
                    "case" => cases.push(std::mem::take(&mut case)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// What is wrong; None where the outcome is right.
fn fault(case: &Case, r4: &Definitions) -> Option<String> {
    let read = |text: &str| xml::read(text.trim(), r4, &xml::Limits::default()).map_err(|error| error.to_string());
    let run = || -> Result<(), String> {
        let (input, patch) = (read(&case.input)?, read(&case.patch)?);
        let patch = FhirPathPatch::parse(patch, r4).map_err(|error| error.to_string())?;
        match patch.apply(input, r4) {
            Err(_) if case.fails => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(patched) if case.fails => Err(format!("no error, but {patched}")),
            Ok(patched) => {
                // In a narrative `&quot;` is the quote that the patch has as such.
                let text = |value: &Value<'_>| sorted(value).to_string().replace("&quot;", "\\\"");
                let (found, expected) = (text(&patched), text(&read(&case.output)?));
                if found == expected { Ok(()) } else { Err(format!("{found} instead of {expected}")) }
            }
        }
    };
    run().err()
}

#[test]
fn fhir_path_patch() {
    let Some(text) = suite("fhir-patch-tests.xml") else { return };
    let Some(package) = default_cache_dir().map(|cache| R4_CORE.path(&cache)).filter(|path| path.exists()) else {
        println!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
        return;
    };
    let r4 = Definitions::load_or_compile(&default_cache_dir().unwrap(), &[package]).unwrap();
    let cases = cases(&text);
    assert_eq!(cases.len(), 33);
    let faults = cases.iter().filter_map(|case| Some((case.name.clone(), fault(case, &r4)?))).collect();
    judge("FHIRPath Patch suite", cases.len(), faults, FHIR_NOT_PASSED);
}
