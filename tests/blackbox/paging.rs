//! Pages (R4 http.html#paging; case A13): by keyset, so that what others write neither repeats nor hides a row.

use base64::Engine as _;
use serde_json::json;

use crate::{Answer, Client, Salus};

fn next(page: &Answer) -> Option<String> {
    let bundle = page.json();
    let links = bundle["link"].as_array().unwrap();
    Some(links.iter().find(|link| link["relation"] == "next")?["url"].as_str().unwrap().to_owned())
}

fn matches(page: &Answer) -> Vec<String> {
    assert_eq!(page.status, 200, "{}", page.text);
    let bundle = page.json();
    let entries = bundle["entry"].as_array().into_iter().flatten();
    entries.map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()).collect()
}

/// All pages; every one must tell this total.
fn all(client: &Client, search: &str, total: usize) -> Vec<String> {
    let mut page = client.get(search);
    let mut ids = matches(&page);
    loop {
        assert_eq!(page.json()["total"], total, "{search}");
        let Some(url) = next(&page) else { return ids };
        page = client.get(&url);
        let more = matches(&page);
        assert!(!more.is_empty(), "an empty page: {url}");
        ids.extend(more);
    }
}

fn each_once(mut ids: Vec<String>, mut expected: Vec<String>) {
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}

/// A13: three equal birthdates, two a page.
#[test]
fn ties_are_neither_repeated_nor_skipped() {
    let client = Salus::shared().client("system/*.cruds");
    let ids: Vec<String> = (0..3)
        .map(|_| {
            client.create(&json!({"resourceType": "Patient", "birthDate": "1950-05-05",
            "identifier": [{"value": "paging-ties"}]}))
        })
        .collect();
    for sort in ["birthdate", "-birthdate", "birthdate,family", "-birthdate,-_lastUpdated"] {
        each_once(all(&client, &format!("Patient?identifier=paging-ties&_sort={sort}&_count=2"), 3), ids.clone());
    }
}

#[test]
fn every_kind_of_order_and_start_can_be_paged() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let mut ids = Vec::new();
    for number in 0..11 {
        let mut observation = json!({"resourceType": "Observation", "status": "final",
            "identifier": [{"value": "paging-kinds"}],
            "category": [{"coding": [{"code": if number % 2 == 0 { "even" } else { "odd" }}]}],
            "code": {"coding": [{"system": "http://p.test", "code": format!("p{}", number % 3)}, {"code": "p"}]},
            "subject": {"reference": format!("Patient/{patient}")}});
        // Some without, some equal.
        if number % 4 != 0 {
            observation["effectiveDateTime"] = json!(format!("2020-01-0{}", 1 + number % 3));
        }
        if number % 3 != 0 {
            observation["valueQuantity"] = json!({"value": number % 5});
        } else {
            observation["valueString"] = json!(format!("text {}", number % 2));
        }
        ids.push(client.create(&observation));
    }
    let starts = [
        format!("patient={patient}"),
        format!("patient={patient}&code=p"),
        format!("patient={patient}&code=p0,p1,p2"),
        format!("patient={patient}&code=http://p.test|p0,http://p.test|p1,p2,p"),
        format!("patient={patient}&category=even,odd"),
        "identifier=paging-kinds".to_owned(),
        "identifier=paging-kinds&code=http://p.test|p0,http://p.test|p1,http://p.test|p2".to_owned(),
        format!("_id={}", ids.join(",")),
        format!("subject:Patient._id={patient}"),
        format!("patient={patient}&code:not=q"),
    ];
    let sorts = [
        "",
        "&_sort=date",
        "&_sort=-date",
        "&_sort=_id",
        "&_sort=-_id",
        "&_sort=_lastUpdated",
        "&_sort=-_lastUpdated",
        "&_sort=value-quantity",
        "&_sort=-value-quantity",
        "&_sort=value-string",
        "&_sort=-value-string,date",
        "&_sort=value-quantity,-date,_id",
        "&_sort=-date,value-quantity",
        "&_sort=date,-_id",
    ];
    for start in &starts {
        for sort in sorts {
            let found = all(&client, &format!("Observation?{start}{sort}&_count=3"), ids.len());
            assert_eq!(found.len(), ids.len(), "{start}{sort}");
            each_once(found, ids.clone());
        }
    }
}

