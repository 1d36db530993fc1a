//! The facts a resource offers: what its row's `keys` and its index entries are.
//!
//! Every function here that makes a key says in its doc comment what the key means; the search
//! compiler asks with the same functions, so both sides agree by construction.

use std::sync::Arc;

use salus_access::consent::keys as consent_keys;
use salus_fhir::json::Value;
use salus_fhir::search::query::normalize_string;
use salus_fhir::search::{NumericValue, ParameterType, SearchParameter, SearchValue};
use salus_fhir::units::{Canonical, UCUM};
use salus_fhir::{Definitions, Key};

use crate::sql::{NO_PATIENT, SEVERAL_PATIENTS};

mod codes;
mod qualified;

/// Strings are indexed up to this many characters.
const STRING_LENGTH: usize = 300;

/// Most values that parameters beside those of the packages are indexed by in one resource: expressions of anybody's
/// must not make more of a large resource than there is room for.
const MOST_CUSTOM_VALUES: usize = 20_000;

/// What is asked of a resource and its index entries, extracted from its content.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Key of the row.
    pub(crate) rid: Key,
    /// Key of its patient, or one of the two special ones of [`crate::sql`].
    pub(crate) patient: Key,
    /// Logical ids of its patients; first those whom it is about.
    pub(crate) patients: Vec<String>,
    /// How many patients it is about.
    pub(crate) subjects: usize,
    /// Natural date, microseconds; `None` where it has none.
    pub(crate) sort: Option<i64>,
    /// All facts, first those that have entries.
    pub(crate) keys: Vec<Key>,
    /// How many of them have.
    pub(crate) indexed: usize,
    /// Rows of `search_index`.
    pub(crate) entries: Vec<Entry>,
    /// Rows of `search_string`.
    pub(crate) strings: Vec<StringEntry>,
}

/// A row of `search_index`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub key: Key,
    pub low: i64,
    pub high: Option<i64>,
}

/// A row of `search_string`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StringEntry {
    pub key: Key,
    pub value: String,
    pub exact: String,
}

/// Every resource of a type.
pub(crate) fn type_key(resource_type: &str) -> Key {
    Key::of(&[resource_type, "_type"])
}

/// Every resource of a type in the compartment of the patient with this key.
pub(crate) fn compartment_key(resource_type: &str, patient: Key) -> Key {
    Key::of(&[resource_type, "_compartment"]).reference(patient)
}

/// The parameter has a value (`:missing=false`); also what its dates, numbers, quantities, strings and
/// references are indexed under.
pub(crate) fn parameter_key(resource_type: &str, parameter: &str) -> Key {
    Key::of(&[resource_type, parameter])
}

/// The parameter has this code, in whatever system.
pub(crate) fn code_key(resource_type: &str, parameter: &str, code: &str) -> Key {
    Key::of(&[resource_type, parameter, "code", code])
}

/// The parameter has this code of this system (`""`: of none).
pub(crate) fn coding_key(resource_type: &str, parameter: &str, system: &str, code: &str) -> Key {
    Key::of(&[resource_type, parameter, "coding", system, code])
}

/// The parameter has some code of this system.
pub(crate) fn system_key(resource_type: &str, parameter: &str, system: &str) -> Key {
    Key::of(&[resource_type, parameter, "system", system])
}

/// The parameter has this code, in a resource about the patient with this key (its parameter `patient` or `subject`
/// says so): where the commonest searches start.
pub(crate) fn patient_code_key(resource_type: &str, patient: Key, parameter: &str, code: &str) -> Key {
    about_patient(code_key(resource_type, parameter, code), patient)
}

/// The same of a code's entries in general, which have this key.
pub(crate) fn about_patient(code: Key, patient: Key) -> Key {
    code.reference(patient)
}

/// A code's entries, of resources that are in a patient's compartment for another reason than being about the
/// patient, as one who performed what they tell of.
pub(crate) fn otherwise_in_compartment(code: Key) -> Key {
    code.with(&["compartment"])
}

/// The identifier parameter has this value with this type (`:of-type`).
pub(crate) fn of_type_key(resource_type: &str, parameter: &str, system: &str, code: &str, value: &str) -> Key {
    Key::of(&[resource_type, parameter, "of-type", system, code, value])
}

/// The quantity parameter has a value in this unit.
pub(crate) fn unit_key(resource_type: &str, parameter: &str, unit: &str) -> Key {
    Key::of(&[resource_type, parameter, "unit", unit])
}

