//! What the population is made of: diagnoses, drugs, procedures, names. Codes are real ones of
//! SNOMED CT, ICD-10-CM, RxNorm, CVX and LOINC; people and places are made up.

pub(crate) mod acute;
pub(crate) mod names;
pub(crate) mod problems;
pub(crate) mod services;
