//! The Synthea bundles load one after the other and read back equal to what was sent (issue 2, "Done
//! when"), and the one whose practitioners are missing is rejected whole.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use crate::harness::shared_data;
use crate::{Client, Salus};

/// The bundle whose conditional references have no target here.
const REJECTED: &str = "synthea_newer_haste_bench.json.gz";

#[test]
fn every_bundle_loads_and_reads_back_as_sent() {
    let Some(folder) = shared_data("synthea-r4-bundles") else { return };
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|kind| kind == "gz") && !path.ends_with(REJECTED));
    // Those that the others could refer to go first.
    files.sort_by_key(|path| !path.file_name().unwrap().to_string_lossy().starts_with("practitioner"));
    assert_eq!(files.len(), 20);
    let mut resources = 0;
    for file in files {
        resources += load(&client, &file);
    }
    let total = client.get("_history?_count=0").json()["total"].as_u64().unwrap();
    assert!(total >= resources as u64, "{total} versions of {resources} resources");
    println!("{resources} resources");
    let verified = salus.command(&["audit", "verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// Posts one bundle and reads every resource back; gives how many there were.
fn load(client: &Client, file: &Path) -> usize {
    let text = unpacked(file);
    let answer = client.post("", &text);
    assert_eq!(answer.status, 200, "{}: {}", file.display(), answer.text);
    let (sent, told): (Value, Value) = (serde_json::from_str(&text).unwrap(), answer.json());
    let (sent, told) = (sent["entry"].as_array().unwrap(), told["entry"].as_array().unwrap());
    assert_eq!(sent.len(), told.len());
    let mut references = HashMap::new();
    for (sent, told) in sent.iter().zip(told) {
        assert_eq!(&told["response"]["status"].as_str().unwrap()[..3], "201");
        let location = told["response"]["location"].as_str().unwrap();
        let relative = location.strip_prefix(&format!("{}/", client.base)).unwrap();
        let (relative, version) = relative.split_once("/_history/").unwrap();
        assert_eq!(version, "1");
        references.insert(sent["fullUrl"].as_str().unwrap().to_owned(), relative.to_owned());
    }
    for entry in sent {
        let path = &references[entry["fullUrl"].as_str().unwrap()];
        let read = client.get(path);
        assert_eq!(read.status, 200, "{path}");
        let mut expected = entry["resource"].clone();
        rewrite(&mut expected, &references);
        let mut stored = read.json();
        assert_eq!(format!("{}/{}", stored["resourceType"].as_str().unwrap(), stored["id"].as_str().unwrap()), *path);
        assert!(stored["meta"]["lastUpdated"].is_string() && stored["meta"]["versionId"] == "1");
        without_what_the_server_sets(&mut expected);
        without_what_the_server_sets(&mut stored);
        assert_eq!(stored, expected, "{path} of {}", file.display());
        same_numbers(&entry["resource"], &text, &read.text);
    }
    sent.len()
}

fn without_what_the_server_sets(resource: &mut Value) {
    let members = resource.as_object_mut().unwrap();
    members.remove("id");
    if let Some(meta) = members.get_mut("meta").and_then(Value::as_object_mut) {
        meta.remove("versionId");
        meta.remove("lastUpdated");
        if meta.is_empty() {
            members.remove("meta");
        }
    }
}

fn rewrite(value: &mut Value, references: &HashMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(target) = references.get(text.as_str()) {
                text.clone_from(target);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, references)),
        Value::Object(members) => members.values_mut().for_each(|member| rewrite(member, references)),
        _ => {}
    }
}

/// Numbers come back to the digit: serde_json would take 1.10 and 1.1 for the same. Each decimal of the
/// stored text stands in the sent one, too.
fn same_numbers(resource: &Value, sent: &str, stored: &str) {
    if resource["valueQuantity"]["value"].is_number() {
        let digits = |text: &str, after: &str| {
            let from = text.find(after)? + after.len();
            let rest = text[from..].trim_start();
            Some(rest[..rest.find([',', '}', '\n'])?].trim().to_owned())
        };
        let from = stored.find("\"valueQuantity\"").unwrap();
        let number = digits(&stored[from..], "\"value\":").unwrap();
        assert!(sent.contains(&number), "{number} was not sent");
    }
}

fn unpacked(file: &Path) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// It has 680 conditional references to hospitals and practitioners that are not there.
#[test]
fn a_bundle_whose_references_lead_nowhere_is_rejected_whole() {
    let Some(folder) = shared_data("synthea-r4-bundles") else { return };
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let before = client.get("_history?_count=0").json()["total"].clone();
    let answer = client.post("", &unpacked(&folder.join(REJECTED)));
    assert!(matches!(answer.status, 400 | 412 | 422), "{} {}", answer.status, answer.text);
    assert!(answer.text.contains("Bundle.entry["), "it says where: {}", answer.text);
    assert!(answer.text.contains("identifier="), "and what: {}", answer.text);
    assert_eq!(client.get("_history?_count=0").json()["total"], before);
    let events = client.get("AuditEvent?action=C&_count=0").json()["total"].clone();
    assert_eq!(events, 0, "nothing was created, nothing is audited as created");
}
