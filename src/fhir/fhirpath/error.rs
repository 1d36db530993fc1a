//! Why an expression is none, or has no result.

/// A fault of an expression. In a client's own expression (FHIRPath Patch, a view) each becomes
/// HTTP 400 with issue code `invalid`, but for [`TooCostly`](FhirPathError::TooCostly), which
/// becomes 422 with `too-costly`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FhirPathError {
    /// The text is not FHIRPath.
    #[error("{message}, at character {offset} of the FHIRPath expression")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Characters before the fault.
        offset: usize,
    },
    /// It names what does not exist: a type, an element (where elements are checked), a variable.
    #[error("{0}")]
    Semantic(String),
    /// It is right in itself, and asks of the data what they cannot give: `'a' - 1`, `single()` of two.
    #[error("{0}")]
    Execution(String),
    /// It took more steps than [`Environment::with_steps`](super::Environment::with_steps) allows.
    #[error("the FHIRPath expression took more than {0} steps")]
    TooCostly(u64),
}

impl FhirPathError {
    pub(super) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    pub(super) fn semantic(message: impl Into<String>) -> Self {
        Self::Semantic(message.into())
    }
}
