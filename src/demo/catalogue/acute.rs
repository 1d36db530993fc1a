//! Acute illness: what brings people to the emergency department, the ward and intensive care,
//! and the course it takes there.

use super::problems::{Drug, INTRAVENOUS, oral};
use crate::datatypes::{Code, ICD10CM, RXNORM, snomed};
use crate::physiology::Axes;

/// An acute illness.
#[derive(Debug)]
pub(crate) struct Illness {
    /// SNOMED CT.
    pub(crate) code: Code,
    /// ICD-10-CM.
    pub(crate) icd: Code,
    /// The name in prose.
    pub(crate) name: &'static str,
    /// What the patient complains of, in prose.
    pub(crate) complaint: &'static str,
    /// What is ruled out, in prose.
    pub(crate) ruled_out: &'static str,
    /// How much it touches each organ at full severity.
    pub(crate) axes: Axes,
    /// Severity over the stay: (part of the stay from 0 to 1, severity from 0 to 1).
    pub(crate) course: &'static [(f64, f64)],
    /// What is given.
    pub(crate) drugs: &'static [Drug],
    /// What is done.
    pub(crate) procedures: &'static [Code],
}

const fn icd(code: &'static str, display: &'static str) -> Code {
    Code::new(ICD10CM, code, display)
}

const fn infusion(code: &'static str, display: &'static str, sig: &'static str) -> Drug {
    Drug { code: Code::new(RXNORM, code, display), name: display, sig, per_day: 0, route: INTRAVENOUS }
}

const fn axes(shock: f64, lung: f64, kidney: f64, inflammation: f64, liver: f64, brain: f64, heart: f64) -> Axes {
    Axes([shock, lung, kidney, inflammation, liver, brain, heart])
}

const NOREPINEPHRINE: Drug =
    infusion("7512", "norepinephrine", "0.02 to 0.5 mcg/kg/min to keep mean arterial pressure at 65 mmHg");
const VANCOMYCIN: Drug = infusion("11124", "vancomycin", "15 mg/kg every 12 hours, by level");
const PROPOFOL: Drug = infusion("8782", "propofol", "5 to 50 mcg/kg/min, light sedation");
const HEPARIN: Drug = infusion("5224", "heparin", "5000 units subcutaneously every 8 hours");
const CEFTRIAXONE: Drug = infusion("2193", "ceftriaxone", "1 g every 24 hours");
const PIPERACILLIN: Drug = infusion("8339", "piperacillin", "4.5 g with tazobactam every 8 hours");
const PANTOPRAZOLE: Drug = infusion("40790", "pantoprazole", "40 mg every 12 hours");
const VASOPRESSIN: Drug = infusion("11149", "vasopressin (USP)", "0.03 units/min");

const INTUBATION: Code = snomed("112798008", "Insertion of endotracheal tube");
const VENTILATION: Code = snomed("40617009", "Artificial respiration");
const DIALYSIS: Code = snomed("265764009", "Renal dialysis");
const CHEST_XRAY: Code = snomed("399208008", "Plain chest X-ray");
const STENT: Code = snomed("415070008", "Percutaneous coronary intervention");
const BYPASS: Code = snomed("232717009", "Coronary artery bypass grafting");
const APPENDECTOMY: Code = snomed("80146002", "Excision of appendix");

/// A course that ends well.
const MENDING: &[(f64, f64)] = &[(0.0, 0.55), (0.25, 0.45), (0.6, 0.18), (1.0, 0.05)];
/// A course that gets worse before it gets better.
const CRISIS: &[(f64, f64)] = &[(0.0, 0.5), (0.2, 0.8), (0.45, 0.55), (1.0, 0.12)];
/// A course that nothing stops. Replaces the illness's own when the patient dies of it.
pub(crate) const FATAL: &[(f64, f64)] = &[(0.0, 0.6), (0.3, 0.8), (0.7, 0.95), (1.0, 1.0)];

/// Septic shock, which the high-risk patient has.
pub(crate) static SEPTIC_SHOCK: Illness = Illness {
    code: snomed("76571007", "Septic shock"),
    icd: icd("R65.21", "Severe sepsis with septic shock"),
    name: "septic shock from a urinary source",
    complaint: "two days of fever, rigors and flank pain, found confused at home",
    ruled_out: "No meningismus. CT shows no abscess and no evidence of bowel perforation",
    axes: axes(0.95, 0.8, 0.9, 0.95, 0.6, 0.8, 0.3),
    course: CRISIS,
    drugs: &[NOREPINEPHRINE, VASOPRESSIN, PIPERACILLIN, VANCOMYCIN, PROPOFOL, HEPARIN],
    procedures: &[INTUBATION, VENTILATION, CHEST_XRAY],
};

