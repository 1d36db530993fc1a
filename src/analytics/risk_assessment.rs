//! A prediction as FHIR: RiskAssessment, the model's Device, and Provenance.
//!
//! `probabilityDecimal` is a fraction from 0 to 1, as in the specification's own examples, so that
//! baseline and contributions add up to its logit. All text is JSON of R4 (4.0.1).

use crate::description::{Coding, Concept, Input, Source};
use crate::features::Features;
use crate::model::Model;
use crate::prediction::{InputExplanation, Prediction};
use crate::time;
use crate::window::Window;
use salus_fhir::CANONICAL_BASE;
use serde::Serialize;
use serde_json::{Value, json};
use std::borrow::Cow;

/// What surrounds a prediction.
#[derive(Debug, Clone)]
pub struct Context {
    /// Logical id, where the RiskAssessment is to be stored.
    pub id: Option<String>,
    /// `Patient/[id]`.
    pub patient: String,
    /// The window that was looked at.
    pub window: Window,
    /// Whether a Consent restricts this caller for this patient (said whether or not it hides
    /// anything).
    pub inputs_may_be_withheld: bool,
    /// Whether some inputs were supposed (what-if) rather than recorded.
    pub supposed: bool,
    /// The patient's age at the window's end in years, where known.
    pub age: Option<f64>,
}

/// A resource to be written with its members in the usual order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RiskAssessment<'a> {
    resource_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    meta: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contained: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extension: Vec<Extension<'a>>,
    status: &'static str,
    method: Value,
    subject: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    encounter: Option<Value>,
    occurrence_date_time: String,
    performer: Value,
    basis: Vec<Value>,
    prediction: Vec<RiskPrediction<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    note: Vec<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RiskPrediction<'a> {
    extension: Vec<Extension<'a>>,
    outcome: Value,
    probability_decimal: f64,
    qualitative_risk: Value,
    when_period: Value,
    rationale: String,
}

/// The RiskAssessment of a prediction.
///
/// It carries the security label AIAST, the model's Device as performer, `basis` to every resource
/// an input came from, the extension `risk-contribution` for each input and `risk-baseline` on the
/// prediction, and contained issues for what the reader should know (outside the model's
/// population, values that could not be used).
pub fn risk_assessment(model: &Model, prediction: &Prediction, context: &Context) -> String {
    let description = &model.description;
    let issues = issues(model, prediction, context);
    let notes: Vec<Value> = issues
        .iter()
        .filter(|issue| issue.code == "business-rule")
        .map(|issue| json!({ "text": issue.text }))
        .collect();
    let mut extension = Vec::new();
    let mut contained = Vec::new();
    if context.inputs_may_be_withheld {
        extension.push(Extension::own("inputs-may-be-withheld", ExtensionValue::Boolean(true)));
    }
    if !issues.is_empty() {
        let issue: Vec<Value> = issues.iter().map(Issue::json).collect();
        contained.push(json!({ "resourceType": "OperationOutcome", "id": "issues", "issue": issue }));
        extension.push(Extension::own("risk-issues", ExtensionValue::Reference { reference: "#issues" }));
    }
    let resource = RiskAssessment {
        resource_type: "RiskAssessment",
        id: context.id.clone(),
        meta: json!({ "security": [ai_asserted()] }),
        contained,
        extension,
        status: "final",
        method: concept(&description.method),
        subject: reference(&context.patient),
        encounter: context.window.encounter.as_deref().map(reference),
        occurrence_date_time: time::format(context.window.as_of),
        performer: json!({ "reference": device_reference(model), "display": description.title }),
        basis: prediction.sources().into_iter().map(reference).collect(),
        prediction: vec![risk_prediction(model, prediction, context)],
        note: notes,
    };
    serde_json::to_string(&resource).unwrap_or_default()
}

fn risk_prediction<'a>(model: &'a Model, prediction: &'a Prediction, context: &Context) -> RiskPrediction<'a> {
    let description = &model.description;
    let mut extension: Vec<Extension<'a>> = prediction
        .inputs
        .iter()
        .filter_map(|input| Some(contribution(description.inputs.get(input.input)?, input)))
        .collect();
    extension.push(Extension::own("risk-baseline", ExtensionValue::Decimal(rounded(prediction.baseline, 8))));
    RiskPrediction {
        extension,
        outcome: concept(&description.outcome),
        probability_decimal: significant(prediction.probability),
        qualitative_risk: json!({ "coding": [coding(&prediction.band(model).coding)] }),
        when_period: json!({ "start": time::format(context.window.as_of) }),
        rationale: description.horizon.clone(),
    }
}

