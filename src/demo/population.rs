//! The population as a whole.

use jiff::civil::Date;

use crate::chart::Chart;
use crate::clinical;
use crate::clock::{DAY, Moment};
use crate::consents;
use crate::demographics;
use crate::hospital::{self, Place, STAFF};
use crate::inpatient::Inpatient;
use crate::outpatient;
use crate::person::Person;
use crate::plan::Plan;
use crate::rng::{Rng, Topic};
use crate::roles;

/// A synthetic population, ready to be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Population {
    /// FHIR R4 transaction Bundles as JSON text, to be loaded in this order: first what all
    /// patients share (Organization, Location, Practitioner, PractitionerRole, Device), then one
    /// for each patient, last the wards' Groups. Those of patients refer to the first only, and may
    /// be loaded side by side.
    pub bundles: Vec<String>,
    /// Ids of all Patients, in order.
    pub patients: Vec<String>,
    /// How many resources the Bundles hold.
    pub resources: usize,
    /// Patients with a part to play in the demo.
    pub roles: DemoPatients,
    /// Who the demo's users are.
    pub staff: DemoStaff,
    /// The wards.
    pub wards: DemoWards,
}

/// Ids of the Patients with a part to play in the demo (`patients` in `credentials.json`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoPatients {
    /// In intensive care after planned heart surgery, recovering: low risk, nothing missing.
    pub ordinary: String,
    /// In intensive care for 30 hours in septic shock with failing organs.
    pub high_risk: String,
    /// In intensive care with sepsis, with an active Consent that denies lactate and creatinine
    /// (but for purposes ETREAT and BTG) and everything labelled R.
    pub consent_restricted: String,
    /// Was in intensive care once; has an active Consent that denies purpose HRESCH.
    pub research_denied: String,
    /// Has an active Consent that denies one practitioner, [`DemoStaff::psychiatrist`].
    pub actor_denied: String,
}

/// Ids of the Practitioners behind the demo's users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoStaff {
    /// An intensivist.
    pub clinician: String,
    /// A researcher.
    pub analyst: String,
    /// Runs the system.
    pub administrator: String,
    /// The compliance officer.
    pub compliance: String,
    /// The psychiatrist, whom one patient's Consent shuts out.
    pub psychiatrist: String,
}

/// Ids of the Groups of patients present on each ward at the reference date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoWards {
    /// Intensive care.
    pub icu: String,
    /// The medical ward.
    pub medical: String,
    /// The surgical ward.
    pub surgical: String,
}

impl Population {
    /// Makes up `patients` patients (at least six, for the parts there are to play) as they are at
    /// 00:00 UTC of `reference_date`, to which nothing is later. Same arguments, same bytes.
    ///
    /// Patients keep their ids and, by and large, their stories when only `patients` changes.
    #[must_use]
    pub fn generate(seed: u64, patients: usize, reference_date: Date) -> Population {
        let reference = Moment::midnight(reference_date);
        let numbers = 1..=patients.max(roles::EXPIRED_CONSENT);
        let shared = hospital::shared();
        let mut resources = shared.len();
        let mut bundles = vec![shared.bundle()];
        let mut present = Present::default();
        let mut ids = Vec::new();
        for number in numbers {
            let person = Person::draw(seed, number, reference);
            let plan = Plan::draw(seed, &person, reference);
            present.note(&person, &plan);
            let chart = write(seed, &person, &plan, reference);
            resources += chart.len();
            bundles.push(chart.bundle());
            ids.push(person.id());
        }
        let wards = present.groups();
        resources += wards.len();
        bundles.push(wards.bundle());
        Population {
            bundles,
            patients: ids,
            resources,
            roles: DemoPatients {
                ordinary: roles::patient_id(roles::ORDINARY),
                high_risk: roles::patient_id(roles::HIGH_RISK),
                consent_restricted: roles::patient_id(roles::CONSENT_RESTRICTED),
                research_denied: roles::patient_id(roles::NO_RESEARCH),
                actor_denied: roles::patient_id(roles::NO_ACTOR),
            },
            staff: DemoStaff {
                clinician: STAFF[0].id.into(),
                analyst: STAFF[6].id.into(),
                administrator: STAFF[7].id.into(),
                compliance: STAFF[8].id.into(),
                psychiatrist: hospital::psychiatrist().id.into(),
            },
            wards: DemoWards {
                icu: Place::IntensiveCare.group_id(),
                medical: Place::Medical.group_id(),
                surgical: Place::Surgical.group_id(),
            },
        }
    }
}

/// Who is on which ward.
#[derive(Default)]
struct Present {
    icu: Vec<String>,
    medical: Vec<String>,
    surgical: Vec<String>,
}

impl Present {
    fn note(&mut self, person: &Person, plan: &Plan) {
        let Some(stay) = plan.stays.iter().find(|s| s.end.is_none()) else {
            return;
        };
        let ward = match (stay.icu, stay.surgical) {
            (Some(_), _) => &mut self.icu,
            (None, true) => &mut self.surgical,
            (None, false) => &mut self.medical,
        };
        ward.push(person.id());
    }

    fn groups(&self) -> Chart {
        let mut chart = Chart::new("demo");
        for (place, patients) in
            [(Place::IntensiveCare, &self.icu), (Place::Medical, &self.medical), (Place::Surgical, &self.surgical)]
        {
            chart.put("Group", place.group_id(), |id| hospital::ward_group(place, patients, id));
        }
        chart
    }
}

/// Everything about one patient.
fn write(seed: u64, person: &Person, plan: &Plan, reference: Moment) -> Chart {
    let mut chart = Chart::new(format!("demo-{:03}", person.number));
    let id = person.id();
    chart.put("Patient", id, |id| demographics::patient(id, person, plan.death));
    consents::write(&mut chart, person, reference);
    let mut rng = Rng::stream(seed, person.number, Topic::Notes);
    for problem in &person.problems {
        let onset = reference.plus(-rng.whole(1100, 3600) * DAY);
        clinical::problem(&mut chart, person, problem, (onset, plan.death.is_none()));
    }
    for allergy in &person.allergies {
        let recorded = reference.plus(-rng.whole(1100, 5000) * DAY);
        clinical::allergy(&mut chart, person, allergy, recorded.max(person.birth.plus(DAY)));
    }
    for (index, at) in plan.visits.iter().enumerate() {
        outpatient::visit(&mut chart, seed, person, *at, index);
    }
    for (at, illness) in &plan.emergencies {
        outpatient::emergency(&mut chart, seed, person, *at, illness);
    }
    for stay in &plan.stays {
        let inpatient = Inpatient { seed, person, stay, reference };
        inpatient.write(&mut chart);
    }
    chart
}
