//! What was acknowledged survives `kill -9` of the server and of PostgreSQL (issue 2, "Done when").
//!
//! "A load" here: threads that create patients until the server no longer answers, keeping the id of
//! each one that was acknowledged.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Client, Salus};

const THREADS: usize = 6;

/// Creates patients on several threads, some one by one, some in transactions, until `stop` says so.
/// Gives the ids that were acknowledged. `during` runs beside, given how many were acknowledged.
fn load(client: &Client, stop_on_failure: bool, during: impl FnOnce(&AtomicUsize)) -> (HashSet<String>, Vec<u16>) {
    let (acknowledged, failures) = (Mutex::new(HashSet::new()), Mutex::new(Vec::new()));
    let (count, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (acknowledged, failures, count, stop) = (&acknowledged, &failures, &count, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match write(client, thread) {
                        Ok(ids) => {
                            count.fetch_add(ids.len(), Ordering::Relaxed);
                            acknowledged.lock().unwrap().extend(ids);
                        }
                        Err(status) => {
                            failures.lock().unwrap().push(status);
                            if stop_on_failure {
                                return;
                            }
                            std::thread::sleep(Duration::from_millis(20));
                        }
                    }
                }
            });
        }
        during(&count);
        stop.store(true, Ordering::Relaxed);
    });
    (acknowledged.into_inner().unwrap(), failures.into_inner().unwrap())
}

/// One write: a create, or (every third thread) a transaction of three. The ids, or the status.
fn write(client: &Client, thread: usize) -> Result<Vec<String>, u16> {
    let patient = json!({"resourceType": "Patient", "name": [{"family": "Durable"}]});
    if !thread.is_multiple_of(3) {
        let answer = client.post("Patient", &patient.to_string());
        return match answer.status {
            201 => Ok(vec![answer.json()["id"].as_str().unwrap().to_owned()]),
            status => Err(refused(status, &answer.text)),
        };
    }
    let entry = json!({"resource": patient, "request": {"method": "POST", "url": "Patient"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry, entry]});
    let answer = client.post("", &bundle.to_string());
    if answer.status != 200 {
        return Err(refused(answer.status, &answer.text));
    }
    let id = |entry: &Value| {
        let location = entry["response"]["location"].as_str().unwrap();
        location.split("/Patient/").nth(1).unwrap().split('/').next().unwrap().to_owned()
    };
    Ok(answer.json()["entry"].as_array().unwrap().iter().map(id).collect())
}

/// A failure is no answer at all, or a 503 that says so in FHIR.
fn refused(status: u16, text: &str) -> u16 {
    if status != 0 {
        assert_eq!(status, 503, "{text}");
        let outcome: Value = serde_json::from_str(text).unwrap();
        assert_eq!(outcome["resourceType"], "OperationOutcome");
    }
    status
}

