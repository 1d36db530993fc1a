//! `:in`, `:not-in`, `:above` and `:below` of codes (R4 search.html#modifiers; case A7), by the ValueSets and
//! CodeSystems that are stored, or come with the packages.

use serde_json::{Value, json};

use crate::{Client, Salus};

const SYSTEM: &str = "http://terminology.test/diseases";
const SETS: &str = "http://terminology.test/sets";

/// A CodeSystem in the shape of a tree, sets of its codes, and a Condition of each code.
fn world() -> Client {
    let client = Salus::shared().client("system/*.cruds");
    let put = |path: &str, resource: &Value| {
        let answer = client.put(path, &resource.to_string());
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text);
    };
    put(
        "CodeSystem/search-terms",
        &json!({"resourceType": "CodeSystem", "id": "search-terms", "url": SYSTEM,
        "status": "active", "content": "complete", "concept": [
            {"code": "heart", "concept": [{"code": "infarct", "concept": [{"code": "stemi"}]}, {"code": "failure"}]},
            {"code": "lung"},
            {"code": "cor-pulmonale", "property": [{"code": "parent", "valueCode": "heart"}, {"code": "parent", "valueCode": "lung"}]}]}),
    );
    let set = |id: &str, compose: Value| {
        let resource = json!({"resourceType": "ValueSet", "id": id, "url": format!("{SETS}/{id}"), "version": "1",
            "status": "active", "compose": compose});
        put(&format!("ValueSet/{id}"), &resource);
    };
    let of = |codes: &[&str]| {
        let concepts: Vec<Value> = codes.iter().map(|code| json!({"code": code})).collect();
        json!({"system": SYSTEM, "concept": concepts})
    };
    let below = |operator: &str| json!({"system": SYSTEM, "filter": [{"property": "concept", "op": operator, "value": "heart"}]});
    set("terms-listed", json!({"include": [of(&["stemi", "lung"])]}));
    set("terms-below", json!({"include": [below("is-a")], "exclude": [of(&["failure"])]}));
    set("terms-under", json!({"include": [below("descendent-of")]}));
    set("terms-all", json!({"include": [{"system": SYSTEM}]}));
    set(
        "terms-of-sets",
        json!({"include": [{"valueSet": [format!("{SETS}/terms-below"), format!("{SETS}/terms-listed|1")]}]}),
    );
    // One system in several parts, and one set in several of them.
    let also = json!({"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": "lung"}]});
    set(
        "terms-parts",
        json!({"include": [below("descendent-of"), also, of(&["heart"])], "exclude": [
        {"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": "infarct"}]},
        {"valueSet": [format!("{SETS}/terms-all")], "system": SYSTEM, "concept": [{"code": "failure"}]},
        {"valueSet": [format!("{SETS}/terms-all"), format!("{SETS}/terms-listed")]}]}),
    );
    set("terms-none", json!({"include": [of(&["nothing-has-this"])], "exclude": [of(&["nothing-has-this"])]}));
    let many = |count: usize| {
        let concepts: Vec<Value> = (0..count).map(|number| json!({"code": format!("n{number}")})).collect();
        json!({"include": [of(&["lung"]), {"system": SYSTEM, "concept": concepts}]})
    };
    set("terms-many", many(4000));
    set("terms-too-many", many(5000));
    set("terms-circle", json!({"include": [{"valueSet": [format!("{SETS}/terms-circle")]}]}));
    set(
        "terms-filtered",
        json!({"include": [{"system": SYSTEM, "filter": [{"property": "colour", "op": "=", "value": "red"}]}]}),
    );
    for code in ["heart", "infarct", "stemi", "failure", "lung", "cor-pulmonale"] {
        put(
            &format!("Condition/terms-{code}"),
            &json!({"resourceType": "Condition", "id": format!("terms-{code}"),
            "subject": {"reference": "Patient/terms-patient"}, "code": {"coding": [{"system": SYSTEM, "code": code}]}}),
        );
    }
    put("Patient/terms-patient", &json!({"resourceType": "Patient", "id": "terms-patient", "gender": "female"}));
    put(
        "Condition/terms-uncoded",
        &json!({"resourceType": "Condition", "id": "terms-uncoded",
        "subject": {"reference": "Patient/terms-patient"}}),
    );
    client
}

