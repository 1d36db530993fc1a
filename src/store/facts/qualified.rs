//! Quantities and composites: values that are compared, with names that are equal or not.

use std::borrow::Cow;

use salus_fhir::Key;
use salus_fhir::search::{NumericValue, SearchParameter, SearchValue};

use super::{
    Facts, StringEntry, canonical, canonical_key, canonical_unit, composite_key, ends, indexed_string, parameter_key,
    qualified_key, unit_key, units,
};

impl Facts {
    /// Quantities and composites: an entry each, whose key says nothing of units and systems; those are facts.
    /// Where a resource has several such values and they differ in what they are called, a fact would speak of
    /// the wrong one too: there each name has an entry of its own.
    pub(super) fn add_qualified(&mut self, resource_type: &str, found: &[(&SearchParameter, SearchValue<'_>)]) {
        let mut all = Vec::new();
        for (parameter, value) in found.iter().filter(|(parameter, _)| parameter.parts.is_empty()) {
            let code = parameter.code.as_str();
            match value {
                SearchValue::Quantity { value, system, code: unit_code, unit } => {
                    let names = units(*system, *unit_code, *unit);
                    all.push(Qualified {
                        key: parameter_key(resource_type, code),
                        names: names.iter().map(|unit| unit_key(resource_type, code, unit)).collect(),
                        value: Ends::of(value),
                    });
                    all.extend(canonical(*system, *unit_code).map(|unit| Qualified {
                        key: canonical_key(resource_type, code, &canonical_unit(&unit)),
                        names: Vec::new(),
                        value: Ends::of(&value.in_canonical(&unit)),
                    }));
                }
                SearchValue::Composite(values) => {
                    all.extend(Qualified::composite(resource_type, code, values, &as_sent));
                    if values.iter().any(|value| matches!(value, SearchValue::Quantity { .. })) {
                        all.extend(Qualified::composite(resource_type, code, values, &in_canonical));
                    }
                }
                _ => {}
            }
        }
        for one in &all {
            self.add_ends(one.key, &one.value);
            let alone = all.iter().all(|other| other.key != one.key || other.names == one.names);
            for name in &one.names {
                match alone || one.value == Ends::Nothing {
                    true => self.keys.push(*name),
                    false => self.add_ends(qualified_key(*name), &one.value),
                }
            }
        }
    }

    fn add_ends(&mut self, key: Key, ends: &Ends) {
        match ends {
            Ends::Nothing => self.keys.push(key),
            Ends::Range(low, high) => self.add_entry(key, *low, Some(*high)),
            Ends::Text(text) => {
                self.strings.push(StringEntry { key, value: indexed_string(text), exact: text.clone() });
            }
        }
    }
}

/// A value that has names beside its key: a quantity's units, the systems and units of a composite's parts.
struct Qualified {
    key: Key,
    names: Vec<Key>,
    value: Ends,
}

/// What of a value is compared rather than equal.
#[derive(Debug, Clone, PartialEq)]
enum Ends {
    Nothing,
    Range(i64, i64),
    Text(String),
}

impl Ends {
    fn of(number: &NumericValue) -> Self {
        let (low, high) = ends(number);
        Self::Range(low, high)
    }
}

/// What a quantity's unit is called in keys, and its value.
type OfQuantity = dyn Fn(&SearchValue<'_>) -> Option<(Vec<String>, Ends)>;

impl Qualified {
    /// A composite: its exact components in the key, in every form they can be asked for, and its one
    /// compared component. None where it has several of those, or `of_quantity` none for a quantity.
    fn composite(
        resource_type: &str,
        parameter: &str,
        values: &[SearchValue<'_>],
        of_quantity: &OfQuantity,
    ) -> Option<Self> {
        let mut alternatives: Vec<Vec<String>> = vec![Vec::new()];
        let mut compared = Ends::Nothing;
        for value in values {
            let quantity = of_quantity(value);
            let exact: Vec<String> = match value {
                SearchValue::Token { system, code: Some(code), .. } => {
                    vec![format!("|{code}"), format!("{}|{code}", system.map_or(Cow::Borrowed("-"), Cow::Borrowed))]
                }
                SearchValue::Reference { resource_type: Some(kind), id: Some(id), .. } => vec![format!("{kind}/{id}")],
                SearchValue::Uri(uri) => vec![(*uri).to_owned()],
                SearchValue::Quantity { .. } => quantity.iter().flat_map(|(units, _)| units.clone()).collect(),
                _ => Vec::new(),
            };
            let next = match value {
                SearchValue::Date(interval) => Ends::Range(interval.low, interval.high),
                SearchValue::Number(number) => Ends::of(number),
                SearchValue::Quantity { .. } => quantity?.1,
                SearchValue::String(text) => Ends::Text((*text).to_owned()),
                _ if exact.is_empty() => return None,
                _ => Ends::Nothing,
            };
            if next != Ends::Nothing && std::mem::replace(&mut compared, next) != Ends::Nothing {
                return None;
            }
            if exact.is_empty() {
                continue;
            }
            alternatives = alternatives
                .iter()
                .flat_map(|known| exact.iter().map(move |part| [known.as_slice(), std::slice::from_ref(part)].concat()))
                .collect();
        }
        // The first alternative is the one without systems and units.
        let mut keys = alternatives.iter().map(|exact| composite_key(resource_type, parameter, exact));
        let key = keys.next()?;
        Some(Self { key, names: keys.collect(), value: compared })
    }
}

/// The names of a quantity's unit as it was sent, after the one for any unit, and its value.
fn as_sent(quantity: &SearchValue<'_>) -> Option<(Vec<String>, Ends)> {
    let SearchValue::Quantity { value, system, code, unit } = quantity else { return None };
    Some((std::iter::once(String::new()).chain(units(*system, *code, *unit)).collect(), Ends::of(value)))
}

/// The name of a quantity's canonical unit, and its value in that.
fn in_canonical(quantity: &SearchValue<'_>) -> Option<(Vec<String>, Ends)> {
    let SearchValue::Quantity { value, system, code, .. } = quantity else { return None };
    let unit = canonical(*system, *code)?;
    Some((vec![canonical_unit(&unit)], Ends::of(&value.in_canonical(&unit))))
}
