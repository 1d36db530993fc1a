//! XML and JSON on every path (R4 http.html#mime-type, #version-parameter, xml.html, binary.html#rest).

use std::sync::Arc;

use salus_fhir::xml::{self, Limits};
use salus_fhir::{Definitions, packages};
use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

const XML: &str = "application/fhir+xml; charset=utf-8";
const JSON: &str = "application/fhir+json; charset=utf-8";

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

fn r4() -> Arc<Definitions> {
    let cache = std::env::var_os("SALUS_CACHE_DIR").map(Into::into).or_else(packages::default_cache_dir).unwrap();
    Definitions::load_or_compile(&cache, &[packages::R4_CORE.path(&cache)]).unwrap()
}

/// The resource in an answer that must be XML, as JSON.
fn from_xml(r4: &Definitions, answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type").as_deref(), Some(XML), "{}", answer.text);
    let resource = xml::read(&answer.text, r4, &Limits::default());
    let resource = resource.unwrap_or_else(|error| panic!("{error}: {}", answer.text));
    serde_json::from_str(&resource.to_string()).unwrap()
}

const PATIENT: &str = r#"<Patient xmlns="http://hl7.org/fhir"><text><status value="generated"/><div xmlns="http://www.w3.org/1999/xhtml">A &amp; <b>B</b></div></text><extension url="http://example.org/weight"><valueDecimal value="70.500"/></extension><active value="true"/><name><family value="Müller &lt;x&gt;"/><given value="Ann"/></name><birthDate id="b" value="1970-02"/><multipleBirthInteger value="2"/></Patient>"#;

#[test]
fn what_comes_as_xml_is_the_same_resource_in_both_forms() {
    let (client, r4) = (client(), r4());
    for kind in
        ["application/fhir+xml", "application/xml", "text/xml; charset=UTF-8", "application/fhir+xml; fhirVersion=4.0"]
    {
        let created = client.send_with("POST", "Patient", PATIENT, &[("content-type", kind)]);
        assert_eq!(created.status, 201, "{kind}: {}", created.text);
        let id = created.json()["id"].as_str().unwrap().to_owned();
        let path = format!("Patient/{id}");
        let as_json = client.get(&path);
        assert_eq!(as_json.header("content-type").as_deref(), Some(JSON));
        assert!(as_json.text.contains(r#""valueDecimal":70.500"#), "to the digit: {}", as_json.text);
        assert_eq!(as_json.json()["_birthDate"], json!({"id": "b"}));
        assert_eq!(as_json.json()["name"][0]["family"], "Müller <x>");
        let as_xml = client.get_with(&path, &[("accept", "application/fhir+xml")]);
        assert_eq!(from_xml(&r4, &as_xml), as_json.json());
        assert!(as_xml.text.contains(r#"<div xmlns="http://www.w3.org/1999/xhtml">A &amp; <b>B</b></div>"#));
        for header in ["etag", "last-modified", "cache-control"] {
            assert_eq!(as_xml.header(header), as_json.header(header), "{header}");
        }
        // What was read can be sent back.
        let headers = [("content-type", kind), ("accept", "application/fhir+xml"), ("if-match", "W/\"1\"")];
        let updated = client.send_with("PUT", &path, &as_xml.text.replace("Ann", "Eve"), &headers);
        assert_eq!(updated.status, 200, "{}", updated.text);
        assert_eq!(from_xml(&r4, &updated)["name"][0]["given"], json!(["Eve"]));
        assert_eq!(client.ids(&format!("Patient?_id={id}&given=eve")), [id]);
    }
}

/// What changes from answer to answer: ids and times of Bundles.
fn steady(mut answer: Value) -> Value {
    if answer["resourceType"] == "Bundle" {
        answer["id"] = Value::Null;
        answer["meta"] = Value::Null;
        for link in answer["link"].as_array_mut().into_iter().flatten() {
            link["url"] = Value::Null;
        }
    }
    answer
}

#[test]
fn every_interaction_answers_in_both_forms() {
    let (client, r4) = (client(), r4());
    let id = client.create(&json!({"resourceType": "Patient", "identifier": [{"value": "formats-each"}]}));
    let gone = client.create(&json!({"resourceType": "Patient"}));
    client.delete(&format!("Patient/{gone}"));
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": format!("Patient/{id}")}},
        {"request": {"method": "GET", "url": "Patient/formats-nobody"}}]})
    .to_string();
    let transaction = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "GET", "url": format!("Patient/{id}")}}]})
    .to_string();
    let none = String::new();
    for (method, path, body, status) in [
        ("GET", "metadata".to_owned(), &none, 200),
        ("GET", format!("Patient/{id}"), &none, 200),
        ("GET", format!("Patient/{id}/_history/1"), &none, 200),
        ("GET", format!("Patient/{id}/_history"), &none, 200),
        ("GET", "Patient?identifier=formats-each&nonsense=1".to_owned(), &none, 200),
        ("GET", format!("Patient/{id}/$everything"), &none, 200),
        ("GET", "Patient/formats-nobody".to_owned(), &none, 404),
        ("GET", format!("Patient/{gone}"), &none, 410),
        ("GET", "Patient?birthdate=soon".to_owned(), &none, 400),
        ("GET", "Nonsense".to_owned(), &none, 404),
        ("GET", "a/b/c/d/e/f".to_owned(), &none, 404),
        ("POST", "Patient/_search".to_owned(), &none, 200),
        ("POST", String::new(), &batch, 200),
        ("POST", String::new(), &transaction, 200),
        ("POST", "Patient".to_owned(), &"{}".to_owned(), 400),
        ("DELETE", "metadata".to_owned(), &none, 405),
    ] {
        let sent = if path.ends_with("_search") { "identifier=formats-each" } else { body.as_str() };
        let kind =
            if path.ends_with("_search") { "application/x-www-form-urlencoded" } else { "application/fhir+json" };
        let ask = |accept: &str| {
            client.request(method, &path, &[("accept", accept), ("content-type", kind)], sent.as_bytes())
        };
        let (as_json, as_xml) = (ask("application/fhir+json"), ask("application/fhir+xml"));
        assert_eq!((as_json.status, as_xml.status), (status, status), "{method} {path}: {}", as_xml.text);
        assert_eq!(steady(from_xml(&r4, &as_xml)), steady(as_json.json()), "{method} {path}");
    }
    // Where no token is, and before anything is looked at.
    let refused = client.request("GET", "Patient", &[("accept", "text/xml"), ("authorization", "Bearer x")], b"");
    assert_eq!((refused.status, from_xml(&r4, &refused)["issue"][0]["code"].as_str()), (401, Some("login")));
}

