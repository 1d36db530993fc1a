//! All search parameters by resource type, and the extraction of their values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::compile::Compiler;
use super::convert::SPECIAL_VALUES;
use super::expression::{Expression, parse};
use super::program::{Component, Composite, Leaf, Program, walk};
use super::{ParameterType, SearchError, SearchValue};
use crate::definitions::{RawSearchParameter, TypeKind, Types};
use crate::json::Value;

/// Where the parameters of FHIR itself are; they win over others of the same code.
const CORE: &str = "http://hl7.org/fhir/SearchParameter/";

/// The parameters that the store answers from its own columns: in the table, but never extracted.
const STORED: [&str; 2] = ["_id", "_lastUpdated"];

/// A search parameter of one resource type, compiled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchParameter {
    /// Its name in search URLs.
    pub code: String,
    /// Canonical URL, without version.
    pub url: String,
    /// Its type.
    pub kind: ParameterType,
    /// The base that its definition names: the resource type itself, or `Resource` or
    /// `DomainResource`.
    pub base: String,
    /// For references: the types they can point at; empty for any. Narrowed to the type that
    /// `.where(resolve() is …)` names, where the expression does (case A11).
    pub targets: Vec<String>,
    /// For composites: the components in order, by canonical URL of their definition and its type.
    pub components: Vec<(String, ParameterType)>,
    program: Program,
}

/// All search parameters of all resource types, compiled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterTable {
    /// By resource type; each list sorted by code.
    types: BTreeMap<String, Vec<SearchParameter>>,
    without_expression: Vec<String>,
}

impl ParameterTable {
    /// Compiles `raw` for every concrete resource type. Parameters of `Resource` and
    /// `DomainResource` are compiled for each of theirs.
    ///
    /// # Errors
    /// [`SearchError::Expression`] for the first that lies outside the grammar.
    pub fn compile(types: &Types, raw: &[RawSearchParameter]) -> Result<Self, SearchError> {
        let kinds: BTreeMap<&str, ParameterType> = raw.iter().map(|one| (one.url.as_str(), one.kind)).collect();
        let mut parsed = Vec::with_capacity(raw.len());
        let mut table = Self::default();
        for definition in raw {
            match &definition.expression {
                Some(text) => parsed.push(Definition::parse(definition, text, &kinds)?),
                None => table.without_expression.push(definition.url.clone()),
            }
        }
        parsed.sort_by_key(|one| (!one.raw.url.starts_with(CORE), &one.raw.url));
        for ty in types.iter().filter(|ty| ty.kind == TypeKind::Resource && !ty.abstract_) {
            let compiler = Compiler { types, resource_type: &ty.name };
            let parameters = compile_type(&compiler, &parsed)?;
            table.types.insert(ty.name.clone(), parameters);
        }
        Ok(table)
    }

    /// The parameter `code` of a resource type, those of all resources included.
    pub fn get(&self, resource_type: &str, code: &str) -> Option<&SearchParameter> {
        let parameters = self.for_type(resource_type);
        let at = parameters.binary_search_by(|one| one.code.as_str().cmp(code)).ok()?;
        Some(&parameters[at])
    }

    /// All parameters of a resource type, those of all resources included, sorted by code.
    pub fn for_type(&self, resource_type: &str) -> &[SearchParameter] {
        self.types.get(resource_type).map_or(&[], Vec::as_slice)
    }

    /// Canonical URLs of the parameters that have no expression, and so are not in the table
    /// (`_content`, `_text`, `_query`).
    pub fn without_expression(&self) -> &[String] {
        &self.without_expression
    }

    /// Calls `emit` with each value that each parameter of `resource_type` finds in `resource`.
    ///
    /// Not given: `_id` and `_lastUpdated`, which the store knows better; references to contained
    /// resources; and anything inside contained resources (R4 search.html#contained).
    pub fn extract<'r>(
        &'r self,
        resource_type: &str,
        resource: &'r Value<'_>,
        emit: &mut impl FnMut(&'r SearchParameter, SearchValue<'r>),
    ) {
        self.extract_below("", resource_type, resource, emit);
    }

    /// As [`extract`](Self::extract), for a server whose base URL is `base`: absolute references
    /// below it are given by type and id.
    pub fn extract_below<'r>(
        &'r self,
        base: &str,
        resource_type: &str,
        resource: &'r Value<'_>,
        emit: &mut impl FnMut(&'r SearchParameter, SearchValue<'r>),
    ) {
        for parameter in self.for_type(resource_type) {
            parameter.extract(base, resource, &mut |value| emit(parameter, value));
        }
    }
}

