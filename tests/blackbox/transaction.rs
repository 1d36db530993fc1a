//! `batch` and `transaction` Bundles (R4 http.html#transaction, #trules).

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

const SYSTEM: &str = "http://salus.example/test/transaction";

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

fn own_value() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn urn() -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v4())
}

fn identified(value: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], "name": [{"family": family}]})
}

fn observation(subject: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": {"reference": subject}})
}

fn entry(method: &str, url: &str, resource: Value) -> Value {
    match resource {
        Value::Null => json!({"request": {"method": method, "url": url}}),
        resource => json!({"resource": resource, "request": {"method": method, "url": url}}),
    }
}

fn full_url(mut entry: Value, url: &str) -> Value {
    entry["fullUrl"] = json!(url);
    entry
}

fn requesting(mut entry: Value, name: &str, value: &str) -> Value {
    entry["request"][name] = json!(value);
    entry
}

fn post_bundle(client: &Client, kind: &str, entries: Vec<Value>) -> Answer {
    client.post("", &json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string())
}

fn transaction(client: &Client, entries: Vec<Value>) -> Answer {
    post_bundle(client, "transaction", entries)
}

fn statuses(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let bundle = answer.json();
    let status = |entry: &Value| entry["response"]["status"].as_str().unwrap()[..3].to_owned();
    bundle["entry"].as_array().unwrap().iter().map(status).collect()
}

/// `Type/id` of the entry at `position`, from its location.
fn made(client: &Client, answer: &Answer, position: usize) -> String {
    let bundle = answer.json();
    let location = bundle["entry"][position]["response"]["location"].as_str().unwrap().to_owned();
    let relative = location.strip_prefix(&format!("{}/", client.base)).unwrap_or(&location).to_owned();
    relative.split("/_history/").next().unwrap().to_owned()
}

#[test]
fn references_by_urn_are_rewritten_in_both_directions_and_in_cycles() {
    let client = client();
    let (patient, first, second, lone) = (urn(), urn(), urn(), urn());
    let mut forward = observation(&patient);
    forward["hasMember"] = json!([{"reference": second}]);
    let mut backward = observation(&patient);
    backward["hasMember"] = json!([{"reference": first}]);
    let mut own = identified(&own_value(), "Cycle");
    own["link"] = json!([{"other": {"reference": patient}, "type": "seealso"}]);
    own["extension"] = json!([{"url": "http://e.example/x", "valueUri": first}]);
    let answer = transaction(
        &client,
        vec![
            full_url(entry("POST", "Observation", forward), &first),
            full_url(entry("POST", "Patient", own), &patient),
            full_url(entry("POST", "Observation", backward), &second),
            full_url(entry("POST", "Observation", observation(&patient)), &lone),
        ],
    );
    assert_eq!(statuses(&answer), ["201"; 4]);
    let [forward, patient, backward, lone] = [0, 1, 2, 3].map(|position| made(&client, &answer, position));
    assert!(forward.starts_with("Observation/") && patient.starts_with("Patient/"), "the order of the entries");
    let read = |path: &str| client.get(path).json();
    assert_eq!(read(&forward)["subject"]["reference"], json!(patient));
    assert_eq!(read(&forward)["hasMember"][0]["reference"], json!(backward));
    assert_eq!(read(&backward)["hasMember"][0]["reference"], json!(forward));
    assert_eq!(read(&patient)["link"][0]["other"]["reference"], json!(patient));
    assert_eq!(read(&patient)["extension"][0]["valueUri"], json!(forward));
    assert_eq!(client.ids(&format!("Observation?subject={patient}")).len(), 3);
    assert_eq!(read(&lone)["subject"]["reference"], json!(patient));
}

#[test]
fn references_by_the_full_url_of_another_server_are_rewritten() {
    let client = client();
    let base = format!("http://{}.example/fhir", own_value());
    let answer = transaction(
        &client,
        vec![
            full_url(entry("POST", "Patient", identified(&own_value(), "Absolute")), &format!("{base}/Patient/7")),
            full_url(
                entry("POST", "Observation", observation(&format!("{base}/Patient/7"))),
                &format!("{base}/Observation/8"),
            ),
            // Relative to the fullUrl of its own entry (R4 bundle.html#references).
            full_url(entry("POST", "Observation", observation("Patient/7")), &format!("{base}/Observation/9")),
        ],
    );
    assert_eq!(statuses(&answer), ["201"; 3]);
    let patient = made(&client, &answer, 0);
    for position in [1, 2] {
        let observation = client.get(&made(&client, &answer, position)).json();
        assert_eq!(observation["subject"]["reference"], json!(patient), "entry {position}");
    }
}

