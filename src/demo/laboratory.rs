//! Laboratory draws: panels, their Observations and the DiagnosticReport over them.

use crate::chart::Chart;
use crate::chart::category;
use crate::clock::Moment;
use crate::datatypes::{Code, loinc, reference};
use crate::hospital::ORGANIZATION;
use crate::json::{Json, list, object};
use crate::measure::Measure;
use crate::observation::{Setting, record};
use crate::physiology::Physiology;
use crate::rng::Rng;

/// What is ordered together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Panel {
    Metabolic,
    BloodCount,
    Liver,
    BloodGas,
    Cardiac,
    Magnesium,
}

impl Panel {
    /// The panel's own LOINC code, for its report.
    fn code(self) -> Option<Code> {
        match self {
            Panel::Metabolic => Some(loinc("51990-0", "Basic metabolic panel - Blood")),
            Panel::BloodCount => Some(loinc("58410-2", "CBC panel - Blood by Automated count")),
            Panel::Liver => Some(loinc("24325-3", "Hepatic function panel - Serum or Plasma")),
            Panel::BloodGas => Some(loinc("24336-0", "Gas panel - Arterial blood")),
            Panel::Cardiac | Panel::Magnesium => None,
        }
    }

    fn measures(self) -> &'static [Measure] {
        match self {
            Panel::Metabolic => &[
                Measure::Sodium,
                Measure::Potassium,
                Measure::Bicarbonate,
                Measure::UreaNitrogen,
                Measure::Creatinine,
                Measure::Glucose,
            ],
            Panel::BloodCount => &[Measure::Leukocytes, Measure::Haematocrit, Measure::Platelets],
            Panel::Liver => &[Measure::Bilirubin, Measure::Alt, Measure::Ast, Measure::Alp, Measure::Albumin],
            Panel::BloodGas => {
                &[Measure::Ph, Measure::Paco2, Measure::Pao2, Measure::ArterialSaturation, Measure::Lactate]
            }
            Panel::Cardiac => &[Measure::TroponinI, Measure::TroponinT],
            Panel::Magnesium => &[Measure::Magnesium],
        }
    }
}

/// Writes one panel drawn at `at`. `complete` for those patients whose values should lack nothing;
/// else the laboratory leaves out what was not asked for.
pub(crate) fn draw(
    chart: &mut Chart,
    setting: Setting<'_>,
    panel: Panel,
    (body, at): (&Physiology, Moment),
    (complete, rng): (bool, &mut Rng),
) {
    // A hospital has one troponin assay; ours changed it, and half of the patients have the old.
    let other = if setting.person.number.is_multiple_of(2) { Measure::TroponinT } else { Measure::TroponinI };
    let mut results = Vec::new();
    for &measure in panel.measures() {
        let optional = matches!(measure, Measure::ArterialSaturation | Measure::Albumin);
        if measure == other || (optional && !complete && rng.chance(0.4)) {
            continue;
        }
        let value = body.read(measure);
        results.push(record(chart, setting, measure, value, at, rng));
    }
    let Some(code) = panel.code() else {
        return;
    };
    let results: Vec<Json> = results.into_iter().map(reference).collect();
    report(chart, setting, ("LAB", code), at, (results, None));
}

/// Writes a DiagnosticReport: of the laboratory over its results, or of an image with words.
pub(crate) fn report(
    chart: &mut Chart,
    setting: Setting<'_>,
    (section, code): (&'static str, Code),
    at: Moment,
    (results, conclusion): (Vec<Json>, Option<&'static str>),
) {
    chart.add("DiagnosticReport", |id| {
        object! {
            "resourceType": "DiagnosticReport",
            "id": id,
            "status": "final",
            "category": category("http://terminology.hl7.org/CodeSystem/v2-0074", section),
            "code": code.concept(),
            "subject": reference(setting.person.reference()),
            "encounter": reference(setting.encounter),
            "effectiveDateTime": at.date_time(),
            "issued": at.plus(55).date_time(),
            "performer": list![reference(ORGANIZATION)],
            "result": results,
            "conclusion": conclusion,
        }
    });
}

/// Writes the report of a chest X-ray.
pub(crate) fn chest_xray(chart: &mut Chart, setting: Setting<'_>, at: Moment, infiltrate: bool) {
    let code = loinc("36643-5", "XR Chest 2 Views");
    let conclusion = if infiltrate {
        "Right lower lobe consolidation, consistent with pneumonia. No pleural effusion. No pneumothorax."
    } else {
        "No acute cardiopulmonary abnormality. No infiltrate, effusion or pneumothorax."
    };
    report(chart, setting, ("RAD", code), at, (Vec::new(), Some(conclusion)));
}
