//! What a request may take of the server (design section 1, "limits"; docs/settings.md), and how the server
//! ends with requests at work.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::{Answer, Client, Salus};

/// A connection on which a request is sent bit by bit.
struct Wire(TcpStream);

impl Wire {
    fn to(salus: &Salus) -> Self {
        let stream = TcpStream::connect(salus.origin.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(stream)
    }

    /// The head of a create with a body of `length` bytes, of which nothing is sent.
    fn create(salus: &Salus, client: &Client, length: usize) -> Self {
        let mut wire = Self::to(salus);
        wire.send(&format!(
            "POST /fhir/Patient HTTP/1.1\r\nhost: salus\r\nauthorization: Bearer {}\r\nx-request-id: slow\r\n\
             content-type: application/fhir+json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
            client.token
        ));
        wire
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    /// Everything that comes until the server closes the connection, which it has to do.
    fn rest(mut self) -> String {
        let mut received = Vec::new();
        match self.0.read_to_end(&mut received) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server kept the connection: {error}"),
        }
        String::from_utf8_lossy(&received).into_owned()
    }

    fn answer(self) -> Answer {
        crate::wire::parse(self.rest().as_bytes())
    }
}

const PATIENT: &str = r#"{"resourceType":"Patient"}"#;

#[test]
fn who_sends_slowly_or_nothing_is_let_go() {
    let salus = Salus::start_with(&[("header_timeout", "1"), ("body_timeout", "1")]);
    let client = salus.client("system/*.cruds");
    // Nothing at all; half a head; the beginning of HTTP/2; nothing further after an answer.
    assert_eq!(Wire::to(&salus).rest(), "");
    let mut half = Wire::to(&salus);
    half.send("GET /fhir/metadata HTTP/1.1\r\nhost: sa");
    assert!(!half.rest().contains("200 OK"));
    let mut second = Wire::to(&salus);
    second.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    second.rest();
    let mut kept = Wire::to(&salus);
    kept.send("GET /health/live HTTP/1.1\r\nhost: salus\r\n\r\n");
    assert!(kept.rest().starts_with("HTTP/1.1 200"));
    // A body that does not come is an answer and an AuditEvent, and frees what it held.
    let mut slow = Wire::create(&salus, &client, 1000);
    slow.send("{");
    let answer = slow.answer();
    assert_eq!((answer.status, answer.issue().as_str()), (408, "timeout"), "{}", answer.text);
    assert_eq!(client.audited(&client, "slow").len(), 1);
    let mut token = Wire::to(&salus);
    token.send("POST /auth/token HTTP/1.1\r\nhost: salus\r\ncontent-length: 100\r\nconnection: close\r\n\r\ngrant");
    let answer = token.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (408, Some("invalid_request")));
    assert_eq!(client.post("Patient", PATIENT).status, 201);
}

#[test]
fn beyond_the_requests_at_work_others_are_turned_away() {
    let salus = Salus::start_with(&[("most_requests", "1")]);
    let client = salus.client("system/*.cruds");
    let mut first = Wire::create(&salus, &client, PATIENT.len());
    // The first takes the only slot once its head has arrived; until then no other may hold it.
    while !salus.get_open("/metrics").text.contains("\nsalus_requests_at_work 1\n") {
        std::thread::yield_now();
    }
    let turned_away = client.get("Patient?_count=0");
    assert_eq!((turned_away.status, turned_away.issue().as_str()), (503, "throttled"), "{}", turned_away.text);
    assert!(turned_away.header("retry-after").is_some());
    let token = client.request_token("system/*.cruds", &[]);
    assert_eq!((token.status, token.json()["error"].as_str()), (503, Some("temporarily_unavailable")));
    assert_eq!(salus.get_open("/health/ready").status, 200);
    let metrics = salus.get_open("/metrics").text;
    assert!(metrics.contains("\nsalus_requests_at_work 1\n"), "{metrics}");
    assert!(!metrics.contains("\nsalus_requests_turned_away_total 0\n"), "{metrics}");
    first.send(PATIENT);
    assert_eq!(first.answer().status, 201);
    assert_eq!(client.get("Patient?_count=0").status, 200);
}

