//! The parameters of the R4 core, and what they find in resources.

use std::collections::BTreeSet;

use super::*;
use crate::datatypes::{DateTime, Interval};
use crate::definitions::tests::r4;
use crate::json::{Limits, parse as parse_json};

/// Everything found, as text: `code kind system|code…`.
fn found(resource: &str) -> Option<BTreeSet<String>> {
    let r4 = r4()?;
    let resource = parse_json(resource, &Limits::default()).unwrap();
    let mut lines = BTreeSet::new();
    let resource_type = resource.get_str("resourceType").unwrap();
    r4.search().extract_below("https://salus.example/fhir", resource_type, &resource, &mut |parameter, value| {
        lines.insert(format!("{} {}", parameter.code, show(&value)));
    });
    Some(lines)
}

fn show(value: &SearchValue<'_>) -> String {
    let part = |part: &Option<&str>| part.unwrap_or("-").to_owned();
    match value {
        SearchValue::Token { system, code, text } => {
            format!("{}|{} {}", part(system), part(code), part(text))
        }
        SearchValue::OfType { system, code, value } => format!("of-type {}|{code}|{value}", part(system)),
        SearchValue::String(text) => format!("'{text}'"),
        SearchValue::Date(Interval { low, high }) => format!("[{low},{high})"),
        SearchValue::Number(number) => format!("{}..{}", number.interval.low, number.interval.high),
        SearchValue::Quantity { value, system, code, .. } if value.value.is_nan() => {
            let high = Some(value.interval.high).filter(|high| high.is_finite()).map(f64::next_down);
            let high = high.map_or_else(|| "inf".to_owned(), |high| high.to_string());
            format!("{}..{high} {}|{}", value.interval.low, part(system), part(code))
        }
        SearchValue::Quantity { value, system, code, .. } => format!("{} {}|{}", value.value, part(system), part(code)),
        SearchValue::Reference { resource_type, id, url, identifier } => {
            let identifier = identifier.map(|(system, value)| format!("{}|{value}", part(&system)));
            format!("{}/{} {} {}", part(resource_type), part(id), part(url), part(&identifier.as_deref()))
        }
        SearchValue::Uri(uri) => (*uri).to_owned(),
        SearchValue::Composite(values) => values.iter().map(show).collect::<Vec<_>>().join(" $ "),
        SearchValue::Position { latitude, longitude } => format!("{latitude},{longitude}"),
    }
}

macro_rules! assert_has {
    ($found:expr, $($line:expr),+ $(,)?) => {
        $(assert!($found.contains($line), "{} is not in {:#?}", $line, $found);)+
    };
}

