//! What FHIR adds to FHIRPath.
//!
//! Source: R4 fhirpath.html#functions.

use super::super::ast::Call;
use super::super::error::FhirPathError;
use super::super::evaluate::{Items, Outcome, Run, Scope, boolean, only};
use super::super::item::{Item, Node, System};
use super::{string_argument, value};
use crate::json::Value;

/// Canonical base of the StructureDefinitions of FHIR itself.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

pub(super) fn extension<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let Some(url) = string_argument(run, call, 0, scope)? else { return Ok(Vec::new()) };
    let mut extensions = run.member(&input, "extension")?;
    let has_url = |node: &Node<'a>| node.value.and_then(|value| value.get_str("url")) == Some(&*url);
    extensions.retain(|item| matches!(item, Item::Node(node) if has_url(node)));
    Ok(extensions)
}

/// Whether the input is a single primitive with a value.
pub(super) fn has_value<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(boolean(match input.as_slice() {
        [Item::Node(node)] => node.is_primitive() && node.value.is_some(),
        [Item::System(_)] => true,
        _ => false,
    }))
}

pub(super) fn get_value<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(match input.as_slice() {
        [Item::Node(node)] if node.is_primitive() => node.system().map(Item::System).into_iter().collect(),
        [Item::System(value)] => vec![Item::System(value.clone())],
        _ => Vec::new(),
    })
}

/// The resources that references, or the URLs themselves, name; those that cannot be had are left out.
pub(super) fn resolve<'a>(run: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let mut out = Vec::new();
    for item in &input {
        let reference = match item {
            Item::Node(Node { value: Some(value @ Value::Object(_)), .. }) => value.get_str("reference"),
            Item::Node(Node { value: Some(value), .. }) => value.as_str(),
            Item::System(System::String(text)) => Some(&**text),
            _ => None,
        };
        let Some(reference) = reference else { continue };
        let (found, steps) = locate(run, reference);
        run.charge(steps)?;
        out.extend(found.map(|resource| Item::Node(Node::typed_resource(resource, run.types))));
    }
    Ok(out)
}

/// What a reference names: in the root resource, else outside; and how many places were looked at.
fn locate<'a>(run: &Run<'a, '_>, reference: &str) -> (Option<&'a Value<'a>>, usize) {
    let root = run.root().and_then(|node| node.value);
    if let Some(id) = reference.strip_prefix('#') {
        let contained = root.map_or(&[][..], |root| root.items("contained"));
        let found = match id {
            "" => root,
            id => contained.iter().find(|resource| resource.get_str("id") == Some(id)),
        };
        return (found, contained.len());
    }
    let entries = root.map_or(&[][..], |root| root.items("entry"));
    let is_target = |url: &str| url == reference || url.strip_suffix(reference).is_some_and(|base| base.ends_with('/'));
    let entry = entries.iter().find(|entry| entry.get_str("fullUrl").is_some_and(is_target));
    let found = entry.and_then(|entry| entry.get("resource"));
    (found.or_else(|| run.env.services()?.resolve(reference)), entries.len())
}

pub(super) fn member_of<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let (item, value_set) = (only(&input, "memberOf")?, string_argument(run, call, 0, scope)?);
    let (Some(item), Some(value_set)) = (item, value_set) else { return Ok(Vec::new()) };
    let Some(services) = run.env.services() else { return Ok(Vec::new()) };
    let of_coding = |coding: &Value<'_>| {
        services.member_of(&value_set, coding.get_str("system"), coding.get_str("code").unwrap_or_default())
    };
    let answer = match item {
        Item::Node(Node { value: Some(value @ Value::Object(_)), .. }) => match value.get("coding") {
            Some(Value::Array(codings)) => {
                let answers: Vec<_> = codings.iter().map(of_coding).collect();
                if answers.contains(&Some(true)) { Some(true) } else { answers.into_iter().min().flatten() }
            }
            _ => of_coding(value),
        },
        other => match other.system() {
            Some(System::String(code)) => services.member_of(&value_set, None, &code),
            _ => None,
        },
    };
    Ok(boolean(answer))
}

/// Whether the input is of the type that a StructureDefinition of FHIR itself defines. Profiles are
/// not known here.
pub(super) fn conforms_to<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let (item, url) = (only(&input, "conformsTo")?, string_argument(run, call, 0, scope)?);
    let (Some(item), Some(url)) = (item, url) else { return Ok(Vec::new()) };
    match url.strip_prefix(CORE).filter(|name| run.types.get(name).is_some()) {
        Some(name) => Ok(boolean(item.is(Some("FHIR"), name, run.types))),
        None => Err(FhirPathError::execution(format!("the StructureDefinition {url} is not known"))),
    }
}

/// Whether the narrative is one well-formed `<div>` of XHTML.
pub(super) fn html_checks<'a>(_: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let text = value(&input, call.function)?;
    Ok(boolean(text.map(|text| crate::xml::is_narrative(&text.text()))))
}
