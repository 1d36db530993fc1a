//! Jobs that index stored resources anew: visible, resumed after `kill -9`, right under concurrent changes, begun by the
//! server itself where definitions change (issue 3, 9).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::search_parameter::{parameter, strict, when_usable};
use crate::{Client, Salus};

/// Creates patients with a nickname each, in one transaction, and gives their ids.
fn patients(client: &Client, number: usize) -> Vec<String> {
    let entries: Vec<Value> = (0..number)
        .map(|which| {
            let patient = named(&format!("nick-{which}"));
            json!({"resource": patient, "request": {"method": "POST", "url": "Patient"}})
        })
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    let answer = client.post("", &bundle.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text);
    let id = |entry: &Value| {
        let location = entry["response"]["location"].as_str().unwrap();
        location.split('/').rev().nth(2).unwrap().to_owned()
    };
    answer.json()["entry"].as_array().unwrap().iter().map(id).collect()
}

fn named(nick: &str) -> Value {
    json!({"resourceType": "Patient", "extension": [{"url": "http://x.test/nick", "valueString": nick}]})
}

fn nickname() -> Value {
    parameter("nickname", "string", "Patient.extension('http://x.test/nick').value")
}

/// The parts of the last jobs, as name and value.
fn jobs(client: &Client) -> Vec<Vec<(String, Value)>> {
    let answer = client.get("$reindex");
    assert_eq!(answer.status, 200, "{}", answer.text);
    let part = |part: &Value| {
        let value = part.as_object().unwrap().iter().find(|(name, _)| name.starts_with("value")).unwrap().1;
        (part["name"].as_str().unwrap().to_owned(), value.clone())
    };
    let parameters = answer.json();
    let jobs = parameters["parameter"].as_array().into_iter().flatten();
    jobs.map(|job| job["part"].as_array().unwrap().iter().map(part).collect()).collect()
}

fn of<'j>(job: &'j [(String, Value)], name: &str) -> &'j Value {
    &job.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name} in {job:?}")).1
}