#[test]
fn a_urn_that_no_entry_has_fails_the_transaction() {
    let client = client();
    let value = own_value();
    let answer = transaction(
        &client,
        vec![
            entry("POST", "Patient", identified(&value, "Dangling")),
            full_url(entry("POST", "Observation", observation(&urn())), &urn()),
        ],
    );
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.text.contains("Bundle.entry[1]"), "{}", answer.text);
    assert!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).is_empty());
}

#[test]
fn conditional_references_find_exactly_one_or_fail() {
    let client = client();
    let value = own_value();
    let reference = format!("Patient?identifier={SYSTEM}|{value}");
    let send = || transaction(&client, vec![entry("POST", "Observation", observation(&reference))]);
    let none = send();
    assert!(matches!(none.status, 400 | 404 | 412), "{} {}", none.status, none.text);
    assert!(none.text.contains("Bundle.entry[0]"), "{}", none.text);
    let id = client.create(&identified(&value, "One"));
    let one = send();
    assert_eq!(statuses(&one), ["201"]);
    let stored = client.get(&made(&client, &one, 0)).json();
    assert_eq!(stored["subject"]["reference"], format!("Patient/{id}"));
    client.create(&identified(&value, "Two"));
    let several = send();
    assert_eq!((several.status, several.issue().as_str()), (412, "multiple-matches"));
    assert_eq!(client.ids(&format!("Observation?subject=Patient/{id}")).len(), 1);
}

#[test]
fn conditional_creates_and_updates_inside_are_what_urns_lead_to() {
    let client = client();
    let (known, fresh, updated) = (own_value(), own_value(), own_value());
    let known_id = client.create(&identified(&known, "Known"));
    let updated_id = client.create(&identified(&updated, "Before"));
    let urns = [urn(), urn(), urn()];
    let unless = |value: &str| format!("identifier={SYSTEM}|{value}");
    let create = |value: &str, urn: &str| {
        let one = full_url(entry("POST", "Patient", identified(value, "Conditional")), urn);
        requesting(one, "ifNoneExist", &unless(value))
    };
    let send = || {
        let update = entry("PUT", &format!("Patient?{}", unless(&updated)), identified(&updated, "After"));
        let mut entries = vec![create(&known, &urns[0]), create(&fresh, &urns[1]), full_url(update, &urns[2])];
        entries.extend(urns.iter().map(|urn| entry("POST", "Observation", observation(urn))));
        transaction(&client, entries)
    };
    let answer = send();
    assert_eq!(statuses(&answer), ["200", "201", "200", "201", "201", "201"]);
    let targets = [format!("Patient/{known_id}"), made(&client, &answer, 1), format!("Patient/{updated_id}")];
    for (position, target) in targets.iter().enumerate() {
        let observation = client.get(&made(&client, &answer, 3 + position)).json();
        assert_eq!(observation["subject"]["reference"], json!(target));
    }
    assert_eq!(client.get(&targets[0]).json()["name"][0]["family"], "Known", "what was found stays as it is");
    assert_eq!(client.get(&targets[2]).json()["name"][0]["family"], "After");
    assert_eq!(statuses(&send())[..3], ["200", "200", "200"].map(str::to_owned));
    // A match that is not one fails all of it.
    client.create(&identified(&known, "Twin"));
    let answer = send();
    assert_eq!((answer.status, answer.issue().as_str()), (412, "multiple-matches"));
    assert!(answer.text.contains("Bundle.entry[0]"), "{}", answer.text);
}

