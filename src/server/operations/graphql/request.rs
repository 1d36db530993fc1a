//! The request: by GET, by POST of the query itself, of JSON as GraphQL clients send it, or of Parameters.

use salus_fhir::json::{self, Limits, Object, Value};
use salus_fhir::outcome::IssueCode;

use super::{is_form, refused};
use crate::dispatch::Act;
use crate::failure::Failure;
use crate::operations::parameters::{bad, value_of};
use crate::request::Body;

/// Media type of a query by itself.
const GRAPHQL: &str = "application/graphql";

/// A query and what it is called with.
#[derive(Default)]
pub(super) struct GraphQlRequest {
    /// The document.
    pub query: String,
    /// `operationName`
    pub operation: Option<String>,
    /// `variables`
    pub variables: Object<'static>,
}

impl GraphQlRequest {
    /// Reads it.
    ///
    /// # Errors
    /// 400 for one that is not well formed, 415 for another media type.
    pub fn read(act: &Act<'_>) -> Result<Self, Failure> {
        let mut read = Self::default();
        for (name, value) in act.request.parameters() {
            read.parameter(&name, value)?;
        }
        match &act.request.body {
            Body::Empty => {}
            Body::Bytes(bytes) if bytes.is_empty() => {}
            Body::Bytes(bytes) if act.request.content_type == GRAPHQL => {
                read.query = std::str::from_utf8(bytes)
                    .map_err(|_| refused(IssueCode::Structure, "the query is not UTF-8"))?
                    .to_owned();
            }
            Body::Bytes(bytes) if is_form(act) => {
                for (name, value) in form_urlencoded::parse(bytes).into_owned() {
                    read.parameter(&name, value)?;
                }
            }
            _ => read.body(&act.request.resource()?)?,
        }
        if read.query.trim().is_empty() {
            return Err(bad("query", "is needed"));
        }
        Ok(read)
    }

    fn parameter(&mut self, name: &str, value: String) -> Result<(), Failure> {
        match name {
            "query" => self.query = value,
            "operationName" => self.operation = Some(value).filter(|name| !name.is_empty()),
            "variables" => {
                let value = json::parse(&value, &Limits::default()).map_err(|_| bad(name, "is no JSON"))?;
                self.variables(&value)?;
            }
            "_format" | "_pretty" => {}
            _ => return Err(bad(name, "$graphql has no such parameter")),
        }
        Ok(())
    }

    fn variables(&mut self, value: &Value<'_>) -> Result<(), Failure> {
        match value {
            Value::Object(variables) => self.variables = variables.clone().into_static(),
            Value::Null => {}
            _ => return Err(bad("variables", "takes an object")),
        }
        Ok(())
    }

    /// A Parameters resource, or the JSON that GraphQL clients send.
    fn body(&mut self, body: &Value<'_>) -> Result<(), Failure> {
        if body.get_str("resourceType") == Some("Parameters") {
            for parameter in body.items("parameter") {
                let text = value_of(parameter).and_then(Value::as_str);
                let text = text.ok_or_else(|| bad("parameter", "$graphql takes valueString"))?.to_owned();
                self.parameter(parameter.get_str("name").unwrap_or_default(), text)?;
            }
            return Ok(());
        }
        let text = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(bad(name, "takes a string")),
        };
        if let Some(query) = text("query")? {
            self.query = query;
        }
        if let Some(operation) = text("operationName")? {
            self.operation = Some(operation);
        }
        body.get("variables").map_or(Ok(()), |variables| self.variables(variables))
    }
}