#[test]
fn a_request_that_takes_too_long_is_ended_and_on_record() {
    let salus = Salus::start_with(&[("request_timeout", "1")]);
    let client = salus.client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient"}));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pool = salus.database();
    let mut connection = runtime.block_on(pool.get()).unwrap();
    let transaction = runtime.block_on(connection.transaction()).unwrap();
    runtime.block_on(transaction.batch_execute("LOCK TABLE resource IN ACCESS EXCLUSIVE MODE")).unwrap();
    let answer = client.get_with(&format!("Patient/{id}"), &[("x-request-id", "stuck")]);
    assert_eq!((answer.status, answer.issue().as_str()), (503, "timeout"), "{}", answer.text);
    assert!(answer.header("retry-after").is_some());
    let events = client.audited(&client, "stuck");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["outcome"], "8");
    runtime.block_on(transaction.rollback()).unwrap();
    assert_eq!(client.get(&format!("Patient/{id}")).status, 200);
}

#[test]
fn a_bundle_has_a_bounded_number_of_entries() {
    let salus = Salus::start_with(&[("most_bundle_entries", "3")]);
    let client = salus.client("system/*.cruds");
    let entry = json!({"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}});
    for kind in ["batch", "transaction"] {
        let bundle = |entries| json!({"resourceType": "Bundle", "type": kind, "entry": vec![entry.clone(); entries]});
        assert_eq!(client.post("", &bundle(3).to_string()).status, 200);
        let answer = client.post("", &bundle(4).to_string());
        assert_eq!((answer.status, answer.issue().as_str()), (413, "too-costly"), "{}", answer.text);
        assert_eq!(answer.json()["issue"][0]["expression"][0], "Bundle.entry");
    }
    assert_eq!(client.get("Patient?_summary=count").json()["total"], 6);
}

/// Requests at work end, new connections are refused, and the stop itself is on record.
#[test]
fn told_to_stop_the_server_ends_what_is_at_work() {
    let mut salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let mut at_work = Wire::create(&salus, &client, PATIENT.len());
    while !salus.get_open("/metrics").text.contains("\nsalus_requests_at_work 1\n") {}
    salus.tell_to_stop();
    while salus.get_open("/health/live").status != 0 {}
    at_work.send(PATIENT);
    assert_eq!(at_work.answer().status, 201);
    assert!(salus.ended().success(), "{}", salus.log());
    salus.launch(&[]);
    assert_eq!(client.get("Patient?_summary=count").json()["total"], 1);
    let events = client.get("AuditEvent?_count=100").text;
    assert!(events.contains("110121"), "Application Stop: {events}");
}

#[test]
fn what_does_not_end_in_time_is_cut_off_by_a_stop() {
    let mut salus = Salus::start_with(&[("shutdown_timeout", "1"), ("body_timeout", "3600")]);
    let client = salus.client("system/*.cruds");
    let at_work = Wire::create(&salus, &client, PATIENT.len());
    while !salus.get_open("/metrics").text.contains("\nsalus_requests_at_work 1\n") {}
    salus.tell_to_stop();
    assert!(salus.ended().success(), "{}", salus.log());
    assert_eq!(at_work.rest(), "");
}

/// RFC 9110 section 9.3.2: what GET would answer, but for the body.
#[test]
fn head_answers_as_get_without_the_body() {
    let client = Salus::shared().client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient", "name": [{"family": "Kopf"}]}));
    let none = [("if-none-match", "W/\"1\"")];
    let cases: [(String, &[(&str, &str)]); 7] = [
        (format!("Patient/{id}"), &[]),
        (format!("Patient/{id}"), &none),
        (format!("Patient/{id}/_history/1"), &[]),
        ("Patient/nobody".to_owned(), &[]),
        (format!("Patient?_id={id}&_pretty=true"), &[]),
        ("metadata".to_owned(), &[]),
        ("/openapi.json".to_owned(), &[]),
    ];
    for (path, headers) in cases {
        let get = client.request("GET", &path, headers, b"");
        let head = client.request("HEAD", &path, headers, b"");
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        for name in ["etag", "last-modified", "content-type", "cache-control", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        if get.status != 304 {
            assert_eq!(head.header("content-length"), Some(get.text.len().to_string()), "{path}");
        }
    }
}
