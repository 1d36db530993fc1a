//! Searching AuditEvents: what cannot be used is reported or refused as in any search (R4 search.html#errors), and
//! pages go on all the same.

use serde_json::json;

use crate::{Answer, Salus};

fn link(answer: &Answer, relation: &str) -> Option<String> {
    let bundle = answer.json();
    let found = bundle["link"].as_array()?.iter().find(|link| link["relation"] == relation)?;
    Some(found["url"].as_str()?.to_owned())
}

#[test]
fn what_cannot_be_used_is_reported_or_refused() {
    let client = Salus::shared().client("system/*.cruds");
    client.get("Patient?_id=nobody");
    for left_out in ["colour=red", "_sort=colour"] {
        let name = left_out.split('=').next().unwrap();
        let answer = client.get(&format!("AuditEvent?{left_out}&_count=1"));
        assert_eq!(answer.status, 200, "{left_out}: {}", answer.text);
        let bundle = answer.json();
        let outcomes: Vec<_> =
            bundle["entry"].as_array().unwrap().iter().filter(|entry| entry["search"]["mode"] == "outcome").collect();
        assert_eq!(outcomes.len(), 1, "{}", answer.text);
        let said = outcomes[0]["resource"]["issue"][0]["diagnostics"].as_str().unwrap();
        assert!(said.starts_with(&format!("'{name}' was left out")), "{said}");
        assert!(!link(&answer, "self").unwrap().contains(name), "{}", answer.text);
        let strict = client.get_with(&format!("AuditEvent?{left_out}"), &[("prefer", "handling=strict")]);
        assert_eq!((strict.status, strict.issue().as_str()), (400, "not-supported"), "{left_out}");
    }
    for wrong in ["_total=some", "_count=-1", "date=yesterday", "agent:contains=x"] {
        assert_eq!(client.get(&format!("AuditEvent?{wrong}")).status, 400, "{wrong}");
    }
}

/// Parameters that are repeated all hold, in a compartment too (R4 search.html#combining).
#[test]
fn repeated_patients_all_hold() {
    let client = Salus::shared().client("system/*.cruds");
    let [one, other] = [(); 2].map(|()| client.create(&json!({"resourceType": "Patient"})));
    client.get(&format!("Patient?_id={one},{other}"));
    let total = |search: &str| client.get(&format!("{search}&_count=0")).json()["total"].as_i64().unwrap();
    let subtype = "subtype=search-type";
    for (search, expected) in [
        (format!("AuditEvent?{subtype}&patient={one}"), 1),
        (format!("AuditEvent?{subtype}&patient={one}&patient={other}"), 1),
        (format!("AuditEvent?patient={other}&patient={one}"), 1),
        (format!("AuditEvent?patient=nobody&patient={one}"), 0),
        (format!("AuditEvent?patient={one}&patient=nobody,{other}"), 1),
        (format!("Patient/{one}/AuditEvent?patient={other}"), 1),
        (format!("Patient/{one}/AuditEvent?patient=nobody"), 0),
    ] {
        assert_eq!(total(&search), expected, "{search}");
    }
    assert!(total(&format!("AuditEvent?patient={one}")) > 1, "its creation is on record as well");
}

#[test]
fn pages_go_on_where_a_parameter_was_left_out() {
    let client = Salus::shared().client("system/*.cruds");
    for number in 0..3 {
        client.get(&format!("Patient?_id=nobody-{number}"));
    }
    let search = format!("AuditEvent?agent={}&colour=red&_count=1&_sort=date", client.client_id);
    let first = client.get(&search);
    let second = client.get(&link(&first, "next").expect("three events"));
    assert_eq!(second.status, 200, "{}", second.text);
    let seq = |answer: &Answer| answer.json()["entry"][0]["resource"]["id"].as_str().unwrap().parse::<i64>().unwrap();
    assert!(seq(&first) < seq(&second), "oldest first");
}