#[test]
fn one_transaction_never_creates_twice_what_it_creates_unless_it_exists() {
    let client = client();
    let value = own_value();
    let urns = [urn(), urn()];
    let create = |urn: &str| {
        let one = full_url(entry("POST", "Patient", identified(&value, "Once")), urn);
        requesting(one, "ifNoneExist", &format!("identifier={SYSTEM}|{value}"))
    };
    let answer = transaction(
        &client,
        vec![create(&urns[0]), create(&urns[1]), entry("POST", "Observation", observation(&urns[1]))],
    );
    assert_eq!(statuses(&answer), ["201", "200", "201"]);
    let ids = client.ids(&format!("Patient?identifier={SYSTEM}|{value}"));
    assert_eq!(ids.len(), 1);
    let observation = client.get(&made(&client, &answer, 2)).json();
    assert_eq!(observation["subject"]["reference"], format!("Patient/{}", ids[0]));
}

/// Case 22: a conditional update that finds nothing creates, and what it creates is what its urn leads to.
#[test]
fn a_urn_leads_to_what_a_conditional_update_creates() {
    let client = client();
    let value = own_value();
    let urn = urn();
    let update = entry("PUT", &format!("Patient?identifier={SYSTEM}|{value}"), identified(&value, "Fresh"));
    let answer = transaction(&client, vec![entry("POST", "Observation", observation(&urn)), full_url(update, &urn)]);
    assert_eq!(statuses(&answer), ["201", "201"]);
    let observation = client.get(&made(&client, &answer, 0)).json();
    assert_eq!(observation["subject"]["reference"], json!(made(&client, &answer, 1)));
}

/// Cases 17: `ifMatch` in an entry was ignored.
#[test]
fn if_match_in_an_entry_fails_the_whole() {
    let client = client();
    let (value, other) = (own_value(), own_value());
    let id = client.create(&identified(&value, "One"));
    let mut two = identified(&value, "Two");
    two["id"] = json!(id);
    let path = format!("Patient/{id}");
    assert_eq!(client.put(&path, &two.to_string()).status, 200);
    let send = |tag: &str| {
        let put = requesting(entry("PUT", &path, two.clone()), "ifMatch", tag);
        transaction(&client, vec![entry("POST", "Patient", identified(&other, "Beside")), put])
    };
    let stale = send("W/\"1\"");
    assert_eq!((stale.status, stale.issue().as_str()), (412, "conflict"));
    assert!(stale.text.contains("Bundle.entry[1]"), "{}", stale.text);
    assert!(client.ids(&format!("Patient?identifier={SYSTEM}|{other}")).is_empty());
    assert_eq!(statuses(&send("W/\"2\"")), ["201", "200"]);
    let absent = requesting(entry("PUT", &path, two.clone()), "ifNoneMatch", "*");
    assert_eq!(transaction(&client, vec![absent]).status, 412);
    let delete = requesting(entry("DELETE", &path, Value::Null), "ifMatch", "W/\"1\"");
    assert_eq!(transaction(&client, vec![delete]).status, 412);
}

/// Cases 23: entries were processed in the client's order.
#[test]
fn deletions_go_first_whatever_the_order() {
    let client = client();
    let value = own_value();
    let old = client.create(&identified(&value, "Old"));
    let dependant = client.create(&observation(&format!("Patient/{old}")));
    let unless = format!("identifier={SYSTEM}|{value}");
    let answer = transaction(
        &client,
        vec![
            requesting(entry("POST", "Patient", identified(&value, "New")), "ifNoneExist", &unless),
            entry("GET", &format!("Patient?{unless}"), Value::Null),
            entry("DELETE", &format!("Patient/{old}"), Value::Null),
            entry("DELETE", &format!("Observation/{dependant}"), Value::Null),
            entry("DELETE", &format!("Patient?identifier={SYSTEM}|no-{value}"), Value::Null),
        ],
    );
    assert_eq!(statuses(&answer), ["201", "200", "204", "204", "204"], "answers in the order of the entries");
    let ids = client.ids(&format!("Patient?identifier={SYSTEM}|{value}"));
    assert_eq!(ids.len(), 1);
    assert_ne!(ids[0], old);
    let found = &answer.json()["entry"][1]["resource"];
    assert_eq!((&found["total"], &found["entry"][0]["resource"]["id"]), (&json!(1), &json!(ids[0])), "reads come last");
}