/// Every parameter of the pinned package compiles; these have no expression.
#[test]
fn all_parameters_of_r4_compile() {
    let Some(r4) = r4() else { return };
    let table = ParameterTable::compile(r4.types(), r4.raw_search_parameters()).unwrap();
    let names: Vec<&str> = table.without_expression().iter().filter_map(|url| url.rsplit('/').next()).collect();
    assert_eq!(names, ["DomainResource-text", "Resource-content", "Resource-query"]);
    let compiled: BTreeSet<&str> = table.types.values().flat_map(|one| &one.list).map(|one| one.url.as_str()).collect();
    let expected = r4.raw_search_parameters().iter().filter(|raw| raw.expression.is_some());
    let missing: Vec<&str> = expected.map(|raw| raw.url.as_str()).filter(|url| !compiled.contains(url)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(compiled.len() > 1300, "{}", compiled.len());
}

/// US Core 6.1.0 asks for `Condition.extension.where(url = '…').valueDateTime` (`asserted-date`).
#[test]
fn one_type_of_a_choice_can_be_named_by_its_property() {
    let Some(r4) = r4() else { return };
    let mut raw = r4.raw_search_parameters()[0].clone();
    raw.url = "https://salus.example/fhir/SearchParameter/asserted".to_owned();
    raw.code = "asserted".to_owned();
    raw.base = vec!["Condition".to_owned()];
    raw.kind = ParameterType::Date;
    raw.expression = Some("Condition.extension.where(url = 'urn:asserted').valueDateTime".to_owned());
    let table = ParameterTable::compile(r4.types(), std::slice::from_ref(&raw)).unwrap();
    let dated = |property: &str| {
        let text = format!(
            r#"{{"resourceType":"Condition","extension":[{{"url":"urn:asserted","{property}":"2016-08-10"}},{{"url":"urn:other","valueDateTime":"2017"}}]}}"#
        );
        let resource = parse_json(&text, &Limits::default()).unwrap();
        let mut found = 0;
        table.extract("Condition", &resource, &mut |_, _| found += 1);
        found
    };
    assert_eq!((dated("valueDateTime"), dated("valueDate")), (1, 0));
    raw.expression = Some("Condition.extension.valueNonsense".to_owned());
    assert!(ParameterTable::compile(r4.types(), &[raw]).is_err());
}

#[test]
fn the_table_survives_its_cache() {
    let Some(r4) = r4() else { return };
    let bytes = postcard::to_stdvec(r4.search()).unwrap();
    assert_eq!(&postcard::from_bytes::<ParameterTable>(&bytes).unwrap(), r4.search());
}

#[test]
fn a_parameter_is_found_by_type_and_code() {
    let Some(r4) = r4() else { return };
    let get = |resource_type, code| r4.search().get(resource_type, code);
    assert_eq!(get("Observation", "code").map(|one| one.kind), Some(ParameterType::Token));
    assert_eq!(get("Patient", "_profile").map(|one| one.base.as_str()), Some("Resource"));
    assert!(get("Patient", "_id").is_some() && get("Patient", "_lastUpdated").is_some());
    assert!(get("Patient", "nonsense").is_none() && get("Nonsense", "code").is_none());
    // Case A11: the expression narrows the definition's Patient and Group.
    assert_eq!(get("DocumentReference", "patient").unwrap().targets, ["Patient"]);
    assert!(get("DocumentReference", "subject").unwrap().targets.len() > 1);
    let composite = get("Observation", "code-value-quantity").unwrap();
    let kinds: Vec<ParameterType> = composite.components.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, [ParameterType::Token, ParameterType::Quantity]);
}

#[test]
fn what_lies_outside_the_grammar_is_refused_with_its_text() {
    let Some(r4) = r4() else { return };
    let refuse = |expression: &str| {
        let raw = RawSearchParameter {
            url: "http://x.example/SearchParameter/x".into(),
            code: "x".into(),
            base: vec!["Patient".into()],
            kind: ParameterType::Token,
            expression: Some(expression.to_owned()),
            target: Vec::new(),
            components: Vec::new(),
        };
        ParameterTable::compile(r4.types(), &[raw]).map_err(|error| error.to_string()).err()
    };
    for expression in [
        "Patient.gender.lower()",
        "Patient.nonsense",
        "Patient.birthDate",
        "Patient.name.where(family)",
        "Patient.gender as string",
        "Observation.code",
        "Patient.name.given[0]",
        "Patient.link.resolve()",
        "Patient.gender.exists().not()",
        "Patient.contact.name.iif(true, 'a', 'b')",
    ] {
        let error = refuse(expression).unwrap_or_else(|| panic!("{expression} was not refused"));
        assert!(error.contains(expression) && error.contains("SearchParameter/x"), "{error}");
    }
    assert_eq!(refuse("Patient.gender | (Patient.deceased as boolean)"), None);
}

/// Case A7: the system of a `code` is that of its binding.
#[test]
fn codes_have_the_system_of_their_binding() {
    let patient = r#"{"resourceType":"Patient","gender":"female","active":true,
        "identifier":[{"system":"urn:s","value":"1","type":{"text":"MRN","coding":[{"system":"urn:t","code":"MR"}]}}],
        "telecom":[{"system":"phone","value":"555"},{"system":"email","value":"a@b.example"}]}"#;
    let Some(found) = found(patient) else { return };
    assert_has!(
        found,
        "gender http://hl7.org/fhir/administrative-gender|female -",
        "active http://terminology.hl7.org/CodeSystem/special-values|true -",
        "identifier urn:s|1 MRN",
        "identifier of-type urn:t|MR|1",
        "phone -|555 -",
        "email -|a@b.example -",
        "telecom -|555 -",
        "deceased http://terminology.hl7.org/CodeSystem/special-values|false -",
    );
    assert!(!found.contains("phone -|a@b.example -"));
}

