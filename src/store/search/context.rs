//! Where a search looks: one type, several, or the compartments of patients, an encounter, …
//! (R4 search.html#searchcontexts, compartmentdefinition.html).

use salus_fhir::{Definitions, Key};

use super::condition::Condition;
use super::start::{Clause, KeyStart, Start, rank};
use crate::facts::{compartment_key, parameter_key, stored_as};
use crate::predicate::View;
use crate::{Error, Result};

/// What may be found at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchContext {
    /// The types, each once.
    pub types: Vec<String>,
    /// The compartments of which they have to be in one.
    pub(super) compartments: Option<Compartments>,
    /// Whether `_type` may name the types.
    several: bool,
}

/// One resource's compartment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompartmentOf {
    /// Type of the resource: Patient, Encounter, Practitioner, RelatedPerson or Device.
    pub owner: String,
    /// Logical id of the resource.
    pub id: String,
}

/// Compartments of resources of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compartments {
    owner: String,
    ids: Vec<String>,
}

/// The trail is not kept with the resources and is searched by itself.
const TRAIL: &str = "AuditEvent";

impl SearchContext {
    /// All resources of one type.
    pub fn of_type(resource_type: &str) -> Self {
        Self { types: vec![resource_type.to_owned()], compartments: None, several: false }
    }

    /// All resources of all types.
    pub fn system(definitions: &Definitions) -> Self {
        let types = definitions.resource_types().filter(|name| *name != TRAIL).map(str::to_owned).collect();
        Self { types, compartments: None, several: true }
    }

    /// What is in a compartment, of one type or of all that can be.
    ///
    /// # Errors
    /// [`Error::Search`] for a type whose resources have no compartment, or are never in this one.
    pub fn compartment(definitions: &Definitions, of: CompartmentOf, resource_type: Option<&str>) -> Result<Self> {
        let bad = |message: String| Error::Search { parameter: of.owner.clone(), message };
        let compartment =
            definitions.compartment(&of.owner).ok_or_else(|| bad(format!("{} has no compartment", of.owner)))?;
        let holds = |name: &str| name != TRAIL && (name == of.owner || !compartment.parameters(name).is_empty());
        let types = match resource_type {
            Some(name) if !holds(name) => return Err(bad(format!("a {} compartment holds no {name}", of.owner))),
            Some(name) => vec![name.to_owned()],
            None => definitions.resource_types().filter(|name| holds(name)).map(str::to_owned).collect(),
        };
        let compartments = Some(Compartments { owner: of.owner, ids: vec![of.id] });
        Ok(Self { types, compartments, several: resource_type.is_none() })
    }

    /// What is in any of the compartments of several resources of a type.
    ///
    /// # Errors
    /// [`Error::Search`] for a type whose resources have no compartment.
    pub fn compartments(definitions: &Definitions, owner: &str, ids: Vec<String>) -> Result<Self> {
        let of = CompartmentOf { owner: owner.to_owned(), id: String::new() };
        let mut context = Self::compartment(definitions, of, None)?;
        context.compartments = Some(Compartments { owner: owner.to_owned(), ids });
        Ok(context)
    }

    /// The type, where there is just one.
    pub fn one_type(&self) -> Option<&str> {
        match self.types.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Whether `_type` may say which types are meant.
    pub(super) fn takes_types(&self) -> bool {
        self.several
    }

    /// Leaves only the types that `value`, of a `_type`, names.
    ///
    /// # Errors
    /// [`Error::Search`] for one that is no type of R4, or the trail's.
    pub(super) fn narrow(&mut self, definitions: &Definitions, value: &str) -> Result<()> {
        let named: Vec<&str> = value.split(',').filter(|name| !name.is_empty()).collect();
        for name in &named {
            let message = match *name {
                TRAIL => "AuditEvents are searched by themselves: GET AuditEvent".to_owned(),
                name if !definitions.is_resource_type(name) => format!("'{name}' is not a resource type of R4"),
                _ => continue,
            };
            return Err(Error::Search { parameter: "_type".to_owned(), message });
        }
        self.types.retain(|known| named.contains(&known.as_str()));
        Ok(())
    }
}

impl Compartments {
    /// Key of the patient, where it is the compartment of just one.
    pub fn one_patient(&self) -> Option<Key> {
        match self.ids.as_slice() {
            [id] if self.owner == "Patient" => Some(Key::resource("Patient", id)),
            _ => None,
        }
    }

    /// That a resource of this type is in one of the compartments.
    pub fn clause(&self, view: &View<'_>, resource_type: &str) -> Clause {
        let owners: Vec<Key> = self.ids.iter().map(|id| Key::resource(&self.owner, id)).collect();
        // Of patients every resource knows whose compartments it is in.
        if self.owner == "Patient" {
            let start = |owner: &Key| KeyStart::of(compartment_key(resource_type, *owner), true);
            let starts = Start::Keys(owners.iter().map(start).collect());
            return Clause::implied(Condition::AnyFact(owners), Some(starts), rank::COMPARTMENT);
        }
        let listed = view.definitions.compartment(&self.owner).map_or(&[][..], |found| found.parameters(resource_type));
        let parameters = listed.iter().filter_map(|code| view.definitions.search().get(resource_type, code));
        let codes = parameters.flat_map(stored_as).map(|code| parameter_key(resource_type, code));
        let references: Vec<Key> =
            codes.flat_map(|code| owners.iter().map(move |owner| code.reference(*owner))).collect();
        let pointing = Condition::AnyFact(references.clone());
        if self.owner == resource_type {
            let rows = Condition::Rows(owners.clone());
            return match references.is_empty() {
                true => Clause::implied(rows, Some(Start::Rows(owners)), rank::ROWS),
                false => Clause::filter(Condition::Any(vec![rows, pointing])),
            };
        }
        let keys = references.iter().map(|&key| KeyStart::of(key, references.len() == 1)).collect();
        Clause::implied(pointing, Some(Start::Keys(keys)), rank::REFERENCE)
    }
}
