//! `:in`, `:not-in`, `:above` and `:below` of tokens (R4 search.html#modifiers), and `in`, `ni`, `ss` and `sb` of
//! `_filter` (R4 search_filter.html#ops): the codes that ValueSets list and that CodeSystems order, as far as those are
//! stored here and the caller may see them, or come with the packages.
//!
//! A search is rewritten before it is compiled, and so are granular scopes: the set becomes its codes. What cannot be listed, such as a system that
//! is not stored or a filter by a property, is refused with the reason.

mod hierarchy;
mod lookup;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::GenericClient;
use salus_access::{Access, CodeSets};
use salus_fhir::search::ParameterType;
use salus_fhir::search::query::{Filter, FilterOperator, Modifier, ParameterName, escape};

use self::lookup::{Relation, Terminology};
use super::SearchQuery;
use super::chain::targets;
use super::compile::refused;
use super::filter::{FILTER, full_system};
use crate::predicate::View;
use crate::{Error, Result, Store};

/// What the tests of a `_filter` that ask for sets of codes find, by operator and value: the codes, as a search lists
/// them.
pub(crate) type FilterSets = HashMap<(FilterOperator, String), String>;

impl SearchQuery {
    /// The search with its sets of codes written out.
    ///
    /// # Errors
    /// [`crate::Error::Search`] for a set that is not known here, or that cannot be listed.
    pub(super) async fn with_codes<'q>(
        &'q self,
        store: &Store,
        client: &impl GenericClient,
        view: &View<'_>,
    ) -> Result<Cow<'q, Self>> {
        let mut query = Cow::Borrowed(self);
        let mut terminology = Terminology::new(store, client, view);
        for (position, (name, value)) in self.filters.iter().enumerate() {
            let types: Vec<&str> = self.types().collect();
            if let (FILTER, None) = end_of(name) {
                let filter = Filter::parse(value).map_err(|error| refused(FILTER, error))?;
                let mut asked = Vec::new();
                sets_of_filter(view, &types_at_end(view, &types, name), &filter, &mut asked);
                for (operator, relation, value) in asked {
                    let set = if relation == Relation::Within { value.to_owned() } else { full_system(value).into() };
                    let codes = terminology.list(FILTER.to_owned(), relation, &escape(&set)).await?;
                    query.to_mut().filter_sets.insert((operator, value.to_owned()), codes);
                }
            } else if let Some((relation, listing)) = set_of_parameter(view, &types, name) {
                let codes = terminology.list(name.to_string(), relation, value).await?;
                query.to_mut().filters[position] = (listing, codes);
            }
        }
        Ok(query)
    }
}

