//! Failures, and the one place where the errors of the parts below become HTTP.

use salus_access::Refusal;
use salus_auth::BearerError;
use salus_fhir::outcome::{Issue, IssueCode, OperationOutcome};
use salus_store::Error as StoreError;

use crate::response::FhirResponse;

/// A request that failed: status, headers, and an OperationOutcome that says why.
#[derive(Debug, Clone)]
pub struct Failure {
    /// HTTP status.
    pub status: u16,
    /// What is wrong; never empty.
    pub issues: Vec<Issue>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Failure {
    /// A failure with one issue.
    pub fn new(status: u16, code: IssueCode, message: impl Into<String>) -> Self {
        Self::of(status, Issue::error(code, message))
    }

    /// A failure with this issue.
    pub fn of(status: u16, issue: Issue) -> Self {
        Self { status, issues: vec![issue], headers: Vec::new() }
    }

    /// A failure with several issues.
    pub fn all(status: u16, issues: Vec<Issue>) -> Self {
        Self { status, issues, headers: Vec::new() }
    }

    /// The same with a header.
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, its issues placed below `location` (an entry of a Bundle).
    pub fn below(mut self, location: &str) -> Self {
        for issue in &mut self.issues {
            let of_request = issue.is_of_request();
            let expression = match issue.expression.take() {
                Some(_) if of_request => format!("{location}.request"),
                // The path begins with the resource's type; the entry's resource stands for it.
                Some(path) => match path.split_once('.') {
                    Some((_, rest)) => format!("{location}.resource.{rest}"),
                    None => format!("{location}.resource"),
                },
                None => location.to_owned(),
            };
            issue.expression = Some(expression);
        }
        self
    }

    /// What its first issue says, in one line, for the audit. Messages name elements, parameters and ids,
    /// and may quote a parameter's value or a code as it was sent; the audit keeps the whole query anyway.
    /// They never quote what is stored.
    pub fn summary(&self) -> String {
        self.issues.first().map(|issue| issue.diagnostics.clone()).unwrap_or_default()
    }

    /// The OperationOutcome.
    pub fn outcome(&self) -> String {
        OperationOutcome { issues: self.issues.clone() }.to_json()
    }

    /// The answer.
    pub fn into_response(self) -> FhirResponse {
        let mut response = FhirResponse::json(self.status, self.outcome());
        response.outcome = true;
        response.headers = self.headers;
        response
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let error = match error {
            StoreError::Patch(error) => return error.into(),
            StoreError::Invalid(issues) => return Self::all(422, issues),
            other => other,
        };
        let message = error.to_string();
        let (status, code) = match &error {
            StoreError::NotFound { .. } | StoreError::NoMatch { .. } => (404, IssueCode::NotFound),
            StoreError::Gone { .. } => (410, IssueCode::Deleted),
            StoreError::VersionConflict { .. } => (412, IssueCode::Conflict),
            StoreError::MultipleMatches { .. } => (412, IssueCode::MultipleMatches),
            StoreError::IdTaken { .. } => (409, IssueCode::Conflict),
            StoreError::IdMismatch { .. } => (400, IssueCode::Invalid),
            StoreError::UnresolvedReference { .. } => (400, IssueCode::NotFound),
            StoreError::DuplicateChange { .. }
            | StoreError::DuplicateCriteria { .. }
            | StoreError::DuplicateFullUrl { .. } => (400, IssueCode::Duplicate),
            StoreError::OutsideGrant { .. } => (403, IssueCode::Forbidden),
            StoreError::Search { .. } => (400, IssueCode::Invalid),
            StoreError::PageLink => (400, IssueCode::Invalid),
            StoreError::Unavailable(_) | StoreError::Audit(_) | StoreError::DefinitionsChanged => {
                (503, IssueCode::Transient)
            }
            StoreError::TimedOut => (503, IssueCode::Timeout),
            StoreError::DiskFull => (503, IssueCode::NoStore),
            _ => (500, IssueCode::Exception),
        };
        match error {
            // What failed inside is for the log; the caller can do nothing with it.
            StoreError::Unavailable(_) | StoreError::Audit(_) => {
                tracing::warn!(message, "database");
                Self::new(status, code, "the server cannot reach its database; try again")
                    .with_header("Retry-After", "2")
            }
            _ if status == 500 => {
                tracing::error!(message, "internal error");
                Self::new(status, code, "the server failed; its log says why")
            }
            // What is no name is the whole query, or none that is known.
            StoreError::Search { parameter, .. } if is_name(&parameter) => {
                Self::of(status, Issue::error(code, message).of_parameter(&parameter))
            }
            StoreError::Gone { version, .. } => {
                Self::new(status, code, message).with_header("ETag", format!("W/\"{version}\""))
            }
            _ => Self::new(status, code, message),
        }
    }
}

/// Whether it can be the name of a search parameter, modifier and chain included.
fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte))
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Policy { reason } = &refusal {
            tracing::error!(reason, "the access policy could not be evaluated");
        }
        let failure = Self::new(403, IssueCode::Forbidden, refusal.to_string());
        match refusal {
            Refusal::UnknownType => Self::new(404, IssueCode::NotSupported, "no such resource type in R4"),
            Refusal::InsufficientScope { needed } => failure.with_header(
                "WWW-Authenticate",
                format!("Bearer realm=\"salus\", error=\"insufficient_scope\", scope=\"{needed}\""),
            ),
            _ => failure,
        }
    }
}

impl From<BearerError> for Failure {
    fn from(error: BearerError) -> Self {
        let code = match error {
            BearerError::Expired => IssueCode::Expired,
            BearerError::Unavailable => IssueCode::Transient,
            _ => IssueCode::Login,
        };
        Self::new(error.status(), code, error.to_string()).with_header("WWW-Authenticate", error.www_authenticate())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_kept_inside_a_bundle() {
        let below = |issue: Issue| {
            let failure = Failure::of(400, issue).below("Bundle.entry[3]");
            failure.issues.into_iter().next().and_then(|issue| issue.expression).unwrap_or_default()
        };
        let issue = || Issue::error(IssueCode::Invalid, "x");
        assert_eq!(below(issue()), "Bundle.entry[3]");
        assert_eq!(below(issue().at("Observation")), "Bundle.entry[3].resource");
        assert_eq!(below(issue().at("Observation.code.coding[0]")), "Bundle.entry[3].resource.code.coding[0]");
        assert_eq!(below(issue().of_parameter("birthdate")), "Bundle.entry[3].request");
    }
}
