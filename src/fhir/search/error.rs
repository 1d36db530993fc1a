//! What can be wrong with a search or with the definition of a search parameter.

/// A search that cannot be understood, or a search parameter that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// A value does not have the form its parameter's type asks for. Status 400, issue code `value`.
    #[error("'{value}' is not a valid {expected}")]
    Value {
        /// The value as sent.
        value: String,
        /// What was expected, as the specification calls it.
        expected: &'static str,
    },
    /// A parameter name is not of the form `code`, `code:modifier`, `code:Type.rest` or
    /// `_has:Type:reference:rest`. Status 400, issue code `invalid`.
    #[error("'{0}' is not the name of a search parameter")]
    Name(String),
    /// A modifier that R4 does not define. Status 400, issue code `not-supported`.
    #[error("':{0}' is not a modifier of R4")]
    Modifier(String),
    /// A `_filter` that cannot be read. Status 400, issue code `invalid`.
    #[error("at character {at} of the filter: expected {expected}")]
    Filter {
        /// Where, in characters from 1.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// A chain of more than [`MAX_CHAIN`](super::query::MAX_CHAIN) steps. Status 400, issue code
    /// `too-costly`.
    #[error("a chain of more than {max} steps", max = super::query::MAX_CHAIN)]
    TooDeep,
    /// The expression of a search parameter lies outside the grammar that compiles. A failed start,
    /// or on adding a package status 422, issue code `not-supported`.
    #[error("search parameter {url}: expression '{expression}' for {base}: {reason}")]
    Expression {
        /// Canonical URL of the parameter.
        url: String,
        /// The resource type for which it was compiled.
        base: String,
        /// The expression, whole.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
}
