//! Parsing and compiling one definition.

use std::collections::BTreeMap;

use super::{STORED, SearchParameter};
use crate::definitions::{RawSearchParameter, Types};
use crate::search::compile::{Compiler, MOST_PATHS};
use crate::search::expression::{Expression, parse};
use crate::search::program::Program;
use crate::search::{ParameterType, SearchError};

/// A definition whose expressions are parsed.
pub(super) struct Definition<'a> {
    pub raw: &'a RawSearchParameter,
    text: &'a str,
    expression: Expression,
    components: Vec<ParsedComponent>,
}

/// A component of a composite, parsed.
#[derive(Clone)]
struct ParsedComponent {
    url: String,
    kind: ParameterType,
    expression: Expression,
}

/// Exchanges the definitions of a composite's components, leaving the expressions in their order.
fn swap_definitions(components: &mut [ParsedComponent]) {
    if let [first, second] = components {
        std::mem::swap(&mut first.url, &mut second.url);
        std::mem::swap(&mut first.kind, &mut second.kind);
    }
}

impl<'a> Definition<'a> {
    pub(super) fn parse(
        raw: &'a RawSearchParameter,
        text: &'a str,
        kinds: &BTreeMap<&str, ParameterType>,
    ) -> Result<Self, SearchError> {
        let refuse = |text: &str, reason| refusal(raw, &raw.base.join(", "), text, reason);
        let components = raw.components.iter().map(|(url, text)| {
            let kind = kinds.get(url.as_str()).ok_or_else(|| refuse(text, format!("{url} is not known")))?;
            let expression = parse(text).map_err(|reason| refuse(text, reason))?;
            Ok(ParsedComponent { url: url.clone(), kind: *kind, expression })
        });
        let components = components.collect::<Result<_, SearchError>>()?;
        let expression = parse(text).map_err(|reason| refuse(text, reason))?;
        Ok(Self { raw, text, expression, components })
    }

    /// The base of the definition that `resource_type` comes under, if one does.
    pub(super) fn base_of(&self, types: &Types, resource_type: &str) -> Option<&'a str> {
        self.raw.base.iter().map(String::as_str).find(|base| types.is_a(resource_type, base))
    }

    pub(super) fn compile(&self, compiler: &Compiler<'_>, base: &str) -> Result<SearchParameter, SearchError> {
        let kind = self.raw.kind;
        compiler.budget.set(MOST_PATHS);
        let mut components = self.components.clone();
        let program = match kind {
            _ if STORED.contains(&self.raw.code.as_str()) => Ok(Program::Stored),
            ParameterType::Composite => {
                let parts = |components: &[ParsedComponent]| {
                    components.iter().map(|one| (one.kind, one.expression.clone())).collect::<Vec<_>>()
                };
                compiler.composite(&self.expression, &parts(&components)).or_else(|reason| {
                    // R4 has the two definitions of DocumentReference-relationship swapped.
                    swap_definitions(&mut components);
                    compiler.composite(&self.expression, &parts(&components)).map_err(|_| reason)
                })
            }
            _ => compiler.program(kind, &self.expression),
        };
        let program = program.map_err(|reason| refusal(self.raw, compiler.resource_type, self.text, reason))?;
        let targets = program.referred_types().unwrap_or_else(|| self.raw.target.clone());
        let kinds: Vec<&str> = components.iter().map(|one| one.kind.name()).collect();
        Ok(SearchParameter {
            code: self.raw.code.clone(),
            url: self.raw.url.clone(),
            kind,
            base: base.to_owned(),
            targets,
            components: components.into_iter().map(|one| (one.url, one.kind)).collect(),
            parts: Vec::new(),
            definition: self.raw.fingerprint().with(&kinds),
            custom: None,
            occurs_once: kind != ParameterType::Composite && compiler.occurs_once(&self.expression),
            program,
        })
    }
}

fn refusal(raw: &RawSearchParameter, base: &str, text: &str, reason: String) -> SearchError {
    SearchError::Expression { url: raw.url.clone(), base: base.to_owned(), expression: text.to_owned(), reason }
}
