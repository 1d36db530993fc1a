//! `_filter`, `_list`, `_text`, `_content`, `near`, `:text` and what URLs are above and below (R4 search.html,
//! search_filter.html, location.html#positional).

use serde_json::{Value, json};

use crate::{Client, Salus};

/// Creates resources and gives them names to be found by.
struct World {
    client: Client,
    ids: Vec<(String, &'static str)>,
}

impl World {
    fn new() -> Self {
        Self { client: Salus::shared().client("system/*.cruds"), ids: Vec::new() }
    }

    fn create(&mut self, name: &'static str, resource: &Value) -> String {
        let id = self.client.create(resource);
        self.ids.push((id.clone(), name));
        id
    }

    /// The names of what is found of ours, in order.
    fn find(&self, search: &str) -> Vec<&'static str> {
        let known = |id: &String| self.ids.iter().find(|(known, _)| known == id).map(|(_, name)| *name);
        self.client.ids(search).iter().filter_map(known).collect()
    }

    fn sorted(&self, search: &str) -> Vec<&'static str> {
        let mut found = self.find(search);
        found.sort_unstable();
        found
    }

    /// By `_filter`, whatever else there is on the server left out.
    fn filter(&self, resource_type: &str, mark: &str, filter: &str) -> Vec<&'static str> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("_filter", filter).finish();
        self.sorted(&format!("{resource_type}?identifier={mark}&{query}"))
    }
}

fn people(mark: &str) -> World {
    let mut world = World::new();
    for (name, family, given, birth) in [
        ("peter", "Chalmers", "Peter", "1974-12-25"),
        ("petra", "Windsor", "Petra", "1980-03-01"),
        ("jim", "O'Neil-Chalmers", "Jim", "1974-02"),
    ] {
        world.create(
            name,
            &json!({"resourceType": "Patient", "identifier": [{"system": "urn:mrn", "value": mark}],
                "name": [{"family": family, "given": [given]}], "birthDate": birth,
                "gender": if name == "petra" { "female" } else { "male" }}),
        );
    }
    world.create("nobody", &json!({"resourceType": "Patient", "identifier": [{"value": mark}]}));
    world
}

