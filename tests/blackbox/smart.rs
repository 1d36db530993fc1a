//! The authorization server over HTTP (SMART App Launch 2.2, Backend Services; RFC 6749, 6750, 7009, 7662,
//! 9068; RFC 8725 for what must be refused).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use salus_auth::{CLIENT_ASSERTION_TYPE, ClientKeyPair, sign_assertion};
use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

fn part(token: &str, position: usize) -> Value {
    let part = token.split('.').nth(position).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A token with this header and these claims.
fn forge(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encoded(header), encoded(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), key, algorithm).unwrap();
    format!("{signed}.{signature}")
}

fn with(value: &Value, member: &str, to: impl Into<Value>) -> Value {
    let mut value = value.clone();
    value[member] = to.into();
    value
}

/// The server's signing key, as only it can read.
fn server_key(salus: &Salus) -> EncodingKey {
    let mut keys: Vec<_> = std::fs::read_dir(salus.data_dir.join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .collect();
    keys.sort();
    EncodingKey::from_ec_pem(&std::fs::read(keys.last().unwrap()).unwrap()).unwrap()
}

impl Client {
    /// A read with another `Authorization` header than the client's own.
    fn get_as(&self, authorization: &str) -> Answer {
        self.request("GET", "Patient?_count=0", &[("authorization", authorization)], b"")
    }

    /// A form sent to an OAuth endpoint, authenticated by a fresh assertion.
    fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let url = format!("{}/auth/token", self.origin);
        let assertion = sign_assertion(&self.keys.private_key_pem, &self.keys.kid, &self.client_id, &url).unwrap();
        self.form_with(path, &assertion, fields)
    }

    fn form_with(&self, path: &str, assertion: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_assertion_type", CLIENT_ASSERTION_TYPE).append_pair("client_assertion", assertion);
        form.extend_pairs(fields);
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", "")];
        self.request("POST", path, &headers, form.finish().as_bytes())
    }

    fn introspect(&self, token: &str) -> Value {
        let answer = self.form("/auth/introspect", &[("token", token)]);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

#[test]
fn the_server_says_what_it_can_do() {
    let salus = Salus::shared();
    let answer = salus.get_open("/fhir/.well-known/smart-configuration");
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    let smart = answer.json();
    let origin = &salus.origin;
    for (member, path) in [
        ("jwks_uri", "/auth/jwks"),
        ("token_endpoint", "/auth/token"),
        ("introspection_endpoint", "/auth/introspect"),
        ("revocation_endpoint", "/auth/revoke"),
    ] {
        assert_eq!(smart[member], format!("{origin}{path}"), "{member}");
    }
    assert_eq!(smart["issuer"], *origin);
    for (member, needed) in [
        ("capabilities", "client-confidential-asymmetric"),
        ("capabilities", "permission-v1"),
        ("capabilities", "permission-v2"),
        ("token_endpoint_auth_methods_supported", "private_key_jwt"),
        ("token_endpoint_auth_signing_alg_values_supported", "RS384"),
        ("token_endpoint_auth_signing_alg_values_supported", "ES384"),
        ("grant_types_supported", "client_credentials"),
        ("code_challenge_methods_supported", "S256"),
    ] {
        assert!(smart[member].as_array().unwrap().contains(&needed.into()), "{member} lacks {needed}");
    }
    assert!(!smart["code_challenge_methods_supported"].as_array().unwrap().contains(&"plain".into()));
    let statement = salus.get_open("/fhir/metadata").json();
    let security = &statement["rest"][0]["security"];
    assert_eq!(security["service"][0]["coding"][0]["code"], "SMART-on-FHIR");
    let uris = security["extension"][0]["extension"].as_array().unwrap();
    assert!(uris.iter().any(|uri| uri["url"] == "token" && uri["valueUri"] == smart["token_endpoint"]));
    let keys = salus.get_open("/auth/jwks").json();
    for key in keys["keys"].as_array().unwrap() {
        assert_eq!((&key["kty"], &key["crv"], &key["use"]), (&"EC".into(), &"P-256".into(), &"sig".into()));
        assert!(key.get("d").is_none(), "private");
    }
}

#[test]
fn a_backend_client_gets_a_token_that_says_what_it_is() {
    let salus = Salus::shared();
    let client = salus.client("system/Patient.rs system/Observation.rs");
    let answer = client.request_token("system/Patient.rs", &[]);
    let response = answer.json();
    assert_eq!(
        (response["token_type"].as_str(), response["scope"].as_str()),
        (Some("bearer"), Some("system/Patient.rs"))
    );
    assert!(response["expires_in"].as_u64().unwrap() <= 300);
    assert!(answer.header("cache-control").unwrap().contains("no-store"));
    let token = response["access_token"].as_str().unwrap();
    let (header, claims) = (part(token, 0), part(token, 1));
    assert_eq!((&header["typ"], &header["alg"]), (&"at+jwt".into(), &"ES256".into()));
    assert_eq!((&claims["aud"], &claims["iss"]), (&salus.base().into(), &salus.origin.clone().into()));
    assert_eq!(
        (&claims["client_id"], &claims["sub"]),
        (&client.client_id.clone().into(), &client.client_id.clone().into())
    );
    assert_eq!(claims["purpose_of_use"], "TREAT");
    assert_eq!(client.get_as(&format!("Bearer {token}")).status, 200);
    assert_eq!(client.get_as(&format!("bearer {token}")).status, 200, "the scheme's case does not matter");
}

#[test]
fn no_token_and_other_schemes_are_told_to_bring_one() {
    let salus = Salus::shared();
    let client = salus.client("system/Patient.rs");
    for authorization in ["", "Basic YTpi", "Bearer", "Digest x"] {
        let answer = client.get_as(authorization);
        assert_eq!((answer.status, answer.issue().as_str()), (401, "login"), "{authorization}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
    }
    for path in ["/fhir/Patient", "/fhir/Patient/1", "/fhir/nowhere", "/fhir/", "/fhir/_history", "/fhir/Patient/$x"] {
        let answer = salus.get_open(path);
        assert_eq!(answer.status, 401, "{path}: without a token nothing is told apart");
    }
}

#[test]
fn every_token_but_a_good_one_is_refused() {
    let salus = Salus::start();
    let client = salus.client("system/*.rs");
    let good = client.token.clone();
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let key = server_key(&salus);
    let again = forge(&header, &with(&claims, "jti", "another"), &key, Algorithm::ES256);
    assert_eq!(client.get_as(&format!("Bearer {again}")).status, 200, "what is forged well is a token");
    let public = salus.get_open("/auth/jwks").text;
    let first_key = serde_json::from_str::<Value>(&public).unwrap()["keys"][0].to_string();
    let foreign_pem = ClientKeyPair::generate().unwrap().private_key_pem;
    let foreign = EncodingKey::from_ec_pem(foreign_pem.as_bytes()).unwrap();
    let signed = |header: &Value, claims: &Value| forge(header, claims, &key, Algorithm::ES256);
    let unsigned = |header: &Value| {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", encoded(header), encoded(&claims))
    };
    let hmac = |secret: &str, header: &Value| {
        forge(header, &claims, &EncodingKey::from_secret(secret.as_bytes()), Algorithm::HS256)
    };
    let signature = good.rsplit('.').next().unwrap();
    let widened = {
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{signature}", encoded(&header), encoded(&with(&claims, "scope", "system/*.cruds")))
    };
    let assertion = {
        let url = format!("{}/auth/token", salus.origin);
        sign_assertion(&client.keys.private_key_pem, &client.keys.kid, &client.client_id, &url).unwrap()
    };
    for (what, token) in [
        ("expired", signed(&header, &with(&claims, "exp", now() - 1))),
        ("not yet valid", signed(&header, &with(&claims, "nbf", now() + 3600))),
        ("issued in the future", signed(&header, &with(&claims, "iat", now() + 3600))),
        ("wrong audience", signed(&header, &with(&claims, "aud", "https://elsewhere.example/fhir"))),
        ("the origin as audience", signed(&header, &with(&claims, "aud", salus.origin.clone()))),
        (
            "several audiences",
            signed(&header, &with(&claims, "aud", json!([salus.base(), "https://elsewhere.example"]))),
        ),
        ("wrong issuer", signed(&header, &with(&claims, "iss", "https://elsewhere.example"))),
        ("an ID token", signed(&with(&header, "typ", "JWT"), &claims)),
        ("no type", signed(&with(&header, "typ", Value::Null), &claims)),
        ("unknown client", signed(&header, &with(&claims, "client_id", "nobody"))),
        ("unknown key", signed(&with(&header, "kid", "nobody"), &claims)),
        ("a key of its own", signed(&with(&with(&header, "kid", "mine"), "jwk", json!({"kty": "EC"})), &claims)),
        ("critical extension", signed(&with(&header, "crit", json!(["exp"])), &claims)),
        ("foreign key", forge(&header, &claims, &foreign, Algorithm::ES384)),
        ("foreign key by name", forge(&with(&header, "alg", "ES384"), &claims, &foreign, Algorithm::ES384)),
        ("alg none", unsigned(&with(&header, "alg", "none"))),
        ("alg None", unsigned(&with(&header, "alg", "None"))),
        ("no signature", unsigned(&header)),
        ("HS256 with the public key", hmac(&first_key, &with(&header, "alg", "HS256"))),
        ("HS256 with the key set", hmac(&public, &with(&header, "alg", "HS256"))),
        ("HS256 as ES256", hmac(&first_key, &header)),
        ("more scope under the old signature", widened),
        ("the client's assertion", assertion),
        ("no JWT", "nonsense".to_owned()),
        ("too long", "a".repeat(7000)),
    ] {
        let answer = client.get_as(&format!("Bearer {token}"));
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        assert_eq!(answer.json()["resourceType"], "OperationOutcome", "{what}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("invalid_token"), "{what}: {challenge}");
        assert!(!answer.text.contains(&token) && !challenge.contains(&token), "{what}: the token comes back");
        assert_eq!(client.introspect(&token), json!({"active": false}), "{what}");
    }
    assert!(!salus.log().contains(signature), "no token in the log");
}

/// RFC 6750 section 5.3, and the places where a token could slip into a log.
#[test]
fn a_token_among_parameters_is_refused_and_not_kept() {
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let auditor = salus.client("system/AuditEvent.rs");
    let token = client.token.clone();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("access_token={token}");
    for answer in [
        salus.get_open(&format!("/fhir/Patient?access_token={token}")),
        salus.get_open(&format!("/fhir/Patient?_count=1&access%5Ftoken={token}")),
        client.get(&format!("Patient?access_token={token}")),
        client.get(&format!("Patient/1?access_token={token}")),
        client.get(&format!("Patient?ACCESS_TOKEN={token}")),
        client.get(&format!("_history?access_token={token}")),
        client.get(&format!("AuditEvent?access_token={token}")),
        client.send_with("POST", "Patient/_search", &body, &form),
        client.send_with("POST", "AuditEvent/_search", &body, &form),
        client.put(&format!("Patient?identifier=x&access_token={token}"), "{\"resourceType\":\"Patient\"}"),
        client.delete(&format!("Patient?identifier=x&access_token={token}")),
    ] {
        assert_eq!((answer.status, answer.issue().as_str()), (400, "security"), "{}", answer.text);
        assert!(!answer.text.contains(&token));
    }
    for (kind, method) in [("batch", "GET"), ("transaction", "DELETE")] {
        let entry =
            json!([{"request": {"method": method, "url": format!("Patient?identifier=x&access_token={token}")}}]);
        let answer = client.post("", &json!({"resourceType": "Bundle", "type": kind, "entry": entry}).to_string());
        assert!(answer.text.contains("\"security\"") && !answer.text.contains(&token), "{kind}: {}", answer.text);
    }
    let signature = token.rsplit('.').next().unwrap();
    let trail = auditor.get("AuditEvent?_count=1000").json();
    for event in trail["entry"].as_array().unwrap() {
        for entity in event["resource"]["entity"].as_array().into_iter().flatten() {
            let query = entity["query"].as_str().unwrap_or_default();
            let query = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(query).unwrap()).unwrap();
            assert!(!query.contains(signature), "{query}");
        }
        assert!(!event.to_string().contains(signature));
    }
    assert!(!salus.log().contains(signature));
}

/// What RFC 7523 and SMART demand of an assertion; each good once, also in the moments around its expiry.
#[test]
fn assertions_are_good_once_and_only_as_registered() {
    let salus = Salus::start();
    let client = salus.client("system/Patient.rs");
    let grant = [("grant_type", "client_credentials"), ("scope", "system/Patient.rs")];
    let url = format!("{}/auth/token", salus.origin);
    let key = EncodingKey::from_ec_pem(client.keys.private_key_pem.as_bytes()).unwrap();
    let claims = json!({
        "iss": client.client_id, "sub": client.client_id, "aud": url, "iat": now(), "exp": now() + 120, "jti": "first",
    });
    let mut header = Header::new(Algorithm::ES384);
    header.kid = Some(client.keys.kid.clone());
    let sign = |claims: &Value| jsonwebtoken::encode(&header, claims, &key).unwrap();
    let first = sign(&claims);
    assert_eq!(client.form_with("/auth/token", &first, &grant).status, 200);
    let again = client.form_with("/auth/token", &first, &grant);
    assert_eq!((again.status, &again.json()["error"]), (401, &"invalid_client".into()), "{}", again.text);
    let other_content = sign(&with(&claims, "exp", now() + 100));
    assert_ne!(client.form_with("/auth/token", &other_content, &grant).status, 200, "the same jti");
    let other_key = ClientKeyPair::generate().unwrap();
    let by_other = sign_assertion(&other_key.private_key_pem, &client.keys.kid, &client.client_id, &url).unwrap();
    let fresh =
        |member: &str, value: Value| sign(&with(&with(&claims, "jti", format!("{member}{value}")), member, value));
    for (what, assertion) in [
        ("by another key", by_other),
        ("of another client", fresh("sub", "nobody".into())),
        ("for another server", fresh("aud", "https://elsewhere.example/auth/token".into())),
        ("for the FHIR base", fresh("aud", salus.base().into())),
        ("expired", fresh("exp", (now() - 60).into())),
        ("for too long", fresh("exp", (now() + 3600).into())),
        ("without jti", sign(&with(&claims, "jti", Value::Null))),
        ("no JWT", "nonsense".to_owned()),
    ] {
        let answer = client.form_with("/auth/token", &assertion, &grant);
        assert!(matches!(answer.status, 400 | 401), "{what}: {} {}", answer.status, answer.text);
        assert!(!answer.text.contains("access_token\""), "{what}");
    }
    assert_eq!(client.request_token("system/Patient.rs", &[]).status, 200);
    let bad = client.form("/auth/token", &[("grant_type", "password"), ("scope", "system/Patient.rs")]);
    assert_eq!(bad.json()["error"], "unsupported_grant_type");
}

/// Contract, "Defaults": after twenty failures a minute, 429.
#[test]
fn guessing_at_the_token_endpoint_is_slowed_down() {
    let salus = Salus::start();
    let client = salus.client("system/Patient.rs");
    let grant = [("grant_type", "client_credentials"), ("scope", "system/Patient.rs")];
    for attempt in 0..20 {
        let answer = client.form_with("/auth/token", "nonsense", &grant);
        assert!(matches!(answer.status, 400 | 401), "attempt {attempt}: {}", answer.status);
    }
    let answer = client.form_with("/auth/token", "nonsense", &grant);
    assert_eq!(answer.status, 429, "{}", answer.text);
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() <= 60);
    assert_eq!(client.get("Patient?_count=0").status, 200, "tokens that are held go on");
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let salus = Salus::shared();
    let (client, other) = (salus.client("system/Patient.rs"), salus.client("system/Patient.rs"));
    let token = client.new_token("system/Patient.rs");
    let bearer = format!("Bearer {token}");
    let said = client.introspect(&token);
    assert_eq!((&said["active"], &said["client_id"]), (&true.into(), &client.client_id.clone().into()));
    assert_eq!((&said["scope"], &said["aud"]), (&"system/Patient.rs".into(), &salus.base().into()));
    assert_eq!(client.get_as(&bearer).status, 200);
    let by_other = other.form("/auth/revoke", &[("token", &token)]);
    assert_ne!(by_other.status, 200, "not another client's to revoke");
    assert_eq!(client.get_as(&bearer).status, 200);
    assert_eq!(client.form("/auth/revoke", &[("token", &token)]).status, 200);
    assert_eq!(client.get_as(&bearer).status, 401);
    assert_eq!(client.introspect(&token), json!({"active": false}));
    assert_eq!(client.form("/auth/revoke", &[("token", &token)]).status, 200, "again");
    assert_eq!(client.form("/auth/revoke", &[("token", "nonsense")]).status, 200, "RFC 7009 section 2.2");
    assert_eq!(client.get("Patient?_count=0").status, 200, "its other token holds");
    let open = client.request(
        "POST",
        "/auth/introspect",
        &[("authorization", ""), ("content-type", "application/x-www-form-urlencoded")],
        format!("token={token}").as_bytes(),
    );
    assert!(matches!(open.status, 400 | 401), "introspection is not open: {}", open.status);
}

/// RFC 6749 section 5.2; R4 has no such type, so there is nothing to grant.
#[test]
fn a_scope_on_no_type_of_resource_is_not_granted() {
    let client = Salus::shared().client("system/*.cruds");
    let some = client.request_token("system/Nope.rs system/Patient.rs", &[]);
    assert_eq!((some.status, &some.json()["scope"]), (200, &"system/Patient.rs".into()), "{}", some.text);
    let none = client.request_token("system/Nope.rs", &[]);
    assert_eq!((none.status, &none.json()["error"]), (400, &"invalid_scope".into()), "{}", none.text);
}

/// RFC 6750 section 3: a token that was good is told to have expired, and that it was tried is on record.
#[test]
fn the_use_of_an_expired_token_is_refused_and_on_record() {
    let salus = Salus::start();
    let client = salus.client("system/*.rs");
    let (header, claims) = (part(&client.token, 0), part(&client.token, 1));
    let expired = forge(&header, &with(&claims, "exp", now() - 1), &server_key(&salus), Algorithm::ES256);
    let bearer = format!("Bearer {expired}");
    let id = "expired-token";
    let answer = client.request("GET", "Patient?_count=0", &[("authorization", &bearer), ("x-request-id", id)], b"");
    assert_eq!((answer.status, answer.issue().as_str()), (401, "expired"), "{}", answer.text);
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.contains("Bearer") && challenge.contains("invalid_token"), "{challenge}");
    let events = client.get("AuditEvent?_count=100").json();
    let mut events = events["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]);
    let event = events.find(|event| event["entity"].to_string().contains(id)).expect("it is on record");
    assert!(matches!(event["outcome"].as_str(), Some("4" | "8")), "{event}");
    for token in [expired.as_str(), "", "nonsense"] {
        let said = client.form("/auth/introspect", &[("token", token)]);
        assert!(said.status == 200 || token.is_empty(), "{token}: {}", said.text);
        assert_ne!(said.json()["active"], true, "{token}");
    }
}

#[test]
fn keys_are_rotated_beside_the_running_server() {
    let salus = Salus::start();
    let client = salus.client("system/Patient.rs");
    let before = client.token.clone();
    let output = salus.command(&["keys", "rotate"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let after = wait_for(|| {
        let token = client.new_token("system/Patient.rs");
        (part(&token, 0)["kid"] != part(&before, 0)["kid"]).then_some(token)
    });
    for token in [&before, &after] {
        assert_eq!(client.get_as(&format!("Bearer {token}")).status, 200);
        assert_eq!(client.introspect(token)["active"], true);
    }
    let keys = salus.get_open("/auth/jwks").json();
    let kids: Vec<&Value> = keys["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&part(&before, 0)["kid"]) && kids.contains(&&part(&after, 0)["kid"]));
}

#[test]
fn a_disabled_client_is_refused_until_it_is_enabled() {
    let salus = Salus::start();
    let client = salus.client("system/Patient.rs");
    assert_eq!(client.get("Patient?_count=0").status, 200);
    assert!(salus.command(&["client", "disable", &client.client_id]).status.success());
    wait_for(|| (client.get("Patient?_count=0").status == 401).then_some(()));
    let answer = client.request_token("system/Patient.rs", &[]);
    assert_eq!((answer.status, &answer.json()["error"]), (401, &"invalid_client".into()));
    assert!(salus.command(&["client", "enable", &client.client_id]).status.success());
    wait_for(|| (client.request_token("system/Patient.rs", &[]).status == 200).then_some(()));
}

/// What another process did is heard of within moments.
fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    for _ in 0..100 {
        if let Some(ready) = ready() {
            return ready;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("not within five seconds");
}
