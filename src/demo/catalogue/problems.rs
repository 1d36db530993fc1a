//! Long-standing problems, what is taken for them, and allergies.

use crate::datatypes::{Code, ICD10CM, RXNORM, snomed};

/// A drug as it is ordered.
#[derive(Debug)]
pub(crate) struct Drug {
    /// RxNorm clinical drug, or ingredient for what a pharmacy prepares.
    pub(crate) code: Code,
    /// The name in prose.
    pub(crate) name: &'static str,
    /// The sig.
    pub(crate) sig: &'static str,
    /// Doses a day; 0 for an infusion or as needed.
    pub(crate) per_day: u32,
    /// SNOMED CT route.
    pub(crate) route: Code,
}

/// By mouth.
pub(crate) const ORAL: Code = snomed("26643006", "Oral route");
/// Into a vein.
pub(crate) const INTRAVENOUS: Code = snomed("47625008", "Intravenous route");
/// By inhaler.
pub(crate) const INHALED: Code = snomed("447694001", "Respiratory tract route");

/// A drug taken by mouth.
pub(crate) const fn oral(
    code: &'static str,
    display: &'static str,
    name: &'static str,
    sig: &'static str,
    per_day: u32,
) -> Drug {
    Drug { code: Code::new(RXNORM, code, display), name, sig, per_day, route: ORAL }
}

/// A long-standing problem.
#[derive(Debug)]
pub(crate) struct Problem {
    /// SNOMED CT.
    pub(crate) code: Code,
    /// ICD-10-CM.
    pub(crate) icd: Code,
    /// The name in prose.
    pub(crate) name: &'static str,
    /// Not before this age in years.
    pub(crate) from_age: i64,
    /// Share of those old enough who have it.
    pub(crate) share: f64,
    /// Why it is sensitive: a code of ActInformationSensitivityPolicy.
    pub(crate) sensitivity: Option<&'static str>,
    /// What is taken for it.
    pub(crate) drugs: &'static [Drug],
}

const fn icd(code: &'static str, display: &'static str) -> Code {
    Code::new(ICD10CM, code, display)
}

/// Index of the problems that the generator asks for by name.
pub(crate) const DIABETES: usize = 1;
/// Chronic kidney disease stage 3.
pub(crate) const KIDNEY_DISEASE: usize = 7;
/// Depression (PSY).
pub(crate) const DEPRESSION: usize = 12;
/// Alcohol dependence (ETH).
pub(crate) const ALCOHOL: usize = 14;

