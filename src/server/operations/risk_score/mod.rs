//! `$risk-score` (contract, "`$risk-score`"; `operations/risk-score/OperationDefinition-risk-score.json`):
//! a clinical model run on what the caller may see of a patient, answered as a RiskAssessment.

mod parameters;
mod persist;

use std::collections::HashSet;
use std::sync::Arc;

use salus_analytics::risk_assessment::{self, Context};
use salus_analytics::{Error as ModelError, FeatureObservation, Features, Model, Prediction, Stay, Subject, Window};
use salus_audit::{AuditKind, AuditRecord, Entity, EntityKind, ModelVersion};
use salus_fhir::json::{self, JsonError, Limits, Value};
use salus_fhir::outcome::{Issue, IssueCode};
use salus_store::{MOST_OBSERVATIONS, ModelInputs, ModelInputsQuery};

use crate::bundle::BundleWriter;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::response::FhirResponse;
use parameters::{Parameters, Subjects};

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Most members of a Group scored in one request.
const MOST_MEMBERS: usize = 1000;

/// One patient's answer.
struct Scored {
    patient: String,
    prediction: Prediction,
    text: String,
}

/// Runs the operation on an instance, a patient, or a Group.
///
/// # Errors
/// 400 for parameters that are unknown or wrong, 404 for an unknown patient or model, 422
/// `incomplete` for too few inputs, 422 `too-costly` for too many.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = Parameters::read(act)?;
    let model = match &parameters.model {
        Some(name) => act.app.models.get(name),
        None => act.app.models.default_of("risk-score"),
    };
    let model = model.map_err(failure)?.clone();
    match &parameters.subjects {
        Subjects::Patient(id) => one(act, &parameters, &model, id).await,
        Subjects::Group(id) => group(act, &parameters, &model, id).await,
    }
}

async fn one(act: &Act<'_>, parameters: &Parameters, model: &Arc<Model>, patient: &str) -> Result<Done, Failure> {
    let scored = score(act, parameters, model, patient).await?;
    if parameters.persist {
        return persist::store(act, model, &scored).await;
    }
    let records = vec![record(act, model, std::slice::from_ref(&scored))];
    Ok(Done { response: FhirResponse::json(200, scored.text), records })
}

