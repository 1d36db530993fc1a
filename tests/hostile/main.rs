//! Changed samples for everything that reads bytes from outside ([`entries`]): the same changes on every
//! run, so that a fault found is found again.

#![allow(missing_docs, clippy::print_stdout, reason = "tests")]

mod entries;
mod mutation;

use mutation::Mutation;

/// Changes tried on an entry, spread over its samples.
const ROUNDS: usize = 20_000;

const RESOURCES: [&str; 6] = [
    include_str!("samples/patient.json"),
    include_str!("samples/observation.json"),
    include_str!("samples/consent.json"),
    include_str!("samples/encounter.json"),
    include_str!("samples/bundle.json"),
    include_str!("../../operations/risk-score/OperationDefinition-risk-score.json"),
];

const DOCUMENTS: [&str; 2] = [include_str!("samples/patient.xml"), include_str!("samples/observation.xml")];

const REQUESTS: [&str; 14] = [
    "GET Patient/1/_history/2?_pretty=true",
    "POST Observation/_search?code=http://loinc.org|8867-4,|x&value-quantity=ge5.40e-3|http://unitsofmeasure.org|mg",
    "GET Observation?subject:Patient.name:exact=M%C3%BCller&date=ge2020-01-01T00:00:00.000%2B02:00&date=lt2021",
    "GET Patient?_has:Observation:subject:_has:Provenance:target:recorded=gt2019-02&birthdate=1970-02-29",
    "GET Observation?code-value-quantity=http://loinc.org|8480-6$gt140,8462-4$lt90",
    "GET Patient?_include=Patient:organization:Organization&_include:iterate=Organization:partof&_revinclude=*",
    "GET Patient?_sort=-birthdate,family&_count=20&_total=accurate&_elements=id,name&_summary=text&_format=xml",
    "PUT Patient?identifier=urn:oid:1.2.3|a\\,b\\|c&_id=a,b,c&_lastUpdated=sa2020&_security=R&_profile:below=http://x",
    "PATCH Patient/a%2Eb",
    "DELETE /Patient//$risk-score",
    "GET AuditEvent?date=2020&patient=Patient/1&outcome=8",
    "GET Encounter/e/Observation?code=x&_type=Observation,Condition",
    "GET ?_type=Patient,Group&_lastUpdated=ap2020",
    "GET _history?_since=2020-01-01T00:00:00Z&_count=5&_after=1.ff.3",
];

const EXPRESSIONS: [&str; 8] = [
    "Patient.name.where(use = 'official' and given.exists()).select(given.first() & ' ' & family)",
    "Observation.value.ofType(Quantity).value > 4.0 'mg' or (value as Quantity).unit.matches('^m(g|mol)/')",
    "descendants().where($this is Coding).repeat(children()).distinct().count() * 2 div 3 mod 5",
    "iif(birthDate <= today() - 18 years, @2020-01-01T10:00:00.000+02:00.toString(), {}).trace('x')",
    "name.given.aggregate($total + $this.length(), 0) in (1 | 2 | 3.50).union(%resource.id.length())",
    "'a,b,c'.split(',').join('-').replaceMatches('(a)-', '$1\\u0041').substring(1, 2).indexOf('`')",
    "extension('http://e').value.toQuantity('kg').lowBoundary(6) ~ 1.587.highBoundary() // end",
    "managingOrganization.resolve().memberOf(%`vs-x`) implies text.div.htmlChecks() xor active.not()",
];

