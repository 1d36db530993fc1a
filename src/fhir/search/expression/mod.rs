//! The part of FHIRPath that search parameters are written in, as a syntax tree.
//!
//! Source: R4 searchparameter.html (SearchParameter.expression); FHIRPath N1. Whatever is not in
//! [`Expression`] is refused: a parameter that indexes nothing is worse than one that fails to load.

mod lexer;
mod parser;

pub(super) use parser::parse;

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// `a | b`
    Union(Vec<Expression>),
    /// `a.b(…)[0]`
    Path(Vec<Step>),
    /// `a as X`
    Cast(Box<Expression>, String),
    /// `a is X`
    Is(Box<Expression>, String),
    /// `a = 'x'`, `a != false`
    Compare {
        /// The side that is not a literal.
        left: Box<Expression>,
        /// Whether it is `!=`.
        negated: bool,
        /// What it is compared with.
        right: Literal,
    },
    /// `a and b`
    And(Vec<Expression>),
    /// `a or b`
    Or(Vec<Expression>),
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// A type's or element's name.
    Name(String),
    /// `( … )` at the start of a path.
    Group(Box<Expression>),
    /// `%resource`
    Resource,
    /// `$this`
    This,
    /// `.as(X)`, `.ofType(X)`
    Cast(String),
    /// `.where(…)`
    Where(Box<Expression>),
    /// `.extension('url')`
    Extension(String),
    /// `.hasExtension('url')`
    HasExtension(String),
    /// `.exists()`
    Exists,
    /// `.resolve()`
    Resolve,
    /// `[0]`, `.first()`
    Index(usize),
}

/// What an element is compared with.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) enum Literal {
    /// `'text'`
    Text(String),
    /// `true`
    Boolean(bool),
}
