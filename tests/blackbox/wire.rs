//! Requests written by hand: what no well-mannered HTTP client would send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::{Answer, Client};

impl Client {
    /// Any method, path and bytes. `path` is taken below the FHIR base as it is; one that begins with
    /// `/` is taken from the root. The token goes along unless `headers` bring an `authorization`.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let target = if path.starts_with('/') { path.to_owned() } else { format!("/fhir/{path}") };
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.host());
        let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !has("authorization") {
            head.push_str(&format!("authorization: Bearer {}\r\n", self.token));
        }
        if !body.is_empty() && !has("content-type") {
            head.push_str("content-type: application/fhir+json\r\n");
        }
        if !has("content-length") && !has("transfer-encoding") && (!body.is_empty() || method != "GET") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        exchange(&self.host(), &[head.as_bytes(), body].concat())
    }

    /// The AuditEvents that this client caused under `request_id`, as an auditor sees them.
    pub fn audited(&self, auditor: &Client, request_id: &str) -> Vec<Value> {
        let answer = auditor.get(&format!("AuditEvent?agent={}&_count=1000", self.client_id));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let bundle = answer.json();
        let events = bundle["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone());
        let of_request = |event: &Value| {
            let entities = event["entity"].as_array();
            entities.into_iter().flatten().any(|entity| entity["what"]["identifier"]["value"] == request_id)
        };
        events.filter(of_request).collect()
    }

    fn host(&self) -> String {
        self.origin.trim_start_matches("http://").to_owned()
    }
}

/// Sends bytes over a connection of their own and reads the answer. Stops writing where the server
/// stops reading: it may answer before it has read everything.
pub fn exchange(host: &str, bytes: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let answer = std::thread::spawn(move || {
        let mut received = Vec::new();
        // A reset after the answer does not take the answer away.
        let _ = reader.read_to_end(&mut received);
        received
    });
    let _ = stream.write_all(bytes);
    parse(&answer.join().unwrap())
}

pub fn parse(received: &[u8]) -> Answer {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        return Answer::new(0, String::from_utf8_lossy(received).into_owned(), &[]);
    };
    let head = String::from_utf8_lossy(&received[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    let headers: Vec<(&str, &str)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim())).collect();
    Answer::new(status, String::from_utf8_lossy(&received[end + 4..]).into_owned(), &headers)
}

/// Runs `act` on `number` threads at once; gives what each came to.
pub fn race<T: Send>(number: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(number);
    let run = |position| {
        start.wait();
        act(position)
    };
    std::thread::scope(|scope| {
        let run = &run;
        let racers: Vec<_> = (0..number).map(|position| scope.spawn(move || run(position))).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    })
}