#[test]
fn deceased_is_true_for_a_date_and_false_for_false() {
    let line = |value: &str| format!("deceased http://terminology.hl7.org/CodeSystem/special-values|{value} -");
    let deceased = |json: &str| found(&format!(r#"{{"resourceType":"Patient"{json}}}"#));
    let Some(dead) = deceased(r#","deceasedDateTime":"2015""#) else {
        return;
    };
    assert!(dead.contains(&line("true")) && dead.iter().any(|line| line.starts_with("death-date [")));
    assert!(deceased(r#","deceasedBoolean":true"#).unwrap().contains(&line("true")));
    assert!(deceased(r#","deceasedBoolean":false"#).unwrap().contains(&line("false")));
}

#[test]
fn names_and_addresses_give_each_part() {
    let patient = r#"{"resourceType":"Patient","birthDate":"1970-03",
        "name":[{"family":"Müller","given":["Eva","Maria"],"text":"Eva M"}],
        "address":[{"line":["1 Main St"],"city":"Bern","postalCode":"3000","use":"home"}]}"#;
    let Some(found) = found(patient) else { return };
    let born = DateTime::parse("1970-03").unwrap().interval;
    assert_has!(
        found,
        "name 'Müller'",
        "name 'Maria'",
        "name 'Eva M'",
        "family 'Müller'",
        "given 'Eva'",
        "phonetic 'Müller'",
        "address '1 Main St'",
        "address 'Bern'",
        "address-city 'Bern'",
        "address-postalcode '3000'",
        "address-use http://hl7.org/fhir/address-use|home -",
        &format!("birthdate [{},{})", born.low, born.high),
    );
}

const OBSERVATION: &str = r##"{"resourceType":"Observation","status":"final","meta":{"profile":["http://p.example/p|1.0"],
    "tag":[{"system":"urn:tag","code":"t"}],"security":[{"code":"R"}],"source":"urn:source"},
    "code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"BP"}],"text":"blood pressure"},
    "subject":{"reference":"https://salus.example/fhir/Patient/1"},"effectiveDateTime":"2020-01-02T03:04:05Z",
    "performer":[{"reference":"#me"},{"reference":"Practitioner/2/_history/3"},{"type":"Organization","identifier":{"system":"urn:o","value":"7"}}],
    "contained":[{"resourceType":"Practitioner","id":"me","gender":"female"}],
    "valueQuantity":{"value":120.0,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"},
    "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
        "valueQuantity":{"value":118,"comparator":">","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"##;

#[test]
fn an_observation_gives_its_values() {
    let Some(found) = found(OBSERVATION) else {
        return;
    };
    assert_has!(
        found,
        "status http://hl7.org/fhir/observation-status|final -",
        "code http://loinc.org|85354-9 BP",
        "code -|- blood pressure",
        "combo-code http://loinc.org|8480-6 -",
        "component-code http://loinc.org|8480-6 -",
        "value-quantity 120 http://unitsofmeasure.org|mm[Hg]",
        "combo-value-quantity 118.00000000000001..inf http://unitsofmeasure.org|mm[Hg]",
        "patient Patient/1 https://salus.example/fhir/Patient/1 -",
        "subject Patient/1 https://salus.example/fhir/Patient/1 -",
        "performer Practitioner/2 Practitioner/2 -",
        "performer Organization/- - urn:o|7",
        "code-value-quantity http://loinc.org|85354-9 BP $ 120 http://unitsofmeasure.org|mm[Hg]",
        "combo-code-value-quantity http://loinc.org|8480-6 - $ 118.00000000000001..inf http://unitsofmeasure.org|mm[Hg]",
        "_profile http://p.example/p|1.0",
        "_tag urn:tag|t -",
        "_security -|R -",
        "_source urn:source",
        "date [1577934245000000,1577934246000000)",
    );
    assert!(!found.iter().any(|line| line.contains("#me") || line.contains("female")));
    assert!(!found.iter().any(|line| line.starts_with("component-code-value-quantity http://loinc.org|85354-9")));
}

/// Case A11: the type is told by the text, by `Reference.type`, or by the contained resource.
#[test]
fn resolve_is_decided_by_the_reference_alone() {
    let subject = |reference: &str| {
        let json = format!(
            r##"{{"resourceType":"Observation","subject":{reference},"contained":[{{"resourceType":"Patient","id":"p"}}]}}"##
        );
        found(&json).map(|found| found.iter().any(|line| line.starts_with("patient ")))
    };
    let Some(by_text) = subject(r#"{"reference":"Patient/1"}"#) else {
        return;
    };
    assert!(by_text);
    let told = |reference| subject(reference).unwrap();
    assert!(!told(r#"{"reference":"Group/1"}"#) && !told(r#"{"reference":"urn:uuid:1"}"#));
    assert!(told(r#"{"reference":"urn:uuid:1","type":"Patient"}"#));
    assert!(told(r#"{"type":"http://hl7.org/fhir/StructureDefinition/Patient","identifier":{"value":"1"}}"#));
    assert!(told(r##"{"reference":"#p","identifier":{"value":"1"}}"##));
    assert!(told(r#"{"reference":"https://else.example/fhir/Patient/1"}"#));
}

#[test]
fn other_datatypes() {
    let Some(near) = found(r#"{"resourceType":"Location","position":{"latitude":47.1,"longitude":8.5}}"#) else {
        return;
    };
    assert_has!(near, "near 47.1,8.5");
    let sampled = r#"{"resourceType":"Observation","valueSampledData":{"origin":{"value":10,"unit":"mV"},"factor":2,"data":"1 E -3 4.5"}}"#;
    assert_has!(found(sampled).unwrap(), "value-quantity 4..19 -|-");
    let money = r#"{"resourceType":"ChargeItem","priceOverride":{"value":5,"currency":"CHF"}}"#;
    assert_has!(found(money).unwrap(), "price-override 5 urn:iso:std:iso:4217|CHF");
    let age =
        r#"{"resourceType":"Condition","onsetRange":{"low":{"value":1,"code":"a"},"high":{"value":2,"code":"a"}}}"#;
    assert_has!(found(age).unwrap(), "onset-age 1..2 -|a");
    let questionnaire = r#"{"resourceType":"QuestionnaireResponse","questionnaire":"http://q.example/q|2"}"#;
    assert_has!(
        found(questionnaire).unwrap(),
        "questionnaire -/- http://q.example/q -",
        "questionnaire -/- http://q.example/q|2 -",
    );
    let bundle = r#"{"resourceType":"Bundle","type":"document","entry":[
        {"resource":{"resourceType":"Composition","id":"c"}},{"resource":{"resourceType":"Patient","id":"p"}}]}"#;
    let bundle = found(bundle).unwrap();
    assert_has!(bundle, "composition Composition/c - -");
    assert!(!bundle.contains("composition Patient/p - -"));
    let artifact = r#"{"resourceType":"Library","relatedArtifact":[{"type":"depends-on","resource":"http://a.example"},
        {"type":"successor","resource":"http://b.example"}]}"#;
    let artifact = found(artifact).unwrap();
    assert_has!(artifact, "depends-on -/- http://a.example -", "successor -/- http://b.example -");
    assert!(!artifact.contains("depends-on -/- http://b.example -"));
}

/// What a resource must give, told by another way than programs: straight from its members.
fn check_against_members(table: &ParameterTable, name: &str, resource: &Value<'_>) {
    let resource_type = resource.get_str("resourceType").unwrap();
    let mut by_code = std::collections::BTreeMap::<&str, Vec<String>>::new();
    table.extract(resource_type, resource, &mut |parameter, value| {
        by_code.entry(&parameter.code).or_default().push(show(&value));
    });
    let found = |code: &str| by_code.get(code).map_or(&[][..], Vec::as_slice);
    for parameter in table.for_type(resource_type) {
        if parameter.kind == ParameterType::Composite {
            for (position, (url, _)) in parameter.components.iter().enumerate() {
                let parts = found(&parameter.code).iter().map(|line| line.split(" $ ").nth(position));
                assert!(parts.into_iter().all(|part| part.is_some()), "{name}: {} {url}", parameter.code);
            }
        }
    }
    let (Some(wanted), "Observation") = (resource.at(&["code", "coding"]).and_then(Value::as_array), resource_type)
    else {
        return;
    };
    for coding in wanted {
        let part = |name| coding.get_str(name).unwrap_or("-");
        let line = format!("{}|{} {}", part("system"), part("code"), part("display"));
        assert!(found("code").contains(&line) && found("combo-code").contains(&line), "{name}: {line}");
    }
    let quantity = resource.get("valueQuantity").filter(|quantity| quantity.get("value").is_some());
    assert_eq!(
        quantity.is_some() || resource.get("valueSampledData").is_some(),
        !found("value-quantity").is_empty(),
        "{name}"
    );
    let patient =
        resource.at(&["subject", "reference"]).and_then(Value::as_str).filter(|text| text.starts_with("Patient/"));
    assert!(patient.is_none() || !found("patient").is_empty(), "{name}");
}

#[test]
fn the_examples_of_the_core_package_are_indexed() {
    let Some(r4) = r4() else { return };
    let cache_dir = crate::packages::default_cache_dir().unwrap();
    let package = crate::packages::Package::open(&crate::packages::R4_CORE.path(&cache_dir)).unwrap();
    let mut used = BTreeSet::new();
    let is_example = |name: &str| {
        !name.starts_with('.')
            && !["ValueSet-", "CodeSystem-", "SearchParameter-"].iter().any(|start| name.starts_with(start))
    };
    package
        .members(is_example, |member| {
            let Ok(resource) = package.parse(&member) else {
                return true;
            };
            if let Some(resource_type) = resource.get_str("resourceType").filter(|name| r4.is_resource_type(name)) {
                check_against_members(r4.search(), &member.name, &resource);
                r4.search()
                    .extract(resource_type, &resource, &mut |parameter, _| _ = used.insert(parameter.url.clone()));
            }
            true
        })
        .unwrap();
    // So many of the parameters find something in the specification's own examples.
    assert!(used.len() > 800, "{} of the parameters", used.len());
}

#[test]
fn synthea_patients_are_indexed() {
    let Some(r4) = r4() else { return };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/synthea-r4-bundles");
    let Ok(files) = std::fs::read_dir(folder) else {
        eprintln!("SKIPPED: no synthea-r4-bundles in the shared data");
        return;
    };
    for path in
        files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "gz")).take(3)
    {
        let mut text = String::new();
        let file = std::fs::File::open(&path).unwrap();
        std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut text).unwrap();
        let bundle = parse_json(&text, &Limits::default()).unwrap();
        for entry in bundle.items("entry").iter().filter_map(|entry| entry.get("resource")) {
            check_against_members(r4.search(), &path.to_string_lossy(), entry);
        }
    }
}

#[test]
fn parameters_that_others_make_up_are_known() {
    let Some(definitions) = crate::definitions::tests::r4() else { return };
    let parts = |kind: &str, code: &str| definitions.search().get(kind, code).unwrap().parts.clone();
    assert_eq!(parts("Observation", "combo-code"), ["code", "component-code"]);
    assert_eq!(
        parts("Observation", "combo-code-value-quantity"),
        ["code-value-quantity", "component-code-value-quantity"]
    );
    assert_eq!(parts("Observation", "patient"), ["subject"]);
    assert!(parts("Observation", "code").is_empty() && parts("Observation", "subject").is_empty());
}