#[test]
fn filters_compare_by_type() {
    let world = people("filter-compare");
    for (filter, expected) in [
        (r#"given eq "peter""#, vec!["peter"]),
        (r#"given eq "pet""#, vec![]),
        (r#"given sw "pet""#, vec!["peter", "petra"]),
        (r#"family co "chalmers""#, vec!["jim", "peter"]),
        (r#"family ew "chalmers""#, vec!["jim", "peter"]),
        (r#"family ew "sor""#, vec!["petra"]),
        (r#"given ne "peter""#, vec!["jim", "petra"]),
        (r#"given gt "peter""#, vec!["petra"]),
        (r#"given ge "peter""#, vec!["peter", "petra"]),
        (r#"given lt "Peter""#, vec!["jim"]),
        (r#"given le "PETER""#, vec!["jim", "peter"]),
        ("birthdate ge 1975", vec!["petra"]),
        ("birthdate lt 1974-06", vec!["jim"]),
        ("birthdate eq 1974", vec!["jim", "peter"]),
        ("birthdate po 1974-12", vec!["peter"]),
        ("birthdate co 1974-02-14", vec!["jim"]),
        ("birthdate co 1974-02", vec!["jim"]),
        ("birthdate co 1974", vec![]),
        ("birthdate pr false", vec!["nobody"]),
        ("birthdate pr true", vec!["jim", "peter", "petra"]),
        ("gender eq male", vec!["jim", "peter"]),
        ("gender eq http://hl7.org/fhir/administrative-gender|female", vec!["petra"]),
        ("gender ne male", vec!["petra"]),
        ("gender co mal", vec!["jim", "peter", "petra"]),
        ("identifier eq urn:mrn|filter-compare and gender sw f", vec!["petra"]),
    ] {
        assert_eq!(world.filter("Patient", "filter-compare", filter), expected, "{filter}");
    }
}

#[test]
fn filters_combine_and_follow_references() {
    let mut world = people("filter-combine");
    for (filter, expected) in [
        (r#"gender eq female or given eq "jim""#, vec!["jim", "petra"]),
        (r#"gender eq male and not (given eq "jim")"#, vec!["peter"]),
        (r#"not (gender eq male)"#, vec!["nobody", "petra"]),
        (r#"gender eq female or gender eq male and family sw "win""#, vec!["petra"]),
        (r#"gender eq male or (gender eq female and family sw "cha")"#, vec!["jim", "peter"]),
    ] {
        assert_eq!(world.filter("Patient", "filter-combine", filter), expected, "{filter}");
    }
    for (name, patient) in [("of peter", 0), ("of petra", 1)] {
        let subject = format!("Patient/{}", world.ids[patient].0);
        world.create(
            name,
            &json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "x"}]},
                "identifier": [{"value": "filter-combine"}], "subject": {"reference": subject}}),
        );
    }
    for (filter, expected) in [
        (r#"subject.name co "pet""#.to_owned(), vec!["of peter", "of petra"]),
        (r#"patient.name co "chalm" and code eq x"#.to_owned(), vec!["of peter"]),
        (r#"patient[gender eq female].birthdate ge 1980"#.to_owned(), vec!["of petra"]),
        (r#"patient[gender eq male].birthdate ge 1980"#.to_owned(), vec![]),
        (format!("subject re Patient/{}", world.ids[1].0), vec!["of petra"]),
    ] {
        assert_eq!(world.filter("Observation", "filter-combine", &filter), expected, "{filter}");
    }
}

#[test]
fn filters_that_say_nothing_sensible_are_refused() {
    let client = Salus::shared().client("system/*.cruds");
    for bad in [
        "given",
        "given%20is%201",
        "colour%20eq%20red",
        "gender%20in%20x",
        "birthdate%20co%201",
        "birthdate%20eq%20x",
        "birthdate%20co%20ge2020",
        "given%20po%20x",
    ] {
        let answer = client.get(&format!("Patient?_filter={bad}"));
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text);
    }
}

/// R4 search_filter.html#ops: of composites "only the codes eq and ne are appropriate".
#[test]
fn filters_ask_for_composites() {
    let mut world = World::new();
    for (name, code, value) in [("low", "filter-x", 1), ("high", "filter-x", 9), ("other", "filter-y", 9)] {
        world.create(
            name,
            &json!({"resourceType": "Observation", "status": "final", "identifier": [{"value": "filter-composite"}],
                "code": {"coding": [{"code": code}]}, "valueQuantity": {"value": value}}),
        );
    }
    for (filter, expected) in [
        ("code-value-quantity eq filter-x$9", vec!["high"]),
        ("code-value-quantity eq filter-x$lt5", vec!["low"]),
        ("code-value-quantity ne filter-x$9", vec!["low", "other"]),
        ("not (code-value-quantity eq filter-x$gt0)", vec!["other"]),
    ] {
        assert_eq!(world.filter("Observation", "filter-composite", filter), expected, "{filter}");
    }
    assert_eq!(world.client.get("Observation?_filter=code-value-quantity%20gt%20a$1").status, 400);
}

#[test]
fn lists_hold_what_is_found() {
    let mut world = people("filter-list");
    let item = |id: &str| json!({"item": {"reference": format!("Patient/{id}")}});
    let list = json!({"resourceType": "List", "status": "current", "mode": "working",
        "entry": [item(&world.ids[0].0), item(&world.ids[2].0)]});
    let list = world.create("list", &list);
    assert_eq!(world.sorted(&format!("Patient?_list={list}")), ["jim", "peter"]);
    assert_eq!(world.sorted(&format!("Patient?_list={list}&given=jim")), ["jim"]);
    assert!(world.find("Patient?_list=filter-nothing").is_empty());
    assert_eq!(world.client.get("Patient?_list=$current-allergies").status, 400);
    // Who may not see the List learns nothing from it.
    let narrow = Salus::shared().client("system/Patient.rs");
    assert!(narrow.ids(&format!("Patient?_list={list}")).is_empty());
}

#[test]
fn words_of_the_narrative_and_of_all() {
    let mut world = World::new();
    let basic = |narrative: &str, code: &str| {
        json!({"resourceType": "Basic", "identifier": [{"value": "filter-words"}], "code": {"text": code},
            "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{narrative}</div>")}})
    };
    world.create("bone", &basic("Metastases of the <b>bone</b>", "cancer"));
    world.create("liver", &basic("Liver metastases", "Bone marrow"));
    let find = |query: &str| world.sorted(&format!("Basic?identifier=filter-words&{query}"));
    assert_eq!(find("_text=bone"), ["bone"]);
    assert_eq!(find("_content=BONE"), ["bone", "liver"]);
    assert_eq!(find("_text=metastases%20and%20liver"), ["liver"]);
    assert_eq!(find("_text=liver%20or%20bone"), ["bone", "liver"]);
    assert_eq!(find("_text=liver,bone"), ["bone", "liver"]);
    assert_eq!(find("_content=cancer"), ["bone"]);
    assert_eq!(find("_content=%22bone%20marrow%22"), ["liver"]);
    // Markup and the names of members are no words.
    assert!(find("_text=div").is_empty());
    assert!(find("_content=resourceType").is_empty());
}

#[test]
fn places_by_distance() {
    let mut world = World::new();
    for (name, latitude, longitude) in
        [("boston", 42.3601, -71.0589), ("cambridge", 42.3736, -71.1097), ("new york", 40.7128, -74.006)]
    {
        world.create(
            name,
            &json!({"resourceType": "Location", "identifier": [{"value": "filter-near"}],
                "position": {"latitude": latitude, "longitude": longitude}}),
        );
    }
    world.create("nowhere", &json!({"resourceType": "Location", "identifier": [{"value": "filter-near"}]}));
    let find = |near: &str| world.sorted(&format!("Location?identifier=filter-near&near={near}"));
    assert_eq!(find("42.3601|-71.0589|1|km"), ["boston"]);
    assert_eq!(find("42.3601|-71.0589|5"), ["boston", "cambridge"]);
    assert_eq!(find("42.3601|-71.0589"), ["boston", "cambridge"]);
    // 306 km, 190 miles.
    assert_eq!(find("42.3601|-71.0589|305|km"), ["boston", "cambridge"]);
    assert_eq!(find("42.3601|-71.0589|307|km"), ["boston", "cambridge", "new york"]);
    assert_eq!(find("42.3601|-71.0589|191|[mi_i]").len(), 3);
    for bad in ["42", "x|y", "91|0", "42|-71|1|parsec", "42|-71|-1"] {
        assert_eq!(world.client.get(&format!("Location?near={bad}")).status, 400, "{bad}");
    }
}

#[test]
fn text_beside_codes_and_what_urls_are_below() {
    let mut world = World::new();
    for (name, url, text) in [
        ("root", "http://acme.org/fhir/ValueSet/123", "Headache"),
        ("deeper", "http://acme.org/fhir/ValueSet/123/_history/5", "Chronic pain"),
        ("beside", "http://acme.org/fhir/ValueSet/1234", "headless"),
    ] {
        world.create(
            name,
            &json!({"resourceType": "ValueSet", "status": "draft", "url": url,
                "identifier": [{"value": "filter-urls"}],
                "jurisdiction": [{"coding": [{"code": name, "display": text}], "text": format!("In {name}")}]}),
        );
    }
    let find = |query: &str| world.sorted(&format!("ValueSet?identifier=filter-urls&{query}"));
    assert_eq!(find("url:below=http://acme.org/fhir/ValueSet/123"), ["deeper", "root"]);
    assert_eq!(find("url:below=http://acme.org/fhir/"), ["beside", "deeper", "root"]);
    assert_eq!(find("url:above=http://acme.org/fhir/ValueSet/123/_history/5"), ["deeper", "root"]);
    assert_eq!(find("url:contains=/123/"), ["deeper"]);
    assert_eq!(find("jurisdiction:text=HEAD"), ["beside", "root"]);
    assert_eq!(find("jurisdiction:text=in%20deep"), ["deeper"]);
    // Sorted by code, by URL, and by both ways round; what has none comes last.
    world.create(
        "none",
        &json!({"resourceType": "ValueSet", "status": "active", "identifier": [{"value": "filter-urls"}]}),
    );
    let find = |sort: &str| world.find(&format!("ValueSet?identifier=filter-urls&_sort={sort}"));
    assert_eq!(find("jurisdiction"), ["beside", "deeper", "root", "none"]);
    assert_eq!(find("-jurisdiction"), ["root", "deeper", "beside", "none"]);
    assert_eq!(find("url"), ["root", "deeper", "beside", "none"]);
    assert_eq!(find("status,-url"), ["none", "beside", "deeper", "root"]);
}

/// R4 search.html#relevance: what fits best comes first, and says how well.
#[test]
fn words_rank_what_they_find() {
    let client = Salus::shared().client("system/*.cruds");
    let mark = "zirconium";
    for (name, times) in [("once", 1), ("often", 6), ("thrice", 3)] {
        let words = vec![mark; times].join(" ");
        client.create(&json!({"resourceType": "Organization", "identifier": [{"value": "ranked"}], "name": name,
            "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{words}</div>")}}));
    }
    let ranked = |query: &str| {
        let answer = client.get(&format!("Organization?identifier=ranked&{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let bundle = answer.json();
        let entries = bundle["entry"].as_array().unwrap().clone();
        entries
            .iter()
            .map(|entry| (entry["resource"]["name"].as_str().unwrap().to_owned(), entry["search"]["score"].as_f64()))
            .collect::<Vec<_>>()
    };
    let names = |ranked: &[(String, Option<f64>)]| ranked.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let found = ranked(&format!("_text={mark}"));
    assert_eq!(names(&found), ["often", "thrice", "once"]);
    let scores: Vec<f64> = found.iter().map(|(_, score)| score.unwrap()).collect();
    assert!(scores.windows(2).all(|two| two[0] > two[1]) && scores.iter().all(|score| (0.0..=1.0).contains(score)));
    assert_eq!(names(&ranked(&format!("_text={mark}&_sort=_score"))), ["once", "thrice", "often"]);
    let by_name = ranked(&format!("_text={mark}&_sort=name"));
    assert_eq!(names(&by_name), ["often", "once", "thrice"]);
    assert!(by_name.iter().all(|(_, score)| score.is_none()));
    // Page by page in the same order.
    let first = client.get(&format!("Organization?identifier=ranked&_content={mark}&_count=2")).json();
    let next = first["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next").unwrap();
    let second = client.get(next["url"].as_str().unwrap()).json();
    assert_eq!(second["entry"][0]["resource"]["name"], "once");
    let left_out = client.get("Organization?identifier=ranked&_sort=name,_score").json();
    let own = left_out["link"].as_array().unwrap().iter().find(|link| link["relation"] == "self").unwrap();
    assert!(!own["url"].as_str().unwrap().contains("_sort"), "what is left out is left out as a whole: {own}");
    let strict = client.request("GET", "Organization?_sort=_score", &[("prefer", "handling=strict")], b"");
    assert_eq!(strict.status, 400, "{}", strict.text);
}
