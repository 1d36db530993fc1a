//! OperationOutcome: how success with remarks and every failure is told.
//!
//! Source: R4 operationoutcome.html; valueset-issue-severity; valueset-issue-type.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json::{JsonError, write_string};

/// How grave an issue is (R4 valueset-issue-severity), gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Severity {
    /// The interaction failed and nothing further was checked.
    Fatal,
    /// The interaction failed.
    Error,
    /// The interaction may have succeeded; its result may not be what was meant.
    Warning,
    /// A remark.
    Information,
}

impl Severity {
    /// The FHIR code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

macro_rules! issue_codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal,)+) => {
        /// What sort of issue it is (R4 valueset-issue-type).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum IssueCode {
            $($(#[doc = $doc])+ $name,)+
        }

        impl IssueCode {
            /// All codes, in the order of the value set.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The FHIR code.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

issue_codes! {
    /// Content invalid against the specification or a profile.
    Invalid = "invalid",
    /// A structural issue in the content, such as text that is not JSON or an unknown element.
    Structure = "structure",
    /// A required element is missing.
    Required = "required",
    /// An element or header value is invalid.
    Value = "value",
    /// A content validation rule failed.
    Invariant = "invariant",
    /// An authentication, authorization or permission issue of some kind.
    Security = "security",
    /// The client needs to authenticate.
    Login = "login",
    /// The user or system was not recognised.
    Unknown = "unknown",
    /// The session has expired.
    Expired = "expired",
    /// The user does not have the rights to perform this action.
    Forbidden = "forbidden",
    /// Some information was not or might not have been returned for reasons of privacy or policy.
    Suppressed = "suppressed",
    /// Processing issues.
    Processing = "processing",
    /// The interaction, operation, resource or profile is not supported.
    NotSupported = "not-supported",
    /// An attempt was made to create a duplicate record.
    Duplicate = "duplicate",
    /// Several matching records were found where one was required.
    MultipleMatches = "multiple-matches",
    /// The reference provided was not found.
    NotFound = "not-found",
    /// The reference pointed to content that has been deleted.
    Deleted = "deleted",
    /// Provided content is too long.
    TooLong = "too-long",
    /// The code or system could not be understood, or is not valid in this context.
    CodeInvalid = "code-invalid",
    /// An extension was found that was not acceptable or could not be resolved.
    Extension = "extension",
    /// The operation was stopped to protect server resources.
    TooCostly = "too-costly",
    /// The content or operation failed to pass some business rule.
    BusinessRule = "business-rule",
    /// Content could not be accepted because of an edit conflict.
    Conflict = "conflict",
    /// Transient processing issues: the same request may succeed later.
    Transient = "transient",
    /// A resource or record locking failure.
    LockError = "lock-error",
    /// The persistent store is unavailable.
    NoStore = "no-store",
    /// An unexpected internal error.
    Exception = "exception",
    /// An internal timeout.
    Timeout = "timeout",
    /// Not all data sources typically accessed could be reached, or inputs are lacking.
    Incomplete = "incomplete",
    /// The system is not prepared to handle this request due to load management.
    Throttled = "throttled",
    /// A message unrelated to the processing success of the completed operation.
    Informational = "informational",
}

/// How the place of what is wrong with the HTTP request begins.
const HTTP: &str = "http.";

/// One issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How grave it is.
    pub severity: Severity,
    /// What sort it is.
    pub code: IssueCode,
    /// What happened and what to do, for people. Never with patient data or secrets.
    pub diagnostics: String,
    /// The element it is about as a FHIRPath expression, `Patient.name[0].given[1]`, or the parameter of the request
    /// ([`Self::of_parameter`]).
    pub expression: Option<String>,
}

impl Issue {
    /// An issue of severity `error`.
    pub fn error(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, diagnostics: diagnostics.into(), expression: None }
    }

    /// An issue of severity `warning`.
    pub fn warning(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, diagnostics) }
    }

    /// An issue of severity `information`.
    pub fn information(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Self { severity: Severity::Information, ..Self::error(code, diagnostics) }
    }

    /// The same issue, at the element that a FHIRPath expression names.
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }

    /// The same issue, about a parameter of the HTTP request: `http.` and its name, as R4 has it for `issue.location`
    /// and R5 for `issue.expression`.
    pub fn of_parameter(self, name: &str) -> Self {
        self.at(format!("{HTTP}{name}"))
    }

    /// Whether it is about the HTTP request, as [`Self::of_parameter`] says, rather than about a resource.
    pub fn is_of_request(&self) -> bool {
        self.expression.as_deref().is_some_and(|expression| expression.starts_with(HTTP))
    }

    /// Whether it makes the interaction fail.
    pub fn is_error(&self) -> bool {
        self.severity <= Severity::Error
    }

    fn write(&self, out: &mut String) {
        out.push_str("{\"severity\":");
        write_string(self.severity.as_str(), out);
        out.push_str(",\"code\":");
        write_string(self.code.as_str(), out);
        // FHIR has no empty strings: what is empty is left out.
        if !self.diagnostics.is_empty() {
            out.push_str(",\"diagnostics\":");
            // FHIR strings have no U+0000, which may come from input that is quoted here.
            write_string(&self.diagnostics.replace('\0', "\u{fffd}"), out);
        }
        if let Some(expression) = self.expression.as_deref().filter(|text| !text.is_empty()) {
            // What has a FHIRPath needs no XPath, which R4 keeps for old readers only.
            let names: &[&str] = if self.is_of_request() { &["location", "expression"] } else { &["expression"] };
            for name in names {
                out.push_str(&format!(",\"{name}\":["));
                write_string(&expression.replace('\0', "\u{fffd}"), out);
                out.push(']');
            }
        }
        out.push('}');
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.severity.as_str(), self.code.as_str())?;
        if let Some(expression) = &self.expression {
            write!(f, " at {expression}")?;
        }
        write!(f, ": {}", self.diagnostics)
    }
}