/// Case 23: what comes of a transaction does not depend on the order of its entries: DELETE, POST, PUT and PATCH, GET.
#[test]
fn entries_may_stand_in_any_order() {
    let client = client();
    for turn in 0..5 {
        let value = own_value();
        let old = client.create(&identified(&value, "Old"));
        let patched = client.create(&observation(&format!("Patient/{old}")));
        let updated = client.create(&observation(&format!("Patient/{old}")));
        let urn = urn();
        let unless = format!("identifier={SYSTEM}|{value}");
        let mut whole = observation(&urn);
        whole["id"] = json!(updated);
        let to_new = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.subject"},
            {"name": "value", "valueReference": {"reference": urn}}]}]});
        let create = entry("POST", "Patient", identified(&value, "New"));
        let mut entries = vec![
            ("read", entry("GET", &format!("Observation?subject.identifier={SYSTEM}|{value}"), Value::Null)),
            ("patch", entry("PATCH", &format!("Observation/{patched}"), to_new)),
            ("update", entry("PUT", &format!("Observation/{updated}"), whole)),
            ("create", requesting(full_url(create, &urn), "ifNoneExist", &unless)),
            ("delete", entry("DELETE", &format!("Patient/{old}"), Value::Null)),
        ];
        entries.rotate_left(turn);
        let (names, entries): (Vec<&str>, Vec<Value>) = entries.into_iter().unzip();
        let answer = transaction(&client, entries);
        let expected = |name: &&str| match *name {
            "create" => "201",
            "delete" => "204",
            _ => "200",
        };
        assert_eq!(statuses(&answer), names.iter().map(expected).collect::<Vec<_>>(), "{names:?}");
        let at = |name: &str| names.iter().position(|one| *one == name).unwrap();
        let new = made(&client, &answer, at("create"));
        for id in [&patched, &updated] {
            assert_eq!(
                client.get(&format!("Observation/{id}")).json()["subject"]["reference"],
                json!(new),
                "{names:?}"
            );
        }
        assert_eq!(answer.json()["entry"][at("read")]["resource"]["total"], 2, "{names:?}");
        assert_eq!(client.get(&format!("Patient/{old}")).status, 410);
    }
}

#[test]
fn what_one_transaction_changes_twice_is_refused() {
    let client = client();
    let value = own_value();
    let id = client.create(&identified(&value, "One"));
    let path = format!("Patient/{id}");
    let mut put = identified(&value, "Two");
    put["id"] = json!(id);
    let put = entry("PUT", &path, put);
    let conditional = entry("PUT", &format!("Patient?identifier={SYSTEM}|{value}"), identified(&value, "Three"));
    let delete = entry("DELETE", &path, Value::Null);
    for pair in [[&put, &put], [&put, &conditional], [&delete, &put], [&delete, &delete], [&conditional, &conditional]]
    {
        let answer = transaction(&client, pair.into_iter().cloned().collect());
        assert!(matches!(answer.status, 400 | 409), "{pair:?}: {} {}", answer.status, answer.text);
        assert_eq!(client.get(&format!("{path}/_history")).json()["total"], 1);
    }
    // Two conditional updates that would both create are the same resource as well.
    let fresh = own_value();
    let create = entry("PUT", &format!("Patient?identifier={SYSTEM}|{fresh}"), identified(&fresh, "X"));
    let answer = transaction(&client, vec![create.clone(), create]);
    assert!(matches!(answer.status, 400 | 409), "{} {}", answer.status, answer.text);
    assert!(client.ids(&format!("Patient?identifier={SYSTEM}|{fresh}")).is_empty());
}

