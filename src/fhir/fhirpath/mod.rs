//! FHIRPath over lossless JSON: parsed once, evaluated as often as needed.
//!
//! Source: FHIRPath N1 (2.0.0 ballot for boundaries, `sort` and some string functions); R4
//! fhirpath.html.
//!
//! An [`Expression`] is the parsed text. An [`Environment`] holds what an evaluation can know beside
//! its input: the definitions, `%resource`, variables, [`Services`] such as `resolve()`. The result
//! is a collection of [`Item`]s, elements of the resource ([`Node`]) where they come from it, so
//! that nothing is copied and decimals keep their digits.
//!
//! No input makes it panic: nesting, steps and the length of strings are bounded, and regular
//! expressions run in linear time. Why not a library: `docs/decisions/0010-fhirpath.md`.

mod ast;
mod environment;
mod error;
mod evaluate;
mod functions;
mod item;
mod lexer;
mod operators;
mod parser;
mod quantity;
mod temporal;

pub use environment::{Environment, Services};
pub use error::FhirPathError;
pub use item::{Item, Node, System, TypeInfo};
pub use quantity::{Quantity, Unit};
pub use temporal::{CalendarUnit, Temporal, TemporalKind};

use evaluate::{Run, Scope, truth};

/// A parsed FHIRPath expression.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    ast: ast::Ast,
}

impl Expression {
    /// Parses `text`.
    ///
    /// # Errors
    /// [`FhirPathError::Syntax`] where it is not FHIRPath, names a function that does not exist, or
    /// is nested too deeply.
    pub fn parse(text: &str) -> Result<Self, FhirPathError> {
        Ok(Self { text: text.to_owned(), ast: parser::parse(text)? })
    }

    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it selects or computes for `input`.
    ///
    /// # Errors
    /// [`FhirPathError`] where the data do not allow what is asked of them, or it is too costly.
    pub fn evaluate<'a>(
        &'a self,
        environment: &Environment<'a>,
        input: impl Into<Item<'a>>,
    ) -> Result<Vec<Item<'a>>, FhirPathError> {
        self.evaluate_within(environment, input, &mut environment.steps())
    }

    /// As [`evaluate`](Self::evaluate), with so many steps left, which are counted down: for several
    /// evaluations that together may take no more than that.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_within<'a>(
        &'a self,
        environment: &Environment<'a>,
        input: impl Into<Item<'a>>,
        steps_left: &mut u64,
    ) -> Result<Vec<Item<'a>>, FhirPathError> {
        let input = input.into();
        let this = std::slice::from_ref(&input);
        let mut run = Run::new(environment, *steps_left);
        let outcome = run.eval(&self.ast, Scope { this, index: None, total: &[] });
        *steps_left = run.steps_left();
        outcome
    }

    /// For a path that ends with the name of an element, the path before that, and the name: where a
    /// new element has to go. None for all others.
    pub fn split_last(&self) -> Option<(Self, &str)> {
        match &self.ast {
            ast::Ast::Member(Some(on), name) => Some((Self { text: self.text.clone(), ast: (**on).clone() }, name)),
            ast::Ast::Member(None, name) => Some((Self { text: self.text.clone(), ast: ast::Ast::This }, name)),
            _ => None,
        }
    }

    /// Whether it holds for `input`, as an invariant or a filter asks: None where the result is
    /// empty. A single item that is no boolean is true.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), and where there is more than one item.
    pub fn holds<'a>(
        &'a self,
        environment: &Environment<'a>,
        input: impl Into<Item<'a>>,
    ) -> Result<Option<bool>, FhirPathError> {
        truth(&self.evaluate(environment, input)?, "the result")
    }
}

#[cfg(test)]
mod tests;
