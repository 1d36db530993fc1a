//! A search as asked for: parameters read, unknown ones set aside.

use salus_fhir::search::ParameterType;
use salus_fhir::search::query::{DateQuery, Modifier, ParameterName, RangeCondition};
use salus_fhir::{Definitions, Key};

use super::bounds::natural_key;
use super::condition::Condition;
use super::context::{Compartments, SearchContext};
use super::known::known;
use super::merge::merge;
use super::plan::{Codes, OnePatient};
use super::sort::{Cursor, SortBy, SortKey};
use super::start::Clause;
use super::statement::Compiled;
use super::terminology::FilterSets;
use super::text_test::WordTest;
use super::{chain, compile, reference, sort, token, words};
use crate::facts::{natural_date_parameters, parameter_key, stored_as};
use crate::predicate::View;
use crate::{Error, Result};

/// Entries of a page where `_count` does not say.
const DEFAULT_COUNT: i64 = 50;
/// Most entries of a page.
const MOST_ENTRIES: i64 = 1000;

/// Whether and how the total is told (R4 search.html#total).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// Not at all.
    None,
    /// To the resource where there are at most ten thousand, else not at all.
    #[default]
    IfFew,
    /// To the resource; also for `_total=estimate`, which asks for no more.
    Accurate,
}

/// `_include` or `_revinclude`: `Observation:subject:Patient`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The type that holds the reference.
    pub source: String,
    /// The reference parameter, or `*`.
    pub parameter: String,
    /// Only references to this type.
    pub target: Option<String>,
    /// Whether it is applied to included resources as well (`:iterate`).
    pub iterate: bool,
}

/// A parameter that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Its name as sent.
    pub parameter: String,
    /// Its value as sent.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Ignored {
    /// Whether this is the one that was left out; another of the same name may be used.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.parameter == name && self.value == value
    }
}

/// A search.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// Where it looks.
    pub context: SearchContext,
    pub(super) filters: Vec<(ParameterName, String)>,
    /// The codes that tests of a `_filter` ask for, once they are looked up.
    pub(super) filter_sets: FilterSets,
    /// The order.
    pub(crate) sort: Vec<SortKey>,
    /// Most matches of the page; 0 for none but the total.
    pub count: i64,
    /// Whether the total is told.
    pub total: Total,
    /// `_include`
    pub include: Vec<Include>,
    /// `_revinclude`
    pub revinclude: Vec<Include>,
    /// Where the page starts.
    pub after: Option<Cursor>,
    /// When what is told of must have happened.
    happened: Vec<RangeCondition<i64>>,
}

/// Parameters that say how to answer rather than what to find; they are not the store's.
const PRESENTATION: [&str; 6] = ["_format", "_pretty", "_summary", "_elements", "_contained", "_containedType"];

/// Most values that all parameters of one search may have together: each is a part of the statement.
const MOST_VALUES: usize = 2000;

/// Refuses a search of very many values.
///
/// # Errors
/// [`Error::Search`] that says how many there may be.
pub(crate) fn expect_few(parameters: &[(String, String)]) -> Result<()> {
    let values: usize = parameters.iter().map(|(_, value)| 1 + value.matches(',').count()).sum();
    match parameters.iter().max_by_key(|(_, value)| value.len()) {
        Some((name, _)) if values > MOST_VALUES => Err(Error::Search {
            parameter: name.clone(),
            message: format!("a search takes at most {MOST_VALUES} values, and this one has {values}; ask in parts"),
        }),
        _ => Ok(()),
    }
}

impl SearchQuery {
    /// Reads the parameters of a search. Those that cannot be used come back beside it; the caller
    /// refuses or reports them (R4 search.html#errors).
    ///
    /// # Errors
    /// [`Error::Search`] where a parameter is known but its value is wrong.
    pub fn parse(
        definitions: &Definitions,
        context: SearchContext,
        parameters: &[(String, String)],
    ) -> Result<(Self, Vec<Ignored>)> {
        let mut query = Self {
            context,
            filters: Vec::new(),
            filter_sets: FilterSets::new(),
            sort: Vec::new(),
            count: DEFAULT_COUNT,
            total: Total::default(),
            include: Vec::new(),
            revinclude: Vec::new(),
            after: None,
            happened: Vec::new(),
        };
        expect_few(parameters)?;
        let mut ignored = Vec::new();
        // What the other parameters may be depends on the types.
        let takes_types = query.context.takes_types();
        for (_, value) in parameters.iter().filter(|(name, _)| takes_types && name == "_type") {
            query.context.narrow(definitions, value)?;
        }
        let words = words_of(parameters)?;
        for (name, value) in parameters.iter().filter(|(name, _)| !(takes_types && name == "_type")) {
            if PRESENTATION.contains(&name.as_str()) {
                continue;
            }
            if let Err(reason) = query.read(definitions, &words, name, value)? {
                ignored.push(Ignored { parameter: name.clone(), value: value.clone(), reason });
            }
        }
        if query.sort.is_empty() && !words.is_empty() {
            // Who searches for words wants what fits them best.
            query.sort.push(SortKey { by: SortBy::Score(words), descending: true });
        }
        if query.sort.is_empty() {
            // Of the whole server nobody wants the order in which things happened at the cost of seeing all of them.
            let by = match query.filters.is_empty() && query.context.compartments.is_none() {
                true if query.context.one_type().is_none() => SortBy::Updated,
                _ => SortBy::Natural,
            };
            query.sort.push(SortKey { by, descending: true });
        }
        Ok((query, ignored))
    }

