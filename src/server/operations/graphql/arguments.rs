//! Arguments of fields: which items of a list they leave (R4 graphql.html, "List Navigation"), and what a search of
//! them asks ("Searching").

use salus_fhir::Definitions;
use salus_fhir::fhirpath::{Environment, Expression, Item, Node, System};
use salus_fhir::json::Value;
use salus_fhir::outcome::IssueCode;

use super::document::{Document, Written};
use super::refused;
use crate::failure::Failure;

/// An argument as written.
pub(super) type Argument = (String, Written);

/// The text of a single value.
fn text(name: &str, value: &Value<'_>) -> Result<String, Failure> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(yes) => Ok(yes.to_string()),
        other => Err(refused(IssueCode::Invalid, format!("{name}: takes a single value, not {}", other.kind()))),
    }
}

/// A whole number, not negative.
fn number(name: &str, value: &Value<'_>) -> Result<usize, Failure> {
    let number = value.as_i64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| refused(IssueCode::Invalid, format!("{name}: takes a whole number from 0 on")))
}

/// The items that all arguments of a list leave.
///
/// # Errors
/// 400 for an argument that cannot be used.
pub(super) fn navigate<'v, 'd>(
    definitions: &'d Definitions,
    document: &Document,
    steps: &mut u64,
    type_name: &str,
    items: Vec<&'v Value<'v>>,
    arguments: &[Argument],
) -> Result<Vec<&'v Value<'v>>, Failure>
where
    'd: 'v,
{
    let mut left = items;
    let (mut offset, mut count) = (0, usize::MAX);
    for (name, written) in arguments {
        let value = document.value(written)?;
        match name.as_str() {
            _ if value.is_null() => {}
            "_offset" => offset = number(name, &value)?,
            "_count" => count = number(name, &value)?,
            "fhirpath" => {
                let expression = parse(&text(name, &value)?)?;
                let mut kept = Vec::with_capacity(left.len());
                for item in left {
                    if holds(definitions, &expression, type_name, item, steps)? {
                        kept.push(item);
                    }
                }
                left = kept;
            }
            property => {
                let is_known = definitions.element(type_name, property).is_some();
                if !is_known {
                    return Err(refused(
                        IssueCode::NotFound,
                        format!("{type_name} has no element '{property}' to choose by"),
                    ));
                }
                let wanted = text(name, &value)?;
                left.retain(|item| has(item.get(property), &wanted));
            }
        }
    }
    Ok(left.into_iter().skip(offset).take(count).collect())
}

/// Whether a primitive, or one of several, has this text.
fn has(found: Option<&Value<'_>>, wanted: &str) -> bool {
    match found {
        Some(Value::Array(items)) => items.iter().any(|item| has(Some(item), wanted)),
        Some(Value::String(text)) => text == wanted,
        Some(Value::Number(number)) => number == wanted,
        Some(Value::Bool(yes)) => yes.to_string() == wanted,
        _ => false,
    }
}

fn parse(text: &str) -> Result<Expression, Failure> {
    Expression::parse(text).map_err(|error| refused(IssueCode::Invalid, format!("fhirpath: {error}")))
}

fn holds(
    definitions: &Definitions,
    expression: &Expression,
    type_name: &str,
    item: &Value<'_>,
    steps: &mut u64,
) -> Result<bool, Failure> {
    let environment = Environment::new(definitions);
    let found =
        expression.evaluate_within(&environment, Item::Node(Node::element(item, type_name, definitions)), steps);
    let found = found.map_err(|error| refused(IssueCode::Invalid, format!("fhirpath: {error}")))?;
    let boolean = |item: &Item<'_>| match item.system() {
        Some(System::Boolean(yes)) => Some(yes),
        _ => None,
    };
    match found.as_slice() {
        [] => Ok(false),
        [one] => Ok(boolean(one).unwrap_or(true)),
        _ => Err(refused(IssueCode::Invalid, "fhirpath: a filter comes to one boolean")),
    }
}

/// What `@slice(path)` calls an item: `$index`, or what a FHIRPath comes to.
///
/// # Errors
/// 400 for a path that is none.
pub(super) fn slice_name(
    definitions: &Definitions,
    path: &str,
    type_name: &str,
    item: &Value<'_>,
    index: usize,
    steps: &mut u64,
) -> Result<String, Failure> {
    if path == "$index" {
        return Ok(index.to_string());
    }
    let expression = parse(path)?;
    let environment = Environment::new(definitions);
    let found =
        expression.evaluate_within(&environment, Item::Node(Node::element(item, type_name, definitions)), steps);
    let found = found.map_err(|error| refused(IssueCode::Invalid, format!("slice: {error}")))?;
    Ok(found.iter().filter_map(system_text).collect::<Vec<_>>().join(","))
}

fn system_text(item: &Item<'_>) -> Option<String> {
    item.system().map(|value| value.text().into_owned())
}

/// A search that a field asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Search {
    pub resource_type: String,
    /// Search parameters.
    pub filters: Vec<(String, String)>,
    /// Where the page starts; from `XConnection` only.
    pub cursor: Option<String>,
    /// Whether the total is wanted.
    pub counted: bool,
}

impl Search {
    /// Reads it from the arguments of `XList` or `XConnection`; `to` is the resource at hand, `Type/id`, which
    /// `_reference` names the parameter for.
    ///
    /// # Errors
    /// 400 for an argument that cannot be used.
    pub fn read(
        definitions: &Definitions,
        document: &Document,
        resource_type: &str,
        to: Option<&str>,
        counted: bool,
        arguments: &[Argument],
    ) -> Result<Self, Failure> {
        let mut search = Self { resource_type: resource_type.to_owned(), filters: Vec::new(), cursor: None, counted };
        let mut refers = false;
        for (name, written) in arguments {
            let value = document.value(written)?;
            if value.is_null() {
                continue;
            }
            match (name.as_str(), to) {
                ("_reference", Some(to)) => {
                    refers = true;
                    search.filters.push((parameter(definitions, resource_type, &text(name, &value)?), to.to_owned()));
                }
                ("_cursor", _) if counted => search.cursor = Some(text(name, &value)?),
                ("_offset" | "_cursor" | "_reference" | "_include" | "_revinclude" | "_summary" | "_elements", _) => {
                    return Err(refused(IssueCode::NotSupported, format!("{name}: is no argument of this field")));
                }
                (name, _) => {
                    let values = match &value {
                        Value::Array(items) => {
                            items.iter().map(|item| text(name, item)).collect::<Result<Vec<_>, _>>()?
                        }
                        one => vec![text(name, one)?],
                    };
                    search.filters.push((parameter(definitions, resource_type, name), values.join(",")));
                }
            }
        }
        match (to, refers) {
            (Some(_), false) => {
                Err(refused(IssueCode::Required, format!("{resource_type}List needs '_reference' on a resource")))
            }
            _ => Ok(search),
        }
    }
}

/// The search parameter that an argument names: GraphQL has no hyphens, so `clinical_status` is `clinical-status`.
fn parameter(definitions: &Definitions, resource_type: &str, name: &str) -> String {
    if name.starts_with('_') || definitions.search().get(resource_type, name).is_some() {
        return name.to_owned();
    }
    name.replace('_', "-")
}
