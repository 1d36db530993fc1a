//! FHIR data types as JSON, and the code systems the population uses.

use crate::clock::Moment;
use crate::json::{Json, list, object};

/// SNOMED CT.
pub(crate) const SNOMED: &str = "http://snomed.info/sct";
/// LOINC.
pub(crate) const LOINC: &str = "http://loinc.org";
/// RxNorm.
pub(crate) const RXNORM: &str = "http://www.nlm.nih.gov/research/umls/rxnorm";
/// ICD-10-CM.
pub(crate) const ICD10CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
/// Vaccines administered (CDC).
pub(crate) const CVX: &str = "http://hl7.org/fhir/sid/cvx";
/// The Unified Code for Units of Measure.
pub(crate) const UCUM: &str = "http://unitsofmeasure.org";
/// HL7 v3 ActCode.
pub(crate) const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
/// HL7 v3 ActReason: purposes of use.
pub(crate) const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// HL7 v3 Confidentiality.
pub(crate) const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

/// A code with its display.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) system: &'static str,
    pub(crate) code: &'static str,
    pub(crate) display: &'static str,
}

impl Code {
    /// A code of a system.
    pub(crate) const fn new(system: &'static str, code: &'static str, display: &'static str) -> Code {
        Code { system, code, display }
    }

    /// As a Coding.
    pub(crate) fn coding(self) -> Json {
        object! { "system": self.system, "code": self.code, "display": self.display }
    }

    /// As a CodeableConcept.
    pub(crate) fn concept(self) -> Json {
        object! { "coding": list![self.coding()], "text": self.display }
    }
}

/// A SNOMED CT code.
pub(crate) const fn snomed(code: &'static str, display: &'static str) -> Code {
    Code::new(SNOMED, code, display)
}

/// A LOINC code.
pub(crate) const fn loinc(code: &'static str, display: &'static str) -> Code {
    Code::new(LOINC, code, display)
}

/// A CodeableConcept of one coding without display, for HL7's own small code systems.
pub(crate) fn plain_concept(system: &'static str, code: &'static str) -> Json {
    object! { "coding": list![object! { "system": system, "code": code }] }
}

/// A literal reference, such as `Patient/demo-patient-001`.
pub(crate) fn reference(to: impl Into<String>) -> Json {
    object! { "reference": to.into() }
}

/// A Period; open without an end.
pub(crate) fn period(start: Moment, end: Option<Moment>) -> Json {
    object! { "start": start.date_time(), "end": end.map(Moment::date_time) }
}

/// A Quantity in a UCUM unit.
pub(crate) fn quantity(value: f64, digits: usize, unit: &'static str, ucum: &'static str) -> Json {
    object! { "value": Json::decimal(value, digits), "unit": unit, "system": UCUM, "code": ucum }
}

/// `meta` with security labels, absent when there are none. A sensitive resource is restricted (R)
/// and says why (ETH, PSY, HIV).
pub(crate) fn labelled(sensitivity: Option<&'static str>) -> Json {
    sensitivity.map_or(Json::Absent, |why| {
        object! { "security": list![
            object! { "system": CONFIDENTIALITY, "code": "R", "display": "restricted" },
            object! { "system": ACT_CODE, "code": why },
        ] }
    })
}