/// Issue 2, "Bad input": a Bundle whose 500th entry fails.
#[test]
fn a_failing_500th_entry_leaves_nothing() {
    let client = client();
    let auditor = Salus::shared().client("system/*.cruds");
    let value = own_value();
    let kept = client.create(&identified(&value, "Kept"));
    let mut entries: Vec<Value> =
        (0..499).map(|number| entry("POST", "Patient", identified(&value, &format!("N{number}")))).collect();
    entries[0] = entry("DELETE", &format!("Patient/{kept}"), Value::Null);
    let failing = [
        (entry("POST", "Observation", json!({"resourceType": "Observation", "code": {"text": "x"}})), 422),
        (entry("POST", "Observation", observation(&format!("Patient?identifier={SYSTEM}|none-{value}"))), 400),
        (requesting(entry("DELETE", "Patient/never-was", Value::Null), "ifMatch", "W/\"3\""), 404),
        (entry("POST", "Nonsense", json!({"resourceType": "Nonsense"})), 404),
    ];
    for (number, (last, status)) in failing.into_iter().enumerate() {
        let mut entries = entries.clone();
        entries.push(last);
        let id = format!("failing-{number}-{value}");
        let body = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string();
        let answer = client.request("POST", "", &[("x-request-id", &id)], body.as_bytes());
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.contains("Bundle.entry[499]"), "it says where: {}", answer.text);
        let events = client.audited(&auditor, &id);
        assert_eq!(events.len(), 1, "the refusal and nothing else: {events:?}");
        assert_ne!(events[0]["outcome"], "0");
    }
    assert_eq!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")), std::slice::from_ref(&kept));
    assert_eq!(client.get(&format!("Patient/{kept}/_history")).json()["total"], 1);
    let rows = count(&format!(
        "SELECT (SELECT count(*) FROM resource WHERE body LIKE '%{value}%')
              + (SELECT count(*) FROM resource_history WHERE body LIKE '%{value}%')"
    ));
    assert_eq!(rows, 1, "no row, no history");
}

/// A number from the database.
fn count(sql: &str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Salus::shared().database().get().await.unwrap();
        client.query_one(sql, &[]).await.unwrap().get(0)
    })
}

#[test]
fn a_transaction_audits_each_entry() {
    let client = client();
    let auditor = Salus::shared().client("system/*.cruds");
    let id = format!("audit-{}", own_value());
    let patient = urn();
    let entries = json!([
        full_url(entry("POST", "Patient", identified(&own_value(), "A")), &patient),
        entry("POST", "Observation", observation(&patient)),
        entry("GET", "Patient?_count=1", Value::Null),
    ]);
    let body = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string();
    let answer = client.request("POST", "", &[("x-request-id", &id)], body.as_bytes());
    assert_eq!(statuses(&answer), ["201", "201", "200"]);
    let mut actions: Vec<String> =
        client.audited(&auditor, &id).iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect();
    actions.sort();
    assert_eq!(actions, ["C", "C", "E"]);
}

#[test]
fn a_batch_answers_each_entry_by_itself_in_order() {
    let client = client();
    let value = own_value();
    let id = client.create(&identified(&value, "Batch"));
    let answer = post_bundle(
        &client,
        "batch",
        vec![
            entry("GET", &format!("Patient/{id}"), Value::Null),
            entry("GET", "Patient/nobody-here", Value::Null),
            entry("POST", "Patient", identified(&own_value(), "New")),
            entry("POST", "Patient", json!({"resourceType": "Patient", "gender": "nonsense"})),
            entry("GET", &format!("Patient?identifier={SYSTEM}|{value}&_format=json"), Value::Null),
            entry("GET", &format!("{}/Patient/{id}", client.base), Value::Null),
            requesting(entry("GET", &format!("Patient/{id}"), Value::Null), "ifNoneMatch", "W/\"1\""),
            entry("DELETE", &format!("Patient/{id}"), Value::Null),
            entry("GET", &format!("Patient/{id}"), Value::Null),
            entry("GET", &format!("Patient/{id}/_history"), Value::Null),
            entry("GET", "Nonsense/1", Value::Null),
        ],
    );
    assert_eq!(statuses(&answer), ["200", "404", "201", "422", "200", "200", "304", "204", "410", "200", "404"]);
    let bundle = answer.json();
    assert_eq!(bundle["type"], "batch-response");
    let entries = bundle["entry"].as_array().unwrap();
    assert_eq!(entries[0]["resource"]["id"], json!(id));
    assert_eq!(entries[1]["response"]["outcome"]["resourceType"], "OperationOutcome");
    assert!(entries[2]["response"]["location"].is_string() && entries[2]["response"]["etag"] == "W/\"1\"");
    assert_eq!(entries[4]["resource"]["total"], 1);
    assert_eq!(entries[9]["resource"]["type"], "history");
}