/// All long-standing problems.
pub(crate) static PROBLEMS: &[Problem] = &[
    Problem {
        code: snomed("59621000", "Essential hypertension"),
        icd: icd("I10", "Essential (primary) hypertension"),
        name: "hypertension",
        from_age: 35,
        share: 0.42,
        sensitivity: None,
        drugs: &[
            oral("314076", "lisinopril 10 MG Oral Tablet", "lisinopril 10 mg", "1 tablet by mouth once daily", 1),
            oral(
                "310798",
                "Hydrochlorothiazide 25 MG Oral Tablet",
                "hydrochlorothiazide 25 mg",
                "1 tablet by mouth every morning",
                1,
            ),
        ],
    },
    Problem {
        code: snomed("44054006", "Diabetes mellitus type 2"),
        icd: icd("E11.9", "Type 2 diabetes mellitus without complications"),
        name: "type 2 diabetes mellitus",
        from_age: 38,
        share: 0.22,
        sensitivity: None,
        drugs: &[oral(
            "860975",
            "24 HR Metformin hydrochloride 500 MG Extended Release Oral Tablet",
            "metformin ER 500 mg",
            "1 tablet by mouth twice daily with meals",
            2,
        )],
    },
    Problem {
        code: snomed("55822004", "Hyperlipidemia"),
        icd: icd("E78.5", "Hyperlipidemia, unspecified"),
        name: "hyperlipidemia",
        from_age: 35,
        share: 0.38,
        sensitivity: None,
        drugs: &[oral(
            "312961",
            "Simvastatin 20 MG Oral Tablet",
            "simvastatin 20 mg",
            "1 tablet by mouth at bedtime",
            1,
        )],
    },
    Problem {
        code: snomed("195967001", "Asthma"),
        icd: icd("J45.909", "Unspecified asthma, uncomplicated"),
        name: "asthma",
        from_age: 6,
        share: 0.09,
        sensitivity: None,
        drugs: &[Drug {
            code: Code::new(RXNORM, "745679", "200 ACTUAT Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler"),
            name: "albuterol inhaler",
            sig: "2 puffs every 4 to 6 hours as needed for wheezing",
            per_day: 0,
            route: INHALED,
        }],
    },
    Problem {
        code: snomed("13645005", "Chronic obstructive lung disease"),
        icd: icd("J44.9", "Chronic obstructive pulmonary disease, unspecified"),
        name: "COPD",
        from_age: 55,
        share: 0.13,
        sensitivity: None,
        drugs: &[Drug {
            code: Code::new(
                RXNORM,
                "896209",
                "60 ACTUAT Fluticasone propionate 0.25 MG/ACTUAT / salmeterol 0.05 MG/ACTUAT Dry Powder Inhaler",
            ),
            name: "fluticasone/salmeterol inhaler",
            sig: "1 inhalation twice daily",
            per_day: 2,
            route: INHALED,
        }],
    },
    Problem {
        code: snomed("53741008", "Coronary arteriosclerosis"),
        icd: icd("I25.10", "Atherosclerotic heart disease of native coronary artery without angina pectoris"),
        name: "coronary artery disease",
        from_age: 50,
        share: 0.18,
        sensitivity: None,
        drugs: &[
            oral("243670", "Aspirin 81 MG Oral Tablet", "aspirin 81 mg", "1 tablet by mouth once daily", 1),
            oral(
                "866412",
                "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet",
                "metoprolol succinate 100 mg",
                "1 tablet by mouth once daily",
                1,
            ),
        ],
    },
    Problem {
        code: snomed("49436004", "Atrial fibrillation"),
        icd: icd("I48.91", "Unspecified atrial fibrillation"),
        name: "atrial fibrillation",
        from_age: 60,
        share: 0.13,
        sensitivity: None,
        drugs: &[oral(
            "855332",
            "Warfarin Sodium 5 MG Oral Tablet",
            "warfarin 5 mg",
            "1 tablet by mouth once daily, per INR",
            1,
        )],
    },
    Problem {
        code: snomed("433144002", "Chronic kidney disease stage 3"),
        icd: icd("N18.30", "Chronic kidney disease, stage 3 unspecified"),
        name: "stage 3 chronic kidney disease",
        from_age: 55,
        share: 0.14,
        sensitivity: None,
        drugs: &[],
    },
    Problem {
        code: snomed("40930008", "Hypothyroidism"),
        icd: icd("E03.9", "Hypothyroidism, unspecified"),
        name: "hypothyroidism",
        from_age: 30,
        share: 0.09,
        sensitivity: None,
        drugs: &[],
    },
    Problem {
        code: snomed("235595009", "Gastroesophageal reflux disease"),
        icd: icd("K21.9", "Gastro-esophageal reflux disease without esophagitis"),
        name: "gastroesophageal reflux disease",
        from_age: 25,
        share: 0.2,
        sensitivity: None,
        drugs: &[oral(
            "198051",
            "Omeprazole 20 MG Delayed Release Oral Capsule",
            "omeprazole 20 mg",
            "1 capsule by mouth every morning before breakfast",
            1,
        )],
    },
    Problem {
        code: snomed("239873007", "Osteoarthritis of knee"),
        icd: icd("M17.9", "Osteoarthritis of knee, unspecified"),
        name: "osteoarthritis of the knee",
        from_age: 55,
        share: 0.25,
        sensitivity: None,
        drugs: &[oral(
            "313782",
            "Acetaminophen 325 MG Oral Tablet",
            "acetaminophen 325 mg",
            "2 tablets by mouth every 6 hours as needed for pain",
            0,
        )],
    },
    Problem {
        code: snomed("64859006", "Osteoporosis"),
        icd: icd("M81.0", "Age-related osteoporosis without current pathological fracture"),
        name: "osteoporosis",
        from_age: 62,
        share: 0.16,
        sensitivity: None,
        drugs: &[oral(
            "904419",
            "Alendronic acid 10 MG Oral Tablet",
            "alendronate 10 mg",
            "1 tablet by mouth once daily",
            1,
        )],
    },
    Problem {
        code: snomed("370143000", "Major depressive disorder"),
        icd: icd("F32.A", "Depression, unspecified"),
        name: "major depressive disorder",
        from_age: 18,
        share: 0.11,
        sensitivity: Some("PSY"),
        drugs: &[oral("312941", "Sertraline 50 MG Oral Tablet", "sertraline 50 mg", "1 tablet by mouth once daily", 1)],
    },
    Problem {
        code: snomed("197480006", "Anxiety disorder"),
        icd: icd("F41.9", "Anxiety disorder, unspecified"),
        name: "anxiety disorder",
        from_age: 16,
        share: 0.08,
        sensitivity: Some("PSY"),
        drugs: &[],
    },
    Problem {
        code: snomed("7200002", "Alcoholism"),
        icd: icd("F10.20", "Alcohol dependence, uncomplicated"),
        name: "alcohol dependence",
        from_age: 21,
        share: 0.06,
        sensitivity: Some("ETH"),
        drugs: &[Drug {
            code: Code::new(RXNORM, "7243", "naltrexone"),
            name: "naltrexone 50 mg",
            sig: "50 mg by mouth once daily",
            per_day: 1,
            route: ORAL,
        }],
    },
    Problem {
        code: snomed("5602001", "Opioid abuse"),
        icd: icd("F11.10", "Opioid abuse, uncomplicated"),
        name: "opioid use disorder",
        from_age: 18,
        share: 0.04,
        sensitivity: Some("ETH"),
        drugs: &[],
    },
    Problem {
        code: snomed("86406008", "Human immunodeficiency virus infection"),
        icd: icd("B20", "Human immunodeficiency virus [HIV] disease"),
        name: "HIV infection",
        from_age: 20,
        share: 0.02,
        sensitivity: Some("HIV"),
        drugs: &[],
    },
];

