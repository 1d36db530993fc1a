//! Consents that change what callers see.
//!
//! Each is a permit at the root with denials below it; one denial has an exception of its own.

use crate::chart::Chart;
use crate::clock::{DAY, Moment};
use crate::datatypes::{ACT_CODE, ACT_REASON, CONFIDENTIALITY, period, plain_concept, reference};
use crate::hospital::{ORGANIZATION, STAFF};
use crate::json::{Json, list, object};
use crate::measure::Measure;
use crate::person::Person;
use crate::roles;

/// Writes the Consent of this person, if there is one.
pub(crate) fn write(chart: &mut Chart, person: &Person, reference_time: Moment) {
    let (ago, until, denials) = match person.number {
        roles::CONSENT_RESTRICTED => (1, None, list![hidden_laboratory(), restricted()]),
        roles::NO_RESEARCH => (200, None, list![research()]),
        roles::NO_ACTOR => (90, None, list![one_practitioner()]),
        roles::EXPIRED_CONSENT => {
            let end = reference_time.plus(-30 * DAY);
            (400, Some(end), list![restricted()])
        }
        _ => return,
    };
    let given = reference_time.plus(-ago * DAY);
    chart.add("Consent", |id| {
        object! {
            "resourceType": "Consent",
            "id": id,
            "status": "active",
            "scope": plain_concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
            "category": list![plain_concept("http://loinc.org", "59284-0")],
            "patient": reference(person.reference()),
            "dateTime": given.date_time(),
            "performer": list![reference(person.reference())],
            "organization": list![reference(ORGANIZATION)],
            "policyRule": plain_concept(ACT_CODE, "OPTIN"),
            "provision": object! {
                "type": "permit",
                "period": until.map(|end| period(given, Some(end))),
                "provision": denials,
            },
        }
    });
}

/// Lactate and creatinine are for no one, but in an emergency or by breaking the glass.
fn hidden_laboratory() -> Json {
    let code = |measure: Measure| object! { "coding": list![measure.spec().code.coding()] };
    object! {
        "type": "deny",
        "code": list![code(Measure::Lactate), code(Measure::Creatinine)],
        "provision": list![object! {
            "type": "permit",
            "purpose": list![purpose("ETREAT"), purpose("BTG")],
        }],
    }
}

/// What is labelled restricted (mental health, substance use) is for no one.
fn restricted() -> Json {
    object! {
        "type": "deny",
        "securityLabel": list![object! { "system": CONFIDENTIALITY, "code": "R" }],
    }
}

/// Nothing is for research.
fn research() -> Json {
    object! { "type": "deny", "purpose": list![purpose("HRESCH")] }
}

/// Nothing is for one practitioner, whom the patient knows.
fn one_practitioner() -> Json {
    object! {
        "type": "deny",
        "actor": list![object! {
            "role": plain_concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
            "reference": reference(STAFF[5].reference()),
        }],
    }
}

fn purpose(code: &'static str) -> Json {
    object! { "system": ACT_REASON, "code": code }
}
