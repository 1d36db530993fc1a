//! Packages that are added beside the core (contract: `salus packages add`).

use serde_json::json;

use crate::Salus;
use crate::harness::shared_data;

const ASSERTED: &str = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate";

/// The search parameters that US Core 6.1.0 adds are there from the next start, stated and searched by.
#[test]
fn the_search_parameters_of_us_core_are_searched_by() {
    let Some(folder) = shared_data("uscore-packages") else { return };
    let salus = Salus::start_with_package(&folder.join("us_core_610.tgz"));
    let client = salus.client("system/*.cruds");
    let statement = salus.get_open("/fhir/metadata").json();
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let condition = resources.iter().find(|one| one["type"] == "Condition").unwrap();
    let stated =
        condition["searchParam"].as_array().unwrap().iter().find(|one| one["name"] == "asserted-date").unwrap();
    assert_eq!(stated["definition"], "http://hl7.org/fhir/us/core/SearchParameter/us-core-condition-asserted-date");
    let subject = client.create(&json!({"resourceType": "Patient"}));
    let dated = |url: &str, date: &str| {
        client.create(&json!({
            "resourceType": "Condition", "subject": {"reference": format!("Patient/{subject}")},
            "extension": [{"url": url, "valueDateTime": date}],
        }))
    };
    let asserted = dated(ASSERTED, "2016-08-10");
    dated("urn:other", "2016-08-10");
    for (value, expected) in [("2016", vec![asserted.clone()]), ("gt2016-08-09", vec![asserted]), ("2017", vec![])] {
        assert_eq!(client.ids(&format!("Condition?patient={subject}&asserted-date={value}")), expected, "{value}");
    }
}