impl SearchParameter {
    /// Calls `emit` with each value found in `resource`, of the type that the parameter is for.
    pub(super) fn extract<'r>(
        &'r self,
        base: &str,
        resource: &'r Value<'_>,
        emit: &mut dyn FnMut(SearchValue<'r>),
    ) {
        match &self.program {
            Program::Values(leaves) => read(leaves, base, resource, resource, emit),
            Program::Test(condition) => {
                if let Some(holds) = condition.holds(resource, resource) {
                    let code = if holds { "true" } else { "false" };
                    emit(SearchValue::Token { system: Some(SPECIAL_VALUES), code: Some(code), text: None });
                }
            }
            Program::Composite(composites) => {
                for composite in composites {
                    let Composite { base: path, components } = composite;
                    walk(path, resource, resource, &mut |at| combine(components, base, at, resource, emit));
                }
            }
            Program::Stored => {}
        }
    }
}

/// Converts all that the leaves find from `start`.
fn read<'r>(
    leaves: &'r [Leaf],
    base: &str,
    start: &'r Value<'_>,
    resource: &'r Value<'_>,
    emit: &mut dyn FnMut(SearchValue<'r>),
) {
    for leaf in leaves {
        walk(&leaf.path, start, resource, &mut |found| leaf.conversion.convert(found, base, emit));
    }
}

/// Emits every combination of one value from each component.
fn combine<'r>(
    components: &'r [Component],
    base: &str,
    start: &'r Value<'_>,
    resource: &'r Value<'_>,
    emit: &mut dyn FnMut(SearchValue<'r>),
) {
    let mut combinations = Vec::new();
    // From the last to the first: a value of a measurement is absent more often than its code.
    for component in components.iter().rev() {
        let mut values = Vec::new();
        let start = if component.from_resource { resource } else { start };
        read(&component.leaves, base, start, resource, &mut |value| values.push(value));
        if values.is_empty() {
            return;
        }
        combinations.push(values);
    }
    let mut chosen = vec![0; combinations.len()];
    loop {
        let values = combinations.iter().zip(&chosen).rev().map(|(values, at)| values[*at].clone());
        emit(SearchValue::Composite(values.collect()));
        // Counts up, each digit in the base of its component's number of values.
        let Some(place) = (0..chosen.len()).find(|place| chosen[*place] + 1 < combinations[*place].len()) else {
            return;
        };
        chosen[..place].fill(0);
        chosen[place] += 1;
    }
}

/// A definition whose expressions are parsed.
struct Definition<'a> {
    raw: &'a RawSearchParameter,
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
    fn parse(
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
    fn base_of(&self, types: &Types, resource_type: &str) -> Option<&'a str> {
        self.raw.base.iter().map(String::as_str).find(|base| types.is_a(resource_type, base))
    }

    fn compile(&self, compiler: &Compiler<'_>, base: &str) -> Result<SearchParameter, SearchError> {
        let kind = self.raw.kind;
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
        let program =
            program.map_err(|reason| refusal(self.raw, compiler.resource_type, self.text, reason))?;
        let targets = program.referred_types().unwrap_or_else(|| self.raw.target.clone());
        Ok(SearchParameter {
            code: self.raw.code.clone(),
            url: self.raw.url.clone(),
            kind,
            base: base.to_owned(),
            targets,
            components: components.into_iter().map(|one| (one.url, one.kind)).collect(),
            program,
        })
    }
}

fn compile_type(
    compiler: &Compiler<'_>,
    definitions: &[Definition<'_>],
) -> Result<Vec<SearchParameter>, SearchError> {
    let mut parameters: BTreeMap<&str, SearchParameter> = BTreeMap::new();
    for definition in definitions {
        let Some(base) = definition.base_of(compiler.types, compiler.resource_type) else {
            continue;
        };
        let code = definition.raw.code.as_str();
        if !parameters.contains_key(code) {
            parameters.insert(code, definition.compile(compiler, base)?);
        }
    }
    Ok(parameters.into_values().collect())
}

fn refusal(raw: &RawSearchParameter, base: &str, text: &str, reason: String) -> SearchError {
    SearchError::Expression { url: raw.url.clone(), base: base.to_owned(), expression: text.to_owned(), reason }
}

#[cfg(test)]
mod tests;