impl Store {
    /// The access with the sets of codes that its granular scopes ask for. They are looked up in the server's name,
    /// since what a scope means is not its holder's to see or not to see. A set that is not known, or that cannot be
    /// listed, is left out: its scope grants nothing.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] where the database does not answer.
    pub async fn with_code_sets(&self, access: Arc<Access>) -> Result<Arc<Access>> {
        let may_ask = |(_, (name, _)): &(&str, &(String, String))| SET_MODIFIERS.iter().any(|one| name.ends_with(one));
        if !access.scope_filters().any(|filter| may_ask(&filter)) {
            return Ok(access);
        }
        let server = Access::system("scope-code-sets", self.tenant());
        let (view, client) = (self.view(&server), self.client().await?);
        let mut terminology = Terminology::new(self, &client, &view);
        let mut sets = CodeSets::new();
        for (resource_type, (name, value)) in access.scope_filters().filter(may_ask) {
            let types = match resource_type {
                "*" => view.definitions.resource_types().collect(),
                one => vec![one],
            };
            let Ok(parsed) = ParameterName::parse(name) else { continue };
            let Some((relation, listing)) = set_of_parameter(&view, &types, &parsed) else { continue };
            match terminology.list(name.clone(), relation, value).await {
                Ok(codes) => _ = sets.insert((name.clone(), value.clone()), (listing.to_string(), codes)),
                Err(Error::Search { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::new(access.with_code_sets(sets)))
    }
}

/// How parameters end that may ask for a set of codes.
const SET_MODIFIERS: [&str; 4] = [":in", ":not-in", ":above", ":below"];

/// How a parameter asks for a set of codes, if it does, and the parameter that lists them instead.
fn set_of_parameter(view: &View<'_>, types: &[&str], name: &ParameterName) -> Option<(Relation, ParameterName)> {
    let (code, modifier) = end_of(name);
    let relation = match modifier? {
        Modifier::In | Modifier::NotIn => Relation::Within,
        Modifier::Above => Relation::Above,
        Modifier::Below => Relation::Below,
        _ => return None,
    };
    // Above and below others are URLs, too, which say so themselves.
    if relation != Relation::Within && !is_token(view, &types_at_end(view, types, name), code) {
        return None;
    }
    let instead = (modifier == Some(&Modifier::NotIn)).then_some(Modifier::Not);
    Some((relation, with_modifier(name, instead)))
}

/// The parameter at the end of chains.
fn end_of(name: &ParameterName) -> (&str, Option<&Modifier>) {
    match name {
        ParameterName::Plain { code, modifier } => (code, modifier.as_ref()),
        ParameterName::Chain { rest, .. } | ParameterName::Has { rest, .. } => end_of(rest),
    }
}

/// The types that chains lead to from these.
fn types_at_end<'t>(view: &'t View<'_>, types: &[&'t str], name: &'t ParameterName) -> Vec<&'t str> {
    match name {
        ParameterName::Plain { .. } => types.to_vec(),
        ParameterName::Chain { target: Some(target), rest, .. } => types_at_end(view, &[target], rest),
        ParameterName::Chain { code, target: None, rest } => types_at_end(view, &followed(view, types, code), rest),
        ParameterName::Has { resource_type, rest, .. } => types_at_end(view, &[resource_type], rest),
    }
}

/// The types that references of a parameter point at.
fn followed<'t>(view: &'t View<'_>, types: &[&'t str], code: &str) -> Vec<&'t str> {
    let parameters = types.iter().filter_map(|name| view.definitions.search().get(name, code));
    parameters.flat_map(|parameter| targets(view, parameter)).collect()
}

fn is_token(view: &View<'_>, types: &[&str], code: &str) -> bool {
    let mut found = types.iter().filter_map(|name| view.definitions.search().get(name, code));
    found.any(|parameter| parameter.kind == ParameterType::Token)
}

/// The tests of a filter that ask for sets of codes.
fn sets_of_filter<'f>(
    view: &View<'_>,
    types: &[&str],
    filter: &'f Filter,
    found: &mut Vec<(FilterOperator, Relation, &'f str)>,
) {
    let (path, operator, value) = match filter {
        Filter::And(left, right) | Filter::Or(left, right) => {
            sets_of_filter(view, types, left, found);
            return sets_of_filter(view, types, right, found);
        }
        Filter::Not(not) => return sets_of_filter(view, types, not, found),
        Filter::Test { path, operator, value } => (path, *operator, value),
    };
    let relation = match operator {
        FilterOperator::In | FilterOperator::Ni => Some(Relation::Within),
        // The value subsumes what is found, or is subsumed by it.
        FilterOperator::Ss => Some(Relation::Below),
        FilterOperator::Sb => Some(Relation::Above),
        _ => None,
    };
    let mut types = types.to_vec();
    for (position, step) in path.iter().enumerate() {
        if position + 1 == path.len() {
            let asked = relation.filter(|_| is_token(view, &types, &step.code));
            found.extend(asked.map(|relation| (operator, relation, value.as_str())));
        } else {
            types = followed(view, &types, &step.code);
        }
        if let Some(filter) = &step.filter {
            sets_of_filter(view, &types, filter, found);
        }
    }
}

/// The same parameter with another modifier at its end.
fn with_modifier(name: &ParameterName, modifier: Option<Modifier>) -> ParameterName {
    let mut name = name.clone();
    let mut end = &mut name;
    loop {
        match end {
            ParameterName::Plain { modifier: of, .. } => {
                *of = modifier;
                return name;
            }
            ParameterName::Chain { rest, .. } | ParameterName::Has { rest, .. } => end = rest,
        }
    }
}
