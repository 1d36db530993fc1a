//! All search parameters by resource type, and the extraction of their values.

mod custom;
mod definition;
mod extract;
mod parts;
mod progress;

use std::cell::Cell;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::compile::{Compiler, MOST_PATHS};
use super::program::Program;
use super::{Key, ParameterType, SearchError, SearchValue};
use crate::definitions::{RawSearchParameter, SharedPart as Shared, TypeKind, Types};
use crate::json::Value;
use definition::Definition;
use extract::Entrances;
pub use progress::Progress;

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
    /// Codes of other parameters of the type that together find what this one finds (a narrowing to a type of
    /// target apart), so that an index of those answers for this one. Empty where there are none.
    pub parts: Vec<String>,
    /// A hash of its definition ([`RawSearchParameter::fingerprint`]), of its parts too.
    pub definition: Key,
    /// Id of the SearchParameter resource that defines it; none for those of packages. Only those of packages say
    /// whom a resource is about and when it happened.
    pub custom: Option<String>,
    /// Whether all its values stand in one element that occurs at most once, so that a resource has one of them at
    /// most; never of composites.
    pub occurs_once: bool,
    pub(super) program: Program,
}

/// The parameters of one resource type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct TypeParameters {
    /// Sorted by code.
    list: Vec<SearchParameter>,
    entrances: Entrances,
    /// Those that stored resources are not all indexed by yet: extracted, but not for searching.
    #[serde(skip)]
    pending: Pending,
}

/// Parameters that are not ready.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pending {
    list: Vec<SearchParameter>,
    entrances: Entrances,
    progress: Progress,
}

/// All search parameters of all resource types, compiled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ParameterTable {
    types: BTreeMap<String, Shared<TypeParameters>>,
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
            let compiler = Compiler { types, resource_type: &ty.name, budget: Cell::new(MOST_PATHS) };
            let mut list = compile_type(&compiler, &parsed)?;
            parts::find(&mut list);
            for parameter in &mut list {
                let parts: Vec<&str> = parameter.parts.iter().map(String::as_str).collect();
                parameter.definition = parameter.definition.with(&parts);
            }
            let entrances = Entrances::of(&list);
            let parameters = TypeParameters { list, entrances, pending: Pending::default() };
            table.types.insert(ty.name.clone(), parameters.into());
        }
        Ok(table)
    }

    /// The parameter `code` of a resource type, those of all resources included; none that is not
    /// [ready](Self::pending) to be searched by.
    pub fn get(&self, resource_type: &str, code: &str) -> Option<&SearchParameter> {
        let parameters = self.for_type(resource_type);
        let at = parameters.binary_search_by(|one| one.code.as_str().cmp(code)).ok()?;
        Some(&parameters[at])
    }

    /// All parameters of a resource type, those of all resources included, that are ready to be searched by, sorted
    /// by code.
    pub fn for_type(&self, resource_type: &str) -> &[SearchParameter] {
        self.types.get(resource_type).map_or(&[], |parameters| &parameters.list)
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
        if let Some(parameters) = self.types.get(resource_type) {
            parameters.entrances.extract(&parameters.list, base, resource, emit);
        }
    }
}

fn compile_type(compiler: &Compiler<'_>, definitions: &[Definition<'_>]) -> Result<Vec<SearchParameter>, SearchError> {
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

#[cfg(test)]
mod tests;