/// An allergy: what to, by SNOMED CT or RxNorm, category, what it does, and how bad that was.
#[derive(Debug)]
pub(crate) struct Allergy {
    /// The substance.
    pub(crate) substance: Code,
    /// In prose.
    pub(crate) name: &'static str,
    /// `medication`, `food` or `environment`.
    pub(crate) category: &'static str,
    /// `low` or `high`.
    pub(crate) criticality: &'static str,
    /// The reaction.
    pub(crate) reaction: Code,
    /// `mild`, `moderate` or `severe`.
    pub(crate) severity: &'static str,
}

/// All allergies.
pub(crate) static ALLERGIES: &[Allergy] = &[
    Allergy {
        substance: Code::new(RXNORM, "7980", "penicillin G"),
        name: "penicillin (hives)",
        category: "medication",
        criticality: "high",
        reaction: snomed("247472004", "Wheal"),
        severity: "moderate",
    },
    Allergy {
        substance: Code::new(RXNORM, "10831", "Sulfamethoxazole / Trimethoprim"),
        name: "sulfa drugs (rash)",
        category: "medication",
        criticality: "low",
        reaction: snomed("271807003", "Eruption of skin"),
        severity: "mild",
    },
    Allergy {
        substance: snomed("288328004", "Bee venom"),
        name: "bee venom (anaphylaxis)",
        category: "environment",
        criticality: "high",
        reaction: snomed("39579001", "Anaphylaxis"),
        severity: "severe",
    },
    Allergy {
        substance: snomed("111088007", "Latex"),
        name: "latex (itching)",
        category: "environment",
        criticality: "low",
        reaction: snomed("418290006", "Itching"),
        severity: "mild",
    },
    Allergy {
        substance: snomed("102263004", "Eggs (edible)"),
        name: "eggs (rash)",
        category: "food",
        criticality: "low",
        reaction: snomed("271807003", "Eruption of skin"),
        severity: "mild",
    },
];
