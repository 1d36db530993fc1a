//! Every path of this server, with what a caller has to know of it.

use super::fhir;

pub(super) const FHIR_JSON: &str = "application/fhir+json";
pub(super) const FHIR_XML: &str = "application/fhir+xml";
pub(super) const JSON: &str = "application/json";
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "text/plain";
const HTML: &str = "text/html";

/// What a path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// The RESTful API of FHIR.
    Fhir,
    /// FHIR operations.
    Operations,
    /// The authorization server.
    Authorization,
    /// The server itself.
    Server,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Fhir, Self::Operations, Self::Authorization, Self::Server];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fhir => "FHIR",
            Self::Operations => "Operations",
            Self::Authorization => "Authorization",
            Self::Server => "Server",
        }
    }

    /// What it is.
    pub fn description(self) -> &'static str {
        match self {
            Self::Fhir => "The RESTful API of FHIR R4. Errors are OperationOutcomes.",
            Self::Operations => "FHIR operations.",
            Self::Authorization => "SMART Backend Services. Errors are those of RFC 6749.",
            Self::Server => "About the server itself.",
        }
    }
}

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// What it belongs to.
    pub group: Group,
    /// The FHIR interaction, a code of `restful-interaction`; empty outside FHIR.
    pub interaction: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// Path template.
    pub path: String,
    /// What it does, in a line.
    pub summary: String,
    /// The scope it takes; `""` for any valid token, `None` for no token.
    pub scope: Option<&'static str>,
    /// Query parameters: name and description.
    pub query: Vec<(String, String)>,
    /// Request headers that change what it does: name and description.
    pub headers: &'static [(&'static str, &'static str)],
    /// Media types that the request's body can have; none where it has no body.
    pub body: &'static [&'static str],
    /// Media type of what it answers.
    pub media: &'static str,
    /// Statuses and what they mean.
    pub answers: &'static [(u16, &'static str)],
}

impl Endpoint {
    /// Its operationId: method and path in letters, unlike any other's.
    pub fn id(&self) -> String {
        let words = self.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        let words = if words.is_empty() { "root".to_owned() } else { words.join("-") };
        format!("{}-{words}", self.method.to_lowercase())
    }

    /// Names of the parameters in its path.
    pub fn path_parameters(&self) -> Vec<&str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    /// Media type of the answer with this status; `None` where it has no body.
    pub fn media_of(&self, status: u16) -> Option<&'static str> {
        match (status, self.group) {
            (204 | 304, _) => None,
            (400.., Group::Fhir | Group::Operations) => Some(FHIR_JSON),
            (403, _) => Some(TEXT),
            (400.., _) => Some(JSON),
            _ if self.media.is_empty() => None,
            _ => Some(self.media),
        }
    }
}

/// All endpoints.
pub fn endpoints() -> Vec<Endpoint> {
    let mut all = fhir::interactions();
    all.extend(fhir::operations());
    all.extend(fhir::reindex_jobs());
    all.extend(OTHER.iter().map(|other| Endpoint {
        group: other.0,
        interaction: "",
        method: other.1,
        path: other.2.to_owned(),
        summary: other.3.to_owned(),
        scope: None,
        query: Vec::new(),
        headers: &[],
        body: other.4.as_slice(),
        media: other.5,
        answers: other.6,
    }));
    all
}

type Other = (
    Group,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static [(u16, &'static str)],
);

const FOUND: &[(u16, &str)] = &[(200, "Here it is")];

/// What is not FHIR's RESTful API: group, method, path, summary, body, answer, statuses.
const OTHER: &[Other] = &[
    (
        Group::Authorization,
        "GET",
        "/fhir/.well-known/smart-configuration",
        "The SMART discovery document",
        None,
        JSON,
        FOUND,
    ),
    (
        Group::Authorization,
        "POST",
        "/auth/token",
        "An access token: grant client_credentials, client authentication private_key_jwt (RS384, ES384)",
        Some(FORM),
        JSON,
        &[
            (200, "An access token"),
            (400, "The request is wrong, or asks for too much"),
            (401, "The client is not who it says"),
            (429, "Too many failures; see Retry-After"),
        ],
    ),
    (
        Group::Authorization,
        "POST",
        "/auth/introspect",
        "Whether a token holds and what it grants (RFC 7662)",
        Some(FORM),
        JSON,
        &[(200, "What is known of it"), (401, "The caller is not allowed to ask")],
    ),
    (
        Group::Authorization,
        "POST",
        "/auth/revoke",
        "Takes a token back (RFC 7009)",
        Some(FORM),
        "",
        &[(200, "It does not hold any more"), (401, "The client is not who it says")],
    ),
    (Group::Authorization, "GET", "/auth/jwks", "The keys that access tokens verify with", None, JSON, FOUND),
    (Group::Server, "GET", "/", "What runs here", None, HTML, FOUND),
    (Group::Server, "GET", "/docs", "This description, for people", None, HTML, FOUND),
    (Group::Server, "GET", "/openapi.json", "This description, for programs", None, JSON, FOUND),
    (Group::Server, "GET", "/health/live", "Whether the process answers", None, JSON, FOUND),
    (
        Group::Server,
        "GET",
        "/health/ready",
        "Whether requests can be served",
        None,
        JSON,
        &[(200, "They can"), (503, "The database does not answer")],
    ),
    (
        Group::Server,
        "GET",
        "/metrics",
        "Figures for Prometheus, for callers on the same machine",
        None,
        TEXT,
        &[(200, "The figures"), (403, "The caller is on another machine")],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_endpoints_are_the_same() {
        let all = endpoints();
        let ids: HashSet<String> = all.iter().map(Endpoint::id).collect();
        assert_eq!(ids.len(), all.len());
    }
}
