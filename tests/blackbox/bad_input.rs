//! What is wrong gets the right status and an OperationOutcome that says where; nothing is half-written,
//! and the refusal is audited (issue 2, "Bad input").

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

/// A request that must be refused.
struct Refusal<'a> {
    method: &'a str,
    path: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    status: u16,
    code: &'a str,
    /// What the diagnostics or expressions must name.
    says: &'a [&'a str],
}

const POST: Refusal<'static> =
    Refusal { method: "POST", path: "Patient", headers: &[], body: b"", status: 400, code: "structure", says: &[] };
const GET: Refusal<'static> =
    Refusal { method: "GET", path: "", headers: &[], body: b"", status: 400, code: "invalid", says: &[] };

/// Sends it and checks the answer, its form, and its AuditEvent.
fn refused(client: &Client, refusal: &Refusal<'_>) -> Answer {
    let request_id = uuid::Uuid::new_v4().to_string();
    let mut headers = refusal.headers.to_vec();
    headers.push(("x-request-id", &request_id));
    let answer = client.request(refusal.method, refusal.path, &headers, refusal.body);
    let what = format!("{} {} {:.200}", refusal.method, refusal.path, String::from_utf8_lossy(refusal.body));
    well_formed(&answer, refusal.status, &what);
    assert_eq!(answer.issue(), refusal.code, "{what}: {}", answer.text);
    for say in refusal.says {
        assert!(answer.text.contains(say), "{what}: {} does not say {say}", answer.text);
    }
    assert_eq!(answer.header("x-request-id").as_deref(), Some(request_id.as_str()), "{what}");
    let auditor = Salus::shared().client("system/*.cruds");
    let events = client.audited(&auditor, &request_id);
    assert_eq!(events.len(), 1, "{what}: audited once: {events:?}");
    assert!(events[0]["outcome"] == "4" || events[0]["outcome"] == "8", "{what}: {}", events[0]);
    answer
}

fn well_formed(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/fhir+json"), "{what}: {kind}");
    let outcome: Value = answer.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{what}");
    for issue in outcome["issue"].as_array().unwrap() {
        assert!(issue["severity"].is_string() && issue["code"].is_string(), "{what}: {issue}");
        assert!(!issue["diagnostics"].as_str().unwrap_or_default().is_empty(), "{what}: {issue}");
        assert!(!issue.to_string().contains("panicked"), "{what}: {issue}");
    }
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let client = client();
    let cases: &[(&[u8], &[&str])] = &[
        (b"{", &["line 1", "column 2"]),
        (b"{\"resourceType\":\"Patient\",\n  \"active\": tru}", &["line 2", "column 13", "Patient.active"]),
        (b"{\"resourceType\":\"Patient\",\"name\":[{\"given\":[\"A\" \"B\"]}]}", &["Patient.name[0].given"]),
        (b"{\"resourceType\":\"Patient\",}", &["line 1"]),
        (b"{\"resourceType\":\"Patient\"} trailing", &["after the end"]),
        (b"{'resourceType':'Patient'}", &["line 1"]),
        (b"not json", &["line 1"]),
        (b"   ", &["line 1"]),
        (b"{\"resourceType\":\"Patient\",\"multipleBirthInteger\":1.}", &["number"]),
        (b"{\"resourceType\":\"Patient\",\"multipleBirthInteger\":01}", &["line 1"]),
        (b"{\"resourceType\":\"Patient\",\"active\":true,\"active\":false}", &["active", "more than once"]),
        (
            b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"a\\u0000b\"}]}",
            &["U+0000", "Patient.name[0].family"],
        ),
        (b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"a\0b\"}]}", &["Patient.name[0].family"]),
        (
            b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\\ud83e\"}]}",
            &["surrogate", "Patient.name[0].family"],
        ),
        (b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\\udd0d\\ud83e\"}]}", &["surrogate"]),
        (b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\xff\xfe\"}]}", &["UTF-8"]),
        (b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\xed\xa0\x80\"}]}", &["UTF-8"]),
        (b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"a\\xb\"}]}", &["escape"]),
        (b"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"line\nbreak\"}]}", &["control"]),
        (b"[]", &["array"]),
        (b"[{\"resourceType\":\"Patient\"}]", &["array"]),
        (b"\"Patient\"", &["string"]),
        (b"null", &[]),
        (b"42", &["number"]),
        (b"{}", &["resourceType"]),
        (b"{\"resourceType\":7}", &["resourceType"]),
        (b"{\"resourceType\":null}", &["resourceType"]),
        (b"", &["body"]),
    ];
    for (body, says) in cases {
        refused(&client, &Refusal { body, says, ..POST });
    }
}

