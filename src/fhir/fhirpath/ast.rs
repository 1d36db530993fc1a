//! What an expression says, as a tree.

use super::functions::Function;
use super::item::System;

/// A part of an expression.
#[derive(Debug, Clone)]
pub(super) enum Ast {
    /// `{}`
    Empty,
    Literal(System<'static>),
    /// `%name`
    Variable(String),
    This,
    Index,
    Total,
    /// An element, of the focus where nothing stands before it.
    Member(Option<Box<Ast>>, String),
    Call(Option<Box<Ast>>, Call),
    /// `on[index]`
    Indexer(Box<Ast>, Box<Ast>),
    Negate(Box<Ast>),
    Plus(Box<Ast>),
    Binary(Operator, Box<Ast>, Box<Ast>),
    /// `on is Type`
    Is(Box<Ast>, TypeName),
    /// `on as Type`
    As(Box<Ast>, TypeName),
}

/// A function with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub function: Function,
    pub arguments: Vec<Ast>,
    /// The type that `is`, `as` and `ofType` name.
    pub type_name: Option<TypeName>,
    /// The pattern of `matches` and its kin, compiled where it is a literal.
    pub pattern: Option<regex::Regex>,
}

/// A type as written: `Patient`, `FHIR.Patient`, `System.String`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeName {
    pub namespace: Option<String>,
    pub name: String,
}

/// An operator between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Union,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    Equivalent,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Operator {
    /// How it is written.
    pub fn sign(self) -> &'static str {
        use Operator::*;
        match self {
            Multiply => "*",
            Divide => "/",
            Div => "div",
            Mod => "mod",
            Add => "+",
            Subtract => "-",
            Concatenate => "&",
            Union => "|",
            Less => "<",
            LessOrEqual => "<=",
            Greater => ">",
            GreaterOrEqual => ">=",
            Equal => "=",
            NotEqual => "!=",
            Equivalent => "~",
            NotEquivalent => "!~",
            In => "in",
            Contains => "contains",
            And => "and",
            Or => "or",
            Xor => "xor",
            Implies => "implies",
        }
    }
}
