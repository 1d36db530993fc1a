//! String and uri parameters (R4 search.html#string, #uri).

use serde_json::json;

use crate::Salus;

#[test]
fn strings_start_contain_and_equal() {
    let client = Salus::shared().client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient", "name": [
        {"family": "Müller-Lüdenscheidt", "given": ["Éva", "Anne Marie"]}],
        "address": [{"city": "Århus", "line": ["1, Main Street"]}]}));
    let finds = |query: &str| client.ids(&format!("Patient?_id={id}&{query}")).len();
    for query in [
        "family=muller",
        "family=MÜLL",
        "family=müllerlüd",
        "given=eva",
        "name=anne%20ma",
        "name=mull",
        "family:contains=dens",
        "family:exact=M%C3%BCller-L%C3%BCdenscheidt",
        "address=aarhus,arhus",
        "address-city=ÅRH",
        r"address=1\,%20main",
        "name=zzz,eva",
    ] {
        assert_eq!(finds(query), 1, "{query}");
    }
    for query in
        ["family=udenscheidt", "family:exact=müller-lüdenscheidt", "given=marie", "family:contains=zz", "name=evan"]
    {
        assert_eq!(finds(query), 0, "{query}");
    }
    // Both of them must hold, of whichever value.
    assert_eq!(finds("given=eva&given=anne"), 1);
    assert_eq!(finds("given=eva&given=bob"), 0);
}

#[test]
fn strings_of_any_length_and_script() {
    let client = Salus::shared().client("system/*.cruds");
    let long = "ab".repeat(400);
    let id = client.create(&json!({"resourceType": "Patient", "name": [{"family": long, "given": ["李", "😀"]}]}));
    let finds = |query: &str| client.ids(&format!("Patient?_id={id}&{query}")).len();
    assert_eq!(finds(&format!("family={long}")), 1);
    assert_eq!(finds(&format!("family:exact={long}")), 1);
    assert_eq!(finds(&format!("family:exact={long}x")), 0);
    assert_eq!(finds("given=李"), 1);
    assert_eq!(finds("given=%F0%9F%98%80"), 1);
    // Text of the query language is text.
    assert_eq!(finds("family=%25"), 0);
    assert_eq!(finds("family='%3B%20DROP%20TABLE%20resource--"), 0);
    assert_eq!(client.get("Patient?family:above=x").status, 400);
}

#[test]
fn uris_equal_to_the_letter() {
    let client = Salus::shared().client("system/*.cruds");
    let url = "http://example.test/ValueSet/Search-Uri";
    let id = client.create(&json!({"resourceType": "ValueSet", "status": "draft", "url": url}));
    let found = |value: &str| client.ids(&format!("ValueSet?_id={id}&url={value}")).len();
    assert_eq!(found(url), 1);
    assert_eq!(found(&url.to_lowercase()), 0);
    assert_eq!(found("http://example.test/ValueSet/"), 0);
    assert_eq!(client.ids(&format!("ValueSet?url={url}")), [id]);
}
