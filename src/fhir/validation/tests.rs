//! One fault of each kind, and that real resources have none.

use std::path::Path as FilePath;

use proptest::prelude::*;

use super::*;
use crate::definitions::tests::r4;
use crate::json::{Limits, parse};

fn issues(r4: &Definitions, text: &str) -> Vec<Issue> {
    validate(&parse(text, &Limits::default()).unwrap(), r4)
}

#[test]
fn a_valid_resource_has_no_issues() {
    let Some(r4) = r4() else { return };
    let text = r##"{"resourceType":"Observation","id":"a","meta":{"versionId":"1"},"status":"final",
        "code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
        "contained":[{"resourceType":"Patient","id":"p","active":true}],
        "subject":{"reference":"#p"},"effectiveDateTime":"2020-02-29","issued":"2020-02-29T00:00:00Z",
        "valueQuantity":{"value":1.00,"_value":{"id":"x"}},
        "component":[{"code":{"text":"x"},"valueInteger":3}],
        "note":[{"text":"n","_authorString":{"extension":[{"url":"http://x","valueBoolean":true}]}}],
        "extension":[{"url":"http://x","extension":[{"url":"y","valueString":"z"}]}]}"##;
    assert_eq!(issues(&r4, text), []);
    let text = r#"{"resourceType":"Patient","name":[{"given":["a",null,"c"],
        "_given":[null,{"extension":[{"url":"http://x","valueCode":"y"}]},{"id":"i"}]}],
        "_birthDate":{"extension":[{"url":"http://x","valueDateTime":"2020"}]}}"#;
    assert_eq!(issues(&r4, text), []);
}