#[test]
fn an_entry_of_a_batch_that_cannot_be_read_spoils_no_other() {
    let client = client();
    let answer = post_bundle(
        &client,
        "batch",
        vec![
            entry("POST", "Patient", identified(&own_value(), "Fine")),
            json!({"resource": {"resourceType": "Patient"}}),
            json!({"request": {"method": "BREW", "url": "Patient"}}),
            json!({"request": {"method": "GET"}}),
            entry("POST", "Patient", Value::Null),
        ],
    );
    assert_eq!(statuses(&answer), ["201", "400", "400", "400", "400"]);
}

#[test]
fn bundles_that_cannot_be_processed_are_refused() {
    let client = client();
    let value = own_value();
    let nested = json!({"resourceType": "Bundle", "type": "batch", "entry": [
        entry("POST", "Patient", identified(&value, "Nested"))]});
    for kind in ["batch", "transaction"] {
        let answer = post_bundle(&client, kind, vec![entry("POST", "", nested.clone())]);
        let refused = match kind {
            "batch" => statuses(&answer) == ["400"],
            _ => answer.status == 400,
        };
        assert!(refused, "{kind}: {}", answer.text);
    }
    assert!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).is_empty());
    for body in [
        json!({"resourceType": "Patient"}),
        json!({"resourceType": "Bundle"}),
        json!({"resourceType": "Bundle", "type": "searchset"}),
        json!({"resourceType": "Bundle", "type": "transaction", "entry": {"a": 1}}),
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [1]}),
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": "GET"}}]}),
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"request": {"method": 5, "url": "Patient"}}]}),
        json!({"resourceType": "Bundle", "type": "transaction",
               "entry": [{"request": {"method": "PUT", "url": "Patient/a"}, "resource": {"resourceType": "Patient", "id": "b"}}]}),
        json!({"resourceType": "Bundle", "type": "transaction",
               "entry": [{"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Group"}}]}),
    ] {
        let answer = client.post("", &body.to_string());
        assert!(matches!(answer.status, 400 | 422), "{body}: {} {}", answer.status, answer.text);
        answer.issue();
    }
    // Nothing to do is fine.
    for kind in ["batch", "transaction"] {
        let answer = client.post("", &json!({"resourceType": "Bundle", "type": kind}).to_string());
        assert_eq!((answer.status, &answer.json()["type"]), (200, &json!(format!("{kind}-response"))));
    }
}

#[test]
fn one_full_url_names_one_entry() {
    let client = client();
    let (value, same) = (own_value(), urn());
    let create = || full_url(entry("POST", "Patient", identified(&value, "Same")), &same);
    let answer = transaction(&client, vec![create(), create()]);
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).is_empty());
}

/// R4 http.html#trules: reads come last and see what the others did; all is done or nothing.
#[test]
fn reads_of_a_transaction_see_its_writes() {
    let client = client();
    let (value, kept) = (own_value(), own_value());
    let gone = client.create(&identified(&own_value(), "Gone"));
    let mut changed = identified(&kept, "After");
    let id = client.create(&identified(&kept, "Before"));
    changed["id"] = json!(id);
    let answer = transaction(
        &client,
        vec![
            entry("GET", &format!("Patient?identifier={SYSTEM}|{value}"), Value::Null),
            entry("GET", &format!("Patient/{id}"), Value::Null),
            entry("GET", &format!("Patient/{id}/_history/1"), Value::Null),
            entry("GET", &format!("Patient/{id}/_history"), Value::Null),
            requesting(entry("GET", &format!("Patient/{id}"), Value::Null), "ifNoneMatch", "W/\"2\""),
            entry("POST", "Patient", identified(&value, "New")),
            entry("PUT", &format!("Patient/{id}"), changed),
            entry("DELETE", &format!("Patient/{gone}"), Value::Null),
        ],
    );
    assert_eq!(statuses(&answer), ["200", "200", "200", "200", "304", "201", "200", "204"]);
    let bundle = answer.json();
    assert_eq!(bundle["entry"][0]["resource"]["total"], 1);
    assert_eq!(bundle["entry"][1]["resource"]["name"][0]["family"], "After");
    assert_eq!(bundle["entry"][2]["resource"]["name"][0]["family"], "Before");
    assert_eq!(bundle["entry"][3]["resource"]["total"], 2);
}

