//! Parameters beside those of the packages, and those that stored resources are not all indexed by yet.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::definition::Definition;
use super::{Entrances, ParameterTable, Pending, Progress, SearchParameter, TypeParameters};
use crate::definitions::{CustomParameter, RawSearchParameter, TypeKind, Types};
use crate::json::Value;
use crate::search::compile::{Compiler, MOST_PATHS};
use crate::search::{ParameterType, SearchError, SearchValue};

/// A definition for one resource type, compiled.
type OfType = (String, SearchParameter);

impl ParameterTable {
    /// Compiles a definition for each type of its bases. `known` are the definitions that components may name.
    ///
    /// # Errors
    /// [`SearchError::Expression`] where it lies outside the grammar or does not fit one of the types.
    pub(crate) fn compile_custom<'d>(
        types: &Types,
        custom: &CustomParameter,
        known: impl Iterator<Item = &'d RawSearchParameter>,
    ) -> Result<Vec<OfType>, SearchError> {
        let kinds: BTreeMap<&str, ParameterType> = known.map(|one| (one.url.as_str(), one.kind)).collect();
        let text = custom.definition.expression.as_deref().unwrap_or_default();
        let definition = Definition::parse(&custom.definition, text, &kinds)?;
        let mut compiled = Vec::new();
        for ty in types.iter().filter(|ty| ty.kind == TypeKind::Resource && !ty.abstract_) {
            let compiler = Compiler { types, resource_type: &ty.name, budget: Cell::new(MOST_PATHS) };
            let Some(base) = definition.base_of(types, &ty.name) else { continue };
            let parameter = definition.compile(&compiler, base)?;
            compiled.push((ty.name.clone(), SearchParameter { custom: Some(custom.id.clone()), ..parameter }));
        }
        Ok(compiled)
    }

    /// This table with further parameters, where their type has none of the same code.
    pub(crate) fn with(&self, added: Vec<OfType>) -> Self {
        let mut table = self.clone();
        let mut by_type: BTreeMap<String, Vec<SearchParameter>> = BTreeMap::new();
        for (name, parameter) in added {
            by_type.entry(name).or_default().push(parameter);
        }
        for (name, parameters) in by_type {
            if let Some(of_type) = table.types.get_mut(&name) {
                of_type.edit(|of_type| of_type.add(parameters));
            }
        }
        table
    }

    /// This table where only those parameters may be searched by for which `is_ready` holds, given the type.
    #[must_use]
    pub fn ready(&self, is_ready: impl Fn(&str, &SearchParameter) -> bool) -> Self {
        let mut table = self.clone();
        for (name, of_type) in &mut table.types {
            if of_type.all().any(|parameter| !is_ready(name, parameter)) || !of_type.pending.list.is_empty() {
                of_type.edit(|of_type| of_type.divide(|parameter| is_ready(name, parameter)));
            }
        }
        table
    }

    /// The parameters of a type that are not ready to be searched by, and how far they are.
    pub fn pending(&self, resource_type: &str) -> (&[SearchParameter], Option<&Progress>) {
        let pending = self.types.get(resource_type).map(|of_type| &of_type.pending);
        (pending.map_or(&[], |pending| &pending.list), pending.map(|pending| &pending.progress))
    }

    /// Why a parameter that there is cannot be searched by yet; none where there is no such parameter, or it can.
    pub fn why_not(&self, resource_type: &str, code: &str) -> Option<String> {
        let (pending, progress) = self.pending(resource_type);
        pending.iter().find(|one| one.code == code)?;
        let done = progress.map_or(0, Progress::get);
        Some(format!(
            "{resource_type} resources are being indexed for the search parameter '{code}', {done} % are done; it can \
             be searched by when all are"
        ))
    }

    /// All parameters of a type, ready or not.
    pub fn all_of_type(&self, resource_type: &str) -> impl Iterator<Item = &SearchParameter> {
        self.types.get(resource_type).into_iter().flat_map(|of_type| of_type.all())
    }

    /// As [`extract_below`](Self::extract_below), and of parameters that are not ready as well: what is stored has to
    /// be found when they are.
    pub fn extract_all_below<'r>(
        &'r self,
        base: &str,
        resource_type: &str,
        resource: &'r Value<'_>,
        emit: &mut impl FnMut(&'r SearchParameter, SearchValue<'r>),
    ) {
        self.extract_below(base, resource_type, resource, emit);
        if let Some(of_type) = self.types.get(resource_type)
            && !of_type.pending.list.is_empty()
        {
            of_type.pending.entrances.extract(&of_type.pending.list, base, resource, emit);
        }
    }
}

impl TypeParameters {
    fn all(&self) -> impl Iterator<Item = &SearchParameter> {
        self.list.iter().chain(&self.pending.list)
    }

    fn add(&mut self, parameters: Vec<SearchParameter>) {
        for parameter in parameters {
            if let Err(at) = self.list.binary_search_by(|one| one.code.cmp(&parameter.code)) {
                self.list.insert(at, parameter);
            }
        }
        self.entrances = Entrances::of(&self.list);
    }

    fn divide(&mut self, is_ready: impl Fn(&SearchParameter) -> bool) {
        let mut all = std::mem::take(&mut self.list);
        all.append(&mut self.pending.list);
        all.sort_by(|one, other| one.code.cmp(&other.code));
        let (ready, pending): (Vec<_>, Vec<_>) = all.into_iter().partition(is_ready);
        self.entrances = Entrances::of(&ready);
        self.list = ready;
        self.pending = Pending { entrances: Entrances::of(&pending), list: pending, progress: Progress::default() };
    }
}