/// Each text has one fault: its code, its expression, and a part of what is said.
#[test]
fn each_kind_of_fault() {
    use IssueCode::*;
    let Some(r4) = r4() else { return };
    let ext = r#"{"url":"http://x","valueString":"y"}"#;
    for (text, code, expression, says) in [
        (r#"[]"#, Structure, "", "a resource must be an object"),
        (r#"{"id":"a"}"#, Required, "", "resourceType"),
        (r#"{"resourceType":1}"#, Structure, "", "resourceType must be a string"),
        (r#"{"resourceType":"Patent"}"#, Structure, "Patent", "no resource type"),
        (r#"{"resourceType":"DomainResource"}"#, Structure, "DomainResource", "no resource type"),
        (r#"{"resourceType":"HumanName"}"#, Structure, "HumanName", "no resource type"),
        (r#"{"resourceType":"Patient","nam":[]}"#, Structure, "Patient.nam", "no element"),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a"],"resourceType":"x"}]}"#,
            Structure,
            "Patient.name[0].resourceType",
            "no element",
        ),
        (r#"{"resourceType":"Patient","deceased":true}"#, Structure, "Patient.deceased", "deceasedBoolean"),
        (r#"{"resourceType":"Patient","deceasedString":"x"}"#, Structure, "Patient.deceasedString", "no element"),
        (r#"{"resourceType":"Patient","_name":[{"id":"x"}]}"#, Structure, "Patient._name", "no element"),
        (r#"{"resourceType":"Patient","name":{"given":["a"]}}"#, Structure, "Patient.name", "must be an array"),
        (r#"{"resourceType":"Patient","birthDate":["2000"]}"#, Structure, "Patient.birthDate", "must not be an array"),
        (r#"{"resourceType":"Patient","name":["x"]}"#, Structure, "Patient.name[0]", "HumanName must be an object"),
        (r#"{"resourceType":"Patient","name":[]}"#, Structure, "Patient.name", "must not be empty"),
        (r#"{"resourceType":"Patient","name":[{}]}"#, Structure, "Patient.name[0]", "must not be empty"),
        (r#"{"resourceType":"Patient","name":[null]}"#, Structure, "Patient.name[0]", "null"),
        (r#"{"resourceType":"Patient","birthDate":null}"#, Structure, "Patient.birthDate", "null"),
        (r#"{"resourceType":"Patient","_birthDate":"x"}"#, Structure, "Patient.birthDate", "beside a primitive"),
        (
            r#"{"resourceType":"Patient","_birthDate":{"value":"x"}}"#,
            Structure,
            "Patient.birthDate.value",
            "no element",
        ),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a","b"],"_given":[{"id":"x"}]}]}"#,
            Structure,
            "Patient.name[0].given",
            "one length",
        ),
        (
            r#"{"resourceType":"Patient","name":[{"given":["a",null],"_given":[{"id":"x"},null]}]}"#,
            Structure,
            "Patient.name[0].given[1]",
            "null",
        ),
        (r#"{"resourceType":"Patient","active":"true"}"#, Structure, "Patient.active", "boolean"),
        (r#"{"resourceType":"Patient","multipleBirthInteger":"1"}"#, Structure, "Patient.multipleBirth", "number"),
        (r#"{"resourceType":"Patient","name":[{"given":["a",""]}]}"#, Value, "Patient.name[0].given[1]", "empty"),
        (r#"{"resourceType":"Patient","id":"a_b"}"#, Value, "Patient.id", "A-Z"),
        (r#"{"resourceType":"Patient","birthDate":"2001-02-29"}"#, Value, "Patient.birthDate", "a day that exists"),
        (r#"{"resourceType":"Patient","multipleBirthInteger":1.5}"#, Value, "Patient.multipleBirth", "whole number"),
        (
            r#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2000"}"#,
            Structure,
            "Patient.deceased",
            "more than one deceased[x]",
        ),
        (r#"{"resourceType":"Patient","gender":"F"}"#, CodeInvalid, "Patient.gender", "female, male"),
        (
            r#"{"resourceType":"Patient","communication":[{"preferred":true}]}"#,
            Required,
            "Patient.communication[0].language",
            "required",
        ),
        (r#"{"resourceType":"Observation","code":{"text":"x"}}"#, Required, "Observation.status", "required"),
        (
            r#"{"resourceType":"MedicationRequest","status":"active","intent":"order","subject":{"display":"x"}}"#,
            Required,
            "MedicationRequest.medication",
            "medication[x] is required",
        ),
        (
            r#"{"resourceType":"AllergyIntolerance","patient":{"display":"x"},"clinicalStatus":{"coding":[{"system":"http://x","code":"active"}]}}"#,
            CodeInvalid,
            "AllergyIntolerance.clinicalStatus",
            "active",
        ),
        (
            r#"{"resourceType":"Patient","contained":[{"resourceType":"Patient","id":"a","contained":[{"resourceType":"Patient","id":"b"}]}]}"#,
            Invariant,
            "Patient.contained[0].contained",
            "dom-2",
        ),
        (r#"{"resourceType":"Patient","contained":[{"id":"a"}]}"#, Required, "Patient.contained[0]", "resourceType"),
        (
            r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","gender":"x"}}]}"#,
            CodeInvalid,
            "Bundle.entry[0].resource.gender",
            "one of",
        ),
        (
            &format!(
                r#"{{"resourceType":"Patient","extension":[{{"url":"http://x","valueString":"y","extension":[{ext}]}}]}}"#
            ),
            Invariant,
            "Patient.extension[0]",
            "ext-1",
        ),
        (r#"{"resourceType":"Patient","extension":[{"url":"http://x"}]}"#, Invariant, "Patient.extension[0]", "ext-1"),
        (
            r#"{"resourceType":"Patient","extension":[{"valueString":"x"}]}"#,
            Required,
            "Patient.extension[0].url",
            "required",
        ),
        (r#"{"resourceType":"Patient","text":{"status":"generated","div":"x"}}"#, Value, "Patient.text.div", "<div>"),
    ] {
        let found = issues(&r4, text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        let issue = &found[0];
        assert_eq!(issue.severity, crate::outcome::Severity::Error);
        assert_eq!((issue.code, issue.expression.as_deref()), (code, Some(expression)), "{text}\n{issue}");
        assert!(issue.diagnostics.contains(says), "{text}\n{issue}");
    }
}

#[test]
fn all_faults_are_reported_up_to_a_limit() {
    let Some(r4) = r4() else { return };
    let found = issues(&r4, r#"{"resourceType":"Observation","id":"_","foo":1,"status":"x"}"#);
    let at: Vec<_> = found.iter().filter_map(|issue| issue.expression.as_deref()).collect();
    assert_eq!(at, ["Observation.id", "Observation.foo", "Observation.status", "Observation.code"]);
    let names = vec![r#"{"use":"x"}"#; 130].join(",");
    let found = issues(&r4, &format!(r#"{{"resourceType":"Patient","name":[{names}]}}"#));
    assert_eq!(found.len(), 101);
    assert!(found[100].diagnostics.starts_with("30 further"), "{}", found[100]);
}

#[test]
fn entries_can_be_left_out() {
    let Some(r4) = r4() else { return };
    let text = r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Nothing"}}]}"#;
    let bundle = parse(text, &Limits::default()).unwrap();
    assert_eq!(Validator::new(&r4).validate(&bundle).len(), 1);
    assert_eq!(Validator::new(&r4).without_entries().validate(&bundle), []);
}

/// Any JSON made of names that mean something somewhere in FHIR.
fn any_resource() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&[
        "resourceType",
        "id",
        "name",
        "_name",
        "given",
        "_given",
        "extension",
        "url",
        "valueString",
        "_valueString",
        "valueCoding",
        "contained",
        "entry",
        "resource",
        "coding",
        "code",
        "status",
        "_",
        "__id",
        "text",
        "div",
        "birthDate",
        "_birthDate",
        "gender",
        "meta",
        "value",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]?)(\\.[0-9])?",
        "\"(Patient|Bundle|Observation|final|male|2000-02-3|é|)\"",
    ];
    let value = leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|v| format!("[{}]", v.join(","))),
            prop::collection::btree_map(name.clone(), inner, 0..8).prop_map(|members| {
                let member = |(name, value): (&&str, &String)| format!("\"{name}\":{value}");
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
            }),
        ]
    });
    ("Patient|Bundle|Observation|Parameters", value).prop_map(|(resource_type, value)| match value.strip_prefix('{') {
        Some("}") | None => value,
        Some(members) if members.contains("resourceType") => value,
        Some(members) => format!("{{\"resourceType\":\"{resource_type}\",{members}"),
    })
}

proptest! {
    /// Whatever JSON comes, validation ends, and names the place of each fault it finds.
    #[test]
    fn any_json_is_judged(text in any_resource()) {
        if let Some(r4) = r4() {
            let found = issues(&r4, &text);
            prop_assert!(found.len() <= 101);
            prop_assert!(found.iter().all(|i| i.expression.is_some() || i.code == IssueCode::Incomplete));
        }
    }
}

/// Judges each resource in `text`, and says what is wrong with those that fail.
fn faults_of(r4: &Definitions, name: &str, text: &str, faults: &mut Vec<String>) {
    match parse(text, &Limits::default()) {
        Ok(value) => {
            faults.extend(validate(&value, r4).iter().map(|issue| format!("{name}: {issue}")));
        }
        Err(error) => faults.push(format!("{name}: {error}")),
    }
}

fn gunzip(path: &FilePath) -> String {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        std::io::BufReader::new(file).read_to_string(&mut text).unwrap();
    }
    text
}

/// Folders of shared data that hold resources, and how many faults they are known to have.
///
/// The fixtures of `smart-compartment` lack elements that R4 requires: two times each
/// `Appointment.participant.status`, `ImagingStudy.series.modality` and `….instance.sopClass`.
const SHARED: [(&str, usize); 5] = [
    ("r4-examples", 0),
    ("synthea-r4-bundles", 0),
    ("synthea-bulk-ndjson-10pt", 0),
    ("uscore-sample", 0),
    ("smart-compartment", 6),
];

#[test]
fn shared_examples_are_valid() {
    let Some(r4) = r4() else { return };
    for (folder, known) in SHARED {
        let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
        let Ok(entries) = std::fs::read_dir(FilePath::new(shared).join(folder)) else {
            eprintln!("SKIPPED: {folder} is not present");
            continue;
        };
        let mut faults = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.contains(".ndjson") {
                for line in gunzip(&path).lines().filter(|line| !line.is_empty()) {
                    faults_of(&r4, &name, line, &mut faults);
                }
            } else if name.contains(".json") {
                faults_of(&r4, &name, &gunzip(&path), &mut faults);
            }
        }
        assert_eq!(faults.len(), known, "{folder}\n{}", faults.join("\n"));
    }
}

/// Resources of the core package that break its own rules, and how.
const FAULTY: [(&str, &str); 15] = [
    // Codes with two spaces inside, or one at an end.
    ("CodeSystem-v2-0550.json", "concept[74].code"),
    // A build artefact without the elements that are required since R4.
    ("ImplementationGuide-fhir.json", "name is required"),
    ("ig-r4.json", "name is required"),
    // Groups without linkId.
    ("Questionnaire-qs1.json", "linkId is required"),
    // Parameters that lost the base, an extension context, when they were generated.
    ("SearchParameter-codesystem-extensions-CodeSystem-author.json", "base is required"),
    ("SearchParameter-codesystem-extensions-CodeSystem-effective.json", "base is required"),
    ("SearchParameter-codesystem-extensions-CodeSystem-end.json", "base is required"),
    ("SearchParameter-codesystem-extensions-CodeSystem-keyword.json", "base is required"),
    ("SearchParameter-codesystem-extensions-CodeSystem-workflow.json", "base is required"),
    ("SearchParameter-valueset-extensions-ValueSet-author.json", "base is required"),
    ("SearchParameter-valueset-extensions-ValueSet-effective.json", "base is required"),
    ("SearchParameter-valueset-extensions-ValueSet-end.json", "base is required"),
    ("SearchParameter-valueset-extensions-ValueSet-keyword.json", "base is required"),
    ("SearchParameter-valueset-extensions-ValueSet-workflow.json", "base is required"),
    // An id of more than 64 characters.
    ("SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json", "SearchParameter.id"),
];

/// Every resource of the package but the largest Bundles, which repeat the others, is read and
/// judged as a client's would be.
#[test]
fn the_resources_of_the_core_package_are_valid() {
    let Some(r4) = r4() else { return };
    let path = crate::packages::default_cache_dir().map(|dir| crate::packages::R4_CORE.path(&dir));
    let package = crate::packages::Package::open(&path.unwrap()).unwrap();
    let mut faulty = Vec::new();
    let is_resource = |name: &str| name.ends_with(".json") && name != crate::packages::MANIFEST;
    let judge = |member: crate::packages::Member| {
        if member.content.len() > 4_000_000 {
            return true;
        }
        let issues = validate(&package.parse(&member).unwrap(), &r4);
        let known = FAULTY.iter().find(|(name, _)| *name == member.name);
        match (issues.first(), known) {
            (None, None) => {}
            (Some(issue), Some((_, says))) if issue.to_string().contains(says) => {}
            (issue, _) => faulty.push((member.name, issue.map(Issue::to_string))),
        }
        true
    };
    package.members(is_resource, judge).unwrap();
    assert!(faulty.is_empty(), "{faulty:#?}");
}