/// Recovery after planned heart surgery, which the ordinary patient makes.
pub(crate) static AFTER_BYPASS: Illness = Illness {
    code: snomed("53741008", "Coronary arteriosclerosis"),
    icd: icd("I25.10", "Atherosclerotic heart disease of native coronary artery without angina pectoris"),
    name: "coronary artery disease after planned bypass grafting",
    complaint: "planned three-vessel bypass grafting, uneventful, extubated six hours after surgery",
    ruled_out: "No bleeding from the drains. No evidence of tamponade or graft failure",
    axes: axes(0.25, 0.25, 0.1, 0.35, 0.0, 0.08, 0.3),
    course: MENDING,
    drugs: &[HEPARIN, PANTOPRAZOLE],
    procedures: &[BYPASS, CHEST_XRAY],
};

/// Sepsis that responds, which the patient with the restrictive Consent has.
pub(crate) static SEPSIS: Illness = Illness {
    code: snomed("91302008", "Sepsis"),
    icd: icd("A41.9", "Sepsis, unspecified organism"),
    name: "sepsis, source likely pneumonia",
    complaint: "three days of productive cough, fever and worsening shortness of breath",
    ruled_out: "No chest pain. CT angiography negative for pulmonary embolism",
    axes: axes(0.6, 0.6, 0.6, 0.9, 0.2, 0.35, 0.1),
    course: CRISIS,
    drugs: &[NOREPINEPHRINE, CEFTRIAXONE, VANCOMYCIN, HEPARIN],
    procedures: &[CHEST_XRAY],
};

/// What brings people to intensive care.
pub(crate) static CRITICAL: &[&Illness] = &[
    &SEPSIS,
    &AFTER_BYPASS,
    &SEPTIC_SHOCK,
    &Illness {
        code: snomed("14669001", "Acute renal failure syndrome"),
        icd: icd("N17.9", "Acute kidney failure, unspecified"),
        name: "acute kidney injury with hyperkalemia",
        complaint: "a week of vomiting and poor intake, barely any urine since yesterday",
        ruled_out: "No hydronephrosis on ultrasound. Denies NSAID use",
        axes: axes(0.3, 0.3, 1.0, 0.3, 0.0, 0.3, 0.05),
        course: MENDING,
        drugs: &[HEPARIN, PANTOPRAZOLE],
        procedures: &[DIALYSIS],
    },
    &Illness {
        code: snomed("65710008", "Acute respiratory failure"),
        icd: icd("J96.01", "Acute respiratory failure with hypoxia"),
        name: "hypoxic respiratory failure from pneumonia",
        complaint: "increasing shortness of breath and cough over four days",
        ruled_out: "No leg swelling. Denies hemoptysis. No pneumothorax on chest X-ray",
        axes: axes(0.3, 1.0, 0.15, 0.75, 0.05, 0.3, 0.05),
        course: CRISIS,
        drugs: &[CEFTRIAXONE, PROPOFOL, HEPARIN],
        procedures: &[INTUBATION, VENTILATION, CHEST_XRAY],
    },
    &Illness {
        code: snomed("22298006", "Myocardial infarction"),
        icd: icd("I21.9", "Acute myocardial infarction, unspecified"),
        name: "myocardial infarction with low output",
        complaint: "crushing chest pain since the early morning, with sweating and nausea",
        ruled_out: "No tearing pain to the back. Echocardiogram without evidence of dissection",
        axes: axes(0.55, 0.4, 0.3, 0.25, 0.15, 0.15, 1.0),
        course: MENDING,
        drugs: &[HEPARIN, NOREPINEPHRINE],
        procedures: &[STENT, CHEST_XRAY],
    },
    &Illness {
        code: snomed("230690007", "Cerebrovascular accident"),
        icd: icd("I63.9", "Cerebral infarction, unspecified"),
        name: "ischemic stroke",
        complaint: "sudden right-sided weakness and trouble speaking, last seen well three hours before",
        ruled_out: "CT of the head shows no hemorrhage. No seizure activity",
        axes: axes(0.1, 0.3, 0.05, 0.2, 0.0, 0.9, 0.1),
        course: MENDING,
        drugs: &[HEPARIN, PANTOPRAZOLE],
        procedures: &[],
    },
    &Illness {
        code: snomed("74474003", "Gastrointestinal hemorrhage"),
        icd: icd("K92.2", "Gastrointestinal hemorrhage, unspecified"),
        name: "upper gastrointestinal bleeding",
        complaint: "black stools for two days and vomiting of blood today, with dizziness",
        ruled_out: "Denies abdominal pain. No stigmata of cirrhosis, no varices on endoscopy",
        axes: axes(0.6, 0.15, 0.25, 0.15, 0.1, 0.15, 0.1),
        course: MENDING,
        drugs: &[PANTOPRAZOLE],
        procedures: &[],
    },
];

