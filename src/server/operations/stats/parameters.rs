//! The parameters of `$stats`.

use salus_fhir::datatypes::DateTime;
use salus_fhir::json::Value;

use super::moment;
use super::statistic::Statistic;
use crate::bundle::quoted;
use crate::dispatch::Act;
use crate::failure::Failure;
use crate::operations::parameters::{bad, body, escape, in_search, value_of};

/// Most codes of one request.
const MOST_CODES: usize = 20;
/// Microseconds of an hour.
const HOUR: f64 = 3_600_000_000.0;

/// What Observations are asked for: a system, if it was said, and a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Code {
    system: Option<String>,
    code: String,
}

/// What was asked.
#[derive(Default)]
pub(super) struct Parameters {
    pub subject: String,
    pub codes: Vec<Code>,
    pub statistics: Vec<Statistic>,
    pub include: bool,
    /// Most sources shown.
    pub limit: usize,
    start: Option<String>,
    end: Option<String>,
}

/// As they come, one by one.
#[derive(Default)]
struct Reader {
    read: Parameters,
    bare: Vec<String>,
    system: Option<String>,
    is_timed: bool,
}

impl Code {
    /// As a search says it.
    fn token(&self) -> String {
        match &self.system {
            Some(system) => format!("{}|{}", escape(system), escape(&self.code)),
            None => escape(&self.code),
        }
    }

    /// Whether a CodeableConcept has it.
    pub fn is_in(&self, concept: &Value<'_>) -> bool {
        concept.items("coding").iter().any(|coding| {
            let system = coding.get_str("system").unwrap_or_default();
            coding.get_str("code") == Some(&self.code) && self.system.as_deref().is_none_or(|known| known == system)
        })
    }