/// An extension of R4, of the kinds that are written here.
#[derive(Serialize)]
struct Extension<'a> {
    url: Cow<'static, str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extension: Vec<Extension<'a>>,
    #[serde(flatten)]
    value: Option<ExtensionValue<'a>>,
}

#[derive(Serialize)]
enum ExtensionValue<'a> {
    #[serde(rename = "valueBoolean")]
    Boolean(bool),
    #[serde(rename = "valueCode")]
    Code(&'a str),
    #[serde(rename = "valueCoding")]
    Coding { system: &'a str, code: &'a str, display: &'a str },
    #[serde(rename = "valueDecimal")]
    Decimal(f64),
    #[serde(rename = "valueQuantity")]
    Quantity { value: f64, unit: &'a str, system: &'a str, code: &'a str },
    #[serde(rename = "valueReference")]
    Reference { reference: &'a str },
}

impl<'a> Extension<'a> {
    fn own(name: &str, value: ExtensionValue<'a>) -> Self {
        Extension { url: Cow::Owned(url(name)), extension: Vec::new(), value: Some(value) }
    }

    fn part(name: &'static str, value: ExtensionValue<'a>) -> Self {
        Extension { url: Cow::Borrowed(name), extension: Vec::new(), value: Some(value) }
    }
}

/// The `risk-contribution` extension of one input.
fn contribution<'a>(input: &'a Input, explained: &'a InputExplanation) -> Extension<'a> {
    use ExtensionValue as Of;
    let system = input.codes.first().map_or("", |code| &code.system);
    let mut parts = vec![Extension::part("code", Of::Coding { system, code: input.code(), display: &input.display })];
    if let Some(value) = explained.value {
        let (value, unit) = (significant(value), input.unit.as_str());
        parts.push(Extension::part("value", Of::Quantity { value, unit, system: crate::UCUM, code: unit }));
    }
    parts.push(Extension::part("status", Of::Code(explained.status.code())));
    if let Some(aggregation) = input.aggregation {
        parts.push(Extension::part("aggregation", Of::Code(aggregation.code())));
    }
    let source = |reference: &'a String| Extension::part("source", Of::Reference { reference });
    parts.extend(explained.sources.iter().map(source));
    parts.push(Extension::part("contribution", Of::Decimal(rounded(explained.contribution, 8))));
    Extension { url: Cow::Owned(url("risk-contribution")), extension: parts, value: None }
}

/// Something that the reader of an answer should know.
struct Issue {
    severity: &'static str,
    code: &'static str,
    text: String,
}

impl Issue {
    fn json(&self) -> Value {
        json!({ "severity": self.severity, "code": self.code, "details": { "text": self.text } })
    }
}

fn issues(model: &Model, prediction: &Prediction, context: &Context) -> Vec<Issue> {
    let population = &model.description.population;
    let mut issues = Vec::new();
    let mut outside = |why: String| {
        issues.push(Issue {
            severity: "warning",
            code: "business-rule",
            text: format!("The patient is outside the population this model was made for ({}): {why}", population.text),
        });
    };
    if context.window.outside_population {
        outside("no ICU stay holds the moment asked about.".into());
    }
    if let (Some(age), Some(minimum)) = (context.age, population.minimum_age)
        && age < minimum
    {
        outside(format!("the patient is {age} years old, and the model begins at {minimum}."));
    }
    if context.supposed {
        issues.push(Issue {
            severity: "information",
            code: "informational",
            text: "Some inputs were supposed in the request, not recorded.".into(),
        });
    }
    issues.extend(prediction.ignored.iter().map(|ignored| Issue {
        severity: "warning",
        code: "value",
        text: format!("{} was not used for {}: {}", ignored.reference, ignored.code, ignored.reason),
    }));
    issues
}

/// `Device/[model]-[version]`.
pub fn device_reference(model: &Model) -> String {
    format!("Device/{}", device_id(model))
}

/// The logical id of the model's Device.
pub fn device_id(model: &Model) -> String {
    format!("{}-{}", model.description.name, model.description.version)
}

/// The Device that a model is: its name, version and the hash of its graph.
pub fn device(model: &Model) -> String {
    let description = &model.description;
    let notes: Vec<Value> = [&description.description]
        .into_iter()
        .chain(&description.citation)
        .map(|text| json!({ "text": text }))
        .collect();
    let resource = Device {
        resource_type: "Device",
        id: device_id(model),
        identifier: json!([{ "system": format!("{CANONICAL_BASE}/model-sha256"), "value": description.onnx.sha256 }]),
        status: "active",
        device_name: json!([
            { "name": description.title, "type": "user-friendly-name" },
            { "name": description.name, "type": "model-name" }
        ]),
        r#type: json!({ "text": "Clinical prediction model" }),
        version: json!([{ "value": description.version }]),
        note: notes,
    };
    serde_json::to_string(&resource).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Device {
    resource_type: &'static str,
    id: String,
    identifier: Value,
    status: &'static str,
    device_name: Value,
    r#type: Value,
    version: Value,
    note: Vec<Value>,
}

/// Who and what stood behind a stored RiskAssessment.
#[derive(Debug, Clone)]
pub struct ProvenanceContext {
    /// Logical id, where known.
    pub id: Option<String>,
    /// Reference to the RiskAssessment (`RiskAssessment/[id]` or `urn:uuid:…`).
    pub target: String,
    /// When it was made, in microseconds since 1970.
    pub recorded: i64,
    /// Who asked for it: a reference or, for clients that are no resource, a display.
    pub requester: Requester,
}

/// Who asked for a prediction.
#[derive(Debug, Clone)]
pub enum Requester {
    /// A resource, as `Practitioner/[id]`.
    Reference(String),
    /// A client or user by name.
    Display(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provenance {
    resource_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    meta: Value,
    target: Vec<Value>,
    recorded: String,
    activity: Value,
    agent: Vec<Value>,
    entity: Vec<Value>,
}

/// The Provenance of a stored RiskAssessment: the model's Device as assembler, who asked as enterer,
/// and every resource used as a source.
pub fn provenance(model: &Model, prediction: &Prediction, context: &ProvenanceContext) -> String {
    let participant = |code: &str, display: &str| {
        json!({ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
            "code": code, "display": display
        }] })
    };
    let who = match &context.requester {
        Requester::Reference(target) => reference(target),
        Requester::Display(name) => json!({ "display": name }),
    };
    let entity =
        prediction.sources().into_iter().map(|source| json!({ "role": "source", "what": reference(source) })).collect();
    let resource = Provenance {
        resource_type: "Provenance",
        id: context.id.clone(),
        meta: json!({ "security": [ai_asserted()] }),
        target: vec![reference(&context.target)],
        recorded: time::format(context.recorded),
        activity: json!({ "text": format!("Prediction by {}", model.canonical()) }),
        agent: vec![
            json!({ "type": participant("assembler", "Assembler"), "who": reference(&device_reference(model)) }),
            json!({ "type": participant("enterer", "Enterer"), "who": who }),
        ],
        entity,
    };
    serde_json::to_string(&resource).unwrap_or_default()
}

/// The patient's age that features used, for [`Context::age`].
pub fn age(model: &Model, features: &Features) -> Option<f64> {
    let inputs = &model.description.inputs;
    let at = inputs.iter().position(|input| input.source == Source::Age)?;
    features.columns.get(at)?.value
}

/// The label of what an artificial intelligence asserts.
fn ai_asserted() -> Value {
    json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "AIAST",
        "display": "Artificial Intelligence asserted"
    })
}

fn url(name: &str) -> String {
    format!("{CANONICAL_BASE}/StructureDefinition/{name}")
}

fn reference(target: &str) -> Value {
    json!({ "reference": target })
}

fn coding(coding: &Coding) -> Value {
    let mut value = json!({ "system": coding.system, "code": coding.code });
    if let Some(display) = &coding.display {
        value["display"] = json!(display);
    }
    value
}

fn concept(concept: &Concept) -> Value {
    let mut value = json!({ "text": concept.text });
    if !concept.coding.is_empty() {
        value["coding"] = concept.coding.iter().map(coding).collect();
    }
    value
}

/// Rounded to a number of decimals.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    let rounded = (value * scale).round() / scale;
    // Negative zero is no decimal that a reader expects.
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// Rounded to seven significant digits, all that single precision holds.
fn significant(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}