/// The quantity parameter has a value in a unit of UCUM that is commensurable with this one (of [`canonical_unit`]).
pub(crate) fn canonical_key(resource_type: &str, parameter: &str, unit: &str) -> Key {
    Key::of(&[resource_type, parameter, "canonical", unit])
}

/// A canonical unit as keys name it, unlike all names by which units are asked for.
pub(crate) fn canonical_unit(unit: &Canonical) -> String {
    format!("canonical||{}", unit.unit)
}

/// The uri parameter has this value.
pub(crate) fn uri_key(resource_type: &str, parameter: &str, uri: &str) -> Key {
    Key::of(&[resource_type, parameter, "uri", uri])
}

/// The reference parameter holds an identifier (`:identifier`) of this system (`""`: of none), or of
/// whatever system.
pub(crate) fn reference_identifier_key(resource_type: &str, parameter: &str, system: Option<&str>, value: &str) -> Key {
    match system {
        Some(system) => Key::of(&[resource_type, parameter, "identifier", system, value]),
        None => Key::of(&[resource_type, parameter, "identifier", value]),
    }
}

/// What a reference that is not one of ours points at.
pub(crate) fn url_target(url: &str) -> Key {
    Key::of(&["url", url])
}

/// A composite parameter whose exact components are these; a ranged component's entry has this key.
pub(crate) fn composite_key(resource_type: &str, parameter: &str, exact: &[String]) -> Key {
    let mut parts = vec![resource_type, parameter, "composite"];
    parts.extend(exact.iter().map(String::as_str));
    Key::of(&parts)
}

/// The system of a token as the `low` of its entry, so that `system|code` needs no row of its own.
pub(crate) fn system_low(system: Option<&str>) -> i64 {
    system.map_or(0, |system| (Key::of(&["system", system]).0 >> 64) as i64)
}

/// The key of the entries of values that have the fact `name`, where a resource has others beside them that do
/// not.
pub(crate) fn qualified_key(name: Key) -> Key {
    name.with(&["value"])
}

/// A string as `search_string.value` holds it.
pub(crate) fn indexed_string(text: &str) -> String {
    truncate(&normalize_string(text))
}

fn truncate(text: &str) -> String {
    text.chars().take(STRING_LENGTH).collect()
}

