//! `:in`, `:not-in`, `:above` and `:below` of tokens (R4 search.html#modifiers): the codes that ValueSets list and that
//! CodeSystems order, as far as those are stored here and the caller may see them, or come with the packages.
//!
//! A search is rewritten before it is compiled: the set becomes its codes. What cannot be listed, such as a system that
//! is not stored or a filter by a property, is refused with the reason.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use salus_fhir::Definitions;
use salus_fhir::json::{Limits, Value, parse};
use salus_fhir::search::ParameterType;
use salus_fhir::search::query::{Modifier, ParameterName, System, TokenQuery, escape, split_values};

use super::compile::{invalid, refused};
use super::query::Total;
use super::{SearchContext, SearchQuery};
use crate::predicate::View;
use crate::{Result, Store};

/// Codes of one set.
const MOST_CODES: usize = 5000;
/// Value sets that lead to each other, one after the other.
const DEEPEST: usize = 8;
/// Stands for a set without codes: nobody has this system.
const NO_CODE: &str = "urn:oid:0.0|none";

/// Codes with their systems.
type Codes = BTreeSet<(String, String)>;

/// What looks up the sets of one search.
struct Terminology<'t, C> {
    store: &'t Store,
    client: &'t C,
    view: &'t View<'t>,
    /// The parameter, as messages name it.
    parameter: String,
}

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
        for (position, (name, value)) in self.filters.iter().enumerate() {
            if !matches!(name.modifier(), Some(Modifier::In | Modifier::NotIn | Modifier::Above | Modifier::Below)) {
                continue;
            }
            let types: Vec<&str> = self.context.types.iter().map(String::as_str).collect();
            let Some(modifier) = asks_for_a_set(&view.definitions, &types, name) else { continue };
            let terminology = Terminology { store, client, view, parameter: name.to_string() };
            let codes = terminology.all(modifier, value).await?;
            let instead = (*modifier == Modifier::NotIn).then_some(Modifier::Not);
            let values: Vec<String> = codes.iter().map(|(system, code)| token(system, code)).collect();
            let value = if values.is_empty() { NO_CODE.to_owned() } else { values.join(",") };
            query.to_mut().filters[position] = (with_modifier(name, instead), value);
        }
        Ok(query)
    }
}

