//! Search by R4 search.html, resource by resource.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use salus_fhir::Definitions;
use salus_fhir::datatypes::Interval;
use salus_fhir::json::{Limits, Value, parse};
use salus_fhir::search::query::{
    DateQuery, Modifier, NumberQuery, OfTypeQuery, ParameterName, Prefix, QuantityQuery, RangeCondition,
    ReferenceQuery, StringQuery, TokenQuery, UriQuery, normalize_string, split_components, split_values,
};
use salus_fhir::search::{NumericValue, ParameterType, SearchParameter, SearchValue};

/// All resources, parsed.
pub struct World<'w> {
    definitions: &'w Definitions,
    base: &'w str,
    resources: Vec<Resource<'w>>,
}

struct Resource<'w> {
    kind: String,
    id: String,
    value: Value<'w>,
}

impl<'w> World<'w> {
    pub fn new(definitions: &'w Definitions, base: &'w str, texts: &'w [String]) -> Self {
        let resources = texts.iter().map(|text| {
            let value = parse(text, &Limits::default()).unwrap();
            let member = |name| value.get_str(name).unwrap().to_owned();
            Resource { kind: member("resourceType"), id: member("id"), value }
        });
        Self { definitions, base, resources: resources.collect() }
    }

    /// Ids of the resources that satisfy every parameter.
    pub fn search(&self, kind: &str, parameters: &[(String, String)]) -> BTreeSet<String> {
        let filters: Vec<(ParameterName, &str)> = parameters
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "_sort" | "_count" | "_total"))
            .map(|(name, value)| (ParameterName::parse(name).unwrap(), value.as_str()))
            .collect();
        let matching = self
            .of_kind(kind)
            .filter(|resource| filters.iter().all(|(name, value)| self.satisfies(resource, name, value)));
        matching.map(|resource| resource.id.clone()).collect()
    }

    /// The first two neighbours that stand in the wrong order.
    pub fn out_of_order(&self, kind: &str, parameters: &[(String, String)], ids: &[String]) -> Option<String> {
        let sort = &parameters.iter().find(|(name, _)| name == "_sort")?.1;
        let by_id: BTreeMap<&str, &Resource<'_>> = self.of_kind(kind).map(|one| (one.id.as_str(), one)).collect();
        // What has no natural date stands where it was stored, which cannot be known here.
        let natural = sort.split(',').map(|key| key.trim_start_matches('-')).find(|code| is_natural(code));
        let dated = |id: &str| natural.is_none_or(|code| !self.values(by_id[id], code).is_empty());
        let known = ids.iter().filter(|id| dated(id));
        let known: Vec<_> = known.collect();
        let wrong = known
            .windows(2)
            .find(|two| self.order(sort, by_id[two[0].as_str()], by_id[two[1].as_str()]) == Ordering::Greater);
        wrong.map(|two| format!("{two:?}"))
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Resource<'w>> {
        self.resources.iter().filter(move |resource| resource.kind == kind)
    }

    fn order(&self, sort: &str, left: &Resource<'_>, right: &Resource<'_>) -> Ordering {
        for key in sort.split(',') {
            let (code, descending) = key.strip_prefix('-').map_or((key, false), |code| (code, true));
            let order = match code {
                "_id" if descending => right.id.cmp(&left.id),
                "_id" => left.id.cmp(&right.id),
                code => match (self.sort_value(left, code, descending), self.sort_value(right, code, descending)) {
                    (Some(left), Some(right)) if descending => right.cmp(&left),
                    (Some(left), Some(right)) => left.cmp(&right),
                    (left, right) => right.is_some().cmp(&left.is_some()),
                },
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    /// The lowest value ascending, the highest descending (R4 search.html#sort); times by their start
    /// where they are the natural date.
    fn sort_value(&self, resource: &Resource<'_>, code: &str, descending: bool) -> Option<(i64, String)> {
        let natural = is_natural(code);
        let values = self.values(resource, code).into_iter().filter_map(|value| {
            let end = |interval: Interval<i64>| if descending && !natural { interval.high } else { interval.low };
            match value {
                SearchValue::Date(interval) if natural && interval.low == i64::MIN => {
                    Some((interval.high, String::new()))
                }
                SearchValue::Date(interval) => Some((end(interval), String::new())),
                SearchValue::Number(number) => Some((end(number.sortable()), String::new())),
                SearchValue::Quantity { value, .. } => Some((end(value.sortable()), String::new())),
                SearchValue::String(text) => Some((0, normalize_string(text))),
                _ => None,
            }
        });
        if descending { values.max() } else { values.min() }
    }

    fn values<'r>(&'r self, resource: &'r Resource<'_>, code: &str) -> Vec<SearchValue<'r>> {
        let mut values = Vec::new();
        self.definitions.search().extract_below(self.base, &resource.kind, &resource.value, &mut |parameter, value| {
            if parameter.code == code {
                values.push(value);
            }
        });
        values
    }

    fn parameter(&self, kind: &str, code: &str) -> Option<&SearchParameter> {
        self.definitions.search().get(kind, code)
    }

    fn satisfies(&self, resource: &Resource<'_>, name: &ParameterName, value: &str) -> bool {
        match name {
            ParameterName::Plain { code, modifier } => self.plain(resource, code, modifier.as_ref(), value),
            ParameterName::Chain { code, target, rest } => self.values(resource, code).iter().any(|reference| {
                let SearchValue::Reference { resource_type: Some(kind), id: Some(id), .. } = reference else {
                    return false;
                };
                let mut targets = self.of_kind(kind).filter(|one| one.id == *id);
                target.as_deref().is_none_or(|wanted| wanted == *kind)
                    && self.applies(kind, rest)
                    && targets.any(|target| self.satisfies(target, rest, value))
            }),
            ParameterName::Has { resource_type, reference, rest } => self.of_kind(resource_type).any(|source| {
                let points = self.values(source, reference).iter().any(|found| match found {
                    SearchValue::Reference { resource_type: Some(kind), id: Some(id), .. } => {
                        *kind == resource.kind && *id == resource.id
                    }
                    _ => false,
                });
                points && self.satisfies(source, rest, value)
            }),
        }
    }

    /// Whether a type has the parameter that a chain asks of it.
    fn applies(&self, kind: &str, name: &ParameterName) -> bool {
        match name {
            ParameterName::Plain { code, .. } | ParameterName::Chain { code, .. } => {
                matches!(code.as_str(), "_id" | "_lastUpdated") || self.parameter(kind, code).is_some()
            }
            ParameterName::Has { .. } => true,
        }
    }

    fn plain(&self, resource: &Resource<'_>, code: &str, modifier: Option<&Modifier>, value: &str) -> bool {
        if code == "_id" {
            return split_values(value).any(|id| id == resource.id) != (modifier == Some(&Modifier::Not));
        }
        if code == "_lastUpdated" {
            // All were written just now; no query asks more closely.
            let updated = super::now();
            let holds = |one: &str| DateQuery::parse(one).unwrap().condition(0).matches(updated, updated + 1000);
            return split_values(value).any(holds);
        }
        let values = self.values(resource, code);
        match modifier {
            Some(Modifier::Missing) => values.is_empty() == (value == "true"),
            Some(Modifier::Not) => !split_values(value).any(|one| self.any(resource, code, None, one, &values)),
            modifier => split_values(value).any(|one| self.any(resource, code, modifier, one, &values)),
        }
    }

    fn any(
        &self,
        resource: &Resource<'_>,
        code: &str,
        modifier: Option<&Modifier>,
        wanted: &str,
        values: &[SearchValue<'_>],
    ) -> bool {
        let parameter = self.parameter(&resource.kind, code).unwrap();
        values.iter().any(|value| match value {
            SearchValue::Composite(parts) => {
                let wanted: Vec<&str> = split_components(wanted).collect();
                let mut pairs = parameter.components.iter().zip(&wanted).zip(parts);
                wanted.len() == parts.len()
                    && pairs.all(|(((_, kind), one), part)| self.matches(*kind, None, one, part))
            }
            value => self.matches(parameter.kind, modifier, wanted, value),
        })
    }

    fn matches(&self, kind: ParameterType, modifier: Option<&Modifier>, wanted: &str, value: &SearchValue<'_>) -> bool {
        match value {
            SearchValue::Token { system, code, .. } => {
                modifier.is_none() && TokenQuery::parse(wanted).unwrap().matches(*system, *code) && code.is_some()
            }
            SearchValue::OfType { system, code, value } => {
                modifier == Some(&Modifier::OfType) && {
                    let asked = OfTypeQuery::parse(wanted).unwrap();
                    system.unwrap_or("") == asked.system && *code == asked.code && *value == asked.value
                }
            }
            SearchValue::String(text) => {
                let asked = StringQuery::parse(wanted).unwrap();
                match modifier {
                    Some(Modifier::Exact) => *text == asked.exact,
                    Some(Modifier::Contains) => normalize_string(text).contains(&asked.normalized),
                    _ => normalize_string(text).starts_with(&asked.normalized),
                }
            }
            SearchValue::Date(interval) => {
                DateQuery::parse(wanted).unwrap().condition(0).matches(interval.low, interval.high)
            }
            SearchValue::Number(number) => {
                let interval = number.sortable();
                NumberQuery::parse(wanted).unwrap().condition().matches(interval.low, interval.high)
            }
            SearchValue::Quantity { value, system, code, unit } => {
                let asked = QuantityQuery::parse(wanted).unwrap();
                let interval = value.sortable();
                if let (Some("http://unitsofmeasure.org"), Some(wanted_code)) = (&asked.system.as_deref(), &asked.code)
                    && let Some(wanted_factor) = grams(wanted_code)
                {
                    let factor = code.filter(|_| *system == asked.system.as_deref()).and_then(grams);
                    return factor.is_some_and(|factor| weighs(&asked.number, wanted_factor, value, factor));
                }
                let unit_fits = match (asked.system.as_deref(), asked.code.as_deref()) {
                    (Some(wanted_system), Some(wanted_code)) => {
                        *system == Some(wanted_system) && *code == Some(wanted_code)
                    }
                    (None, Some(wanted)) => *code == Some(wanted) || *unit == Some(wanted),
                    _ => true,
                };
                unit_fits && asked.number.condition().matches(interval.low, interval.high)
            }
            SearchValue::Uri(uri) => kind == ParameterType::Uri && UriQuery::parse(wanted).unwrap().0 == *uri,
            SearchValue::Reference { resource_type, id, url, identifier } => {
                match ReferenceQuery::parse(wanted, modifier, self.base).unwrap() {
                    ReferenceQuery::Id(wanted) => *id == Some(wanted.as_str()),
                    ReferenceQuery::Resource { resource_type: wanted_type, id: wanted_id } => {
                        *resource_type == Some(wanted_type.as_str()) && *id == Some(wanted_id.as_str())
                    }
                    ReferenceQuery::Url(wanted) => id.is_none() && *url == Some(wanted.as_str()),
                    ReferenceQuery::Identifier(wanted) => {
                        identifier.is_some_and(|(system, value)| wanted.matches(system, Some(value)))
                    }
                }
            }
            SearchValue::Composite(_) | SearchValue::Position { .. } => false,
        }
    }
}

/// How many grams a unit has.
fn grams(code: &str) -> Option<f64> {
    match code {
        "mg" => Some(0.001),
        "g" => Some(1.0),
        "kg" => Some(1000.0),
        _ => None,
    }
}

/// Whether a number in a unit of so many grams is what is asked for in another.
fn weighs(asked: &NumberQuery, asked_factor: f64, value: &NumericValue, factor: f64) -> bool {
    let convert = |value: f64, factor: f64| match value.is_finite() {
        true => format!("{:.14e}", value * factor).parse::<f64>().unwrap(),
        false => value,
    };
    let (low, high) = match asked.prefix {
        Prefix::Eq | Prefix::Ne => {
            (convert(asked.number.implied.low, asked_factor), convert(asked.number.implied.high, asked_factor))
        }
        _ => {
            let value = convert(asked.number.value, asked_factor);
            (value, value.next_up())
        }
    };
    // The last number of an interval is the one before its end.
    let (first, last) = (value.interval.low, value.interval.high);
    let last = if last.is_finite() { convert(last.next_down(), factor).next_up() } else { last };
    RangeCondition::new(asked.prefix, Interval::new(low, high)).matches(convert(first, factor), last)
}

/// Whether rows stand in the order of this parameter by nature.
fn is_natural(code: &str) -> bool {
    matches!(code, "date" | "onset-date")
}
