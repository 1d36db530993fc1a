//! Parameters of operations as name and text: from the query, from a Parameters resource, or both
//! (R4 operations.html#request).

use salus_fhir::json::Value;
use salus_fhir::outcome::{Issue, IssueCode};

use crate::dispatch::Act;
use crate::failure::Failure;
use crate::request::Body;

/// Name and value of each, as a query would say them.
///
/// # Errors
/// 400 for a body that is no Parameters resource, and for a parameter that is not primitive.
pub(super) fn primitive(act: &Act<'_>) -> Result<Vec<(String, String)>, Failure> {
    each(act, |_| None, "a primitive value")
}

/// As [`primitive`], but parameters may be Codings, References and CodeableConcepts too, as a search would say them.
///
/// # Errors
/// 400 for a body that is no Parameters resource, and for a parameter of another type.
pub(super) fn searched(act: &Act<'_>) -> Result<Vec<(String, String)>, Failure> {
    each(act, in_search, "a primitive value, a Coding, a CodeableConcept or a Reference")
}

/// The Parameters resource in the body; `None` where there is no body.
///
/// # Errors
/// 400 for another resource.
pub(super) fn body<'b>(act: &'b Act<'_>) -> Result<Option<Value<'b>>, Failure> {
    if matches!(&act.request.body, Body::Empty) || matches!(&act.request.body, Body::Bytes(bytes) if bytes.is_empty()) {
        return Ok(None);
    }
    let body = act.request.resource()?;
    match body.get_str("resourceType") {
        Some("Parameters") => Ok(Some(body)),
        _ => Err(no_parameters()),
    }
}

/// The `value[x]` of a parameter.
pub(super) fn value_of<'p, 'a>(parameter: &'p Value<'a>) -> Option<&'p Value<'a>> {
    let mut members = parameter.as_object()?.iter();
    members.find(|(member, _)| member.starts_with("value")).map(|(_, value)| value)
}

/// What a search would say for a value that is no primitive.
pub(super) fn in_search(value: &Value<'_>) -> Option<String> {
    if let Some(reference) = value.get_str("reference") {
        return Some(reference.to_owned());
    }
    if let Some(code) = value.get_str("code") {
        return Some(match value.get_str("system") {
            Some(system) => format!("{}|{}", escape(system), escape(code)),
            None => escape(code),
        });
    }
    let codings: Vec<String> = value.items("coding").iter().filter_map(in_search).collect();
    (!codings.is_empty()).then(|| codings.join(","))
}

/// A text as a part of a search value (R4 search.html#escaping).
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | '|' | '$') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn each(
    act: &Act<'_>,
    further: impl Fn(&Value<'_>) -> Option<String>,
    taken: &str,
) -> Result<Vec<(String, String)>, Failure> {
    let mut parameters = act.request.parameters();
    let Some(body) = body(act)? else { return Ok(parameters) };
    for parameter in body.items("parameter") {
        let name = parameter.get_str("name").ok_or_else(unnamed)?;
        let text = match value_of(parameter) {
            Some(Value::String(text)) => Some(text.to_string()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(yes)) => Some(yes.to_string()),
            Some(value) => further(value),
            None => None,
        };
        let text = text.ok_or_else(|| bad(name, &format!("this parameter takes {taken}")))?;
        parameters.push((name.to_owned(), text));
    }
    Ok(parameters)
}

/// A parameter that cannot be used.
pub(super) fn bad(name: &str, message: &str) -> Failure {
    Failure::of(400, Issue::error(IssueCode::Invalid, format!("{name}: {message}")).of_parameter(name))
}

/// A body that is another resource.
pub(super) fn no_parameters() -> Failure {
    Failure::new(400, IssueCode::Invalid, "the body must be a Parameters resource")
}

fn unnamed() -> Failure {
    Failure::of(400, Issue::error(IssueCode::Required, "a parameter has no name").at("Parameters.parameter.name"))
}