/// Scores every Patient who is a member; one who cannot be scored gets an OperationOutcome.
async fn group(act: &Act<'_>, parameters: &Parameters, model: &Arc<Model>, id: &str) -> Result<Done, Failure> {
    let group = act.app.store.read(&act.access, "Group", id).await?;
    let members = with_body(group.body.as_deref().unwrap_or("{}"), |group| {
        let member =
            |member: &Value<'_>| Some(member.get("entity")?.get_str("reference")?.strip_prefix("Patient/")?.to_owned());
        group.items("member").iter().filter_map(member).collect::<Vec<String>>()
    })?;
    if members.len() > MOST_MEMBERS {
        let message = format!("a Group of more than {MOST_MEMBERS} patients cannot be scored in one request");
        return Err(Failure::new(400, IssueCode::TooCostly, message));
    }
    let mut bundle = BundleWriter::new("collection", None);
    let (mut scored, mut refused) = (Vec::new(), Vec::new());
    for patient in members {
        match score(act, parameters, model, &patient).await {
            Ok(one) => {
                bundle.entry(&format!(r#""resource":{}"#, one.text));
                scored.push(one);
            }
            Err(failure) if failure.status < 500 => {
                refused.extend((failure.status != 404).then(|| patient.clone()));
                bundle.entry(&format!(r#""resource":{}"#, failure.below(&format!("Patient/{patient}")).outcome()));
            }
            Err(failure) => return Err(failure),
        }
    }
    let mut record = record(act, model, &scored);
    // That a patient cannot be scored tells of the patient too.
    record.patients.extend(refused.into_iter().map(Into::into));
    record.entities.push(Entity::of_kind(EntityKind::Related, format!("Group/{id}")));
    Ok(Done { response: FhirResponse::json(200, bundle.finish()), records: vec![record] })
}

async fn score(act: &Act<'_>, parameters: &Parameters, model: &Arc<Model>, patient: &str) -> Result<Scored, Failure> {
    let description = &model.description;
    let codes = description.codes().into_iter().map(|(_, code)| code.to_owned()).collect();
    let query = ModelInputsQuery {
        patient: patient.to_owned(),
        codes,
        as_of: parameters.as_of,
        look_back: i64::from(description.window.hours) * HOUR,
    };
    let inputs = act.app.store.model_inputs(&act.access, &query, FeatureObservation::from_stored).await?;
    if inputs.cut {
        let message = format!("the window holds more than {MOST_OBSERVATIONS} Observations of the model's inputs");
        return Err(Failure::new(422, IssueCode::TooCostly, message));
    }
    let window = window(model, &inputs, parameters.as_of)?;
    let subject = with_body(inputs.patient.as_str(), Subject::from_patient)?;
    let observations = observations(inputs.observations)?;
    let features =
        Features::extract(description, &observations, &subject, &window, &parameters.what_if).map_err(failure)?;
    let age = risk_assessment::age(model, &features);
    // A run takes microseconds, so it stays on this thread.
    let prediction = model.predict(features).map_err(failure)?;
    let context = Context {
        id: parameters.persist.then(salus_store::write::transaction::new_id),
        patient: format!("Patient/{patient}"),
        window,
        inputs_may_be_withheld: inputs.restricted,
        supposed: !parameters.what_if.is_empty(),
        age,
    };
    let text = risk_assessment::risk_assessment(model, &prediction, &context);
    Ok(Scored { patient: patient.to_owned(), prediction, text })
}

fn window<T>(model: &Model, inputs: &ModelInputs<T>, as_of: i64) -> Result<Window, Failure> {
    let icu: HashSet<String> = inputs.icu_locations.iter().map(|id| format!("Location/{id}")).collect();
    let mut stays = Vec::new();
    for encounter in &inputs.encounters {
        stays.extend(with_body(encounter.as_str(), |encounter| Stay::from_encounter(encounter, &icu))?);
    }
    Ok(Window::choose(&model.description.window, &stays, as_of))
}

/// What the model sees of the Observations, oldest first, so that the same data give the same text.
fn observations(read: Vec<Result<Vec<FeatureObservation>, JsonError>>) -> Result<Vec<FeatureObservation>, Failure> {
    let mut observations = Vec::with_capacity(read.len());
    for one in read {
        observations.extend(one.map_err(super::unreadable)?);
    }
    observations.sort_by(|a, b| (a.effective, &a.reference).cmp(&(b.effective, &b.reference)));
    Ok(observations)
}

/// Parses a stored body and hands it to `read`.
fn with_body<T>(body: &str, read: impl FnOnce(&Value<'_>) -> T) -> Result<T, Failure> {
    Ok(read(&json::parse(body, &Limits::default()).map_err(super::unreadable)?))
}

/// The record of a model's use: on whom, which model, and every resource it looked at.
fn record(act: &Act<'_>, model: &Model, scored: &[Scored]) -> AuditRecord<'static> {
    let mut record = act.caller.record(AuditKind::ModelUse, act.route.interaction);
    record.status = 200;
    record.patients = scored.iter().map(|one| one.patient.clone().into()).collect();
    record.model = Some(ModelVersion {
        name: model.description.name.clone().into(),
        version: model.description.version.clone().into(),
    });
    if let [one] = scored {
        record.entities.push(Entity::data(format!("Patient/{}", one.patient), None));
        let used = one.prediction.sources().into_iter().filter(|source| source.starts_with("Observation/"));
        record.entities.extend(used.map(|source| Entity::of_kind(EntityKind::Related, source.to_owned())));
    }
    record.query = Some(
        format!("{} {}", act.request.verb.map_or("POST", crate::request::Verb::as_str), act.request.target()).into(),
    );
    record
}

/// What the model refuses, as HTTP.
fn failure(error: ModelError) -> Failure {
    let message = error.to_string();
    let (status, code) = match error {
        ModelError::TooFewInputs { .. } => (422, IssueCode::Incomplete),
        ModelError::UnknownModel(_) => (404, IssueCode::NotFound),
        ModelError::WhatIf { .. } | ModelError::DateTime(_) => (400, IssueCode::Value),
        _ => {
            tracing::error!(message, "model");
            return Failure::new(500, IssueCode::Exception, "the model failed; the server's log says why");
        }
    };
    Failure::of(status, Issue::error(code, message))
}
