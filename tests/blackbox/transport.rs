//! How answers travel: compression, caching, and other origins (issue 3, "Formats").

use std::io::{Read as _, Write as _};

use flate2::Compression;
use serde_json::json;

use crate::{Answer, Client, Salus};

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

fn zipped(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn unzipped(bytes: &[u8]) -> String {
    let mut plain = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut plain).unwrap();
    plain
}

/// A Patient of some kilobytes.
fn large() -> serde_json::Value {
    let names: Vec<_> = (0..200).map(|number| json!({"family": format!("Compressible-{number}")})).collect();
    json!({"resourceType": "Patient", "name": names})
}

#[test]
fn answers_are_compressed_for_those_who_take_it_where_it_is_worth_it() {
    let client = client();
    let path = format!("Patient/{}", client.create(&large()));
    let get = |encoding: &str| client.get_with(&path, &[("accept-encoding", encoding)]);
    let plain = client.get(&path);
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("content-length"), Some(plain.bytes.len().to_string()));
    let gzip = get("gzip");
    assert_eq!(gzip.header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(unzipped(&gzip.bytes), plain.text);
    assert!(gzip.header("vary").unwrap().to_lowercase().contains("accept-encoding"));
    assert_eq!(gzip.header("etag"), plain.header("etag"), "a weak tag is the same for every encoding");
    for (asked, given) in [("br", "br"), ("zstd", "zstd"), ("gzip;q=0.5, br", "br"), ("br;q=0, gzip", "gzip")] {
        let answer = get(asked);
        assert_eq!(answer.header("content-encoding").as_deref(), Some(given), "{asked}");
        assert!(answer.bytes.len() * 3 < plain.bytes.len(), "{asked}: {} bytes", answer.bytes.len());
    }
    assert!(get("zstd").bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]));
    for asked in ["identity", "deflate", "nonsense", "gzip;q=0"] {
        let answer = get(asked);
        assert_eq!((answer.header("content-encoding"), &answer.text), (None, &plain.text), "{asked}");
    }
    let small = format!("Patient/{}", client.create(&json!({"resourceType": "Patient"})));
    let small = client.get_with(&small, &[("accept-encoding", "gzip, br, zstd")]);
    assert_eq!((small.status, small.header("content-encoding")), (200, None));
    let unchanged = client.get_with(&path, &[("accept-encoding", "gzip"), ("if-none-match", "W/\"1\"")]);
    assert_eq!((unchanged.status, unchanged.header("content-encoding"), unchanged.bytes.len()), (304, None, 0));
    let xml = client.get_with(&path, &[("accept-encoding", "gzip"), ("accept", "application/fhir+xml")]);
    assert!(unzipped(&xml.bytes).starts_with("<?xml"));
}

#[test]
fn zipped_bodies_are_read_and_never_beyond_what_is_taken_plain() {
    let client = client();
    let send = |body: &[u8], encoding: &str| client.request("POST", "Patient", &[("content-encoding", encoding)], body);
    let patient = large().to_string();
    for encoding in ["gzip", "x-gzip", "GZIP"] {
        let created = send(&zipped(patient.as_bytes()), encoding);
        assert_eq!(created.status, 201, "{encoding}: {}", created.text);
        assert_eq!(created.json()["name"][199]["family"], "Compressible-199");
    }
    assert_eq!(send(patient.as_bytes(), "identity").status, 201);
    let refused = |answer: Answer, status: u16, code: &str| {
        assert_eq!((answer.status, answer.issue().as_str()), (status, code), "{}", answer.text);
        answer
    };
    // 17 MiB of spaces in 17 kB; a whole GiB in one more.
    let bomb = zipped(&vec![b' '; 17 << 20]);
    assert!(bomb.len() < 100_000);
    refused(send(&bomb, "gzip"), 413, "too-long");
    refused(send(&zipped(&vec![b' '; 1 << 30]), "gzip"), 413, "too-long");
    refused(send(patient.as_bytes(), "gzip"), 400, "structure");
    let whole = zipped(patient.as_bytes());
    refused(send(&whole[..whole.len() - 9], "gzip"), 400, "structure");
    for encoding in ["br", "deflate", "gzip, gzip", "nonsense"] {
        let answer = refused(send(patient.as_bytes(), encoding), 415, "not-supported");
        assert_eq!(answer.header("accept-encoding").as_deref(), Some("gzip, identity"), "{encoding}");
    }
    let form = [("content-encoding", "gzip"), ("content-type", "application/x-www-form-urlencoded")];
    let search = client.request("POST", "Patient/_search", &form, &zipped(b"_id=transport-nobody"));
    assert_eq!((search.status, search.json()["total"].as_i64()), (200, Some(0)), "{}", search.text);
}

#[test]
fn nothing_of_a_patient_is_kept_on_the_way() {
    let client = client();
    let path = format!("Patient/{}", client.create(&json!({"resourceType": "Patient"})));
    for path in [path.as_str(), "Patient?_count=1", "Patient/transport-nobody", &format!("{path}/_history")] {
        let answer = client.get(path);
        assert_eq!(answer.header("cache-control").as_deref(), Some("private, no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
    }
}

#[test]
fn pages_of_other_origins_may_call_where_the_settings_say_so() {
    let page = "https://app.example";
    let preflight = [
        ("origin", page),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,if-match"),
    ];
    let shared = client();
    let answer = shared.get_with("metadata", &[("origin", page)]);
    assert_eq!(
        (answer.header("access-control-allow-origin"), &answer.json()["rest"][0]["security"]["cors"]),
        (None, &json!(false))
    );
    assert_eq!(shared.request("OPTIONS", "Patient/1", &preflight, b"").header("access-control-allow-origin"), None);

    let salus = Salus::start_with(&[("cors_origins", "https://app.example, http://localhost:3000")]);
    let client = salus.client("system/*.cruds");
    let path = format!("Patient/{}", client.create(&json!({"resourceType": "Patient"})));
    let answer = client.get_with(&path, &[("origin", page)]);
    assert_eq!((answer.status, answer.header("access-control-allow-origin").as_deref()), (200, Some(page)));
    let exposed = answer.header("access-control-expose-headers").unwrap().to_lowercase();
    for header in ["etag", "location", "last-modified", "content-location"] {
        assert!(exposed.split(',').any(|one| one.trim() == header), "{header}: {exposed}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None, "no cookies");
    // The browser asks first, without a token.
    let headers = [preflight.as_slice(), &[("authorization", "")]].concat();
    let allowed = client.request("OPTIONS", &path, &headers, b"");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin").as_deref()), (200, Some(page)));
    let allows = |answer: &Answer, name: &str, value: &str| {
        answer.header(name).unwrap_or_default().to_lowercase().split(',').any(|one| one.trim() == value)
    };
    assert!(allows(&allowed, "access-control-allow-methods", "put"));
    assert!(allows(&allowed, "access-control-allow-headers", "authorization"));
    assert!(allows(&allowed, "access-control-allow-headers", "if-match"));
    // Errors are for the page to see as well, and where an app begins.
    for path in ["Patient/nobody", "/fhir/.well-known/smart-configuration", "/auth/jwks", "metadata"] {
        let answer = client.request("GET", path, &[("origin", "http://localhost:3000")], b"");
        assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some("http://localhost:3000"), "{path}");
    }
    let stranger = client.get_with(&path, &[("origin", "https://app.example.evil.example")]);
    assert_eq!(stranger.header("access-control-allow-origin"), None);
    assert_eq!(client.get("metadata").json()["rest"][0]["security"]["cors"], true);
}