/// Case 26, its whole kind: wherever text can come from, and characters beyond the basic plane are none of it.
#[test]
fn no_way_in_takes_a_null_character() {
    let client = client();
    let id = client.create(&json!({"resourceType": "Patient", "name": [{"family": "Astral 🧬"}]}));
    let patch = br#"[{"op":"add","path":"/name/0/family","value":"a\u0000b"}]"#;
    let entry = br#"{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","name":[{"family":"a\u0000b"}]},"request":{"method":"POST","url":"Patient"}}]}"#;
    let lone = br#"[{"op":"add","path":"/name/0/family","value":"\udd0d"}]"#;
    let xml = br#"<Patient xmlns="http://hl7.org/fhir"><name><family value="a&#0;b"/></name></Patient>"#;
    let form = b"family=a%00b";
    for (method, path, kind, body) in [
        ("PATCH", format!("Patient/{id}"), "application/json-patch+json", &patch[..]),
        ("PATCH", format!("Patient/{id}"), "application/json-patch+json", &lone[..]),
        ("POST", String::new(), "application/fhir+json", &entry[..]),
        ("POST", "Patient".to_owned(), "application/fhir+xml", &xml[..]),
    ] {
        let answer = client.request(method, &path, &[("content-type", kind)], body);
        assert!(matches!(answer.status, 400 | 422), "{method} {path}: {} {}", answer.status, answer.text);
        well_formed(&answer, answer.status, &path);
    }
    let search =
        client.request("POST", "Patient/_search", &[("content-type", "application/x-www-form-urlencoded")], form);
    assert!(matches!(search.status, 200 | 400), "{} {}", search.status, search.text);
    assert_eq!(client.get(&format!("Patient/{id}")).json()["name"][0]["family"], "Astral 🧬");
    assert_eq!(client.ids(&format!("Patient?_id={id}&family=astral%20%F0%9F%A7%AC")), [id]);
}

