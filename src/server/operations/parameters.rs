//! Parameters of operations that are all primitive: from the query, from a Parameters resource, or both
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
    let mut parameters = act.request.parameters();
    if matches!(act.request.body, Body::Empty) {
        return Ok(parameters);
    }
    let body = act.request.resource()?;
    if body.get_str("resourceType") != Some("Parameters") {
        return Err(bad("resourceType", "the body must be a Parameters resource"));
    }
    for parameter in body.items("parameter") {
        let name = parameter.get_str("name").ok_or_else(|| bad("parameter", "a parameter has no name"))?;
        let members = parameter.as_object().into_iter().flat_map(|members| members.iter());
        let value = members.filter(|(member, _)| member.starts_with("value")).map(|(_, value)| value).next();
        let text = match value {
            Some(Value::String(text)) => text.to_string(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(yes)) => yes.to_string(),
            _ => return Err(bad(name, "this parameter takes a primitive value")),
        };
        parameters.push((name.to_owned(), text));
    }
    Ok(parameters)
}

/// A parameter that cannot be used.
pub(super) fn bad(name: &str, message: &str) -> Failure {
    Failure::of(400, Issue::error(IssueCode::Invalid, format!("{name}: {message}")))
}