#[test]
fn codes_by_the_sets_and_hierarchies_they_are_in() {
    let client = world();
    let find = |query: &str| {
        let mut found: Vec<String> = client.ids(&format!("Condition?subject=Patient/terms-patient&{query}"));
        found.sort();
        found.iter().map(|id| id.trim_start_matches("terms-").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(find("code:in=ValueSet/terms-listed"), "lung stemi");
    assert_eq!(find(&format!("code:in={SETS}/terms-listed")), "lung stemi");
    assert_eq!(find(&format!("code:in={SETS}/terms-listed|1")), "lung stemi");
    assert_eq!(find(&format!("code:in={SETS}/terms-below")), "cor-pulmonale heart infarct stemi");
    assert_eq!(find("code:in=ValueSet/terms-under"), "cor-pulmonale failure infarct stemi");
    assert_eq!(find("code:in=ValueSet/terms-all"), "cor-pulmonale failure heart infarct lung stemi");
    assert_eq!(find("code:in=ValueSet/terms-of-sets"), "stemi");
    assert_eq!(find("code:in=ValueSet/terms-parts"), "cor-pulmonale heart");
    assert_eq!(find("code:in=ValueSet/terms-none"), "");
    assert_eq!(find("code:in=ValueSet/terms-many"), "lung");
    assert_eq!(find("code:in=ValueSet/terms-none,ValueSet/terms-listed"), "lung stemi");
    assert_eq!(find("code:not-in=ValueSet/terms-below"), "failure lung uncoded");
    assert_eq!(find(&format!("code:below={SYSTEM}|infarct")), "infarct stemi");
    assert_eq!(find(&format!("code:below={SYSTEM}|lung")), "cor-pulmonale lung");
    assert_eq!(find(&format!("code:above={SYSTEM}|stemi")), "heart infarct stemi");
    assert_eq!(find(&format!("code:above={SYSTEM}|cor-pulmonale")), "cor-pulmonale heart lung");
    // At the end of chains, too.
    let patients = |query: &str| client.ids(&format!("Patient?_id=terms-patient&{query}")).len();
    assert_eq!(patients("_has:Condition:subject:code:in=ValueSet/terms-listed"), 1);
    assert_eq!(patients("_has:Condition:subject:code:in=ValueSet/terms-none"), 0);
    // Of the packages: the codes that a required binding allows.
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert_eq!(patients(&format!("gender:in={gender}")), 1);
    assert_eq!(patients(&format!("gender:not-in={gender}")), 0);
    assert_eq!(find(&format!("subject:Patient.gender:in={gender}&code={SYSTEM}|lung")), "lung");
}

/// R4 search_filter.html#ops: `in` and `ni` are of a ValueSet; with `ss` the value subsumes a concept, with `sb` it is
/// subsumed by one.
#[test]
fn filters_ask_for_sets_of_codes_too() {
    let client = world();
    let find = |filter: &str| {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("_filter", filter).finish();
        let mut found = client.ids(&format!("Condition?subject=Patient/terms-patient&{query}"));
        found.sort();
        found.iter().map(|id| id.trim_start_matches("terms-").to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(find("code in ValueSet/terms-listed"), "lung stemi");
    assert_eq!(find(&format!("code in \"{SETS}/terms-below\"")), "cor-pulmonale heart infarct stemi");
    assert_eq!(find(&format!("code in {SETS}/terms-none")), "");
    assert_eq!(find("code ni ValueSet/terms-below"), "failure lung uncoded");
    assert_eq!(find("not (code in ValueSet/terms-below)"), "failure lung uncoded");
    assert_eq!(find(&format!("code ss {SYSTEM}|infarct")), "infarct stemi");
    assert_eq!(find(&format!("code sb {SYSTEM}|stemi")), "heart infarct stemi");
    assert_eq!(
        find(&format!("code in ValueSet/terms-listed and code ss {SYSTEM}|heart or code eq {SYSTEM}|failure")),
        "failure stemi"
    );
    let gender = "http://hl7.org/fhir/ValueSet/administrative-gender";
    assert_eq!(find(&format!("subject.gender in {gender} and code eq {SYSTEM}|lung")), "lung");
    assert_eq!(find(&format!("subject[gender ni {gender}]._id eq terms-patient")), "");
    let patients = |query: &str| client.ids(&format!("Patient?_id=terms-patient&{query}")).len();
    assert_eq!(patients("_has:Condition:subject:_filter=code+in+ValueSet/terms-listed"), 1);
    assert_eq!(patients("_has:Condition:subject:_filter=code+in+ValueSet/terms-none"), 0);
    for (filter, says) in [
        ("code+in+ValueSet/unheard-of", "not known here"),
        ("code+ss+lung", "with its system"),
        ("recorded-date+in+ValueSet/terms-listed", "cannot be asked"),
        ("onset-info+ss+x", "cannot be asked"),
    ] {
        let answer = client.get(&format!("Condition?_filter={filter}"));
        assert_eq!((answer.status, answer.issue().as_str()), (400, "invalid"), "{filter}: {}", answer.text);
        assert!(answer.text.contains(says), "{filter}: {}", answer.text);
    }
    // Short names of systems, "for convenience".
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let observation = client.create(&json!({"resourceType": "Observation", "status": "final",
        "subject": {"reference": format!("Patient/{patient}")},
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}}));
    let by = |filter: &str| client.ids(&format!("Observation?subject=Patient/{patient}&_filter={filter}"));
    assert_eq!(by("code+eq+loinc|8867-4"), [observation]);
    assert_eq!(by("code+ne+loinc|8867-4").len(), 0);
    assert_eq!(by("code+eq+snomed|8867-4").len(), 0);
}

#[test]
fn sets_that_cannot_be_listed_are_refused_with_the_reason() {
    let client = world();
    for (query, says) in [
        ("code:in=ValueSet/terms-unheard-of", "not known here"),
        ("code:in=http://elsewhere.test/ValueSet/1", "not known here"),
        ("code:in=ValueSet/terms-circle", "without end"),
        ("code:in=ValueSet/terms-filtered", "colour"),
        ("code:in=ValueSet/terms-too-many", "5000 is the most"),
        ("code:below=lung", "with its system"),
        (&format!("code:below={SYSTEM}|unheard-of"), "no code"),
        ("code:below=http://snomed.info/sct|38341003", "not known here"),
    ] {
        let answer = client.get(&format!("Condition?{query}"));
        assert_eq!(answer.status, 400, "{query}: {}", answer.text);
        assert!(answer.text.contains(says), "{query}: {}", answer.text);
    }
    // Who may not see the set learns nothing of it.
    let narrow = Salus::shared().client("system/Condition.rs");
    assert_eq!(narrow.get("Condition?code:in=ValueSet/terms-listed").status, 400);
}
