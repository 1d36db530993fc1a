//! Preventive care: immunizations and procedures of clinic visits.

use crate::datatypes::{CVX, Code, snomed};

/// The yearly influenza vaccine.
pub(crate) const INFLUENZA: Code = Code::new(CVX, "140", "Influenza, seasonal, injectable, preservative free");

/// Other vaccines: code and from which age in years.
pub(crate) static VACCINES: &[(Code, i64)] = &[
    (Code::new(CVX, "113", "Td (adult) preservative free"), 18),
    (
        Code::new(
            CVX,
            "208",
            "SARS-COV-2 (COVID-19) vaccine, mRNA, spike protein, LNP, preservative free, 30 mcg/0.3mL dose",
        ),
        12,
    ),
    (Code::new(CVX, "33", "pneumococcal polysaccharide vaccine, 23 valent"), 65),
    (Code::new(CVX, "121", "zoster vaccine, live"), 60),
];

/// What a clinic does in passing.
pub(crate) static PROCEDURES: &[Code] = &[
    snomed("430193006", "Medication reconciliation"),
    snomed("171207006", "Depression screening"),
    snomed("73761001", "Colonoscopy"),
    snomed("127783003", "Spirometry"),
    snomed("40701008", "Echocardiography"),
    snomed("312681000", "Bone density scan"),
];