const PATCHES: [&str; 3] = [
    concat!(
        r#"[{"op":"test","path":"/resourceType","value":"Patient"},{"op":"add","path":"/name/-","value":{"text":"a"}},"#,
        r#"{"op":"copy","from":"/name/0","path":"/name/1"},{"op":"move","from":"/name/0","path":"/contact"},"#,
        r#"{"op":"replace","path":"/id","value":1.50},{"op":"remove","path":"/id"}]"#
    ),
    concat!(
        r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},"#,
        r#"{"name":"path","valueString":"Patient"},{"name":"name","valueString":"contact"},{"name":"value","part":["#,
        r#"{"name":"name","valueHumanName":{"text":"a"}},{"name":"gender","valueCode":"male"}]}]},"#,
        r#"{"name":"operation","part":[{"name":"type","valueCode":"delete"},{"name":"path","valueString":"name[0].given[0]"}]}]}"#
    ),
    concat!(
        r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"insert"},"#,
        r#"{"name":"path","valueString":"Patient.name"},{"name":"index","valueInteger":0},{"name":"value","valueHumanName":"#,
        r#"{"family":"f"}}]},{"name":"operation","part":[{"name":"type","valueCode":"move"},"#,
        r#"{"name":"path","valueString":"name"},{"name":"source","valueInteger":0},{"name":"destination","valueInteger":1}]},"#,
        r#"{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"birthDate"},"#,
        r#"{"name":"value","valueDate":"2020-01-01"}]}]}"#
    ),
];

const SCOPES: [&str; 3] = [
    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|exam user/*.cruds",
    "launch/patient openid fhirUser offline_access system/*.* patient/Patient.read user/Patient.write",
    "system/AuditEvent.rs?_security=R&category=a,b system/*.r patient/*.ds",
];

const MEDIA: [&str; 3] = [
    "text/html, application/xhtml+xml, application/xml;q=0.9, image/webp;level=1, */*;q=0.800",
    "application/fhir+json; fhirVersion=4.0; charset=\"utf-8\"",
    "application/*;q=1, application/fhir+xml;profile=\"a,b;q=0\";q=0.001, *;q=0",
];

const FORMS: [&str; 2] = [
    concat!(
        "grant_type=client_credentials&scope=system%2F*.rs&client_assertion_type=",
        "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=",
        "eyJhbGciOiJFUzM4NCIsImtpZCI6ImEifQ.eyJpc3MiOiJhIiwic3ViIjoiYSIsImV4cCI6MX0.AAAA&purpose_of_use=TREAT"
    ),
    r#"{"keys":[{"kty":"EC","crv":"P-384","kid":"a","x":"AA","y":"AA"},{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
];

/// Runs `entry` on the samples as they are, which it can all use, then changed; says which input a panic came
/// from.
fn attack(samples: &[&str], entry: impl Fn(&[u8]) -> bool) {
    samples.iter().for_each(|sample| assert!(entry(sample.as_bytes()), "a good sample: {sample}"));
    let mut mutation = Mutation::new(samples);
    let mut used = 0;
    for _ in 0..ROUNDS {
        let input = mutation.next();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| entry(&input)));
        assert!(outcome.is_ok(), "this input does harm: {}", input.escape_ascii());
        used += usize::from(outcome.is_ok_and(|used| used));
    }
    assert!(used > ROUNDS / 200 && used < ROUNDS, "{used} of {ROUNDS} went further than the first look");
}

/// As [`attack`], for what is text by the time it is read.
fn attack_text(samples: &[&str], entry: impl Fn(&str) -> bool) {
    attack(samples, |bytes| entry(&String::from_utf8_lossy(bytes)));
}

fn definitions_are_there() -> bool {
    let there = entries::R4.is_some();
    if !there {
        println!("SKIPPED: the core package is not in the package cache");
    }
    there
}

#[test]
fn json() {
    attack(&RESOURCES, entries::json);
}

#[test]
fn resources() {
    if definitions_are_there() {
        attack(&RESOURCES, entries::resource);
    }
}

#[test]
fn xml() {
    if definitions_are_there() {
        attack(&DOCUMENTS, entries::xml);
    }
}

#[test]
fn requests() {
    if definitions_are_there() {
        attack_text(&REQUESTS, entries::request);
    }
}

#[test]
fn expressions() {
    if definitions_are_there() {
        attack_text(&EXPRESSIONS, entries::expression);
    }
}

#[test]
fn patches() {
    if definitions_are_there() {
        attack(&PATCHES, entries::patch);
    }
}

#[test]
fn scopes() {
    attack_text(&SCOPES, entries::scopes);
}

#[test]
fn media_types() {
    attack_text(&MEDIA, entries::media);
}

#[test]
fn forms() {
    attack(&FORMS, entries::form);
}
