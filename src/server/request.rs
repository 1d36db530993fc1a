//! A FHIR request, whichever way it came: over HTTP or as an entry of a Bundle.

use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::{Issue, IssueCode};

use crate::failure::Failure;
use crate::media::Format;

/// Largest body of a single resource, bytes (contract, "Defaults").
pub const LARGEST_RESOURCE: usize = 16 << 20;
/// Largest body of a Bundle, bytes (contract, "Defaults").
pub const LARGEST_BUNDLE: usize = 64 << 20;

/// Media type of the parameters of a POST.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The parameter that RFC 6750 sections 2.2 and 2.3 let a token stand in, and that is refused here.
const ACCESS_TOKEN: &str = "access_token";

fn carries_token(parameters: &[(String, String)]) -> bool {
    parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case(ACCESS_TOKEN))
}

/// HTTP methods of the RESTful API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `GET`, and `HEAD`, which is answered alike but for the body.
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Verb {
    /// Reads a method's name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }

    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// How the answer to a write is wanted (R4 http.html#ops, `Prefer: return=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Return {
    /// The resource as stored.
    Representation,
    /// No body.
    Minimal,
    /// An OperationOutcome.
    OperationOutcome,
}

/// A FHIR request.
#[derive(Debug, Clone, Default)]
pub struct FhirRequest<'a> {
    /// Method; `None` only by default.
    pub verb: Option<Verb>,
    /// Path below the FHIR base, without a leading slash: `Patient/1/_history`.
    pub path: String,
    /// The raw query, without `?`.
    pub query: String,
    /// Body bytes.
    pub body: Body<'a>,
    /// Media type of the body, as [`crate::media::body_type`] gives it; empty where none was said.
    pub content_type: String,
    /// `If-Match`
    pub if_match: Option<String>,
    /// `If-None-Match`
    pub if_none_match: Option<String>,
    /// `If-Modified-Since`
    pub if_modified_since: Option<String>,
    /// `If-None-Exist`
    pub if_none_exist: Option<String>,
    /// `Prefer`
    pub prefer: Option<String>,
}

/// The body of a request: bytes off the wire, or a resource that came inside a Bundle.
#[derive(Debug, Clone, Default)]
pub enum Body<'a> {
    /// There is none.
    #[default]
    Empty,
    /// Bytes.
    Bytes(axum::body::Bytes),
    /// `Bundle.entry.resource`.
    Resource(&'a Value<'a>),
}

impl FhirRequest<'_> {
    /// The query's parameters, decoded.
    pub fn parameters(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.query.as_bytes()).into_owned().collect()
    }

    /// The first value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Path and query, as the audit keeps it: without an access token, should there be one.
    pub fn target(&self) -> String {
        match self.query.is_empty() {
            true => self.path.clone(),
            false if carries_token(&self.parameters()) => format!("{}?{ACCESS_TOKEN}=...", self.path),
            false => format!("{}?{}", self.path, self.query),
        }
    }

    /// Refuses a request that carries its access token among the parameters, where it ends up in logs
    /// (RFC 6750 section 5.3).
    ///
    /// # Errors
    /// 400 `security`.
    pub fn expect_no_token(parameters: &[(String, String)]) -> Result<(), Failure> {
        if !carries_token(parameters) {
            return Ok(());
        }
        let message =
            "an access token never belongs in a URL; send it in the Authorization header, and have this one revoked";
        Err(Failure::new(400, IssueCode::Security, message))
    }

    /// Whether `Prefer: handling=strict` (R4 search.html#errors).
    pub fn strict(&self) -> bool {
        self.preference("handling").is_some_and(|value| value == "strict")
    }

    /// How the answer to a write is wanted, if the request says.
    pub fn wanted_return(&self) -> Option<Return> {
        match self.preference("return")? {
            "minimal" => Some(Return::Minimal),
            "OperationOutcome" => Some(Return::OperationOutcome),
            "representation" => Some(Return::Representation),
            _ => None,
        }
    }

    /// The value of one preference of `Prefer` (RFC 7240).
    fn preference(&self, name: &str) -> Option<&str> {
        self.prefer
            .as_deref()?
            .split([',', ';'])
            .filter_map(|one| one.trim().split_once('='))
            .find(|(known, _)| known.trim() == name)
            .map(|(_, value)| value.trim().trim_matches('"'))
    }

    /// The resource in the body: parsed anew, and borrowing from the bytes, where it came by itself; a copy
    /// where it came in a Bundle. So it is asked for once.
    ///
    /// # Errors
    /// 415 for another media type than FHIR JSON (what came as XML is JSON by now), 400 for what is not one JSON
    /// object.
    pub fn resource<'b>(&'b self) -> Result<Value<'b>, Failure> {
        match &self.body {
            Body::Empty => Err(Failure::new(400, IssueCode::Structure, "the request needs a resource in its body")),
            Body::Resource(value) => Ok((*value).clone()),
            Body::Bytes(bytes) => {
                self.expect_json()?;
                let value = json::parse_bytes(bytes, &Limits::default()).map_err(|error| {
                    let issue = Issue::error(IssueCode::Structure, error.to_string());
                    Failure::of(400, issue.at(error.expression.clone()))
                })?;
                match value {
                    Value::Object(_) => Ok(value),
                    other => {
                        let message = format!("the body is {}, not a resource (a JSON object)", other.kind());
                        Err(Failure::new(400, IssueCode::Structure, message))
                    }
                }
            }
        }
    }

    fn expect_json(&self) -> Result<(), Failure> {
        if self.content_type.is_empty() || Format::named(&self.content_type) == Some(Format::Json) {
            return Ok(());
        }
        let message = format!(
            "media type '{}' is not read here; send application/fhir+json or application/fhir+xml",
            self.content_type
        );
        Err(Failure::new(415, IssueCode::NotSupported, message))
    }
}

/// A path with its escapes decoded, segment by segment: an escaped slash stays escaped, as part of its
/// segment.
pub fn percent_decoded(path: &str) -> String {
    let decoded = |segment: &str| {
        // The decoder of forms takes names apart at these, and "+" for a space.
        let segment = segment.replace('+', "%2B").replace('=', "%3D").replace('&', "%26");
        let pairs = form_urlencoded::parse(segment.as_bytes()).next();
        pairs.map_or_else(String::new, |(name, _)| name.replace('/', "%2F"))
    };
    match path.contains('%') {
        true => path.split('/').map(decoded).collect::<Vec<_>>().join("/"),
        false => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn paths_are_decoded_segment_by_segment() {
        assert_eq!(percent_decoded("Patient/a%2Eb"), "Patient/a.b");
        assert_eq!(percent_decoded("Patient%2Fa/%2e%2E"), "Patient%2Fa/..");
        assert_eq!(percent_decoded("%3D&+=/%C3%A4/%FF/%"), "=&+=/ä/\u{fffd}/%");
        assert_eq!(percent_decoded("a+b=c"), "a+b=c");
    }
}
