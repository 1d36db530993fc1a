//! `$stats` on Observation (R4 observation-operation-stats.html): statistics of a subject's values, over what the
//! caller may see and nothing else, counts included.
//!
//! Values are brought to the unit of the newest by UCUM; those that measure something else have an Observation of
//! their own. A value with a comparator, or in a unit that is not UCUM's, has no place on the scale: it is counted by
//! `total-count` alone.

mod parameters;
mod statistic;

use salus_audit::AuditKind;
use salus_fhir::datatypes::{DateTime, instant, period_interval};
use salus_fhir::fhirpath::{Quantity, Unit};
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::IssueCode;
use salus_store::Version;
use salus_store::search::{SearchContext, SearchQuery, Total};

use crate::bundle::quoted;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request_patients;
use crate::response::FhirResponse;
use parameters::{Code, Parameters};
use statistic::{Dimension, Measured, Statistic};

const TYPE: &str = "Observation";
/// The code system of the statistics.
const STATISTICS: &str = "http://terminology.hl7.org/CodeSystem/observation-statistics";
const UCUM: &str = "http://unitsofmeasure.org";

/// Most Observations of one code that are computed with.
const MOST_OBSERVATIONS: i64 = 10_000;

/// The values of one code that measure the same.
struct Series {
    unit: Unit,
    /// The unit for people, as the newest value has it.
    display: Option<String>,
    measured: Vec<Measured>,
}

/// What was found for one code.
#[derive(Default)]
struct Found {
    series: Vec<Series>,
    /// All values, those that cannot be computed with included.
    total: usize,
}