/// The statement is kept in both forms, and made anew when what can be searched by has changed.
#[test]
fn the_statement_in_xml_keeps_up_with_that_in_json() {
    let salus = Salus::start();
    let (client, r4) = (salus.client("system/*.cruds"), r4());
    let ask = |accept: &str| client.request("GET", "metadata", &[("accept", accept)], b"");
    let first = ask("application/fhir+xml");
    assert_eq!(ask("application/fhir+xml").text, first.text);
    client.create(&json!({"resourceType": "SearchParameter", "url": "http://formats.test/SearchParameter/nickname",
        "name": "nickname", "status": "active", "description": "By nickname.", "code": "formats-nickname",
        "base": ["Patient"], "type": "string", "expression": "Patient.name.where(use = 'nickname').given"}));
    let begun = std::time::Instant::now();
    while !ask("application/fhir+json").text.contains("formats-nickname") {
        assert!(begun.elapsed().as_secs() < 60, "the parameter is not there");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let (as_json, as_xml) = (ask("application/fhir+json"), ask("application/fhir+xml"));
    assert_eq!(from_xml(&r4, &as_xml), as_json.json());
}

#[test]
fn bundles_in_xml_are_processed() {
    let (client, r4) = (client(), r4());
    let bundle = r#"<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry><fullUrl value="urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"/><resource><Patient><active value="true"/></Patient></resource><request><method value="POST"/><url value="Patient"/></request></entry><entry><resource><Observation><status value="final"/><code><text value="formats-bundle"/></code><subject><reference value="urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"/></subject><valueQuantity><value value="1.00"/></valueQuantity></Observation></resource><request><method value="POST"/><url value="Observation"/></request></entry></Bundle>"#;
    let headers = [
        ("content-type", "application/fhir+xml"),
        ("accept", "application/fhir+xml"),
        ("prefer", "return=representation"),
    ];
    let answer = client.send_with("POST", "", bundle, &headers);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answer = from_xml(&r4, &answer);
    assert_eq!(answer["type"], "transaction-response");
    let id = answer["entry"][0]["resource"]["id"].as_str().unwrap();
    assert_eq!(answer["entry"][1]["resource"]["subject"]["reference"], format!("Patient/{id}"));
}

#[test]
fn a_patch_may_be_xml_as_well() {
    let (client, r4) = (client(), r4());
    let id = client.create(&json!({"resourceType": "Patient", "gender": "male", "birthDate": "1970"}));
    let patch = r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="replace"/></part><part><name value="path"/><valueString value="Patient.gender"/></part><part><name value="value"/><valueCode value="female"/></part></parameter></Parameters>"#;
    let headers = [("content-type", "application/fhir+xml"), ("accept", "application/fhir+xml")];
    let patched = client.request("PATCH", &format!("Patient/{id}"), &headers, patch.as_bytes());
    assert_eq!(patched.status, 200, "{}", patched.text);
    let patched = from_xml(&r4, &patched);
    assert_eq!((&patched["gender"], &patched["birthDate"]), (&json!("female"), &json!("1970")));
}

#[test]
fn the_format_is_chosen_by_weight_and_by_parameter() {
    let client = client();
    let id = client.create(&json!({"resourceType": "Patient", "identifier": [{"value": "formats-chosen"}]}));
    let path = format!("Patient/{id}");
    let kind = |query: &str, accept: &str| {
        let answer = client.request("GET", &format!("{path}{query}"), &[("accept", accept)], b"");
        assert_eq!(answer.status, 200, "{query} {accept}: {}", answer.text);
        answer.header("content-type").unwrap()
    };
    for (accept, expected) in [
        ("", JSON),
        ("*/*", JSON),
        ("text/xml", XML),
        ("application/fhir+json;q=0.5, application/fhir+xml;q=0.9", XML),
        ("application/fhir+xml;q=0.5, application/fhir+json", JSON),
        ("text/html, application/xml;q=0.9, */*;q=0.8", XML),
        ("text/html, */*;q=0.8", JSON),
        ("application/fhir+xml; fhirVersion=4.0", XML),
    ] {
        assert_eq!(kind("", accept), expected, "{accept}");
    }
    for format in
        ["xml", "text/xml", "application/xml", "application/fhir%2Bxml", "application/fhir+xml;%20fhirVersion=4.0"]
    {
        assert_eq!(kind(&format!("?_format={format}"), "application/json"), XML, "{format}");
    }
    for format in ["json", "application/json", "application/fhir+json", "application/fhir%2Bjson;%20fhirVersion=4.0"] {
        assert_eq!(kind(&format!("?_format={format}"), "application/fhir+xml, text/turtle"), JSON, "{format}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/fhir+json")];
    let post = |path: &str, body: &str| client.request("POST", path, &form, body.as_bytes());
    let search = post("Patient/_search", "identifier=formats-chosen&_format=xml&_pretty=true");
    assert_eq!((search.status, search.header("content-type").as_deref()), (200, Some(XML)), "{}", search.text);
    assert!(search.text.contains("\n  <type value=\"searchset\"/>"), "_pretty in the body: {}", search.text);
    assert_eq!(post("Patient/_search", "identifier=formats-chosen&_format=ttl").status, 406);
    assert_eq!(post("Patient/_search?_format=json", "_format=ttl").status, 200, "the URL's goes first");
    let pretty = client.get(&format!("{path}?_format=xml&_pretty=true"));
    assert!(pretty.text.contains("\n  <id value="), "{}", pretty.text);
    assert!(!client.get(&format!("{path}?_format=xml&_pretty=false")).text.contains("\n  <"));
    let several = client.request("GET", &path, &[("accept", "text/html"), ("accept", "text/xml")], b"");
    assert_eq!(several.header("content-type").as_deref(), Some(XML), "a header in two lines is one list");
}

#[test]
fn xml_that_is_no_resource_is_refused_with_its_place_and_followed_nowhere() {
    let (client, r4) = (client(), r4());
    let post = |body: &str| {
        let headers = [("content-type", "application/fhir+xml"), ("accept", "application/fhir+xml")];
        client.send_with("POST", "Patient", body, &headers)
    };
    let nested = format!(r#"<Patient xmlns="http://hl7.org/fhir">{}"#, r#"<extension url="a">"#.repeat(20_000));
    for (body, says) in [
        ("", "body"),
        ("<Patient", "line 1"),
        (r#"{"resourceType":"Patient"}"#, "line 1"),
        ("<Patient xmlns=\"http://hl7.org/fhir\">\n<active value=\"true\"></Patient>", "line 2"),
        (r#"<Patient xmlns="http://hl7.org/fhir"><unheardOf value="1"/></Patient>"#, "unheardOf"),
        (r#"<Patient><active value="true"/></Patient>"#, "namespace"),
        (r#"<Nonsense xmlns="http://hl7.org/fhir"/>"#, "Nonsense"),
        (
            r#"<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"><language value="&x;"/></Patient>"#,
            "DOCTYPE",
        ),
        (r#"<Patient xmlns="http://hl7.org/fhir"><language value="&x;"/></Patient>"#, ""),
        (nested.as_str(), "nested"),
    ] {
        let answer = post(body);
        assert_eq!(answer.status, 400, "{body:.100}: {}", answer.text);
        let outcome = from_xml(&r4, &answer);
        assert_eq!(outcome["issue"][0]["code"], "structure", "{outcome}");
        assert!(outcome["issue"][0]["diagnostics"].as_str().unwrap().contains(says), "{body:.100}: {outcome}");
    }
    // What can be read is validated as JSON is.
    let answer = post(r#"<Patient xmlns="http://hl7.org/fhir"><gender value="nonsense"/></Patient>"#);
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(from_xml(&r4, &answer)["issue"][0]["expression"], json!(["Patient.gender"]));
}

#[test]
fn the_content_of_a_binary_comes_as_it_is_where_it_is_asked_for() {
    let client = client();
    let png = [0x89, b'P', b'N', b'G', 0, 0xff];
    let created = client.request("POST", "Binary", &[("content-type", "image/png")], &png);
    assert_eq!(created.status, 201, "{}", created.text);
    let binary = created.json();
    assert_eq!((&binary["contentType"], &binary["data"]), (&json!("image/png"), &json!("iVBORwD/")));
    let path = format!("Binary/{}", binary["id"].as_str().unwrap());
    for accept in ["image/png", "image/*", "image/png, */*;q=0.1", "application/pdf, image/png"] {
        for path in [path.clone(), format!("{path}/_history/1")] {
            let content = client.get_with(&path, &[("accept", accept)]);
            assert_eq!((content.status, &content.bytes[..]), (200, &png[..]), "{accept}");
            assert_eq!(content.header("content-type").as_deref(), Some("image/png"));
            assert_eq!(content.header("content-security-policy").as_deref(), Some("sandbox; default-src 'none'"));
            assert_eq!(content.header("etag").as_deref(), Some("W/\"1\""));
        }
    }
    for accept in ["application/fhir+json", "*/*", "application/json, image/png;q=0.5"] {
        assert_eq!(client.get_with(&path, &[("accept", accept)]).json(), binary, "{accept}");
    }
    let as_xml = client.get_with(&path, &[("accept", "application/fhir+xml")]);
    assert!(as_xml.text.contains(r#"<data value="iVBORwD/"/>"#), "{}", as_xml.text);
    let refused = client.get_with(&path, &[("accept", "application/pdf")]);
    assert_eq!((refused.status, refused.issue().as_str()), (406, "not-supported"));
    let unknown = client.get_with("Binary/formats-nothing", &[("accept", "image/png")]);
    assert_eq!((unknown.status, unknown.issue().as_str()), (404, "not-found"));
    assert_eq!(client.get(&format!("{path}?_format=image/png")).status, 406, "_format names FHIR's formats");
    // Updated by content, too, and kept by whose it is.
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let context = format!("Patient/{patient}");
    let headers = [("content-type", "text/plain; charset=utf-8"), ("x-security-context", context.as_str())];
    let updated = client.send_with("PUT", &path, "plain", &headers);
    assert_eq!(updated.status, 200, "{}", updated.text);
    assert_eq!(updated.json()["securityContext"]["reference"], context.as_str());
    let content = client.get_with(&path, &[("accept", "text/plain")]);
    assert_eq!(
        (content.text.as_str(), content.header("content-type").as_deref()),
        ("plain", Some("text/plain; charset=utf-8"))
    );
    // Content that is a FHIR resource is read as one.
    assert_eq!(client.post("Binary", r#"{"resourceType":"Patient"}"#).status, 400);
}