    /// Leaves only what happened from `start` to `end`, dates as FHIR writes them, both included, and what tells no
    /// date of its own, such as a Patient.
    ///
    /// # Errors
    /// [`Error::Search`] for what is no date.
    pub fn happened_within(&mut self, start: Option<&str>, end: Option<&str>) -> Result<()> {
        for (name, prefix, date) in [("start", "ge", start), ("end", "le", end)] {
            let Some(date) = date else { continue };
            let test = DateQuery::parse(&format!("{prefix}{date}")).map_err(|error| compile::refused(name, error))?;
            self.happened.push(test.condition(crate::store::now()));
        }
        Ok(())
    }

    /// Whether nothing says what to find, so that every resource of the types matches.
    pub(crate) fn matches_everything(&self) -> bool {
        self.filters.is_empty() && self.context.compartments.is_none()
    }

    /// Reads one parameter; the inner error is the reason to leave it out, as a whole. `words` are those that the search
    /// looks for.
    fn read(
        &mut self,
        definitions: &Definitions,
        words: &[WordTest],
        name: &str,
        value: &str,
    ) -> Result<std::result::Result<(), String>> {
        let bad = |message: &str| Error::Search { parameter: name.to_owned(), message: message.to_owned() };
        match name {
            "_count" => {
                let count: i64 = value.parse().map_err(|_| bad("'_count' takes a whole number"))?;
                if count < 0 {
                    return Err(bad("'_count' cannot be negative"));
                }
                self.count = count.min(MOST_ENTRIES);
            }
            "_total" => {
                self.total = match value {
                    "none" => Total::None,
                    "estimate" | "accurate" => Total::Accurate,
                    _ => return Err(bad("'_total' takes none, estimate or accurate")),
                }
            }
            "_sort" => {
                let keys = value.split(',').filter(|one| !one.is_empty());
                match keys
                    .map(|one| sort::keys(definitions, &self.context.types, words, one))
                    .collect::<std::result::Result<_, String>>()
                {
                    Ok(keys) => self.sort.extend::<Vec<SortKey>>(keys),
                    Err(reason) => return Ok(Err(reason)),
                }
            }
            name if name == "_include" || name.starts_with("_include:") => {
                match read_include(definitions, name, value) {
                    Ok(include) => self.include.push(include),
                    Err(reason) => return Ok(Err(reason)),
                }
            }
            name if name == "_revinclude" || name.starts_with("_revinclude:") => {
                match read_include(definitions, name, value) {
                    Ok(include) => self.revinclude.push(include),
                    Err(reason) => return Ok(Err(reason)),
                }
            }
            name => match ParameterName::parse(name) {
                // R4 search.html#modifiers: an unknown modifier is refused, unlike an unknown parameter.
                Err(error) => match name.split([':', '.']).next() {
                    Some(code) if self.types().any(|name| definitions.search().get(name, code).is_some()) => {
                        return Err(bad(&error.to_string()));
                    }
                    _ => return Ok(Err(error.to_string())),
                },
                Ok(parsed) => {
                    let is_known = self.types().try_for_each(|name| known(definitions, &[name], &parsed));
                    match is_known {
                        Err(reason) => return Ok(Err(reason)),
                        // An empty value says nothing (R4 search.html: treated as absent).
                        Ok(()) if value.is_empty() => {}
                        Ok(()) => self.filters.push((parsed, value.to_owned())),
                    }
                }
            },
        }
        Ok(Ok(()))
    }

    /// Turns the parameters into conditions under this view.
    ///
    /// # Errors
    /// [`Error::Search`] for a value or modifier that a parameter cannot take.
    pub(crate) fn compile(&self, view: &View<'_>) -> Result<Compiled> {
        let view = &View { filter_sets: Some(&self.filter_sets), ..view.clone() };
        let mut clauses: Vec<Clause> = Vec::with_capacity(self.filters.len());
        let types = &self.context.types;
        for (name, value) in &self.filters {
            chain::expect_narrow(view, types, name)?;
            let clause = |kind| compile::clause(view, kind, name, value);
            clauses.push(merge(types, self.types().map(clause).collect::<Result<_>>()?));
        }
        if let Some(compartments) = &self.context.compartments {
            clauses.push(merge(types, self.types().map(|kind| compartments.clause(view, kind)).collect()));
        }
        if !self.happened.is_empty() {
            clauses.push(merge(types, self.types().map(|kind| self.happened(view, kind)).collect()));
        }
        let Some(one) = self.context.one_type() else {
            return Ok(Compiled::new(types, &clauses, self.sort.clone(), None, None, None));
        };
        let patient = self.one_patient(view, one).or_else(|| self.confined(view, one));
        let codes = self.codes(view, one, &clauses);
        let natural = natural_key(&view.definitions, one);
        Ok(Compiled::new(types, &clauses, self.sort.clone(), natural, patient, codes))
    }