impl From<&JsonError> for Issue {
    fn from(error: &JsonError) -> Self {
        let issue = Self::error(IssueCode::Structure, error.to_string());
        match error.expression.as_str() {
            "" => issue,
            expression => issue.at(expression),
        }
    }
}

/// A list of issues.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationOutcome {
    /// At least one, where it is sent.
    pub issues: Vec<Issue>,
}

impl OperationOutcome {
    /// One error.
    pub fn error(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Issue::error(code, diagnostics).into()
    }

    /// The outcome of something that went well: one informational issue.
    pub fn information(diagnostics: impl Into<String>) -> Self {
        Issue::information(IssueCode::Informational, diagnostics).into()
    }

    /// Adds an issue.
    pub fn with(mut self, issue: Issue) -> Self {
        self.issues.push(issue);
        self
    }

    /// Whether an issue makes the interaction fail.
    pub fn has_errors(&self) -> bool {
        self.issues.iter().any(Issue::is_error)
    }

    /// The resource as compact JSON. Without issues it says that there are none, since the resource
    /// must have one.
    pub fn to_json(&self) -> String {
        if self.issues.is_empty() {
            return Self::information("no issues").to_json();
        }
        let mut out = String::from(r#"{"resourceType":"OperationOutcome","issue":["#);
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            issue.write(&mut out);
        }
        out.push_str("]}");
        out
    }
}

impl From<Issue> for OperationOutcome {
    fn from(issue: Issue) -> Self {
        Self { issues: vec![issue] }
    }
}

impl From<Vec<Issue>> for OperationOutcome {
    fn from(issues: Vec<Issue>) -> Self {
        Self { issues }
    }
}

impl From<&JsonError> for OperationOutcome {
    fn from(error: &JsonError) -> Self {
        Issue::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn every_part_is_written_and_escaped() {
        let outcome = OperationOutcome::error(IssueCode::CodeInvalid, "no \"such\"\ncode\0")
            .with(Issue::warning(IssueCode::TooLong, "").at("Patient.name[0]"));
        assert_eq!(
            outcome.to_json(),
            "{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\
             \"code\":\"code-invalid\",\"diagnostics\":\"no \\\"such\\\"\\ncode\u{fffd}\"},\
             {\"severity\":\"warning\",\"code\":\"too-long\",\"expression\":[\"Patient.name[0]\"]}]}"
        );
        assert!(outcome.has_errors());
    }

    #[test]
    fn a_parameter_is_named_in_both_places() {
        let issue = Issue::error(IssueCode::Invalid, "x").of_parameter("birthdate");
        let text = OperationOutcome::from(issue).to_json();
        assert!(text.contains(r#""location":["http.birthdate"],"expression":["http.birthdate"]"#), "{text}");
    }

    #[test]
    fn an_outcome_is_never_without_issue() {
        let text = OperationOutcome::default().to_json();
        let value = parse(&text, &Limits::default()).unwrap();
        assert_eq!(value.items("issue")[0].get_str("severity"), Some("information"));
    }

    #[test]
    fn json_errors_become_structure_issues() {
        let error = parse(r#"{"resourceType":"Patient","id":1.}"#, &Limits::default()).unwrap_err();
        let issue = Issue::from(&error);
        assert_eq!((issue.code, issue.expression.as_deref()), (IssueCode::Structure, Some("Patient.id")));
        assert!(issue.diagnostics.contains("line 1, column 32"), "{}", issue.diagnostics);
    }

    #[test]
    fn issue_codes_are_those_of_the_value_set() {
        assert_eq!(IssueCode::ALL.len(), 31);
        let Some(r4) = crate::definitions::tests::r4() else {
            return;
        };
        let (element, _) = r4.element("OperationOutcome.issue", "code").unwrap();
        let codes = r4.types().codes(element.binding.as_ref().unwrap()).unwrap();
        let mut ours: Vec<_> = IssueCode::ALL.iter().map(|code| code.as_str()).collect();
        ours.sort_unstable();
        assert_eq!(codes.codes().collect::<Vec<_>>(), ours);
    }
}