/// Computes statistics.
///
/// # Errors
/// 400 for parameters that are unknown, wrong or missing, 422 where there are very many Observations.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = Parameters::read(act)?;
    let mut items = Vec::new();
    let mut sources: Vec<Version> = Vec::new();
    for code in &parameters.codes {
        let versions = observations(act, &parameters, code).await?;
        let found = Found::of(&versions, code)?;
        items.extend(found.written(&parameters, code));
        sources.extend(versions);
    }
    if parameters.include {
        let mut shown: Vec<&str> = Vec::new();
        for version in &sources {
            if shown.len() < parameters.limit && !shown.contains(&version.id.as_str()) {
                shown.push(&version.id);
                let body = version.body.as_deref().unwrap_or("{}");
                items.push(format!(r#"{{"name":"source","resource":{body}}}"#));
            }
        }
    }
    let body = format!(r#"{{"resourceType":"Parameters","parameter":[{}]}}"#, items.join(","));
    let named = request_patients::named(&act.app.base, TYPE, &[("subject".to_owned(), parameters.subject.clone())]);
    let patients = sources.iter().flat_map(|version| &version.patients).chain(&named);
    let record = act.caller.listed(AuditKind::Operation, act.route, act.request, patients);
    Ok(Done { response: FhirResponse::json(200, body), records: vec![record] })
}

/// The Observations with this code, of themselves or of a component, newest first.
async fn observations(act: &Act<'_>, parameters: &Parameters, code: &Code) -> Result<Vec<Version>, Failure> {
    let filters = parameters.filters(code);
    let (mut query, _) = SearchQuery::parse(&act.app.store.definitions(), SearchContext::of_type(TYPE), &filters)?;
    query.total = Total::None;
    query.count = MOST_OBSERVATIONS;
    let page = act.reads.search(&act.access, &query).await?;
    if page.next.is_some() {
        let message = format!("there are more than {MOST_OBSERVATIONS} Observations; ask for a shorter period");
        return Err(Failure::new(422, IssueCode::TooCostly, message));
    }
    Ok(page.entries.into_iter().map(|entry| entry.version).collect())
}

impl Found {
    /// Reads the values of Observations, newest first.
    fn of(versions: &[Version], code: &Code) -> Result<Self, Failure> {
        let mut found = Self::default();
        for version in versions {
            let body = version.body.as_deref().unwrap_or("{}");
            let observation = json::parse(body, &Limits::default()).map_err(super::unreadable)?;
            let at = measured_at(&observation).unwrap_or(version.updated);
            for part in std::iter::once(&observation).chain(observation.items("component")) {
                if !part.get("code").is_some_and(|concept| code.is_in(concept)) {
                    continue;
                }
                found.total += 1;
                if let Some(value) = part.get("valueQuantity") {
                    found.add(value, at);
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, value: &Value<'_>, at: i64) {
        let Some(quantity) = Quantity::from_json(value).filter(|one| matches!(one.unit, Unit::Ucum(_))) else { return };
        for series in &mut self.series {
            let scale = Quantity { value: quantity.value, unit: series.unit.clone() };
            if let Some(value) = scale.converted(&quantity).and_then(float) {
                series.measured.push(Measured { value, at });
                return;
            }
        }
        let display = value.get_str("unit").map(str::to_owned);
        if let Some(value) = float(quantity.value) {
            self.series.push(Series { unit: quantity.unit, display, measured: vec![Measured { value, at }] });
        }
    }

    /// An Observation of statistics for each series, as items of Parameters; one without values where there is none.
    fn written(&self, parameters: &Parameters, code: &Code) -> Vec<String> {
        let one = |series: Option<&Series>| {
            let components: Vec<String> =
                parameters.statistics.iter().map(|&statistic| self.component(statistic, series)).collect();
            let resource = format!(
                concat!(
                    r#"{{"resourceType":"Observation","status":"final","code":{code},"subject":{{"reference":{subject}}},"#,
                    r#"{period}"component":[{components}]}}"#
                ),
                code = code.concept(),
                subject = quoted(&parameters.subject),
                period = parameters.effective(),
                components = components.join(","),
            );
            format!(r#"{{"name":"statistics","resource":{resource}}}"#)
        };
        match self.series.is_empty() {
            true => vec![one(None)],
            false => self.series.iter().map(|series| one(Some(series))).collect(),
        }
    }

    fn component(&self, statistic: Statistic, series: Option<&Series>) -> String {
        let measured = series.map_or(&[][..], |series| &series.measured);
        let value = match statistic {
            Statistic::Count => format!(r#""valueInteger":{}"#, measured.len()),
            Statistic::TotalCount => format!(r#""valueInteger":{}"#, self.total),
            statistic => match (statistic.of(measured), series) {
                (Some(value), Some(series)) => quantity(value, statistic.dimension(), series),
                _ => r#""dataAbsentReason":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/data-absent-reason","code":"unknown"}]}"#.to_owned(),
            },
        };
        let code = statistic.code();
        format!(r#"{{"code":{{"coding":[{{"system":"{STATISTICS}","code":"{code}"}}]}},{value}}}"#)
    }
}

/// A value in the unit that its statistic has.
fn quantity(value: f64, dimension: Dimension, series: &Series) -> String {
    let Unit::Ucum(unit) = &series.unit else { return String::new() };
    let of_unit = |code: String| match unit.as_str() {
        "1" => None,
        _ => Some(code),
    };
    let code = match dimension {
        Dimension::Same => of_unit(unit.clone()),
        Dimension::Square => of_unit(format!("({unit}).({unit})")),
        Dimension::ByDay => Some(if unit == "1" { "/d".to_owned() } else { format!("({unit})/d") }),
        Dimension::One => None,
    };
    let display = match (dimension, &series.display, &code) {
        (Dimension::Same, Some(display), _) => format!(r#","unit":{}"#, quoted(display)),
        (_, _, Some(code)) => format!(r#","unit":{}"#, quoted(code)),
        _ => String::new(),
    };
    let code = code.unwrap_or_else(|| "1".to_owned());
    format!(r#""valueQuantity":{{"value":{}{display},"system":"{UCUM}","code":{}}}"#, number(value), quoted(&code))
}

/// A number as JSON, without the digits that only binary fractions make.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.9e}").parse().unwrap_or(value);
    format!("{rounded}")
}

/// A decimal as a binary fraction.
fn float(value: impl std::fmt::Display) -> Option<f64> {
    value.to_string().parse().ok()
}

/// When it was measured: the start of what is said.
fn measured_at(observation: &Value<'_>) -> Option<i64> {
    let named = observation.get_str("effectiveDateTime").or_else(|| observation.get_str("effectiveInstant"));
    if let Some(date) = named.and_then(|text| DateTime::parse(text).ok()) {
        return Some(date.interval.low);
    }
    let period = period_interval(observation.get("effectivePeriod")?)?;
    Some(if period.low == i64::MIN { period.high } else { period.low })
}

/// A moment as a `dateTime`.
fn moment(micros: i64) -> String {
    instant(micros)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        assert_eq!(number(0.1 + 0.2), "0.3");
        assert_eq!(number(5.0), "5");
        assert_eq!(number(-2.0 / 3.0), "-0.6666666667");
        assert_eq!(number(1.0e21), "1000000000000000000000");
    }
}