#[test]
fn a_read_that_fails_fails_its_transaction() {
    let client = client();
    let patient = client.create(&identified(&own_value(), "Kept"));
    for (url, status, code) in [
        ("Patient/nobody-here".to_owned(), 404, "not-found"),
        // Deleted by the transaction itself.
        (format!("Patient/{patient}"), 410, "deleted"),
        ("Patient?birthdate=yesterday".to_owned(), 400, "invalid"),
        ("Nonsense/1".to_owned(), 404, "not-supported"),
        (format!("Patient/{patient}/$risk-score"), 400, "not-supported"),
        ("AuditEvent".to_owned(), 400, "not-supported"),
    ] {
        let value = own_value();
        let answer = transaction(
            &client,
            vec![
                entry("POST", "Patient", identified(&value, "X")),
                entry("GET", &url, Value::Null),
                entry("DELETE", &format!("Patient/{patient}"), Value::Null),
            ],
        );
        assert_eq!((answer.status, answer.issue().as_str()), (status, code), "{url}: {}", answer.text);
        let place = if url.contains('?') { "Bundle.entry[1].request" } else { "Bundle.entry[1]" };
        assert_eq!(answer.json()["issue"][0]["expression"][0], place, "{url}");
        assert!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).is_empty(), "{url}");
        assert_eq!(client.get(&format!("Patient/{patient}")).status, 200, "{url}");
    }
    // What the caller may not read, either.
    let narrow = Salus::shared().client("system/Patient.cud");
    let value = own_value();
    let entries = vec![
        entry("POST", "Patient", identified(&value, "X")),
        entry("GET", &format!("Patient/{patient}"), Value::Null),
    ];
    assert_eq!(transaction(&narrow, entries).status, 403);
    assert!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).is_empty());
}

/// RFC 7240: preferences are words of a list, not pieces of text; those of the Bundle hold for its entries.
#[test]
fn what_a_bundle_prefers_its_entries_do() {
    let client = client();
    for (kind, prefer, resource, outcome) in [
        ("transaction", "", false, false),
        ("transaction", "return=representation", true, false),
        ("transaction", "handling=strict; return=\"representation\"", true, false),
        ("transaction", "return=minimal", false, false),
        ("transaction", "return=OperationOutcome", false, true),
        ("transaction", "x-return=representation", false, false),
        ("transaction", "note=\"return=representation\"", false, false),
        ("batch", "", true, false),
        ("batch", "return=minimal", false, false),
        ("batch", "return=OperationOutcome", false, true),
    ] {
        let entries = vec![entry("POST", "Patient", identified(&own_value(), "Preferred"))];
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string();
        let answer = client.send_with("POST", "", &bundle, &[("prefer", prefer)]);
        assert_eq!(statuses(&answer), ["201"]);
        let entry = &answer.json()["entry"][0];
        assert_eq!(entry.get("resource").is_some(), resource, "{kind} {prefer}: {entry}");
        assert_eq!(entry["response"].get("outcome").is_some(), outcome, "{kind} {prefer}: {entry}");
    }
    let entries = vec![entry("GET", "Patient?nonsense=1&_count=0", Value::Null)];
    for (kind, strict) in [("batch", "400"), ("transaction", "")] {
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string();
        assert_eq!(statuses(&client.post("", &bundle)), ["200"]);
        let answer = client.send_with("POST", "", &bundle, &[("prefer", "handling=strict")]);
        match kind {
            "batch" => assert_eq!(statuses(&answer), [strict]),
            _ => assert_eq!(answer.status, 400),
        }
    }
}

#[test]
fn transactions_that_race_for_the_same_rows_all_end() {
    let client = client();
    let ids: Vec<String> =
        (0..6).map(|number| client.create(&identified(&own_value(), &format!("R{number}")))).collect();
    let answers = crate::wire::race(8, |number| {
        let mut order = ids.clone();
        order.rotate_left(number % ids.len());
        let put = |id: &String| {
            let mut patient = identified(id, &format!("By{number}"));
            patient["id"] = json!(id);
            entry("PUT", &format!("Patient/{id}"), patient)
        };
        transaction(&client, order.iter().map(put).collect())
    });
    for answer in answers {
        assert_eq!(statuses(&answer), ["200"; 6]);
    }
    for id in ids {
        assert_eq!(client.get(&format!("Patient/{id}/_history?_count=0")).json()["total"], 9);
    }
}