#[test]
fn a_byte_order_mark_is_no_fault() {
    let answer = client().request("POST", "Patient", &[], b"\xef\xbb\xbf{\"resourceType\":\"Patient\"}");
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[test]
fn deep_nesting_is_refused_however_deep() {
    let client = client();
    for depth in [200, 5_000, 1_000_000] {
        let nested = |open: &str, close: &str| {
            format!(r#"{{"resourceType":"Patient","extension":{}{}}}"#, open.repeat(depth), close.repeat(depth))
        };
        for body in [nested("[", "]"), nested(r#"{"extension":["#, "]}")] {
            refused(&client, &Refusal { body: body.as_bytes(), says: &["nested"], ..POST });
        }
    }
}

#[test]
fn resources_that_do_not_fit_the_path_or_r4_are_refused() {
    let client = client();
    let invalid = Refusal { code: "invalid", ..POST };
    refused(&client, &Refusal { body: br#"{"resourceType":"Observation"}"#, says: &["Observation"], ..invalid });
    let put = Refusal { method: "PUT", path: "Patient/a-1", ..invalid };
    refused(&client, &Refusal { body: br#"{"resourceType":"Patient","id":"b-1"}"#, says: &["a-1", "b-1"], ..put });
    refused(&client, &Refusal { body: br#"{"resourceType":"Patient"}"#, says: &["a-1"], ..put });
    assert_eq!(client.get("Patient/a-1").status, 404, "nothing was written");
    for (body, says) in [
        (r#"{"resourceType":"Patient","gender":"nonsense"}"#, "Patient.gender"),
        (r#"{"resourceType":"Patient","birthDate":"1970-02-30"}"#, "Patient.birthDate"),
        (r#"{"resourceType":"Patient","unheardOf":1}"#, "unheardOf"),
        (r#"{"resourceType":"Patient","active":"yes"}"#, "Patient.active"),
        (r#"{"resourceType":"Patient","name":{"family":"X"}}"#, "Patient.name"),
        (r#"{"resourceType":"Patient","name":[]}"#, "Patient.name"),
        (r#"{"resourceType":"Patient","name":null}"#, "Patient.name"),
        (r#"{"resourceType":"Patient","contact":[{}]}"#, "Patient.contact"),
        (r#"{"resourceType":"Patient","id":"not an id"}"#, "Patient.id"),
        (r#"{"resourceType":"Patient","id":7}"#, "Patient.id"),
    ] {
        let answer = client.post("Patient", body);
        well_formed(&answer, 422, body);
        assert!(answer.text.contains(says), "{body}: {}", answer.text);
    }
    let missing = client.post("Observation", r#"{"resourceType":"Observation","status":"final"}"#);
    well_formed(&missing, 422, "no code");
    assert!(missing.text.contains("Observation.code"), "{}", missing.text);
}

#[test]
fn media_types_are_told() {
    let client = client();
    let body = br#"{"resourceType":"Patient"}"#;
    for kind in [
        "text/turtle",
        "application/fhir+json; fhirversion=3.0",
        "application/fhir+json; charset=latin1",
        "text/plain",
        "application/x-www-form-urlencoded",
        "nonsense",
    ] {
        let headers = [("content-type", kind)];
        refused(
            &client,
            &Refusal { headers: &headers, body, status: 415, code: "not-supported", says: &[kind], ..POST },
        );
    }
    for kind in ["application/json", "application/fhir+json; charset=UTF-8", "Application/FHIR+JSON;fhirVersion=4.0"] {
        assert_eq!(client.request("POST", "Patient", &[("content-type", kind)], body).status, 201, "{kind}");
    }
    let search = Refusal { method: "POST", path: "Patient/_search", status: 415, code: "not-supported", ..POST };
    refused(&client, &Refusal { body, headers: &[("content-type", "application/json")], ..search });
    for path in
        ["Patient?_format=ttl", "Patient?_format=application/fhir%2Bjson;fhirVersion=3.0", "Patient?_format=nonsense"]
    {
        refused(&client, &Refusal { path, status: 406, code: "not-supported", ..GET });
    }
    let headers = [("accept", "text/turtle")];
    refused(&client, &Refusal { path: "Patient", headers: &headers, status: 406, code: "not-supported", ..GET });
    // Where the media type is wrong, nothing is written either.
    let value = uuid::Uuid::new_v4().to_string();
    let body = json!({"resourceType": "Patient", "identifier": [{"value": value}]}).to_string();
    let answer = client.request("POST", "Patient", &[("accept", "text/html")], body.as_bytes());
    assert_eq!(answer.status, 406);
    assert!(client.ids(&format!("Patient?identifier={value}")).is_empty());
}

#[test]
fn paths_that_lead_nowhere() {
    let client = client();
    let unsupported = Refusal { status: 404, code: "not-supported", ..GET };
    for path in [
        "Nonsense",
        "Nonsense/1",
        "patient/1",
        "Patient1",
        "Resource",
        "DomainResource/1",
        "HumanName",
        "%00",
        "%FF%FE",
    ] {
        refused(&client, &Refusal { path, ..unsupported });
    }
    for path in ["$nonsense", "Patient/$nonsense", "Patient/1/$nonsense", "Patient/$", "Patient/1/$risk-score/x"] {
        let answer = client.request("GET", path, &[], b"");
        well_formed(&answer, 404, path);
    }
    let long = format!("Patient/{}", "a".repeat(65));
    for path in [
        long.as_str(),
        "Patient/a_b",
        "Patient/%00",
        "Patient/%C3%A4",
        "Patient/%FF",
        "Patient/a%2Fb",
        "Patient/a%20b",
        "Patient/'%20OR%201=1--",
        "Patient/1/2",
        "Patient/1/_history/2/3",
        "Patient/1/_history/1/",
        "_history/1",
        "Patient/_history/1",
        "Patient/..;/x",
    ] {
        let answer = client.request("GET", path, &[], b"");
        well_formed(&answer, 404, path);
    }
    for path in
        ["Patient/..", "Patient/../Observation", "../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd"]
    {
        let answer = client.request("GET", path, &[], b"");
        assert!(matches!(answer.status, 400 | 404), "{path}: {}", answer.status);
    }
    for id in ["a_b", "a%20b", &"a".repeat(65)] {
        let body = json!({"resourceType": "Patient", "id": id}).to_string();
        let answer = client.request("PUT", &format!("Patient/{id}"), &[], body.as_bytes());
        assert!(matches!(answer.status, 400 | 404), "PUT {id}: {}", answer.status);
        answer.issue();
    }
}

#[test]
fn methods_that_a_path_does_not_take_are_told_which_it_does() {
    let client = client();
    let unsupported = Refusal { status: 405, code: "not-supported", body: b"{}", ..GET };
    for (method, path) in [
        ("BREW", "Patient"),
        ("OPTIONS", "Patient"),
        ("TRACE", "Patient"),
        ("PROPFIND", "Patient/1"),
        ("get", "Patient"),
        ("POST", "Patient/1"),
        ("DELETE", ""),
        ("PUT", ""),
        ("PATCH", ""),
        ("PUT", "Patient/1/_history/1"),
        ("DELETE", "Patient/1/_history"),
        ("POST", "_history"),
        ("PUT", "Patient/_search"),
    ] {
        let answer = refused(&client, &Refusal { method, path, ..unsupported });
        let allow = answer.header("allow");
        assert!(allow.as_deref().is_some_and(|allow| !allow.is_empty()), "{method} {path}: Allow is {allow:?}");
    }
}

#[test]
fn parameters_that_cannot_be_read() {
    let client = client();
    for (path, says) in [
        ("Patient?_count=-1", "_count"),
        ("Patient?_count=abc", "_count"),
        ("Patient?_count=1.5", "_count"),
        ("Patient?_count=99999999999999999999", "_count"),
        ("Patient?birthdate=yesterday", "birthdate"),
        ("Patient?birthdate=2020-13-01", "birthdate"),
        ("Patient?_lastUpdated=zz2020", "_lastUpdated"),
        ("Observation?value-quantity=heavy", "value-quantity"),
        ("Patient?_total=many", "_total"),
        ("Patient?_cursor=nonsense", "page link"),
        ("Patient?_history=1&_cursor=AAAA", "page link"),
        ("Patient?gender:nonsense=male", "gender"),
        ("AuditEvent?_count=x", "_count"),
        ("AuditEvent?_count=-1", "_count"),
        ("AuditEvent?date=x", "date"),
        ("Patient/_history?_count=x", "_count"),
    ] {
        let answer = client.request("GET", path, &[], b"");
        well_formed(&answer, 400, path);
        assert!(answer.text.contains(says), "{path}: {}", answer.text);
    }
    let strict = [("prefer", "handling=strict")];
    let headers = &strict;
    refused(
        &client,
        &Refusal { path: "Patient?nonsense=1", headers, code: "not-supported", says: &["nonsense"], ..GET },
    );
    // Whatever the bytes, an answer and no failure of ours.
    for query in [
        "%00",
        "name=%00",
        "name=%FF",
        "=",
        "&&&",
        "name=a%00b",
        "_id=%00",
        "identifier=%00|%00",
        "name:exact=%00",
        "_sort=%00",
        "subject=%00",
        "_include=%00",
        "agent=%00",
        "value-quantity=1",
    ] {
        for kind in ["Patient", "Observation", "AuditEvent"] {
            let answer = client.request("GET", &format!("{kind}?{query}"), &[], b"");
            assert!(matches!(answer.status, 200 | 400), "{kind}?{query}: {} {}", answer.status, answer.text);
        }
    }
    for headers in [("if-none-exist", "identifier=%00"), ("if-none-exist", "name=%00")] {
        let answer = client.request("POST", "Patient", &[headers], br#"{"resourceType":"Patient"}"#);
        assert!(matches!(answer.status, 200 | 201 | 400 | 412), "{headers:?}: {} {}", answer.status, answer.text);
    }
}

#[test]
fn a_huge_query_is_answered_or_refused() {
    let client = client();
    for (size, parameter) in [(10_000, "name="), (60_000, "_id="), (500_000, "identifier=")] {
        let values: Vec<String> = (0..size / 10).map(|number| format!("v{number:08}")).collect();
        let answer = client.request("GET", &format!("Patient?{parameter}{}", values.join(",")), &[], b"");
        assert!(matches!(answer.status, 200 | 400 | 414 | 431), "{size}: {} {:.300}", answer.status, answer.text);
        let body = format!("{parameter}{}", values.join(","));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = client.request("POST", "Patient/_search", &form, body.as_bytes());
        assert!(matches!(answer.status, 200 | 400 | 413), "{size}: {} {:.300}", answer.status, answer.text);
    }
    let many = vec!["name=a"; 3000].join("&");
    let answer = client.request("GET", &format!("Patient?{many}"), &[], b"");
    assert!(matches!(answer.status, 200 | 400), "{} {:.300}", answer.status, answer.text);
    let chain = format!("Observation?{}name=x", "subject:Patient.general-practitioner:".repeat(200));
    let answer = client.request("GET", &chain, &[], b"");
    assert!(matches!(answer.status, 200 | 400), "{} {:.300}", answer.status, answer.text);
    assert_eq!(client.get("Patient?_count=1").status, 200);
}

/// Contract, "Defaults": beyond 16 MiB a resource and 64 MiB a Bundle, 413. A body that announces its
/// size is refused without being read; one that does not is read no further than the limit.
#[test]
fn bodies_that_are_too_large_are_refused_early() {
    let client = client();
    let announced = [("content-length", "104857600")];
    let too_large = Refusal { headers: &announced, status: 413, code: "too-long", ..POST };
    refused(&client, &Refusal { body: b"{", ..too_large });
    refused(&client, &Refusal { path: "", body: b"{", ..too_large });
    refused(&client, &Refusal { method: "PUT", path: "Patient/large", body: b"{", ..too_large });
    let sent = chunked(&client, "Patient", 100 << 20);
    well_formed(&sent.0, 413, "chunked");
    assert!(sent.1 < 60 << 20, "{} bytes were taken of 100 MiB", sent.1);
    // Just below the limit is fine: 15 MiB of narrative.
    let text = "x".repeat(15 << 20);
    let body = json!({"resourceType": "Basic", "code": {"text": "large"},
        "extension": [{"url": "http://e.example/x", "valueString": text}]});
    let answer = client.post("Basic", &body.to_string());
    assert!(matches!(answer.status, 201 | 422), "{} {:.300}", answer.status, answer.text);
    assert_eq!(client.get("Patient/large").status, 404);
}

/// Sends spaces in chunks until the server answers; gives the answer and how many bytes it took.
fn chunked(client: &Client, path: &str, size: usize) -> (Answer, usize) {
    let host = client.origin.trim_start_matches("http://");
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    stream.set_write_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let mut received = Vec::new();
        let _ = reader.read_to_end(&mut received);
        received
    });
    let head = format!(
        "POST /fhir/{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-type: application/fhir+json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        client.token
    );
    stream.write_all(head.as_bytes()).unwrap();
    let piece = [format!("{:x}\r\n", 1 << 20).into_bytes(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
    let mut taken = 0;
    while taken < size && stream.write_all(&piece).is_ok() {
        taken += 1 << 20;
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    (crate::wire::parse(&answer.join().unwrap()), taken)
}

#[test]
fn a_body_that_breaks_off_is_refused_and_writes_nothing() {
    let client = client();
    let host = client.origin.trim_start_matches("http://");
    let value = uuid::Uuid::new_v4().to_string();
    let body = json!({"resourceType": "Patient", "identifier": [{"value": value}]}).to_string();
    let head = format!(
        "POST /fhir/Patient HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n\
         content-type: application/fhir+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        client.token,
        body.len() + 10
    );
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    let status = crate::wire::parse(&received).status;
    assert!(matches!(status, 0 | 400), "{status}");
    assert!(client.ids(&format!("Patient?identifier={value}")).is_empty());
}

#[test]
fn outside_fhir_errors_are_sensible_too() {
    let client = client();
    for (method, path, status) in [
        ("GET", "/nonsense", 404),
        ("GET", "/fhirish", 404),
        ("GET", "/auth/nonsense", 404),
        ("GET", "/auth/token", 405),
        ("DELETE", "/health/live", 405),
        ("POST", "/fhir/metadata", 405),
        ("POST", "/fhir/.well-known/smart-configuration", 405),
    ] {
        let answer = client.request(method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert!(!answer.text.is_empty(), "{method} {path} says nothing");
        if status == 405 {
            assert!(answer.header("allow").is_some(), "{method} {path}: no Allow");
        }
        if path.starts_with("/fhir/") {
            well_formed(&answer, status, path);
        }
    }
    for path in ["/auth/token", "/auth/introspect", "/auth/revoke"] {
        for body in [&b"\xff\x00"[..], b"grant_type=%00", b"{}", b""] {
            let answer = client.request("POST", path, &[("content-type", "application/x-www-form-urlencoded")], body);
            assert!(matches!(answer.status, 400 | 401), "{path}: {} {}", answer.status, answer.text);
            assert!(answer.json()["error"].is_string(), "{path}: RFC 6749: {}", answer.text);
        }
    }
}

#[test]
fn headers_that_make_no_sense() {
    let client = client();
    let id = client.create(&json!({"resourceType": "Patient"}));
    let path = format!("Patient/{id}");
    for (name, value) in [
        ("if-none-match", "\u{7f}"),
        ("if-modified-since", "99999999999"),
        ("prefer", "return=;;;=,"),
        ("accept", ";;;"),
        ("x-request-id", "no spaces allowed"),
        ("x-request-id", "<script>"),
        ("authorization", "Bearer"),
        ("authorization", "Bearer x.y.z"),
        ("authorization", "Basic YTpi"),
    ] {
        let answer = client.request("GET", &path, &[(name, value)], b"");
        assert!(matches!(answer.status, 200 | 304 | 400 | 401 | 406), "{name}: {value}: {}", answer.status);
        if name == "x-request-id" {
            assert_ne!(answer.header(name).as_deref(), Some(value), "an ill-formed id is not kept");
        }
        if name == "authorization" {
            assert_eq!(answer.status, 401);
            assert!(answer.header("www-authenticate").is_some());
            well_formed(&answer, 401, value);
        }
    }
}

/// An update would create what is not there, so an id that cannot be one is the client's mistake; read, it is not
/// there (docs/decisions/0012-hidden-ids-and-updates.md).
#[test]
fn an_id_that_cannot_be_one_is_told_to_who_would_create_it() {
    let client = client();
    let long = "a".repeat(65);
    for id in ["bad_id!", "a_b", "%C3%A4", long.as_str()] {
        let path = format!("Patient/{id}");
        let body = json!({"resourceType": "Patient", "id": id}).to_string();
        let put = Refusal { method: "PUT", path: &path, body: body.as_bytes(), code: "value", says: &["64"], ..GET };
        refused(&client, &put);
        for method in ["GET", "DELETE"] {
            refused(&client, &Refusal { method, path: &path, status: 404, code: "not-found", ..GET });
        }
        let entry = json!({"resource": {"resourceType": "Patient"}, "request": {"method": "PUT", "url": path}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        let answer = client.post("", &bundle.to_string());
        assert_eq!((answer.status, answer.issue().as_str()), (400, "value"), "{id}: {}", answer.text);
        assert_eq!(answer.json()["issue"][0]["expression"][0], "Bundle.entry[0]", "{id}");
    }
}

/// R4 `OperationOutcome.issue.expression` begins with the type of the resource that was sent; `location` names
/// parameters as `http.` and their name.
#[test]
fn what_is_wrong_is_named_by_its_place() {
    let client = client();
    let place = |answer: &Answer, member: &str| answer.json()["issue"][0][member].clone();
    let observation = json!({"resourceType": "Observation", "id": "other", "status": "final", "code": {"text": "x"}});
    let part = json!({"resourceType": "Patient", "id": "place",
        "meta": {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}]}});
    for (path, body, expected) in [
        ("Observation/place", &observation, "Observation.id"),
        ("Patient/place", &observation, "Patient"),
        ("Patient/place", &json!({"resourceType": "Patient"}), "Patient.id"),
        ("Patient/place", &part, "Patient.meta.tag"),
        ("Patient/place", &json!({"resourceType": "Patient", "id": "place", "gender": 7}), "Patient.gender"),
    ] {
        let answer = client.put(path, &body.to_string());
        assert_eq!(place(&answer, "expression"), json!([expected]), "{path} {body}: {}", answer.text);
        assert!(place(&answer, "location").is_null(), "{}", answer.text);
        // The same inside a Bundle, below its entry.
        let entry =
            |resource: &Value, url: &str| json!({"resource": resource, "request": {"method": "PUT", "url": url}});
        let sound = entry(&json!({"resourceType": "Patient", "id": "sound"}), "Patient/sound");
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [sound, entry(body, path)]});
        let answer = client.post("", &bundle.to_string());
        let rest = expected.split_once('.').map_or(String::new(), |(_, rest)| format!(".{rest}"));
        let below = format!("Bundle.entry[1].resource{rest}");
        assert_eq!(place(&answer, "expression"), json!([below]), "{path} {body}: {}", answer.text);
    }
    for (path, expected) in [
        ("Patient?birthdate=someday", "http.birthdate"),
        ("Patient?gender:nonsense=male", "http.gender:nonsense"),
        ("Patient?_count=many", "http._count"),
        ("Patient/_history?_since=then", "http._since"),
        ("AuditEvent?date=someday", "http.date"),
        ("Patient/$risk-score?as-of=then", "http.as-of"),
        ("Observation/$lastn?max=none", "http.max"),
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        for member in ["location", "expression"] {
            assert_eq!(place(&answer, member), json!([expected]), "{path}: {}", answer.text);
        }
    }
    let unknown = client.get_with("Patient?nonsense=1", &[("prefer", "handling=strict")]);
    assert_eq!((unknown.status, place(&unknown, "location")), (400, json!(["http.nonsense"])), "{}", unknown.text);
    let entry = json!({"request": {"method": "GET", "url": "Patient?birthdate=someday"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    let answer = client.post("", &bundle.to_string());
    assert_eq!(place(&answer, "expression"), json!(["Bundle.entry[0].request"]), "{}", answer.text);
}
