//! Looking up the codes of ValueSets, and of what is above and below a code.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use deadpool_postgres::GenericClient;
use salus_fhir::json::{Limits, Value, parse};
use salus_fhir::search::query::{System, TokenQuery, escape, split_values};

use super::hierarchy::Hierarchy;
use crate::predicate::View;
use crate::search::compile::{invalid, refused};
use crate::search::{SearchContext, SearchQuery, Total};
use crate::{Result, Store};

/// Codes of one set.
const MOST_CODES: usize = 5000;
/// Value sets that lead to each other, one after the other.
const DEEPEST: usize = 8;
/// Stands for a set without codes: nobody has this system.
const NO_CODE: &str = "urn:oid:0.0|none";

/// Codes with their systems.
type Codes = BTreeSet<(String, String)>;

/// What is asked of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Relation {
    /// To be in a ValueSet.
    Within,
    /// To be a code or one above it.
    Above,
    /// To be a code or one below it.
    Below,
}

/// What looks up the sets of one search. Each CodeSystem and ValueSet is read once.
pub(super) struct Terminology<'t, C> {
    store: &'t Store,
    client: &'t C,
    view: &'t View<'t>,
    /// The parameter at hand, as messages name it.
    parameter: String,
    systems: HashMap<String, Arc<Hierarchy>>,
    sets: HashMap<String, Arc<Codes>>,
}

impl<'t, C: GenericClient> Terminology<'t, C> {
    pub fn new(store: &'t Store, client: &'t C, view: &'t View<'t>) -> Self {
        Self { store, client, view, parameter: String::new(), systems: HashMap::new(), sets: HashMap::new() }
    }

    /// The codes of all the alternatives of a value of this parameter, as a search without a modifier lists them.
    ///
    /// # Errors
    /// [`crate::Error::Search`] for a set that is not known here, or that cannot be listed.
    pub async fn list(&mut self, parameter: String, relation: Relation, value: &str) -> Result<String> {
        self.parameter = parameter;
        let mut codes = Codes::new();
        for one in split_values(value) {
            match relation {
                Relation::Within => codes.extend(self.value_set(one, 0).await?.iter().cloned()),
                Relation::Above | Relation::Below => codes.extend(self.relatives(one, relation).await?),
            }
        }
        self.expect_few(&codes)?;
        let values: Vec<String> = codes.iter().map(|(system, code)| token(system, code)).collect();
        Ok(if values.is_empty() { NO_CODE.to_owned() } else { values.join(",") })
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
    async fn relatives(&mut self, value: &str, relation: Relation) -> Result<Codes> {
        let query = TokenQuery::parse(value).map_err(|error| refused(&self.parameter, error))?;
        let (System::Is(system), Some(code)) = (query.system, query.code) else {
            return self.refuse("this modifier takes a code with its system: 'system|code'");
        };
        let hierarchy = self.code_system(&system).await?;
        if !hierarchy.contains(&code) {
            return self.refuse(&format!("the CodeSystem {system} has no code '{code}'"));
        }
        let related = match relation {
            Relation::Above => hierarchy.ancestors(&code),
            _ => hierarchy.descendants(&code),
        };
        Ok(related.into_iter().map(|code| (system.clone(), code)).collect())
    }

    /// The codes of a ValueSet, given by reference or canonical URL.
    async fn value_set(&mut self, reference: &str, depth: usize) -> Result<Arc<Codes>> {
        if let Some(known) = self.sets.get(reference) {
            return Ok(known.clone());
        }
        if depth > DEEPEST {
            return self.refuse("its value sets lead to each other without end");
        }
        let codes = Arc::new(self.read_value_set(reference, depth).await?);
        self.sets.insert(reference.to_owned(), codes.clone());
        Ok(codes)
    }

    async fn read_value_set(&mut self, reference: &str, depth: usize) -> Result<Codes> {
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
    async fn part(&mut self, part: &Value<'_>, depth: usize) -> Result<Codes> {
        let mut codes = match part.get_str("system") {
            Some(system) => Some(self.of_system(system, part).await?),
            None => None,
        };
        for set in part.items("valueSet").iter().filter_map(Value::as_str) {
            let further = Box::pin(self.value_set(set, depth + 1)).await?;
            codes = Some(match codes {
                Some(codes) => codes.intersection(&further).cloned().collect(),
                None => further.as_ref().clone(),
            });
        }
        Ok(codes.unwrap_or_default())
    }

    /// The concepts that a part lists of a system, those its filters find, or all.
    async fn of_system(&mut self, system: &str, part: &Value<'_>) -> Result<Codes> {
        let concepts = part.items("concept");
        let with_system = |code: String| (system.to_owned(), code);
        if !concepts.is_empty() {
            let listed = concepts.iter().filter_map(|concept| concept.get_str("code"));
            return Ok(listed.map(|code| with_system(code.to_owned())).collect());
        }
        let hierarchy = self.code_system(system).await?;
        let mut codes: BTreeSet<String> = hierarchy.codes().map(str::to_owned).collect();
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
    async fn code_system(&mut self, url: &str) -> Result<Arc<Hierarchy>> {
        if let Some(known) = self.systems.get(url) {
            return Ok(known.clone());
        }
        let Some(text) = self.find("CodeSystem", url).await? else {
            return self.refuse(&format!("the CodeSystem '{url}' is not known here, or may not be seen"));
        };
        let system = self.read(&text)?;
        if system.get_str("content") != Some("complete") {
            return self.refuse(&format!("the CodeSystem '{url}' does not list all its codes"));
        }
        let hierarchy = Arc::new(Hierarchy::of(&system));
        self.systems.insert(url.to_owned(), hierarchy.clone());
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

/// A code as a search writes it.
fn token(system: &str, code: &str) -> String {
    format!("{}|{}", escape(system).replace('|', "\\|"), escape(code).replace('|', "\\|"))
}