/// What is treated on a ward.
pub(crate) static WARD: &[&Illness] = &[
    &Illness {
        code: snomed("233604007", "Pneumonia"),
        icd: icd("J18.9", "Pneumonia, unspecified organism"),
        name: "community-acquired pneumonia",
        complaint: "fever and productive cough for three days",
        ruled_out: "Denies chest pain and hemoptysis. No pleural effusion on chest X-ray",
        axes: axes(0.15, 0.4, 0.08, 0.7, 0.0, 0.05, 0.0),
        course: MENDING,
        drugs: &[CEFTRIAXONE],
        procedures: &[CHEST_XRAY],
    },
    &Illness {
        code: snomed("42343007", "Congestive heart failure"),
        icd: icd("I50.9", "Heart failure, unspecified"),
        name: "decompensated heart failure",
        complaint: "ten days of leg swelling and shortness of breath when lying flat",
        ruled_out: "Denies chest pain. Troponin not rising; no evidence of acute coronary syndrome",
        axes: axes(0.1, 0.4, 0.3, 0.05, 0.05, 0.0, 0.08),
        course: MENDING,
        drugs: &[oral(
            "313988",
            "Furosemide 40 MG Oral Tablet",
            "furosemide 40 mg",
            "1 tablet by mouth twice daily",
            2,
        )],
        procedures: &[CHEST_XRAY],
    },
    &Illness {
        code: snomed("74400008", "Appendicitis"),
        icd: icd("K35.80", "Unspecified acute appendicitis"),
        name: "acute appendicitis",
        complaint: "pain that moved to the right lower abdomen since last night, with nausea",
        ruled_out: "No diarrhea. No free air and no abscess on CT",
        axes: axes(0.1, 0.05, 0.0, 0.55, 0.0, 0.0, 0.0),
        course: MENDING,
        drugs: &[PIPERACILLIN],
        procedures: &[APPENDECTOMY],
    },
    &Illness {
        code: snomed("68566005", "Urinary tract infectious disease"),
        icd: icd("N39.0", "Urinary tract infection, site not specified"),
        name: "complicated urinary tract infection",
        complaint: "burning on urination, fever and chills for two days",
        ruled_out: "No flank tenderness. Denies vaginal or penile discharge",
        axes: axes(0.12, 0.03, 0.2, 0.6, 0.0, 0.05, 0.0),
        course: MENDING,
        drugs: &[CEFTRIAXONE],
        procedures: &[],
    },
];

/// What is treated and sent home from the emergency department.
pub(crate) static MINOR: &[&Illness] = &[
    &Illness {
        code: snomed("10509002", "Acute bronchitis"),
        icd: icd("J20.9", "Acute bronchitis, unspecified"),
        name: "acute bronchitis",
        complaint: "cough and chest tightness for five days",
        ruled_out: "No infiltrate on chest X-ray. Denies shortness of breath at rest",
        axes: axes(0.0, 0.12, 0.0, 0.25, 0.0, 0.0, 0.0),
        course: MENDING,
        drugs: &[],
        procedures: &[CHEST_XRAY],
    },
    &Illness {
        code: snomed("44465007", "Sprain of ankle"),
        icd: icd("S93.409A", "Sprain of unspecified ligament of unspecified ankle, initial encounter"),
        name: "ankle sprain",
        complaint: "twisted ankle on the stairs, able to bear weight",
        ruled_out: "X-ray without fracture. No numbness of the foot",
        axes: axes(0.03, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0),
        course: MENDING,
        drugs: &[oral(
            "310965",
            "Ibuprofen 200 MG Oral Tablet",
            "ibuprofen 200 mg",
            "2 tablets by mouth every 6 hours as needed for pain",
            0,
        )],
        procedures: &[],
    },
    &Illness {
        code: snomed("62106007", "Concussion with no loss of consciousness"),
        icd: icd("S06.0X0A", "Concussion without loss of consciousness, initial encounter"),
        name: "concussion without loss of consciousness",
        complaint: "fall from a bicycle with headache and one episode of vomiting",
        ruled_out: "No loss of consciousness. CT of the head negative for bleeding",
        axes: axes(0.02, 0.0, 0.0, 0.0, 0.0, 0.08, 0.0),
        course: MENDING,
        drugs: &[],
        procedures: &[],
    },
    &Illness {
        code: snomed("444814009", "Viral sinusitis"),
        icd: icd("J01.90", "Acute sinusitis, unspecified"),
        name: "viral sinusitis",
        complaint: "facial pressure and congestion for a week",
        ruled_out: "No fever. No neck stiffness, vision unchanged",
        axes: axes(0.0, 0.02, 0.0, 0.12, 0.0, 0.0, 0.0),
        course: MENDING,
        drugs: &[],
        procedures: &[],
    },
];