/// The modifier, if the parameter at the end asks for a set of codes.
fn asks_for_a_set<'n>(definitions: &Definitions, types: &[&str], name: &'n ParameterName) -> Option<&'n Modifier> {
    match name {
        ParameterName::Plain { code, modifier: Some(modifier) } => {
            let is_token = || {
                let mut found = types.iter().filter_map(|name| definitions.search().get(name, code));
                found.any(|parameter| parameter.kind == ParameterType::Token)
            };
            let asks = match modifier {
                Modifier::In | Modifier::NotIn => true,
                Modifier::Above | Modifier::Below => is_token(),
                _ => false,
            };
            asks.then_some(modifier)
        }
        ParameterName::Plain { .. } => None,
        ParameterName::Chain { code, target, rest } => {
            let followed = types.iter().filter_map(|name| definitions.search().get(name, code));
            let targets: Vec<&str> = match target {
                Some(target) => vec![target],
                None => followed.flat_map(|parameter| parameter.targets.iter().map(String::as_str)).collect(),
            };
            asks_for_a_set(definitions, &targets, rest)
        }
        ParameterName::Has { resource_type, rest, .. } => asks_for_a_set(definitions, &[resource_type], rest),
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

/// A code as a search writes it.
fn token(system: &str, code: &str) -> String {
    format!("{}|{}", escape(system).replace('|', "\\|"), escape(code).replace('|', "\\|"))
}

impl<C: GenericClient> Terminology<'_, C> {
    /// The codes of all the alternatives of a value.
    async fn all(&self, modifier: &Modifier, value: &str) -> Result<Codes> {
        let mut codes = Codes::new();
        for one in split_values(value) {
            codes.extend(match modifier {
                Modifier::In | Modifier::NotIn => self.value_set(one, 0).await?,
                _ => self.relatives(one, *modifier == Modifier::Below).await?,
            });
        }
        self.expect_few(&codes)?;
        Ok(codes)
    }

    fn refuse<T>(&self, message: &str) -> Result<T> {
        Err(invalid(&self.parameter, message))
    }

    fn expect_few(&self, codes: &Codes) -> Result<()> {
        match codes.len() > MOST_CODES {
            true => self.refuse(&format!("the set has {} codes; {MOST_CODES} is the most", codes.len())),
            false => Ok(()),
        }
    }

    /// A code, and all that are below or above it.
    async fn relatives(&self, value: &str, below: bool) -> Result<Codes> {
        let query = TokenQuery::parse(value).map_err(|error| refused(&self.parameter, error))?;
        let (System::Is(system), Some(code)) = (query.system, query.code) else {
            return self.refuse("this modifier takes a code with its system: 'system|code'");
        };
        let hierarchy = self.code_system(&system).await?;
        if !hierarchy.parents.contains_key(&code) {
            return self.refuse(&format!("the CodeSystem {system} has no code '{code}'"));
        }
        let related = if below { hierarchy.descendants(&code) } else { hierarchy.ancestors(&code) };
        Ok(related.into_iter().map(|code| (system.clone(), code)).collect())
    }

    /// The codes of a ValueSet, given by reference or canonical URL.
    async fn value_set(&self, reference: &str, depth: usize) -> Result<Codes> {
        if depth > DEEPEST {
            return self.refuse("its value sets lead to each other without end");
        }
        let Some(text) = self.find("ValueSet", reference).await? else {
            let url = reference.split('|').next().unwrap_or_default();
            let Some(set) = self.view.definitions.types().code_set(url) else {
                return self.refuse(&format!("the ValueSet '{reference}' is not known here, or may not be seen"));
            };
            return Ok(set.codings().map(|(system, code)| (system.to_owned(), code.to_owned())).collect());
        };
        let set = self.read(&text)?;
        if let Some(expansion) = set.get("expansion") {
            let mut codes = Codes::new();
            expanded(expansion, &mut codes);
            return Ok(codes);
        }
        let mut codes = Codes::new();
        let compose = set.get("compose");
        for include in compose.iter().flat_map(|compose| compose.items("include")) {
            codes.extend(self.part(include, depth).await?);
            self.expect_few(&codes)?;
        }
        for exclude in compose.iter().flat_map(|compose| compose.items("exclude")) {
            for code in self.part(exclude, depth).await? {
                codes.remove(&code);
            }
        }
        Ok(codes)
    }

    /// One `include` or `exclude`: all that it names has to hold (R4 valueset.html#compositions).
    async fn part(&self, part: &Value<'_>, depth: usize) -> Result<Codes> {
        let mut codes = match part.get_str("system") {
            Some(system) => Some(self.of_system(system, part).await?),
            None => None,
        };
        for set in part.items("valueSet").iter().filter_map(Value::as_str) {
            let further = Box::pin(self.value_set(set, depth + 1)).await?;
            codes = Some(match codes {
                Some(codes) => codes.intersection(&further).cloned().collect(),
                None => further,
            });
        }
        Ok(codes.unwrap_or_default())
    }

    /// The concepts that a part lists of a system, those its filters find, or all.
    async fn of_system(&self, system: &str, part: &Value<'_>) -> Result<Codes> {
        let concepts = part.items("concept");
        let with_system = |code: String| (system.to_owned(), code);
        if !concepts.is_empty() {
            let listed = concepts.iter().filter_map(|concept| concept.get_str("code"));
            return Ok(listed.map(|code| with_system(code.to_owned())).collect());
        }
        let hierarchy = self.code_system(system).await?;
        let mut codes: BTreeSet<String> = hierarchy.parents.keys().cloned().collect();
        for filter in part.items("filter") {
            let (property, operator) = (filter.get_str("property"), filter.get_str("op").unwrap_or_default());
            let value = filter.get_str("value").unwrap_or_default();
            let mut found = match (property, operator) {
                (Some("concept"), "is-a" | "descendent-of") => hierarchy.descendants(value),
                _ => {
                    return self.refuse(&format!(
                        "a filter of the ValueSet cannot be evaluated here: {} {operator}",
                        property.unwrap_or("?")
                    ));
                }
            };
            if operator == "descendent-of" {
                found.remove(value);
            }
            codes.retain(|code| found.contains(code));
        }
        Ok(codes.into_iter().map(with_system).collect())
    }

    /// The codes of a CodeSystem, and what is below what.
    async fn code_system(&self, url: &str) -> Result<Hierarchy> {
        let Some(text) = self.find("CodeSystem", url).await? else {
            return self.refuse(&format!("the CodeSystem '{url}' is not known here, or may not be seen"));
        };
        let system = self.read(&text)?;
        if system.get_str("content") != Some("complete") {
            return self.refuse(&format!("the CodeSystem '{url}' does not list all its codes"));
        }
        let mut hierarchy = Hierarchy::default();
        hierarchy.add(&system, None);
        Ok(hierarchy)
    }

    /// The text of a stored resource, by `Type/id`, its URL here, or its canonical URL: the one that changed last.
    async fn find(&self, resource_type: &str, reference: &str) -> Result<Option<String>> {
        let local = reference.strip_prefix(self.view.base).map_or(reference, |rest| rest.trim_start_matches('/'));
        let mut parameters = vec![("_sort".to_owned(), "-_lastUpdated".to_owned())];
        match local.strip_prefix(resource_type).and_then(|rest| rest.strip_prefix('/')) {
            Some(id) => parameters.push(("_id".to_owned(), escape(id))),
            None => {
                let (url, version) = reference.split_once('|').unwrap_or((reference, ""));
                parameters.push(("url".to_owned(), escape(url)));
                if !version.is_empty() {
                    parameters.push(("version".to_owned(), escape(version)));
                }
            }
        }
        let context = SearchContext::of_type(resource_type);
        let (mut query, _) = SearchQuery::parse(&self.view.definitions, context, &parameters)?;
        (query.count, query.total) = (1, Total::None);
        let page = Box::pin(self.store.search_with(self.client, self.view, &query)).await?;
        Ok(page.entries.into_iter().next().and_then(|entry| entry.version.body.map(|body| body.to_string())))
    }

    fn read<'v>(&self, text: &'v str) -> Result<Value<'v>> {
        parse(text, &Limits::default()).or_else(|error| self.refuse(&error.to_string()))
    }
}

