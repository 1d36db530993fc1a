//! Why a patch is none, or cannot be applied.

use crate::fhirpath::FhirPathError;
use crate::outcome::{Issue, IssueCode};

/// What is wrong. What is wrong with the patch itself becomes HTTP 400; what only this resource, as it
/// is now, cannot take becomes 422 (RFC 5789, section 2.2; R4 http.html#patch).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatchErrorKind {
    /// The document or an operation has another form than a patch has: 400 `structure`.
    #[error("{0}")]
    Structure(&'static str),
    /// A part that the operation needs is missing: 400 `required`.
    #[error("the operation needs {0:?}")]
    Missing(&'static str),
    /// There is no operation of this name: 400 `code-invalid`.
    #[error("there is no operation {0:?}")]
    UnknownOperation(String),
    /// A part of the operation has no meaning there, or another form: 400 `invalid`.
    #[error("{part:?} must be {expected}")]
    Part {
        /// The part.
        part: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A value would be moved into itself: 400 `invalid`.
    #[error("a value cannot be moved into itself")]
    IntoItself,
    /// The path is no FHIRPath, or has no result: as [`FhirPathError`] says, 400 `invalid` or 422
    /// `too-costly`.
    #[error("the path: {0}")]
    Path(#[from] FhirPathError),
    /// Nothing stands where the operation needs something: 422 `not-found`.
    #[error("there is nothing at the operation's {0:?}")]
    NotFound(&'static str),
    /// A path that must lead to one element leads to several: 422 `multiple-matches`.
    #[error("the path leads to {0} elements, and must lead to one")]
    Several(usize),
    /// The element is there already and cannot repeat: 422 `duplicate`.
    #[error("the element {0:?} is there already and cannot repeat")]
    Exists(String),
    /// A position beyond the end of a list, or no position at all: 422 `value`.
    #[error("{0:?} must be a position in the list")]
    Index(&'static str),
    /// The value that `test` found is another: 422 `conflict`.
    #[error("the test failed: another value stands there")]
    TestFailed,
    /// The type has no such element: 422 `invalid`.
    #[error("{ty} has no element {name:?}")]
    UnknownElement {
        /// The type, or the path of a backbone element.
        ty: String,
        /// The element.
        name: String,
    },
    /// The value is of a type that the element cannot have: 422 `invalid`.
    #[error("the element {element:?} cannot be {found}")]
    Type {
        /// The element.
        element: String,
        /// The type of the value.
        found: String,
    },
    /// The path leads to what is no part of the resource, a computed value for example: 422 `invalid`.
    #[error("the path does not lead to a part of the resource")]
    NoPlace,
    /// The path does not lead to a list, all of it: 422 `invalid`.
    #[error("the path must lead to a whole list")]
    NoList,
    /// The operation would leave no resource: 422 `invalid`.
    #[error("the resource itself can be neither deleted nor replaced")]
    WholeResource,
    /// Values would be nested too deeply: 422 `too-costly`.
    #[error("values would be nested more than {0} levels deep")]
    TooDeep(usize),
    /// There are too many operations, or they copy, compare and search too much: 422 `too-costly`.
    #[error("the patch asks for too much work; split it, or update the resource")]
    TooCostly,
}

/// A patch that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", at(.operation))]
pub struct PatchError {
    /// What is wrong.
    pub kind: PatchErrorKind,
    /// Which operation, from 0; None where it is the patch as a whole.
    pub operation: Option<usize>,
}

fn at(operation: &Option<usize>) -> String {
    operation.map_or(String::new(), |index| format!("operation {} (from 0): ", index))
}

impl PatchErrorKind {
    /// The same, in an operation.
    pub(super) fn of(self, operation: usize) -> PatchError {
        PatchError { kind: self, operation: Some(operation) }
    }
}

impl From<PatchErrorKind> for PatchError {
    fn from(kind: PatchErrorKind) -> Self {
        Self { kind, operation: None }
    }
}

impl PatchError {
    /// The HTTP status: 400 where the patch itself is at fault, else 422.
    pub fn status(&self) -> u16 {
        use PatchErrorKind::*;
        match &self.kind {
            Structure(_) | Missing(_) | UnknownOperation(_) | Part { .. } | IntoItself => 400,
            Path(FhirPathError::TooCostly(_)) => 422,
            Path(_) => 400,
            _ => 422,
        }
    }

    /// The code of its issue.
    pub fn code(&self) -> IssueCode {
        use PatchErrorKind::*;
        match &self.kind {
            Structure(_) => IssueCode::Structure,
            Missing(_) => IssueCode::Required,
            UnknownOperation(_) => IssueCode::CodeInvalid,
            NotFound(_) => IssueCode::NotFound,
            Several(_) => IssueCode::MultipleMatches,
            Exists(_) => IssueCode::Duplicate,
            Index(_) => IssueCode::Value,
            TestFailed => IssueCode::Conflict,
            TooDeep(_) | TooCostly | Path(FhirPathError::TooCostly(_)) => IssueCode::TooCostly,
            _ => IssueCode::Invalid,
        }
    }

    /// As an issue of an OperationOutcome.
    pub fn issue(&self) -> Issue {
        Issue::error(self.code(), self.to_string())
    }
}
