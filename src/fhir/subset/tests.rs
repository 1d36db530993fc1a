//! What stays and what goes, and that what stays is valid.

use super::*;
use crate::definitions::tests::r4;
use crate::json::{Limits, parse};

fn taken(subset: &Subset, r4: &Definitions, text: &str) -> String {
    let mut resource = parse(text, &Limits::default()).unwrap();
    subset.take(&mut resource, r4);
    resource.to_string()
}

fn named(names: &[&str]) -> Subset {
    Subset::Elements(names.iter().map(|&name| name.to_owned()).collect())
}

const MARK: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}"#;

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"o","meta":{"versionId":"1","tag":[{"code":"t"}]},"implicitRules":"http://x","text":{"status":"empty","div":"<div>x</div>"},"modifierExtension":[{"url":"http://y","valueString":"m"}],"status":"final","_status":{"id":"s"},"code":{"text":"c"},"valueQuantity":{"value":1.00,"extension":[{"url":"http://x","valueCode":"v"}]},"note":[{"text":"n"}],"component":[{"code":{"text":"k"},"interpretation":[{"text":"high"}],"valueInteger":3}]}"#;

#[test]
fn a_summary_has_what_the_definitions_mark_at_every_level() {
    let Some(r4) = r4() else { return };
    let expected = format!(
        r#"{{"resourceType":"Observation","id":"o","meta":{{"versionId":"1","tag":[{{"code":"t"}},{MARK}]}},"implicitRules":"http://x","modifierExtension":[{{"url":"http://y","valueString":"m"}}],"status":"final","_status":{{"id":"s"}},"code":{{"text":"c"}},"valueQuantity":{{"value":1.00}},"component":[{{"code":{{"text":"k"}},"valueInteger":3}}]}}"#
    );
    assert_eq!(taken(&Subset::Summary, &r4, OBSERVATION), expected);
    let photo = r#"{"resourceType":"Practitioner","photo":[{"data":"AAAA"}],"name":[{"family":"F"}],"qualification":[{"code":{"text":"q"}}]}"#;
    let expected = format!(r#"{{"resourceType":"Practitioner","meta":{{"tag":[{MARK}]}},"name":[{{"family":"F"}}]}}"#);
    assert_eq!(taken(&Subset::Summary, &r4, photo), expected, "nothing is left of the photo, so it goes");
}

#[test]
fn text_data_and_named_elements_are_of_the_top() {
    let Some(r4) = r4() else { return };
    let head = format!(
        r#"{{"resourceType":"Observation","id":"o","meta":{{"versionId":"1","tag":[{{"code":"t"}},{MARK}]}},"implicitRules":"http://x""#
    );
    let needed = r#""modifierExtension":[{"url":"http://y","valueString":"m"}],"status":"final","_status":{"id":"s"},"code":{"text":"c"}"#;
    let text = r#""text":{"status":"empty","div":"<div>x</div>"}"#;
    assert_eq!(taken(&Subset::Text, &r4, OBSERVATION), format!("{head},{text},{needed}}}"));
    let quantity = r#""valueQuantity":{"value":1.00,"extension":[{"url":"http://x","valueCode":"v"}]}"#;
    for name in ["value", "valueQuantity"] {
        assert_eq!(taken(&named(&["id", name]), &r4, OBSERVATION), format!("{head},{needed},{quantity}}}"), "{name}");
    }
    let data = taken(&Subset::Data, &r4, OBSERVATION);
    assert!(!data.contains("<div>") && data.contains(quantity) && data.contains("high") && data.contains(MARK));
    let whole = r#"{"resourceType":"Patient","id":"p","_birthDate":{"id":"b"},"birthDate":"1970"}"#;
    for subset in [Subset::Summary, Subset::Data, named(&["birthDate"])] {
        assert_eq!(taken(&subset, &r4, whole), whole, "nothing is missing, so nothing is marked");
    }
    assert_eq!(
        taken(&Subset::Text, &r4, r#"{"resourceType":"Nonsense","a":1}"#),
        r#"{"resourceType":"Nonsense","a":1}"#
    );
}

#[test]
fn what_is_marked_once_is_known_and_not_marked_again() {
    let Some(r4) = r4() else { return };
    let once = taken(&named(&["id"]), &r4, OBSERVATION);
    assert_eq!(once.matches(SUBSETTED).count(), 1);
    assert_eq!(taken(&named(&["nothing"]), &r4, &once), once);
    let read = |text: &str| is_subsetted(&parse(text, &Limits::default()).unwrap());
    assert!(read(&once) && !read(OBSERVATION));
    assert!(!read(r#"{"meta":{"tag":[{"system":"http://other","code":"SUBSETTED"}]}}"#));
}