/// The codes of an expansion, or of a part of one, at every depth; headings are none.
fn expanded(part: &Value<'_>, codes: &mut Codes) {
    for one in part.items("contains") {
        if let Some(code) = one.get_str("code")
            && one.get("abstract").and_then(Value::as_bool) != Some(true)
        {
            codes.insert((one.get_str("system").unwrap_or_default().to_owned(), code.to_owned()));
        }
        expanded(one, codes);
    }
}

/// The codes of a system, each with those right above it.
#[derive(Default)]
struct Hierarchy {
    parents: BTreeMap<String, Vec<String>>,
}

impl Hierarchy {
    /// Adds the concepts below `at`: by nesting, and by the property `parent` (R4 codesystem.html#hierarchy).
    fn add(&mut self, at: &Value<'_>, parent: Option<&str>) {
        for concept in at.items("concept") {
            let Some(code) = concept.get_str("code") else { continue };
            let named = concept.items("property").iter().filter(|one| one.get_str("code") == Some("parent"));
            let named = named.filter_map(|one| one.get_str("valueCode"));
            let parents = self.parents.entry(code.to_owned()).or_default();
            parents.extend(parent.into_iter().chain(named).map(str::to_owned));
            self.add(concept, Some(code));
        }
    }

    /// A code and all above it.
    fn ancestors(&self, code: &str) -> BTreeSet<String> {
        let (mut found, mut open) = (BTreeSet::new(), vec![code.to_owned()]);
        while let Some(code) = open.pop() {
            if found.insert(code.clone()) {
                open.extend(self.parents.get(&code).into_iter().flatten().cloned());
            }
        }
        found
    }

    /// A code and all below it.
    fn descendants(&self, code: &str) -> BTreeSet<String> {
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (child, parents) in &self.parents {
            parents.iter().for_each(|parent| children.entry(parent).or_default().push(child));
        }
        let (mut found, mut open) = (BTreeSet::new(), vec![code]);
        while let Some(code) = open.pop() {
            if found.insert(code.to_owned()) {
                open.extend(children.get(code).into_iter().flatten());
            }
        }
        found
    }
}