fn wait_for(count: &AtomicUsize, at_least: usize) {
    let begun = Instant::now();
    while count.load(Ordering::Relaxed) < at_least {
        assert!(begun.elapsed() < Duration::from_secs(60), "no progress: {}", count.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every id is there, has its audit record, and the log holds.
fn all_there(salus: &Salus, client: &Client, acknowledged: &HashSet<String>) {
    assert!(!acknowledged.is_empty());
    for id in acknowledged {
        assert_eq!(client.get(&format!("Patient/{id}")).status, 200, "{id} was acknowledged");
    }
    let created = created_in_audit(client);
    let unaudited: Vec<&String> = acknowledged.iter().filter(|id| !created.contains(*id)).collect();
    assert!(unaudited.is_empty(), "without an AuditEvent: {unaudited:?}");
    // Neither is there anything that nobody was told of and nobody accounted for.
    let stored: HashSet<String> = pages(client, "Patient?family=Durable&_count=500")
        .iter()
        .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
        .collect();
    let unaccounted: Vec<&String> = stored.difference(&created).collect();
    assert!(unaccounted.is_empty(), "stored without an AuditEvent: {unaccounted:?}");
    let verified = salus.command(&["audit", "verify"]);
    assert!(
        verified.status.success(),
        "{}{}",
        String::from_utf8_lossy(&verified.stdout),
        String::from_utf8_lossy(&verified.stderr)
    );
}

/// Ids of the patients whose creation the audit log tells of.
fn created_in_audit(client: &Client) -> HashSet<String> {
    let mut created = HashSet::new();
    for entry in pages(client, "AuditEvent?action=C&_count=500") {
        for entity in entry["resource"]["entity"].as_array().into_iter().flatten() {
            let reference = entity["what"]["reference"].as_str().unwrap_or_default();
            if let Some(id) = reference.split("Patient/").nth(1) {
                created.insert(id.split('/').next().unwrap().to_owned());
            }
        }
    }
    created
}

fn pages(client: &Client, path: &str) -> Vec<Value> {
    let (mut entries, mut url) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = url {
        let answer = client.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        let bundle = answer.json();
        entries.extend(bundle["entry"].as_array().cloned().unwrap_or_default());
        let links = bundle["link"].as_array().cloned().unwrap_or_default();
        let next = links.into_iter().find(|link| link["relation"] == "next");
        url = next.map(|link| link["url"].as_str().unwrap().to_owned());
    }
    entries
}

#[test]
fn killing_the_server_loses_nothing_acknowledged() {
    let mut salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let mut acknowledged = HashSet::new();
    for round in 1..=2 {
        let pid = salus.pid();
        let (ids, _) = load(&client, true, |count| {
            wait_for(count, 60 * round);
            signal("KILL", pid);
        });
        acknowledged.extend(ids);
        salus.kill();
        salus.launch(&[]);
    }
    all_there(&salus, &client, &acknowledged);
    // And it takes further work.
    client.create(&json!({"resourceType": "Patient"}));
}

#[test]
fn killing_postgres_is_503_then_recovers_by_itself() {
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let ordinary = client.create(&json!({"resourceType": "Patient"}));
    let (acknowledged, failures) = load(&client, false, |count| {
        wait_for(count, 60);
        signal("KILL", postmaster(&salus));
        // While it is away, and at the latest when it has come back, answers are well formed.
        let begun = Instant::now();
        loop {
            let answer = client.get(&format!("Patient/{ordinary}"));
            match answer.status {
                200 if begun.elapsed() > Duration::from_secs(3) => break,
                200 => std::thread::sleep(Duration::from_millis(20)),
                503 => assert_eq!(answer.issue(), "transient", "{}", answer.text),
                status => panic!("{status}: {}", answer.text),
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not recover:\n{}", salus.log());
        }
        let before = count.load(Ordering::Relaxed);
        wait_for(count, before + 30);
    });
    println!("{} acknowledged, {} refused", acknowledged.len(), failures.len());
    assert!(failures.contains(&503), "nobody noticed that the database was gone");
    all_there(&salus, &client, &acknowledged);
}

#[test]
fn a_second_server_on_the_same_data_is_told_so() {
    let salus = Salus::start();
    let second = salus.command(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&*salus.data_dir.to_string_lossy()), "it names the directory: {said}");
    assert!(said.contains("already") || said.contains("another") || said.contains("in use"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(salus.get_open("/health/ready").status, 200, "the first goes on");
}

#[test]
fn a_stale_socket_and_pid_file_do_not_keep_it_from_starting() {
    let mut salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient"}));
    let postmaster = postmaster(&salus);
    salus.kill();
    signal("KILL", postmaster);
    salus.launch(&[]);
    assert_eq!(client.get(&format!("Patient/{id}")).status, 200);
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status().unwrap();
    assert!(sent.success(), "kill -{name} {pid}");
}

/// Process id of the private cluster's postmaster, from its pid file.
fn postmaster(salus: &Salus) -> u32 {
    fn find(directory: &std::path::Path) -> Option<std::path::PathBuf> {
        std::fs::read_dir(directory).ok()?.flatten().find_map(|entry| match entry.path() {
            path if path.ends_with("postmaster.pid") => Some(path),
            path if path.is_dir() => find(&path),
            _ => None,
        })
    }
    let file = find(&salus.data_dir.join("postgres")).expect("postmaster.pid");
    std::fs::read_to_string(file).unwrap().lines().next().unwrap().trim().parse().unwrap()
}

/// What its own Consents withhold from the loading client does not keep a load from going on.
#[test]
fn a_demo_load_that_was_killed_goes_on() {
    let mut salus = Salus::start();
    salus.kill();
    salus.begin(&["--demo"]);
    let begun = Instant::now();
    while !salus.log().contains("41 of 102 bundles") {
        assert!(begun.elapsed() < Duration::from_secs(120), "{}", salus.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    salus.kill();
    salus.launch(&["--demo"]);
    assert!(salus.log().contains("demo data loaded"), "{}", salus.log());
    let client = salus.client("system/Patient.rs");
    assert_eq!(client.get("Patient?_summary=count").json()["total"], 100);
}

/// The port answers from the first moment on: alive, and not ready while PostgreSQL starts and demo data load. Told to
/// stop meanwhile, the server stops, and its next start goes on.
#[test]
fn the_server_lives_before_it_is_ready() {
    let mut salus = Salus::start();
    salus.kill();
    salus.begin(&["--demo"]);
    let begun = Instant::now();
    let not_ready = |salus: &Salus| {
        while salus.get_open("/health/live").status == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{}", salus.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        let answers = ["/health/ready", "/fhir/Patient", "/fhir/metadata", "/auth/token", "/"];
        let statuses = answers.map(|path| salus.get_open(path).status);
        (salus.get_open("/health/live").status, statuses)
    };
    assert_eq!(not_ready(&salus), (200, [503; 5]), "before PostgreSQL: {}", salus.log());
    while !salus.log().contains("loading demo data: 21 of") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", salus.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(not_ready(&salus), (200, [503; 5]), "while demo data load: {}", salus.log());
    let refused = salus.get_open("/fhir/Patient/1");
    assert_eq!((refused.issue().as_str(), refused.header("retry-after").as_deref()), ("transient", Some("1")));
    salus.tell_to_stop();
    assert!(salus.ended().success(), "{}", salus.log());
    salus.launch(&["--demo"]);
    assert!(salus.log().contains("demo data loaded"), "{}", salus.log());
    // What to do next is said, and works as it is said.
    let log = salus.log();
    let hint = log.lines().find(|line| line.trim_start().starts_with("curl ")).expect("a hint").trim();
    let output = std::process::Command::new("sh").args(["-c", hint]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("searchset"), "{hint}: {output:?}");
}

/// An orderly start and stop are no events: nothing is said to be wrong, and nothing is coloured where nobody looks.
#[test]
fn an_orderly_life_leaves_a_quiet_log() {
    let mut salus = Salus::start();
    let client = salus.client("system/*.cruds");
    client.create(&json!({"resourceType": "Patient"}));
    salus.tell_to_stop();
    assert!(salus.ended().success(), "{}", salus.log());
    salus.launch(&[]);
    salus.tell_to_stop();
    assert!(salus.ended().success(), "{}", salus.log());
    let log = salus.log();
    assert!(log.contains("stopping"), "{log}");
    for sign in ["WARN", "ERROR", "\u{1b}["] {
        assert!(!log.contains(sign), "{log}");
    }
    // The Merkle log was brought up to date before the database stopped.
    let verified = salus.command(&["audit", "verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    let numbers: Vec<&str> = said.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).collect();
    assert!(verified.status.success() && numbers.first() == numbers.get(2), "{said}");
}
