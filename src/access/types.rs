//! Resource types as the policy sees them: to which class each belongs, and how its rows are tied to
//! a patient.

use std::collections::HashSet;

use salus_fhir::Definitions;

use crate::Error;

/// What kind of data a resource type holds; the policy's roles speak of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// About a patient: in the Patient compartment, or pointing at a patient.
    Clinical,
    /// Consent.
    Consent,
    /// AuditEvent.
    Audit,
    /// People, organizations, places and products that clinical data point at.
    Shared,
    /// Definitions and terminology: nothing about anyone.
    Conformance,
    /// Everything else: containers and transport whose content may be anything.
    Other,
}

impl Class {
    /// Its name in the policy.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clinical => "clinical",
            Self::Consent => "consent",
            Self::Audit => "audit",
            Self::Shared => "shared",
            Self::Conformance => "conformance",
            Self::Other => "other",
        }
    }
}

/// How rows of a type are found to be about one patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// By the Patient compartment.
    Compartment,
    /// By this search parameter, which points at the patient.
    Search(&'static str),
    /// Not at all: a grant bounded by a patient reaches none of them.
    None,
}

/// Shared by all patients. The Patient compartment leaves them out, yet clinical data cannot be read
/// without them.
const SHARED: &[&str] = &[
    "DeviceDefinition",
    "Endpoint",
    "HealthcareService",
    "InsurancePlan",
    "Location",
    "Medication",
    "MedicationKnowledge",
    "Organization",
    "OrganizationAffiliation",
    "Practitioner",
    "PractitionerRole",
    "Substance",
];

/// Definitions and terminology (R4 resourcelist.html: Conformance, Terminology, Definitional).
const CONFORMANCE: &[&str] = &[
    "ActivityDefinition",
    "CapabilityStatement",
    "ChargeItemDefinition",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "EventDefinition",
    "ExampleScenario",
    "GraphDefinition",
    "ImplementationGuide",
    "Library",
    "Measure",
    "MessageDefinition",
    "NamingSystem",
    "ObservationDefinition",
    "OperationDefinition",
    "PlanDefinition",
    "Questionnaire",
    "SearchParameter",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "TerminologyCapabilities",
    "ValueSet",
];

/// A Group is in the compartment of each of its members, and so would show one member all others. A
/// grant bounded by a patient does not reach it.
const NAMES_OTHER_PATIENTS: &[&str] = &["Group"];

#[derive(Debug)]
struct TypeEntry {
    name: String,
    class: Class,
    link: Link,
}

/// All resource types, sorted by name.
#[derive(Debug)]
pub(crate) struct TypeTable(Vec<TypeEntry>);

impl TypeTable {
    /// Reads the types, the Patient compartment and the parameters `patient` and `subject` from the
    /// loaded packages.
    pub fn new(definitions: &Definitions) -> Result<Self, Error> {
        let compartment = definitions.compartment("Patient").ok_or(Error::NoPatientCompartment)?;
        let links = |code| {
            let parameters = definitions.raw_search_parameters().iter();
            let of_patient = parameters.filter(move |p| p.code == code && p.target.iter().any(|t| t == "Patient"));
            of_patient.flat_map(|p| p.base.iter().map(String::as_str)).collect::<HashSet<_>>()
        };
        let (patient, subject) = (links("patient"), links("subject"));
        let mut entries: Vec<_> = definitions
            .resource_types()
            .map(|name| {
                let link = if NAMES_OTHER_PATIENTS.contains(&name) {
                    Link::None
                } else if name == "Patient" || !compartment.parameters(name).is_empty() {
                    Link::Compartment
                } else if patient.contains(name) {
                    Link::Search("patient")
                } else if subject.contains(name) {
                    Link::Search("subject")
                } else {
                    Link::None
                };
                TypeEntry { name: name.to_owned(), class: class(name, link), link }
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self(entries))
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of `name` in the order of the table.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|entry| entry.name.as_str().cmp(name)).ok()
    }

    /// Name, class and link of each type, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Class, Link)> {
        self.0.iter().map(|entry| (entry.name.as_str(), entry.class, entry.link))
    }

    /// The class of `name`, if it is a resource type.
    pub fn class(&self, name: &str) -> Option<Class> {
        Some(self.0[self.position(name)?].class)
    }
}

fn class(name: &str, link: Link) -> Class {
    match name {
        "AuditEvent" => Class::Audit,
        "Consent" => Class::Consent,
        _ if SHARED.contains(&name) => Class::Shared,
        _ if CONFORMANCE.contains(&name) => Class::Conformance,
        _ if NAMES_OTHER_PATIENTS.contains(&name) || link != Link::None => Class::Clinical,
        _ => Class::Other,
    }
}

#[cfg(test)]
impl TypeTable {
    /// A few types of each class, for tests that need no package.
    pub fn sample() -> Self {
        let types = [
            ("AuditEvent", Link::Compartment),
            ("Binary", Link::None),
            ("Consent", Link::Compartment),
            ("Device", Link::Search("patient")),
            ("Group", Link::None),
            ("Observation", Link::Compartment),
            ("Patient", Link::Compartment),
            ("Practitioner", Link::None),
            ("ValueSet", Link::None),
        ];
        let entry = |(name, link): (&str, Link)| TypeEntry { name: name.to_owned(), class: class(name, link), link };
        Self(types.map(entry).into())
    }
}

#[cfg(test)]
mod tests {
    use salus_fhir::packages::{R4_CORE, default_cache_dir};

    use super::*;

    /// R4 core from the cache that `make test` fills.
    fn r4() -> Option<TypeTable> {
        let cache = default_cache_dir()?;
        let archive = R4_CORE.path(&cache);
        if !archive.exists() {
            println!("skipped: {} is not there; `make test` fetches it", archive.display());
            return None;
        }
        let definitions = Definitions::load_or_compile(&cache, &[archive]).unwrap();
        Some(TypeTable::new(&definitions).unwrap())
    }

    #[test]
    fn r4_types_fall_into_classes_and_are_tied_to_patients() {
        let Some(table) = r4() else { return };
        let of = |wanted| table.iter().find(|(name, ..)| *name == wanted).map(|(_, class, link)| (class, link));
        for (name, class, link) in [
            ("Observation", Class::Clinical, Link::Compartment),
            ("Patient", Class::Clinical, Link::Compartment),
            ("Device", Class::Clinical, Link::Search("patient")),
            ("Task", Class::Clinical, Link::Search("patient")),
            ("Group", Class::Clinical, Link::None),
            ("Consent", Class::Consent, Link::Compartment),
            ("AuditEvent", Class::Audit, Link::Compartment),
            ("Medication", Class::Shared, Link::None),
            ("StructureDefinition", Class::Conformance, Link::None),
            ("Binary", Class::Other, Link::None),
            ("Bundle", Class::Other, Link::None),
        ] {
            assert_eq!(of(name), Some((class, link)), "{name}");
        }
        assert!(SHARED.iter().chain(CONFORMANCE).all(|name| table.position(name).is_some()));
        assert_eq!(table.len(), 148 - 2, "all but the abstract Resource and DomainResource");
    }
}