impl Facts {
    /// Extracts the facts of `resource`, to be stored as `resource_type/id`.
    pub fn of(definitions: &Definitions, base: &str, resource_type: &str, id: &str, resource: &Value<'_>) -> Self {
        let mut facts = Self { rid: Key::resource(resource_type, id), patient: NO_PATIENT, ..Self::default() };
        let mut found: Vec<(&SearchParameter, SearchValue<'_>)> = Vec::with_capacity(32);
        let mut room = MOST_CUSTOM_VALUES;
        definitions.search().extract_all_below(base, resource_type, resource, &mut |parameter, value| {
            if parameter.custom.is_some() {
                let Some(less) = room.checked_sub(1) else { return };
                room = less;
            }
            found.push((parameter, value));
        });
        facts.set_patients(definitions, resource_type, id, &found);
        facts.set_sort(resource_type, &found);
        facts.add_entry(type_key(resource_type), 0, None);
        for patient in facts.patient_keys() {
            facts.keys.push(patient);
            facts.add_entry(compartment_key(resource_type, patient), 0, None);
        }
        for (parameter, value) in &found {
            facts.keys.push(parameter_key(resource_type, &parameter.code));
            // What other parameters find as well is indexed under those (see `stored_as`).
            if parameter.parts.is_empty() {
                facts.add_value(resource_type, parameter, value);
            } else {
                facts.add_narrower(resource_type, &parameter.code, value);
            }
        }
        facts.add_qualified(resource_type, &found);
        let label = |label: &'_ Value<'_>| {
            Some((label.get_str("system").unwrap_or("").to_owned(), label.get_str("code")?.to_owned()))
        };
        let labels: Vec<_> =
            resource.get("meta").map_or(&[][..], |meta| meta.items("security")).iter().filter_map(label).collect();
        facts
            .keys
            .extend(consent_keys::row_label_keys(labels.iter().map(|(system, code)| (system.as_str(), code.as_str()))));
        codes::add(resource_type, resource, &mut facts.keys);
        facts.keep_entries_apart();
        facts.order_keys();
        facts.strings.dedup();
        facts
    }

    fn patient_keys(&self) -> Vec<Key> {
        self.patients.iter().map(|id| Key::resource("Patient", id)).collect()
    }

    fn add_entry(&mut self, key: Key, low: i64, high: Option<i64>) {
        self.keys.push(key);
        self.entries.push(Entry { key, low, high });
    }

    /// The patients in whose compartment it is (CompartmentDefinition patient); a type that the
    /// definition leaves out, such as Device, by its `patient` or `subject` parameter.
    fn set_patients(
        &mut self,
        definitions: &Definitions,
        resource_type: &str,
        id: &str,
        found: &[(&SearchParameter, SearchValue<'_>)],
    ) {
        if resource_type == "Patient" {
            self.patients.push(id.to_owned());
        }
        let listed = definitions.compartment("Patient").map_or(&[][..], |c| c.parameters(resource_type));
        let places = |code: &str| match listed {
            [] => is_about(code),
            listed => listed.iter().any(|known| known == code),
        };
        for about in [true, false] {
            for (parameter, value) in found {
                if parameter.custom.is_none()
                    && is_about(&parameter.code) == about
                    && places(&parameter.code)
                    && let SearchValue::Reference { resource_type: Some("Patient"), id: Some(patient), .. } = value
                    && !self.patients.iter().any(|known| known == patient)
                {
                    self.patients.push((*patient).to_owned());
                }
            }
            if about {
                self.subjects = self.patients.len();
            }
        }
        self.patient = match self.patients.as_slice() {
            [] => NO_PATIENT,
            [one] => Key::resource("Patient", one),
            _ => SEVERAL_PATIENTS,
        };
    }

    fn set_sort(&mut self, resource_type: &str, found: &[(&SearchParameter, SearchValue<'_>)]) {
        self.sort = natural_date_parameters(resource_type)
            .iter()
            .find_map(|code| found.iter().find(|(parameter, _)| parameter.custom.is_none() && parameter.code == *code))
            .and_then(|(_, value)| match value {
                SearchValue::Date(interval) if interval.low != i64::MIN => Some(interval.low),
                SearchValue::Date(interval) if interval.high != i64::MAX => Some(interval.high),
                _ => None,
            });
    }

    fn add_value(&mut self, resource_type: &str, parameter: &SearchParameter, value: &SearchValue<'_>) {
        let code = parameter.code.as_str();
        match value {
            SearchValue::Token { system, code: Some(token), .. } => self.add_token(resource_type, code, *system, token),
            SearchValue::OfType { system, code: kind, value } => {
                self.keys.push(of_type_key(resource_type, code, system.unwrap_or(""), kind, value));
            }
            SearchValue::Token { .. } | SearchValue::Position { .. } => {}
            SearchValue::String(text) => self.strings.push(StringEntry {
                key: parameter_key(resource_type, code),
                value: indexed_string(text),
                exact: (*text).to_owned(),
            }),
            SearchValue::Date(interval) => {
                self.add_entry(parameter_key(resource_type, code), interval.low, Some(interval.high));
            }
            SearchValue::Number(number) => self.add_number(parameter_key(resource_type, code), number),
            SearchValue::Reference { resource_type: target_type, id, url, identifier } => {
                let key = parameter_key(resource_type, code);
                match (target_type, id, url) {
                    (Some(target_type), Some(id), _) => {
                        self.add_entry(key.reference(Key::resource(target_type, id)), 0, None);
                    }
                    (_, _, Some(url)) => self.add_entry(key.reference(url_target(url)), 0, None),
                    _ => {}
                }
                if let Some((system, value)) = identifier {
                    self.add_reference_identifier(resource_type, code, *system, value);
                }
            }
            SearchValue::Uri(uri) => self.add_entry(uri_key(resource_type, code, uri), 0, None),
            // See `add_qualified`.
            SearchValue::Quantity { .. } | SearchValue::Composite(_) => {}
        }
    }

    fn add_token(&mut self, resource_type: &str, parameter: &str, system: Option<&str>, code: &str) {
        self.add_entry(code_key(resource_type, parameter, code), system_low(system), None);
        self.keys.push(coding_key(resource_type, parameter, system.unwrap_or(""), code));
        if let Some(system) = system {
            self.keys.push(system_key(resource_type, parameter, system));
        }
        if starts_with_patient(parameter) {
            let entries = code_key(resource_type, parameter, code);
            for (position, patient) in self.patient_keys().into_iter().enumerate() {
                let entries = if position < self.subjects { entries } else { otherwise_in_compartment(entries) };
                self.add_entry(about_patient(entries, patient), system_low(system), None);
            }
        }
    }

    fn add_number(&mut self, key: Key, number: &NumericValue) {
        let (low, high) = ends(number);
        self.add_entry(key, low, Some(high));
    }

    /// Of a reference that is indexed under another parameter, what does not tell which type it points at: a
    /// narrower parameter would not be told from the wider one.
    fn add_narrower(&mut self, resource_type: &str, code: &str, value: &SearchValue<'_>) {
        let SearchValue::Reference { id, url, identifier, .. } = value else { return };
        if let (None, Some(url)) = (id, url) {
            self.keys.push(parameter_key(resource_type, code).reference(url_target(url)));
        }
        if let Some((system, value)) = identifier {
            self.add_reference_identifier(resource_type, code, *system, value);
        }
    }

    fn add_reference_identifier(&mut self, resource_type: &str, code: &str, system: Option<&str>, value: &str) {
        self.keys.push(reference_identifier_key(resource_type, code, Some(system.unwrap_or("")), value));
        self.keys.push(reference_identifier_key(resource_type, code, None, value));
    }

    /// Puts the keys of its entries before all others, each once, so that the row tells which of them they are.
    fn order_keys(&mut self) {
        let mut keys: Vec<Key> = self.entries.iter().map(|entry| entry.key).collect();
        keys.dedup();
        self.indexed = keys.len();
        self.keys.sort_unstable();
        self.keys.dedup();
        self.keys.retain(|key| keys.binary_search(key).is_err());
        keys.append(&mut self.keys);
        self.keys = keys;
    }

    /// Entries of one key differ in `low`, which is part of the primary key: intervals that begin together are
    /// moved apart by the least that there is.
    fn keep_entries_apart(&mut self) {
        self.entries.sort_unstable();
        self.entries.dedup_by(|one, before| {
            (one.key, one.low) == (before.key, before.low) && (one.high.is_none() || one.high == before.high)
        });
        for position in 1..self.entries.len() {
            let before = self.entries[position - 1];
            let entry = &mut self.entries[position];
            if entry.key == before.key && entry.low <= before.low && entry.high.is_some() {
                entry.low = before.low.saturating_add(1);
            }
        }
    }
}

/// The tokens worth an index entry for each patient: the ones clients combine with a patient.
pub(crate) fn starts_with_patient(parameter: &str) -> bool {
    matches!(parameter, "code" | "category" | "component-code")
}

/// Whether this parameter tells whom a resource is about.
pub(crate) fn is_about(parameter: &str) -> bool {
    matches!(parameter, "patient" | "subject")
}

/// A number as the ends of an index entry, order-preserving integers.
fn ends(number: &NumericValue) -> (i64, i64) {
    let interval = number.sortable();
    (interval.low, interval.high)
}

/// The names by which a quantity's unit can be asked for: `system|code` (unless that is asked for in the canonical
/// unit), code, printed unit.
fn units(system: Option<&str>, code: Option<&str>, unit: Option<&str>) -> Vec<String> {
    let mut names = Vec::with_capacity(3);
    if let (Some(system), Some(code)) = (system, code)
        && canonical(Some(system), Some(code)).is_none()
    {
        names.push(format!("{system}|{code}"));
    }
    names.extend(code.map(str::to_owned));
    if unit != code {
        names.extend(unit.map(str::to_owned));
    }
    names
}

/// The canonical form of a quantity's unit, where it has one.
fn canonical(system: Option<&str>, code: Option<&str>) -> Option<Arc<Canonical>> {
    code.filter(|_| system == Some(UCUM)).and_then(Canonical::of)
}

/// The parameters, best first, that say when what a resource tells of happened.
pub(crate) fn natural_date_parameters(resource_type: &str) -> &'static [&'static str] {
    match resource_type {
        "Patient" | "Person" | "Practitioner" | "RelatedPerson" => &[],
        "Condition" => &["onset-date", "recorded-date", "abatement-date"],
        "Claim" | "ExplanationOfBenefit" => &["created"],
        _ => &[
            "date",
            "authoredon",
            "authored",
            "effective",
            "effective-time",
            "period",
            "started",
            "issued",
            "whenhandedover",
            "created",
            "sent",
            "event-date",
        ],
    }
}

/// The codes under which a parameter's values are indexed: its own, or those of the parameters that together
/// find the same.
pub(crate) fn stored_as(parameter: &SearchParameter) -> Vec<&str> {
    match parameter.parts.as_slice() {
        [] => vec![parameter.code.as_str()],
        parts => parts.iter().map(String::as_str).collect(),
    }
}

/// Whether index entries of this kind of parameter are intervals.
pub(crate) fn is_ranged(kind: ParameterType) -> bool {
    matches!(kind, ParameterType::Date | ParameterType::Number | ParameterType::Quantity)
}