/// Asks until `holds` of the first job in the list.
fn until(client: &Client, holds: impl Fn(&[(String, Value)]) -> bool) -> Vec<(String, Value)> {
    let begun = Instant::now();
    loop {
        if let Some(job) = jobs(client).into_iter().next().filter(|job| holds(job)) {
            return job;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", jobs(client));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_job_is_visible_and_goes_on_after_the_server_was_killed() {
    let mut salus = Salus::start_with(&[("reindex_rate", "40")]);
    let client = salus.client("system/*.cruds");
    let all = patients(&client, 120);
    client.create(&nickname());
    // Until it is done a search says so, and how far it is.
    let answer = strict(&client, "Patient?nickname=nick-1");
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.text.contains("being indexed") && answer.text.contains('%'), "{}", answer.text);
    let bundle = client.get("Patient?nickname=nick-1&_count=1&gender=other").json();
    assert!(bundle["entry"][0]["resource"]["issue"][0]["diagnostics"].as_str().unwrap().contains("being indexed"));
    assert!(!bundle["link"][0]["url"].as_str().unwrap().contains("nickname"));
    for search in ["Patient?_sort=nickname", "Patient?_has:Patient:nickname:_id=1", "Patient?link.nickname=a"] {
        assert_eq!(strict(&client, search).status, 400, "{search}");
    }
    assert!(!salus.get_open("/fhir/metadata").text.contains(r#""name":"nickname""#));
    let halfway = |job: &[(String, Value)]| of(job, "examined").as_f64().unwrap() >= 40.0;
    let job = until(&client, halfway);
    assert_eq!((of(&job, "status"), of(&job, "cause")), (&json!("running"), &json!("definitions")));
    assert!(of(&job, "progress").as_str().unwrap().starts_with("Patient: "), "{job:?}");
    let status = client.get(&format!("$reindex/{}", of(&job, "id").as_str().unwrap()));
    assert_eq!(status.status, 202);
    assert!(status.header("x-progress").unwrap().contains("of 120 resources"), "{:?}", status.header("x-progress"));
    salus.kill();
    salus.launch(&[]);
    let client = Client { token: client.new_token("system/*.cruds"), ..client };
    let begun = Instant::now();
    while strict(&client, "Patient?nickname=nick-1").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", jobs(&client));
        std::thread::sleep(Duration::from_millis(50));
    }
    let done = until(&client, |job| of(job, "status") == "done");
    assert_eq!(of(&done, "id"), of(&job, "id"));
    // Each resource once: it went on from where it was.
    assert_eq!((of(&done, "examined"), of(&done, "changed")), (&json!(120), &json!(120)));
    for which in [0, 1, 60, 119] {
        let found = client.ids(&format!("Patient?nickname:exact=nick-{which}"));
        assert_eq!(found, [all[which].clone()], "nick-{which}");
    }
    assert_eq!(client.get("Patient?nickname=nick&_total=accurate&_count=0").json()["total"], 120);
}

/// Nothing is indexed as it was before a change that came while the job was at work.
#[test]
fn resources_that_change_meanwhile_are_indexed_as_they_are() {
    let salus = Salus::start_with(&[("reindex_rate", "150")]);
    let client = salus.client("system/*.cruds");
    let all = patients(&client, 200);
    client.create(&nickname());
    let mut changed = BTreeSet::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = all
            .chunks(50)
            .map(|part| {
                let client = &client;
                scope.spawn(move || {
                    let mut expected = BTreeSet::new();
                    for (which, id) in part.iter().enumerate() {
                        if which % 5 == 4 {
                            assert_eq!(client.delete(&format!("Patient/{id}")).status, 204);
                            continue;
                        }
                        let mut patient = named("changed");
                        patient["id"] = json!(id);
                        assert_eq!(client.put(&format!("Patient/{id}"), &patient.to_string()).status, 200);
                        expected.insert(id.clone());
                        expected.insert(client.create(&named("changed")));
                    }
                    expected
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| changed.extend(worker.join().unwrap()));
    });
    when_usable(&client, "Patient?nickname=changed");
    let found: BTreeSet<String> = client.ids("Patient?nickname=changed&_count=1000").into_iter().collect();
    assert_eq!(found, changed);
    assert!(client.ids("Patient?nickname=nick").is_empty());
}

#[test]
fn whoever_may_change_search_parameters_may_have_resources_indexed_anew() {
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let id = patients(&client, 3)[0].clone();
    client.create(&json!({"resourceType": "Patient", "name": [{"family": "Lost"}], "birthDate": "1999-01-01"}));
    // What an index should never be: without what belongs in it.
    let database = salus.database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rows = "DELETE FROM search_string; DELETE FROM search_index WHERE high IS NOT NULL";
        database.get().await.unwrap().batch_execute(rows).await.unwrap();
    });
    let lost = ["Patient?family=lost", "Patient?birthdate=1999"];
    assert!(lost.iter().all(|search| client.ids(search).is_empty()));
    for scope in ["system/Patient.cruds", "system/SearchParameter.rs", "system/SearchParameter.cu?status=draft"] {
        assert_eq!(salus.client(scope).post("$reindex", "").status, 403, "{scope}");
    }
    for (path, body) in [
        ("$reindex?type=Nothing", ""),
        ("$reindex?other=1", ""),
        ("Patient/$reindex", r#"{"resourceType":"Parameters","parameter":[{"name":"type","valueCode":"Group"}]}"#),
    ] {
        assert_eq!(client.post(path, body).status, 400, "{path}");
    }
    assert_eq!(client.get("Patient/$reindex").status, 405);
    assert_eq!(client.get("$reindex/nothing").status, 404);
    let answer = client.post("Patient/$reindex", "");
    assert_eq!(answer.status, 202, "{}", answer.text);
    let url = answer.header("content-location").unwrap();
    let begun = Instant::now();
    let done = loop {
        let answer = client.get(&url);
        if answer.status == 200 {
            break answer.json();
        }
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert!(answer.header("x-progress").is_some() && begun.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    };
    let part = |name: &str| {
        let parts = done["parameter"][0]["part"].as_array().unwrap();
        parts.iter().find(|part| part["name"] == name).unwrap().clone()
    };
    assert_eq!((&part("status")["valueCode"], &part("cause")["valueCode"]), (&json!("done"), &json!("request")));
    assert_eq!((&part("examined")["valueDecimal"], &part("changed")["valueDecimal"]), (&json!(4), &json!(1)));
    assert!(lost.iter().all(|search| client.ids(search).len() == 1));
    // Versions and dates are what they were.
    assert_eq!(client.get(&format!("Patient/{id}")).json()["meta"]["versionId"], "1");
    // All types, named in a body; and cancelled.
    let all = client.post("$reindex", r#"{"resourceType":"Parameters"}"#).header("content-location").unwrap();
    assert_eq!(client.delete(&all).status, 202);
    assert_eq!(client.get(&all).status, 200);
    // Who did it is on record, and what the server does by itself.
    let trail = salus.client("system/AuditEvent.rs");
    let events = trail.get("AuditEvent?_count=200").text;
    assert!(events.contains(r#""code":"reindex""#), "{events}");
    let own = |what: &str| events.contains(&format!(" {what}: Patient\""));
    assert!(own("begun") && own("done"), "{events}");
}

#[test]
fn what_the_server_needs_it_does_by_itself_when_it_starts() {
    let mut salus = Salus::start();
    let client = salus.client("system/*.cruds");
    client.create(&json!({"resourceType": "Patient", "name": [{"family": "Was"}], "birthDate": "1999-01-01"}));
    // As if another definition of birthdate had been in force.
    let database = salus.database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rows =
            "UPDATE indexed_parameter SET definition = gen_random_uuid() WHERE type = 'Patient' AND code = 'birthdate';
                    DELETE FROM search_index WHERE high IS NOT NULL";
        database.get().await.unwrap().batch_execute(rows).await.unwrap();
    });
    drop(database);
    salus.tell_to_stop();
    salus.ended();
    salus.launch(&[]);
    let client = Client { token: client.new_token("system/*.cruds"), ..client };
    assert_eq!(when_usable(&client, "Patient?birthdate=1999").len(), 1);
    let job = until(&client, |job| of(job, "status") == "done");
    assert_eq!((of(&job, "cause"), of(&job, "type")), (&json!("definitions"), &json!("Patient")));
    assert_eq!(of(&job, "changed"), &json!(1));
}

/// What was written by the definitions before, and is not committed when the new ones are in force, is waited for.
#[test]
fn a_job_waits_for_whoever_was_writing_before_it() {
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let stored = client.create(&named("waited"));
    let database = salus.database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut connection = runtime.block_on(database.get()).unwrap();
    let transaction = runtime.block_on(connection.transaction()).unwrap();
    runtime.block_on(transaction.execute("SELECT pg_current_xact_id()", &[])).unwrap();
    client.create(&nickname());
    until(&client, |job| of(job, "status") == "running");
    for _ in 0..10 {
        assert_eq!(strict(&client, "Patient?nickname=waited").status, 400);
        std::thread::sleep(Duration::from_millis(50));
    }
    runtime.block_on(transaction.rollback()).unwrap();
    assert_eq!(when_usable(&client, "Patient?nickname=waited"), [stored]);
}

#[test]
fn what_a_parameter_left_in_the_index_goes_with_it() {
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    patients(&client, 5);
    let gone = client.create(&named("deleted"));
    assert_eq!(client.delete(&format!("Patient/{gone}")).status, 204);
    let id = client.create(&nickname());
    assert_eq!(when_usable(&client, "Patient?nickname=nick").len(), 5);
    let database = salus.database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let count = |sql: &str| -> i64 {
        runtime.block_on(async { database.get().await.unwrap().query_one(sql, &[]).await.unwrap().get(0) })
    };
    let strings = "SELECT count(*) FROM search_string s JOIN resource r USING (tenant, rid) WHERE r.type = 'Patient'";
    let facts = "SELECT coalesce(sum(cardinality(keys)), 0) FROM resource WHERE type = 'Patient'";
    let with = count(facts);
    assert_eq!(count(strings), 5);
    assert_eq!(client.delete(&format!("SearchParameter/{id}")).status, 204);
    until(&client, |job| {
        of(job, "status") == "done" && of(job, "changed").as_f64().unwrap() > 0.0 && jobs(&client).len() == 2
    });
    assert_eq!(count(strings), 0);
    // One fact less of each, that of the deleted one included: it says who may know that it was there.
    assert_eq!(count(facts), with - 6);
}

/// Two server processes on one database: what one is given the other searches by and writes by.
#[test]
fn every_process_on_the_database_sees_what_changes() {
    let first = Salus::start();
    let client = first.client("system/*.cruds");
    let url = String::from_utf8(first.command(&["doctor", "--database-url"]).stdout).unwrap();
    let second = Salus::start_with(&[("database_url", url.trim())]);
    let keys = salus_auth::ClientKeyPair { ..client.keys.clone() };
    let mut there = Client {
        base: second.base(),
        origin: second.origin.clone(),
        client_id: client.client_id.clone(),
        keys,
        token: String::new(),
    };
    there.token = there.new_token("system/*.cruds");
    let stored = client.create(&named("both"));
    client.create(&nickname());
    let begun = Instant::now();
    // It need not have heard of it at once.
    while strict(&there, "Patient?nickname=both").status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", strict(&there, "Patient?nickname=both").text);
        std::thread::sleep(Duration::from_millis(20));
    }
    let written = there.create(&named("both"));
    let expected = BTreeSet::from([stored, written]);
    for client in [&client, &there] {
        assert_eq!(client.ids("Patient?nickname=both").into_iter().collect::<BTreeSet<_>>(), expected);
    }
    // What is written in the other process right after a change is indexed by it, heard of or not.
    let kinds = parameter("kind", "string", "Patient.extension('http://x.test/nick').value");
    client.create(&kinds);
    let at_once: BTreeSet<String> = (0..20).map(|_| there.create(&named("at once"))).collect();
    assert_eq!(when_usable(&client, "Patient?kind=at").into_iter().collect::<BTreeSet<_>>(), at_once);
}
