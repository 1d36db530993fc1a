//! What was sent comes back (design, section 1, rule 4; R4 json.html, datatypes.html#decimal).

use serde_json::Value;

use crate::{Client, Salus};

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

/// `body` begins with `{"resourceType":"X",` and has no id and no meta; what is stored must be the
/// same text with id and meta put in after the type.
fn comes_back_as_sent(client: &Client, resource_type: &str, body: &str) {
    let created = client.post(resource_type, body);
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let path = format!("{resource_type}/{id}");
    assert_eq!(without_id_and_meta(&client.get(&path).text, &id), body);
    let search = client.get(&format!("{resource_type}?_id={id}"));
    let history = client.get(&format!("{path}/_history"));
    let vread = client.get(&format!("{path}/_history/1"));
    let rest = body.split_once(',').unwrap().1;
    for answer in [search, history, vread] {
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert!(answer.text.contains(rest), "{}\nlacks\n{rest}", answer.text);
    }
}

fn without_id_and_meta(text: &str, id: &str) -> String {
    let rest = text.replacen(&format!(r#""id":"{id}","#), "", 1);
    let from = rest.find(r#""meta":{"#).expect("meta");
    let to = from + rest[from..].find('}').unwrap() + 1;
    let rest = format!("{}{}", &rest[..from], rest[to..].trim_start_matches(','));
    rest.replace(",}", "}")
}

#[test]
fn decimals_keep_every_digit() {
    let client = client();
    for value in
        ["1.00", "1E+2", "1.2e-3", "0.00", "-0.0", "100", "120.50", "0.1234567890123456", "1E2", "123456789012.345678"]
    {
        let body = format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"decimal"}},"valueQuantity":{{"value":{value},"unit":"mg"}}}}"#
        );
        comes_back_as_sent(&client, "Observation", &body);
    }
}

#[test]
fn key_order_is_kept() {
    comes_back_as_sent(
        &client(),
        "Patient",
        r#"{"resourceType":"Patient","name":[{"given":["B","A"],"family":"Z","use":"official"}],"gender":"male","birthDate":"1970","active":true,"address":[{"city":"X","line":["1"]}]}"#,
    );
}

#[test]
fn the_resource_type_may_stand_anywhere() {
    let client = client();
    let body = r#"{"gender":"male","id":"x","active":true,"resourceType":"Patient"}"#;
    let created = client.post("Patient", body);
    assert_eq!(created.status, 201, "{}", created.text);
    let stored: Value = client.get(&format!("Patient/{}", created.json()["id"].as_str().unwrap())).json();
    assert_eq!((&stored["gender"], &stored["active"]), (&Value::from("male"), &Value::from(true)));
}

#[test]
fn unknown_extensions_and_primitive_extensions_are_kept() {
    comes_back_as_sent(
        &client(),
        "Patient",
        concat!(
            r#"{"resourceType":"Patient","extension":[{"url":"http://nobody.example/knows/this","valueDecimal":1.10},"#,
            r#"{"url":"http://nobody.example/nested","extension":[{"url":"a","valueString":"1"},{"url":"b","valueBase64Binary":"AAAA"}]}],"#,
            r#""_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},"#,
            r#""birthDate":"1970-01-01","name":[{"given":["A",null],"_given":[null,{"extension":[{"url":"http://nobody.example/x","valueCode":"y"}]}]}]}"#
        ),
    );
}

#[test]
fn every_character_is_kept() {
    comes_back_as_sent(
        &client(),
        "Patient",
        "{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"Ünïcødé 🧬👩‍⚕️ e\u{301} \u{202e}العربية 漢字 \u{10ffff}\"}]}",
    );
}

/// An escape is another way to write a character; the character is what has to come back.
#[test]
fn escapes_mean_the_same_characters() {
    let client = client();
    let body = r#"{"resourceType":"Patient","name":[{"family":"\u00dcn\u00ef \ud83e\uddec \/ \\ \" \t\n\r x"}]}"#;
    let created = client.post("Patient", body);
    assert_eq!(created.status, 201, "{}", created.text);
    let sent: Value = serde_json::from_str(body).unwrap();
    let read = client.get(&format!("Patient/{}", created.json()["id"].as_str().unwrap()));
    assert_eq!(read.json()["name"], sent["name"]);
}

#[test]
fn contained_resources_and_narrative_are_kept() {
    comes_back_as_sent(
        &client(),
        "Observation",
        concat!(
            r#"{"resourceType":"Observation","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a &amp; b</p></div>"},"#,
            r##""contained":[{"resourceType":"Patient","id":"p","name":[{"family":"Inside"}]}],"##,
            r##""status":"final","code":{"text":"c"},"subject":{"reference":"#p"},"valueString":"  spaces  "}"##
        ),
    );
}

#[test]
fn members_of_meta_that_are_the_clients_are_kept() {
    let client = client();
    let body = r#"{"resourceType":"Patient","meta":{"versionId":"9","source":"http://s.example","profile":["http://hl7.org/fhir/StructureDefinition/Patient"],"security":[{"system":"http://s.example","code":"x"}],"tag":[{"code":"t","display":"T"}],"extension":[{"url":"http://e.example","valueDecimal":1.0}]},"active":true}"#;
    let created = client.post("Patient", body);
    assert_eq!(created.status, 201, "{}", created.text);
    let rest = body.split_once(r#""versionId":"9","#).unwrap().1;
    assert!(created.text.contains(rest), "{}", created.text);
}