    fn happened(&self, view: &View<'_>, resource_type: &str) -> Clause {
        let parameters = natural_date_parameters(resource_type).iter();
        let mut known = parameters.filter_map(|code| view.definitions.search().get(resource_type, code));
        let Some(parameter) = known.find(|parameter| parameter.custom.is_none()) else {
            return Clause::filter(Condition::Everything);
        };
        let key = parameter_key(resource_type, stored_as(parameter)[0]);
        let within = self.happened.iter().map(|&test| Condition::Range { key, test: test.into() }).collect();
        let undated = Condition::Not(Box::new(Condition::AnyFact(vec![parameter_key(resource_type, &parameter.code)])));
        Clause::filter(Condition::Any(vec![undated, Condition::All(within)]))
    }

    pub(super) fn types(&self) -> impl Iterator<Item = &str> {
        self.context.types.iter().map(String::as_str)
    }

    /// The patient whose compartment is all that is asked for, or all that the caller's scopes reach of the type.
    fn confined(&self, view: &View<'_>, resource_type: &str) -> Option<OnePatient> {
        let asked = self.context.compartments.as_ref().and_then(Compartments::one_patient);
        let key = asked.or_else(|| only_compartment(view, resource_type))?;
        Some(OnePatient { key, clause: None })
    }

    /// The one patient about whom it asks, if a parameter names one.
    fn one_patient(&self, view: &View<'_>, resource_type: &str) -> Option<OnePatient> {
        self.filters.iter().enumerate().find_map(|(position, (name, value))| {
            let ParameterName::Plain { code, modifier } = name else { return None };
            if !chain::in_compartment(view, resource_type, code) {
                return None;
            }
            let key = reference::one_patient(view, code, modifier.as_ref(), value)?;
            Some(OnePatient { key, clause: Some(position) })
        })
    }

    /// The codes it asks for that are indexed together with patients.
    fn codes<'c>(&self, view: &View<'_>, resource_type: &str, clauses: &'c [Clause]) -> Option<Codes<'c>> {
        let codes = self.filters.iter().enumerate().filter_map(|(position, (name, _))| {
            let ParameterName::Plain { code, modifier } = name else { return None };
            let clause = &clauses[position];
            let keys = token::codes(view, resource_type, code, modifier.as_ref(), clause)?;
            // Codes tell more than categories.
            Some((code == "category", Codes { clause: position, keys }))
        });
        codes.min_by_key(|(category, _)| *category).map(|(_, codes)| codes)
    }
}

/// The patient whose compartment is all that the caller's scopes reach of the type.
fn only_compartment(view: &View<'_>, resource_type: &str) -> Option<Key> {
    match view.filters(resource_type) {
        [filter] => filter.compartment,
        _ => None,
    }
}

/// The words that are searched, by all parameters that search them.
fn words_of(parameters: &[(String, String)]) -> Result<Vec<WordTest>> {
    let searched =
        parameters.iter().filter(|(name, value)| matches!(name.as_str(), "_text" | "_content") && !value.is_empty());
    Ok(searched.map(|(name, value)| words::tests(name, value)).collect::<Result<Vec<_>>>()?.concat())
}

fn read_include(definitions: &Definitions, name: &str, value: &str) -> std::result::Result<Include, String> {
    let iterate = match name.split_once(':').map(|(_, modifier)| Modifier::parse(modifier)) {
        None => false,
        Some(Ok(Modifier::Iterate)) => true,
        Some(_) => return Err(format!("'{name}' is not known")),
    };
    let mut parts = value.split(':');
    let (source, parameter, target) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next());
    if !definitions.is_resource_type(source) {
        return Err(format!("'{source}' is not a resource type of R4"));
    }
    let known = parameter == "*"
        || definitions.search().get(source, parameter).is_some_and(|found| found.kind == ParameterType::Reference);
    if !known {
        let why = definitions.search().why_not(source, parameter);
        return Err(why.unwrap_or_else(|| format!("{source} has no reference parameter '{parameter}'")));
    }
    if let Some(target) = target.filter(|target| !definitions.is_resource_type(target)) {
        return Err(format!("'{target}' is not a resource type of R4"));
    }
    Ok(Include {
        source: source.to_owned(),
        parameter: parameter.to_owned(),
        target: target.map(str::to_owned),
        iterate,
    })
}
