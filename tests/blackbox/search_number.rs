//! Number and quantity parameters (R4 search.html#number, #quantity, #prefix; cases A4 and A16).

use serde_json::json;

use crate::Salus;

/// An Observation with this value as written, and a search for it.
fn finds(value: &str, searches: &[(&str, bool)]) {
    let client = Salus::shared().client("system/*.cruds");
    let body =
        format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"valueQuantity":{value}}}"#);
    let answer = client.post("Observation", &body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    for (search, expected) in searches {
        let found = !client.ids(&format!("Observation?_id={id}&value-quantity={search}")).is_empty();
        assert_eq!(found, *expected, "{value} by {search}");
    }
}

/// A4: implied precision matters to `eq`, `ne` and `ap` only.
#[test]
fn precision_matters_to_equality_only() {
    finds(
        r#"{"value":60.2}"#,
        &[("gt60", true), ("gt60.0", true), ("60", true), ("60.0", false), ("60.2", true), ("60.20", true)],
    );
    finds(r#"{"value":60.2}"#, &[("lt60.2", false), ("le60.2", true), ("ge60.2", true), ("gt60.2", false)]);
    // None of the other prefixes sees the width of 60.
    finds(r#"{"value":60.2}"#, &[("ge60", true), ("sa60", true), ("le60", false), ("lt60", false), ("eb60", false)]);
    finds(r#"{"value":59.8}"#, &[("60", true), ("le60", true), ("lt60", true), ("eb60", true), ("ge60", false)]);
    finds(r#"{"value":60.2}"#, &[("ne60", false), ("ne60.0", true), ("ap65", true), ("ap90", false)]);
    finds(r#"{"value":60.5}"#, &[("60", false), ("61", true), ("sa60", true), ("eb61", true)]);
    finds(r#"{"value":-5}"#, &[("lt0", true), ("-5", true), ("gt-6", true), ("ap-5", true)]);
}

/// A16: 140.0 stays 140.0, and is found by 140, 140.0 and 1.4e2.
#[test]
fn the_scale_of_a_decimal_does_not_hide_it() {
    finds(r#"{"value":140.0}"#, &[("140.0", true), ("140", true), ("140.00", true), ("1.4e2", true), ("140.1", false)]);
    finds(r#"{"value":1E2}"#, &[("100", true), ("1e2", true), ("gt99.99", true)]);
}

#[test]
fn units_by_system_by_code_and_by_name() {
    let milligrams = r#"{"value":5.4,"unit":"milligram","system":"http://unitsofmeasure.org","code":"mg"}"#;
    finds(
        milligrams,
        &[
            ("5.4|http://unitsofmeasure.org|mg", true),
            ("5.4||mg", true),
            ("5.4||milligram", true),
            ("5.4||kg", false),
            ("5.4|http://other.test|mg", false),
            ("gt5|http://unitsofmeasure.org|mg", true),
        ],
    );
    finds(r#"{"value":5,"comparator":"<"}"#, &[("lt5", true), ("gt5", false), ("lt1", true), ("ge5", false)]);
}

/// Units of UCUM that measure the same are compared in one unit (R4 search.html#quantity: "may choose to perform a
/// search based on canonical units").
#[test]
fn a_quantity_is_found_in_any_commensurable_unit() {
    let ucum = |value: &str, code: &str| {
        format!(r#"{{"value":{value},"unit":"{code}","system":"http://unitsofmeasure.org","code":"{code}"}}"#)
    };
    finds(
        &ucum("1000", "mg"),
        &[
            ("1|http://unitsofmeasure.org|g", true),
            ("0.001|http://unitsofmeasure.org|kg", true),
            ("gt0.9|http://unitsofmeasure.org|g", true),
            ("gt1|http://unitsofmeasure.org|g", false),
            ("ge1|http://unitsofmeasure.org|g", true),
            ("lt1.1|http://unitsofmeasure.org|g", true),
            ("1000|http://unitsofmeasure.org|g", false),
            ("1|http://unitsofmeasure.org|L", false),
            // A unit without its system is a name.
            ("1||g", false),
            ("1000||mg", true),
            ("1000", true),
        ],
    );
    finds(
        &ucum("98.6", "[degF]"),
        &[("37|http://unitsofmeasure.org|Cel", true), ("37.5|http://unitsofmeasure.org|Cel", false)],
    );
    finds(
        &ucum("90", "mg/dL"),
        &[("0.9|http://unitsofmeasure.org|g/L", true), ("900|http://unitsofmeasure.org|ug/mL", true)],
    );
    // No linear scale, and no unit of UCUM: by name.
    finds(
        &ucum("7.4", "[pH]"),
        &[("7.4|http://unitsofmeasure.org|[pH]", true), ("7.4|http://unitsofmeasure.org|g", false)],
    );
    finds(&ucum("7.4", "furlong"), &[("7.4|http://unitsofmeasure.org|furlong", true)]);
    finds(
        r#"{"value":5,"comparator":"<","system":"http://unitsofmeasure.org","code":"g"}"#,
        &[("lt5000|http://unitsofmeasure.org|mg", true), ("gt5000|http://unitsofmeasure.org|mg", false)],
    );
    finds(r#"{"value":1000,"system":"http://other.test","code":"mg"}"#, &[("1|http://unitsofmeasure.org|g", false)]);
    let client = Salus::shared().client("system/*.cruds");
    let coded = json!({"coding": [{"system": "http://loinc.org", "code": "2345-7"}]});
    let id = client.create(&json!({"resourceType": "Observation", "status": "final", "code": coded, "valueQuantity":
        {"value": 90, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"}}));
    let finds = |query: &str| client.ids(&format!("Observation?_id={id}&{query}")).len();
    for code in ["2345-7", "http://loinc.org|2345-7"] {
        assert_eq!(finds(&format!("code-value-quantity={code}$gt0.8|http://unitsofmeasure.org|g/L")), 1, "{code}");
        assert_eq!(finds(&format!("code-value-quantity={code}$gt1|http://unitsofmeasure.org|g/L")), 0, "{code}");
        assert_eq!(finds(&format!("combo-code-value-quantity={code}$90||mg/dL")), 1, "{code}");
    }
    assert_eq!(finds("code-value-quantity=http://other.test|2345-7$gt0.8|http://unitsofmeasure.org|g/L"), 0);
}

/// The unit of one value says nothing of another value.
#[test]
fn units_belong_to_their_own_values() {
    let client = Salus::shared().client("system/*.cruds");
    let part = |code: &str, value: f64, unit: &str| {
        json!({"code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value, "unit": unit, "code": unit,
            "system": "http://unitsofmeasure.org"}})
    };
    let id = client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "component": [part("a", 70.0, "kg"), part("b", 50.0, "mg")]}));
    let finds = |query: &str| client.ids(&format!("Observation?_id={id}&{query}")).len();
    assert_eq!(finds("component-value-quantity=70||kg"), 1);
    assert_eq!(finds("component-value-quantity=50||kg"), 0);
    assert_eq!(finds("combo-value-quantity=50||mg"), 1);
    assert_eq!(finds("combo-value-quantity=lt60||kg"), 0);
    assert_eq!(finds("component-code-value-quantity=a$70||kg"), 1);
    assert_eq!(finds("component-code-value-quantity=a$50"), 0);
}

#[test]
fn numbers_and_bad_ones() {
    let client = Salus::shared().client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "RiskAssessment", "status": "final",
        "subject": {"reference": "Patient/nobody-in-particular"}, "prediction": [{"probabilityDecimal": 0.02}]}));
    let finds = |query: &str| client.ids(&format!("RiskAssessment?_id={id}&{query}")).len();
    assert_eq!(finds("probability=gt0.01"), 1);
    assert_eq!(finds("probability=0.02"), 1);
    assert_eq!(finds("probability=lt0.02"), 0);
    // A4 for numbers: 0.0 is from -0.05 to 0.05, and 0.020 is from 0.0195.
    for (query, found) in [("0.0", 1), ("0.020", 1), ("0.021", 0), ("ge0.0", 1), ("gt0.0", 1), ("le0.0", 0)] {
        assert_eq!(finds(&format!("probability={query}")), found, "{query}");
    }
    for bad in ["probability=many", "probability=gt", "probability=1,x", "probability:exact=1"] {
        assert_eq!(client.get(&format!("RiskAssessment?{bad}")).status, 400, "{bad}");
    }
    for bad in ["value-quantity=1|x", "value-quantity=|http://u|mg", "value-quantity=1|a|b|c"] {
        assert_eq!(client.get(&format!("Observation?{bad}")).status, 400, "{bad}");
    }
}
