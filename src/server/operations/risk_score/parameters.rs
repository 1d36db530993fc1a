//! The parameters of `$risk-score`, from a Parameters resource or a query string.

use salus_analytics::WhatIf;
use salus_fhir::datatypes::DateTime;
use salus_fhir::json::Value;
use salus_fhir::outcome::{Issue, IssueCode};

use crate::dispatch::Act;
use crate::failure::Failure;
use crate::operations::parameters::no_parameters;
use crate::request::{Body, Verb};

/// Whom to score.
pub(super) enum Subjects {
    /// The patient with this id.
    Patient(String),
    /// The members of the Group with this id.
    Group(String),
}

/// What was asked.
pub(super) struct Parameters {
    pub subjects: Subjects,
    pub model: Option<String>,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub as_of: i64,
    pub persist: bool,
    pub what_if: Vec<WhatIf>,
}

#[derive(Default)]
struct Reader {
    patient: Option<String>,
    group: Option<String>,
    model: Option<String>,
    as_of: Option<i64>,
    persist: bool,
    what_if: Vec<WhatIf>,
}

impl Parameters {
    /// Reads them.
    ///
    /// # Errors
    /// 400 for one that is unknown, wrong, or missing.
    pub fn read(act: &Act<'_>) -> Result<Self, Failure> {
        let mut reader = Reader::default();
        for (name, value) in act.request.parameters() {
            reader.text(&name, &value)?;
        }
        if !matches!(act.request.body, Body::Empty) {
            let body = act.request.resource()?;
            if body.get_str("resourceType") != Some("Parameters") {
                return Err(no_parameters());
            }
            for parameter in body.items("parameter") {
                reader.parameter(parameter)?;
            }
        }
        let subjects = match (act.route.id.as_deref(), reader.patient, reader.group) {
            (Some(id), None, None) if act.route.type_name() == "Patient" => Subjects::Patient(id.to_owned()),
            (None, Some(id), None) => Subjects::Patient(id),
            (None, None, Some(id)) => Subjects::Group(id),
            (None, None, None) => return Err(bad("patient", "one of 'patient' and 'group' is needed on type level")),
            _ => return Err(bad("patient", "say once whom to score: by the path, 'patient' or 'group'")),
        };
        if reader.persist && act.request.verb == Some(Verb::Get) {
            return Err(bad("persist", "what is to be stored has to be asked for by POST"));
        }
        if reader.persist && !reader.what_if.is_empty() {
            return Err(bad("persist", "an answer to supposed inputs is never stored"));
        }
        if reader.persist && matches!(subjects, Subjects::Group(_)) {
            return Err(bad("persist", "scores of a group cannot be stored yet; ask patient by patient"));
        }
        let as_of = reader.as_of.unwrap_or_else(crate::account::now);
        Ok(Self { subjects, model: reader.model, as_of, persist: reader.persist, what_if: reader.what_if })
    }
}

impl Reader {
    fn text(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "patient" => self.patient = Some(id_of("Patient", name, value)?),
            "group" => self.group = Some(id_of("Group", name, value)?),
            "model" => self.model = Some(value.to_owned()),
            "as-of" => self.as_of = Some(as_of(value)?),
            "persist" => self.persist = value.parse().map_err(|_| bad(name, "'persist' takes true or false"))?,
            "_format" | "_pretty" => {}
            _ => return Err(bad(name, &format!("$risk-score has no parameter '{name}'"))),
        }
        Ok(())
    }

    fn parameter(&mut self, parameter: &Value<'_>) -> Result<(), Failure> {
        let name = parameter.get_str("name").unwrap_or_default();
        let text = |types: &[&str]| {
            let value = types.iter().find_map(|kind| parameter.get_str(kind));
            value.ok_or_else(|| bad(name, &format!("parameter '{name}' needs {}", types.join(" or "))))
        };
        match name {
            "patient" | "group" => {
                let reference = parameter.get("valueReference").and_then(|value| value.get_str("reference"));
                self.text(
                    name,
                    reference.ok_or_else(|| bad(name, &format!("parameter '{name}' needs valueReference")))?,
                )
            }
            "model" => self.text(name, text(&["valueString", "valueCode"])?),
            "as-of" => self.text(name, text(&["valueDateTime", "valueInstant", "valueDate"])?),
            "persist" => {
                let persist = parameter.get("valueBoolean").and_then(Value::as_bool);
                self.persist = persist.ok_or_else(|| bad(name, "parameter 'persist' needs valueBoolean"))?;
                Ok(())
            }
            "input" => {
                self.what_if.push(what_if(parameter)?);
                Ok(())
            }
            _ => Err(bad(name, &format!("$risk-score has no parameter '{name}'"))),
        }
    }
}

/// `input`: parts `code` (Coding) and `value` (Quantity).
fn what_if(parameter: &Value<'_>) -> Result<WhatIf, Failure> {
    let part = |name: &str| parameter.items("part").iter().find(|part| part.get_str("name") == Some(name));
    let coding = part("code").and_then(|part| part.get("valueCoding"));
    let quantity = part("value").and_then(|part| part.get("valueQuantity"));
    let (Some(coding), Some(quantity)) = (coding, quantity) else {
        return Err(bad("input", "'input' needs the parts 'code' (valueCoding) and 'value' (valueQuantity)"));
    };
    let value = quantity.get("value").and_then(Value::as_f64).filter(|value| value.is_finite());
    Ok(WhatIf {
        system: coding.get_str("system").unwrap_or_default().to_owned(),
        code: coding.get_str("code").ok_or_else(|| bad("input", "the part 'code' needs a code"))?.to_owned(),
        value: value.ok_or_else(|| bad("input", "the part 'value' needs a number"))?,
        unit: quantity.get_str("code").or_else(|| quantity.get_str("unit")).map(str::to_owned),
    })
}

fn id_of(resource_type: &str, name: &str, reference: &str) -> Result<String, Failure> {
    match reference.strip_prefix(resource_type).and_then(|rest| rest.strip_prefix('/')) {
        Some(id) if !id.is_empty() && !id.contains('/') => Ok(id.to_owned()),
        _ => Err(bad(name, &format!("'{name}' must be a reference such as {resource_type}/123"))),
    }
}

/// The last microsecond of the moment named, so that a day includes what was measured on it, but never later than
/// now. What lies wholly in the future cannot be scored.
fn as_of(text: &str) -> Result<i64, Failure> {
    let date =
        DateTime::parse_search(text).map_err(|_| bad("as-of", &format!("'as-of' takes a dateTime, not '{text}'")))?;
    let now = crate::account::now();
    if date.interval.low > now {
        return Err(bad("as-of", &format!("'as-of' lies in the future: {text}")));
    }
    Ok(date.interval.high.saturating_sub(1).min(now))
}

fn bad(name: &str, message: &str) -> Failure {
    Failure::of(400, Issue::error(IssueCode::Invalid, message).of_parameter(name))
}