#[test]
fn what_others_write_between_pages_neither_repeats_nor_hides() {
    let client = Salus::shared().client("system/*.cruds");
    let born = |date: &str| {
        client
            .create(&json!({"resourceType": "Patient", "birthDate": date, "identifier": [{"value": "paging-writes"}]}))
    };
    let ids: Vec<String> = (1..=8).map(|day| born(&format!("1960-01-0{day}"))).collect();
    let first = client.get("Patient?identifier=paging-writes&_sort=birthdate&_count=3");
    assert_eq!(matches(&first), ids[..3]);
    // Before the page's end, and a row of it gone: the next page is not moved by either.
    born("1950-01-01");
    assert!(client.delete(&format!("Patient/{}", ids[1])).status < 300);
    assert!(client.delete(&format!("Patient/{}", ids[2])).status < 300);
    assert!(client.delete(&format!("Patient/{}", ids[4])).status < 300);
    let after = born("1960-01-07");
    let second = client.get(&next(&first).unwrap());
    assert_eq!(
        matches(&second),
        [ids[3].clone(), ids[5].clone()].into_iter().chain([matches(&second)[2].clone()]).collect::<Vec<_>>()
    );
    let third = client.get(&next(&second).unwrap());
    let rest: Vec<String> = [matches(&second)[2..].to_vec(), matches(&third)].concat();
    each_once(rest, vec![ids[6].clone(), ids[7].clone(), after]);
    assert_eq!(next(&third), None);
    assert_eq!(third.json()["total"], 7, "the total is what it is now");
}

/// A13, both halves together: the key ties, some have none, and rows come and go between the pages.
#[test]
fn ties_and_nulls_hold_while_others_write() {
    let client = Salus::shared().client("system/*.cruds");
    for (mark, sort) in [("paging-held", "birthdate"), ("paging-held-down", "-birthdate")] {
        let born = |date: Option<&str>| {
            let mut patient = json!({"resourceType": "Patient", "identifier": [{"value": mark}]});
            date.iter().for_each(|date| patient["birthDate"] = json!(date));
            client.create(&patient)
        };
        let mut untouched: Vec<String> = [Some("1970-01-01"), None].repeat(5).into_iter().map(born).collect();
        let gone: Vec<String> = [Some("1970-01-01"), None].repeat(3).into_iter().map(born).collect();
        let mut page = client.get(&format!("Patient?identifier={mark}&_sort={sort}&_count=2"));
        let mut found = matches(&page);
        let mut gone = gone.into_iter();
        let mut came = Vec::new();
        while let Some(url) = next(&page) {
            if let Some(id) = gone.next() {
                assert!(client.delete(&format!("Patient/{id}")).status < 300);
                came.push(born(Some("1970-01-01")));
                came.push(born(None));
            }
            page = client.get(&url);
            found.extend(matches(&page));
        }
        let mut distinct = found.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), found.len(), "{sort}: nothing twice");
        // What has no date comes last, whichever way round.
        let dated: Vec<bool> = found
            .iter()
            .filter(|id| untouched.contains(id))
            .map(|id| untouched.iter().position(|one| one == id).unwrap() % 2 == 0)
            .collect();
        assert!(dated.is_sorted_by(|one, other| one >= other), "{sort}: {dated:?}");
        found.retain(|id| untouched.contains(id));
        found.sort();
        untouched.sort();
        assert_eq!(found, untouched, "{sort}: nothing missed");
        assert_eq!(came.len(), 12, "{sort}: others did write between the pages");
    }
}

#[test]
fn a_page_link_is_of_one_search_and_one_caller() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    for _ in 0..3 {
        client.create(&json!({"resourceType": "Patient", "identifier": [{"value": "paging-links"}], "gender": "male"}));
    }
    let first = client.get("Patient?identifier=paging-links&_count=1");
    let link = next(&first).unwrap();
    assert_eq!(client.get(&link).status, 200);
    assert_eq!(client.get(&link.replace("_count=1", "_count=2")).status, 200, "the size of a page may change");
    let cursor = link.split("_cursor=").nth(1).unwrap();
    let opaque = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(cursor).unwrap();
    assert!(!String::from_utf8_lossy(&opaque).contains("values"), "what a link says is the server's own affair");
    let encoded = |json: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
    for search in [
        format!("Patient?identifier=paging-links&_count=1&_sort=birthdate&_cursor={cursor}"),
        format!("Patient?gender=male&_count=1&_cursor={cursor}"),
        format!("Practitioner?identifier=paging-links&_count=1&_cursor={cursor}"),
        "Patient?_cursor=garbage".to_owned(),
        "Patient?_cursor=".to_owned(),
        format!("Patient?_cursor={}", encoded("{}")),
        format!("Patient?_cursor={}", encoded(r#"{"search":"0","after":{"values":[1],"rid":"0"}}"#)),
        format!("Patient?identifier=paging-links&_count=1&_cursor={}x", &cursor[..cursor.len() - 4]),
    ] {
        let answer = client.get(&search);
        assert_eq!((answer.status, answer.issue().as_str()), (400, "invalid"), "{search}");
    }
    let narrower = salus.client("system/Patient.rs?gender=male");
    assert_eq!(narrower.get(&link).status, 400, "a link belongs to who may see the same");
    // A new token of the same client goes on.
    let mut same = salus.client("system/*.cruds");
    same.token = client.new_token("system/*.cruds");
    assert_eq!(same.get(&link).status, 200);
}
