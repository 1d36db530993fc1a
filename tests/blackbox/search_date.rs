//! Date parameters (R4 search.html#date, #prefix; cases A1 and A2).

#![allow(clippy::cloned_ref_to_slice_refs, reason = "an array of ids reads as what is expected")]

use serde_json::json;

use crate::{Client, Salus};

/// A patient born then, found by an identifier that only the test knows.
fn born(client: &Client, mark: &str, date: &str) -> String {
    client.create(&json!({"resourceType": "Patient", "birthDate": date, "identifier": [{"value": mark}]}))
}

fn finds(client: &Client, mark: &str, query: &str) -> usize {
    client.ids(&format!("Patient?identifier={mark}&{query}")).len()
}

/// A1: a day is the interval from its midnight to the next.
#[test]
fn days_are_right_at_their_boundaries() {
    let client = Salus::shared().client("system/*.cruds");
    born(&client, "date-a1", "1995-10-02");
    for query in ["birthdate=1995-10-02", "birthdate=ge1995-10-02", "birthdate=le1995-10-02", "birthdate=eq1995-10-02"]
    {
        assert_eq!(finds(&client, "date-a1", query), 1, "{query}");
    }
    assert_eq!(finds(&client, "date-a1", "birthdate=ge1995-10-02&birthdate=le1995-10-02"), 1);
    for query in ["birthdate=gt1995-10-02", "birthdate=lt1995-10-02", "birthdate=1995-10-01", "birthdate=ne1995-10-02"]
    {
        assert_eq!(finds(&client, "date-a1", query), 0, "{query}");
    }
    born(&client, "date-a1-new-year", "1996-01-01");
    for query in ["birthdate=lt1996-01-01", "birthdate=le1995-12-31", "birthdate=1995"] {
        assert_eq!(finds(&client, "date-a1-new-year", query), 0, "{query}");
    }
    assert_eq!(finds(&client, "date-a1-new-year", "birthdate=1996-01&birthdate=ge1996"), 1);
}

/// A2: the precision of the stored value counts as well as that of the search.
#[test]
fn years_stand_for_all_their_days() {
    let client = Salus::shared().client("system/*.cruds");
    born(&client, "date-a2-future", "2073");
    assert_eq!(finds(&client, "date-a2-future", "birthdate=gt2072-01-01"), 1);
    born(&client, "date-a2", "2000");
    for (query, count) in [
        ("birthdate=2000-03-13", 0),
        ("birthdate=2000", 1),
        ("birthdate=gt2000-03-13", 1),
        ("birthdate=lt2000-03-13", 1),
        ("birthdate=sa1999-12-31", 1),
        ("birthdate=sa2000-03-13", 0),
        ("birthdate=eb2001", 1),
        ("birthdate=ne2000-03-13", 1),
        ("birthdate=ap2000-06", 1),
    ] {
        assert_eq!(finds(&client, "date-a2", query), count, "{query}");
    }
}

#[test]
fn times_have_zones_and_periods_may_be_open() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let encounter = |period: serde_json::Value| {
        client.create(&json!({
            "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
            "subject": {"reference": format!("Patient/{patient}")}, "period": period}))
    };
    // Half past eleven in New York is the next day in London.
    let late = encounter(json!({"start": "2020-12-31T23:30:00-05:00", "end": "2020-12-31T23:45:00-05:00"}));
    let open = encounter(json!({"start": "2021-02-01"}));
    let ended = encounter(json!({"end": "2019-02-01"}));
    let find = |query: &str| {
        let mut ids = client.ids(&format!("Encounter?patient={patient}&{query}"));
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<&String>| {
        ids.sort();
        ids.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(find("date=2021-01-01"), [late.clone()]);
    assert_eq!(find("date=2020"), Vec::<String>::new());
    assert_eq!(find("date=ge2030"), [open.clone()]);
    assert_eq!(find("date=le1900"), [ended.clone()]);
    assert_eq!(find("date=lt2021-01-15"), sorted(vec![&late, &ended]));
    assert_eq!(find("date=2020-12-31T23:30:00-05:00,ge2030"), [open]);
}

#[test]
fn a_plus_that_became_a_space_and_bad_dates_are_told() {
    let client = Salus::shared().client("system/*.cruds");
    for bad in ["2020-13", "yesterday", "2020-02-30", "gt", "20200101"] {
        let answer = client.get(&format!("Patient?birthdate={bad}"));
        assert_eq!((answer.status, answer.issue().as_str()), (400, "invalid"), "{bad}");
    }
}
