//! The codes of a resource, as provisions of Consents about codes find them.

use salus_access::consent::keys::code_key;
use salus_fhir::json::Value;
use salus_fhir::{CANONICAL_BASE, Key};

/// Adds a key for every Coding anywhere in the resource that tells something of its patient, whether or not a
/// search parameter finds it. Quantities have codes too, of units.
pub(super) fn add(resource_type: &str, resource: &Value<'_>, keys: &mut Vec<Key>) {
    for (name, member) in resource.as_object().into_iter().flat_map(|members| members.iter()) {
        match (resource_type, name) {
            // What a Consent rules on is not what it tells of its patient.
            ("Consent", "provision") => {}
            ("RiskAssessment", "prediction") => add_all(member, &is_imputed_input, keys),
            _ => add_all(member, &|_| false, keys),
        }
    }
}

fn add_all(value: &Value<'_>, left_out: &impl Fn(&Value<'_>) -> bool, keys: &mut Vec<Key>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_all(item, left_out, keys)),
        Value::Object(_) if left_out(value) => {}
        Value::Object(members) => {
            if let Some(code) = value.get_str("code")
                && !members.contains("value")
            {
                keys.push(code_key(value.get_str("system"), code));
            }
            members.iter().for_each(|(_, member)| add_all(member, left_out, keys));
        }
        _ => {}
    }
}

/// Whether this is the extension `risk-contribution` of an input that the model did without. Its code names the input,
/// as the model's card does for everybody: nothing of that code was used, and a Consent that withheld it from whoever
/// asked must not withhold the answer too. The code of an observed input comes with a value, and counts.
fn is_imputed_input(value: &Value<'_>) -> bool {
    let url = value.get_str("url").and_then(|url| url.strip_prefix(CANONICAL_BASE));
    let status =
        |part: &Value<'_>| part.get_str("url") == Some("status") && part.get_str("valueCode") == Some("imputed");
    let of_observed = |part: &Value<'_>| matches!(part.get_str("url"), Some("value" | "source"));
    url == Some("/StructureDefinition/risk-contribution")
        && value.items("extension").iter().any(status)
        && !value.items("extension").iter().any(of_observed)
}

#[cfg(test)]
mod tests {
    use salus_fhir::json::parse;

    use super::*;

    const LOINC: &str = "http://loinc.org";

    fn has(text: &str, system: &str, code: &str) -> bool {
        let resource = parse(text, &Default::default()).unwrap();
        let mut keys = Vec::new();
        add(resource.get_str("resourceType").unwrap(), &resource, &mut keys);
        keys.contains(&code_key(Some(system), code))
    }

    fn assessment(status: &str, further: &str) -> String {
        format!(
            r#"{{"resourceType":"RiskAssessment","prediction":[{{
                "outcome":{{"coding":[{{"system":"http://snomed.info/sct","code":"1"}}]}},
                "extension":[{{"url":"{CANONICAL_BASE}/StructureDefinition/risk-contribution","extension":[
                    {{"url":"code","valueCoding":{{"system":"{LOINC}","code":"2524-7"}}}},
                    {{"url":"status","valueCode":"{status}"}}{further}]}}]}}]}}"#
        )
    }

    #[test]
    fn an_imputed_input_is_no_code_of_its_patient() {
        assert!(!has(&assessment("imputed", ""), LOINC, "2524-7"));
        assert!(has(&assessment("observed", ""), LOINC, "2524-7"));
        // Whatever it is called, a value is one.
        for further in [
            r#",{"url":"value","valueQuantity":{"value":3.9}}"#,
            r#",{"url":"source","valueReference":{"reference":"Observation/1"}}"#,
        ] {
            assert!(has(&assessment("imputed", further), LOINC, "2524-7"), "{further}");
        }
        assert!(has(&assessment("imputed", ""), "http://snomed.info/sct", "1"));
        let elsewhere = assessment("imputed", "").replace("RiskAssessment", "Observation");
        assert!(has(&elsewhere, LOINC, "2524-7"));
    }

    #[test]
    fn what_a_consent_rules_on_is_no_code_of_its_patient() {
        let text = r#"{"resourceType":"Consent","category":[{"coding":[{"system":"s","code":"a"}]}],
            "provision":{"code":[{"coding":[{"system":"s","code":"b"}]}]}}"#;
        assert!(has(text, "s", "a") && !has(text, "s", "b"));
    }
}