    /// As a CodeableConcept, JSON.
    pub fn concept(&self) -> String {
        let system = self.system.as_ref().map(|system| format!(r#""system":{},"#, quoted(system))).unwrap_or_default();
        format!(r#"{{"coding":[{{{system}"code":{}}}]}}"#, quoted(&self.code))
    }
}

impl Parameters {
    /// Reads them.
    ///
    /// # Errors
    /// 400 for one that is unknown, wrong or missing.
    pub fn read(act: &Act<'_>) -> Result<Self, Failure> {
        let mut reader = Reader { read: Self { limit: usize::MAX, ..Self::default() }, ..Reader::default() };
        for (name, value) in act.request.parameters() {
            reader.text(&name, &value)?;
        }
        if let Some(body) = body(act)? {
            for parameter in body.items("parameter") {
                reader.parameter(parameter)?;
            }
        }
        reader.finish()
    }

    /// What a search of Observation would ask.
    pub fn filters(&self, code: &Code) -> Vec<(String, String)> {
        let mut filters = vec![
            ("subject".to_owned(), self.subject.clone()),
            ("combo-code".to_owned(), code.token()),
            ("status:not".to_owned(), "entered-in-error".to_owned()),
        ];
        filters.extend(self.start.iter().map(|start| ("date".to_owned(), format!("ge{start}"))));
        filters.extend(self.end.iter().map(|end| ("date".to_owned(), format!("le{end}"))));
        filters
    }

    /// The member `effectivePeriod` and a comma; nothing where no time was said.
    pub fn effective(&self) -> String {
        let end = |name: &str, date: &Option<String>| date.as_ref().map(|date| format!(r#""{name}":{}"#, quoted(date)));
        let ends: Vec<String> = [end("start", &self.start), end("end", &self.end)].into_iter().flatten().collect();
        if ends.is_empty() { String::new() } else { format!(r#""effectivePeriod":{{{}}},"#, ends.join(",")) }
    }
}

impl Reader {
    fn text(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "subject" if self.read.subject.is_empty() => self.read.subject = value.to_owned(),
            "code" => self.bare.push(value.to_owned()),
            "system" if self.system.is_none() => self.system = Some(value.to_owned()),
            "coding" => {
                let (system, code) = value.split_once('|').ok_or_else(|| bad(name, "takes system|code in a query"))?;
                self.read.codes.push(Code { system: Some(system.to_owned()), code: code.to_owned() });
            }
            "statistic" => {
                for code in value.split(',') {
                    let known =
                        Statistic::parse(code).ok_or_else(|| bad(name, &format!("'{code}' is no statistic of R4")))?;
                    if !self.read.statistics.contains(&known) {
                        self.read.statistics.push(known);
                    }
                }
            }
            "duration" => {
                let hours: f64 = value.parse().map_err(|_| bad(name, "takes a number of hours"))?;
                if !(hours > 0.0 && hours < 1.0e7) {
                    return Err(bad(name, "takes a number of hours above 0"));
                }
                let now = crate::account::now();
                self.within(Some(moment(now - (hours * HOUR) as i64)), Some(moment(now)))?;
            }
            "include" => self.read.include = value.parse().map_err(|_| bad(name, "takes true or false"))?,
            "limit" => {
                self.read.limit = value
                    .parse()
                    .ok()
                    .filter(|limit| *limit > 0)
                    .ok_or_else(|| bad(name, "takes a positive number"))?;
            }
            "_format" | "_pretty" => {}
            "subject" | "system" => return Err(bad(name, "is given once")),
            "period" => return Err(bad(name, "is a Period, which a query cannot hold; use POST, or 'duration'")),
            _ => return Err(bad(name, "$stats has no such parameter")),
        }
        Ok(())
    }

    fn parameter(&mut self, parameter: &Value<'_>) -> Result<(), Failure> {
        let name = parameter.get_str("name").unwrap_or_default();
        match (name, value_of(parameter)) {
            ("period", Some(period @ Value::Object(_))) => {
                let end = |name: &str| period.get_str(name).map(str::to_owned);
                self.within(end("start"), end("end"))
            }
            ("coding", Some(coding @ Value::Object(_))) => {
                let code = coding.get_str("code").ok_or_else(|| bad(name, "needs a code"))?.to_owned();
                self.read.codes.push(Code { system: coding.get_str("system").map(str::to_owned), code });
                Ok(())
            }
            ("subject", Some(reference @ Value::Object(_))) => {
                let reference = in_search(reference).ok_or_else(|| bad(name, "needs a reference"))?;
                self.text(name, &reference)
            }
            ("coding", Some(_)) => Err(bad(name, "takes valueCoding")),
            (_, Some(Value::String(text))) => self.text(name, text),
            (_, Some(Value::Number(number))) => self.text(name, number),
            (_, Some(Value::Bool(yes))) => self.text(name, if *yes { "true" } else { "false" }),
            _ => Err(bad(name, "has no value that $stats takes")),
        }
    }

    fn within(&mut self, start: Option<String>, end: Option<String>) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_timed, true) {
            return Err(bad("period", "say once when: by 'duration' or by 'period'"));
        }
        for date in start.iter().chain(&end) {
            DateTime::parse(date).map_err(|error| bad("period", &error.to_string()))?;
        }
        (self.read.start, self.read.end) = (start, end);
        Ok(())
    }

    fn finish(self) -> Result<Parameters, Failure> {
        let mut read = self.read;
        read.codes.extend(self.bare.into_iter().map(|code| Code { system: self.system.clone(), code }));
        if !read.subject.contains('/') || read.subject.contains([',', '|']) {
            return Err(bad("subject", "is needed: a reference such as Patient/123"));
        }
        if read.codes.is_empty() || read.codes.iter().any(|code| code.code.is_empty()) {
            return Err(bad("code", "is needed: 'code' with 'system', or 'coding'"));
        }
        if read.codes.len() > MOST_CODES {
            return Err(bad("code", &format!("at most {MOST_CODES} codes are computed in one request")));
        }
        if read.statistics.is_empty() {
            return Err(bad("statistic", "is needed"));
        }
        Ok(read)
    }
}
