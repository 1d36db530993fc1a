//! Which patient plays which part, by number. Fixed, so that ids can be relied upon.

/// Recovering in intensive care; low risk, complete laboratory values.
pub(crate) const ORDINARY: usize = 1;
/// In septic shock in intensive care.
pub(crate) const HIGH_RISK: usize = 2;
/// In intensive care, with a Consent that keeps some things from those who treat.
pub(crate) const CONSENT_RESTRICTED: usize = 3;
/// Denies research.
pub(crate) const NO_RESEARCH: usize = 4;
/// Denies one practitioner.
pub(crate) const NO_ACTOR: usize = 5;
/// Has a Consent whose time is over.
pub(crate) const EXPIRED_CONSENT: usize = 6;

/// The id of patient `number`.
pub(crate) fn patient_id(number: usize) -> String {
    format!("demo-patient-{number:03}")
}

/// Whether the patient is or was in intensive care.
pub(crate) fn has_intensive_care(number: usize) -> bool {
    number <= CONSENT_RESTRICTED || number.is_multiple_of(4)
}

/// Whether the patient is in intensive care at the reference date.
pub(crate) fn now_in_intensive_care(number: usize) -> bool {
    number <= CONSENT_RESTRICTED || matches!(number, 8 | 12 | 16 | 20)
}

/// Whether the patient is on a ward at the reference date.
pub(crate) fn now_on_ward(number: usize) -> bool {
    !has_intensive_care(number) && (number % 16 == 5 || number % 25 == 11)
}
