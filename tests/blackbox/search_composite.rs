//! Composite parameters (R4 search.html#composite): all parts of one and the same element.

#![allow(clippy::cloned_ref_to_slice_refs, reason = "an array of ids reads as what is expected")]

use serde_json::json;

use crate::Salus;

#[test]
fn parts_belong_together() {
    let client = Salus::shared().client("system/*.cruds");
    let loinc = "http://loinc.org";
    let part = |code: &str, value: f64| {
        json!({"code": {"coding": [{"system": loinc, "code": code}]},
            "valueQuantity": {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}})
    };
    let id = client.create(&json!({"resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": loinc, "code": "85354-9"}]},
        "component": [part("8480-6", 140.0), part("8462-4", 80.0)]}));
    let finds = |query: &str| client.ids(&format!("Observation?_id={id}&{query}")).len();
    for query in [
        "component-code-value-quantity=8480-6$140",
        "component-code-value-quantity=http://loinc.org|8480-6$gt130",
        "component-code-value-quantity=http://loinc.org|8462-4$le80|http://unitsofmeasure.org|mm[Hg]",
        "combo-code-value-quantity=8462-4$80||mm[Hg]",
        "component-code-value-quantity=8480-6$1,8462-4$80",
        "component-code-value-quantity=8480-6$140&component-code-value-quantity=8462-4$80",
    ] {
        assert_eq!(finds(query), 1, "{query}");
    }
    for query in [
        "component-code-value-quantity=8480-6$80",
        "component-code-value-quantity=8462-4$gt100",
        "component-code-value-quantity=|8480-6$140",
        "component-code-value-quantity=http://other.test|8480-6$140",
        "component-code-value-quantity=8480-6$140||kg",
        "code-value-quantity=8480-6$140",
    ] {
        assert_eq!(finds(query), 0, "{query}");
    }
}

#[test]
fn with_codes_dates_and_strings() {
    let client = Salus::shared().client("system/*.cruds");
    let observation = |member: &str, value: serde_json::Value| {
        let mut resource = json!({"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://c.test", "code": "composite"}]}});
        resource[member] = value;
        client.create(&resource)
    };
    let text = observation("valueString", json!("Éclair of the heart"));
    let concept = observation("valueCodeableConcept", json!({"coding": [{"system": "http://v.test", "code": "yes"}]}));
    let date = observation("valueDateTime", json!("2020-05"));
    for (query, id) in [
        ("code-value-string=composite$eclair", &text),
        ("code-value-string=http://c.test|composite$ÉCL", &text),
        ("code-value-concept=composite$yes", &concept),
        ("code-value-concept=http://c.test|composite$http://v.test|yes", &concept),
        ("code-value-date=composite$2020", &date),
        ("code-value-date=composite$lt2020-06", &date),
    ] {
        assert_eq!(client.ids(&format!("Observation?{query}")), [id.clone()], "{query}");
    }
    for query in [
        "code-value-string=composite$heart",
        "code-value-string=other$eclair",
        "code-value-concept=composite$|yes",
        "code-value-date=composite$gt2020-05",
    ] {
        assert_eq!(client.ids(&format!("Observation?{query}")), Vec::<String>::new(), "{query}");
    }
    for bad in ["code-value-date=composite", "code-value-date=composite$x", "code-value-concept=a$b$c"] {
        assert_eq!(client.get(&format!("Observation?{bad}")).status, 400, "{bad}");
    }
}
