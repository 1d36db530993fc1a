//! StructureDefinitions to types.

use crate::json::Value;

use super::types::{Binding, BindingStrength, ElementDefinition, TypeDefinition, TypeKind, TypeRef};
use super::value_sets::without_version;

/// Canonical base of the StructureDefinitions of FHIR itself.
const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Types that FHIRPath calls `http://hl7.org/fhirpath/System.String` and so on.
const SYSTEM_TYPES: &str = "http://hl7.org/fhirpath/System.";

/// The extension that says which FHIR type such an element has.
const FHIR_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type";

/// The types a StructureDefinition defines: the type itself, and one for each backbone element in
/// it. None for profiles and logical models, which define no type of resources or their parts.
pub(super) fn types(resource: &Value<'_>) -> Vec<TypeDefinition> {
    let kind = match resource.get_str("kind") {
        Some("resource") => TypeKind::Resource,
        Some("complex-type") => TypeKind::Complex,
        Some("primitive-type") => TypeKind::Primitive,
        _ => return Vec::new(),
    };
    let name = resource.get_str("type").unwrap_or_default();
    if resource.get_str("derivation") == Some("constraint") || name.is_empty() {
        return Vec::new();
    }
    let elements: Vec<Element<'_>> = resource
        .get("snapshot")
        .map(|snapshot| snapshot.items("element"))
        .unwrap_or_default()
        .iter()
        .filter_map(Element::new)
        .collect();
    let base = resource.get_str("baseDefinition").and_then(|url| url.strip_prefix(CORE));
    let abstract_ = resource.get("abstract").and_then(Value::as_bool) == Some(true);
    let own = children(name, kind, &elements);
    let mut types = vec![TypeDefinition::new(name.to_owned(), kind, base.map(str::to_owned), abstract_, own)];
    for backbone in elements.iter().filter(|element| is_backbone(element.path, &elements)) {
        types.push(TypeDefinition::new(
            backbone.path.to_owned(),
            TypeKind::Backbone,
            backbone.type_codes().next().map(str::to_owned),
            false,
            children(backbone.path, TypeKind::Backbone, &elements),
        ));
    }
    types
}

/// One element of a snapshot, and its path.
struct Element<'v> {
    path: &'v str,
    json: &'v Value<'v>,
}

impl<'v> Element<'v> {
    fn new(json: &'v Value<'v>) -> Option<Self> {
        Some(Self { path: json.get_str("path")?, json })
    }

    fn type_codes(&self) -> impl Iterator<Item = &'v str> {
        self.json.items("type").iter().filter_map(|ty| ty.get_str("code"))
    }

    /// Whether this stands directly under `parent`.
    fn is_child_of(&self, parent: &str) -> bool {
        self.path.strip_prefix(parent).and_then(|rest| rest.strip_prefix('.')).is_some_and(|name| !name.contains('.'))
    }
}

/// Whether the element at `path` has elements of its own, and is not the type itself.
fn is_backbone(path: &str, elements: &[Element<'_>]) -> bool {
    path.contains('.') && elements.iter().any(|element| element.is_child_of(path))
}

fn children(parent: &str, kind: TypeKind, elements: &[Element<'_>]) -> Vec<ElementDefinition> {
    elements
        .iter()
        .filter(|element| element.is_child_of(parent))
        .map(|element| definition(element, kind, elements))
        .collect()
}

fn definition(element: &Element<'_>, kind: TypeKind, all: &[Element<'_>]) -> ElementDefinition {
    let (_, last) = element.path.rsplit_once('.').unwrap_or(("", element.path));
    let name = last.strip_suffix("[x]").unwrap_or(last);
    // Within a type the reference is `#Type.path`; from elsewhere a URL stands before the `#`.
    let content_reference =
        element.json.get_str("contentReference").and_then(|reference| reference.rsplit('#').next()).map(str::to_owned);
    let types = if let Some(target) = &content_reference {
        vec![TypeRef::new(target.clone(), Vec::new())]
    } else if is_backbone(element.path, all) {
        vec![TypeRef::new(element.path, Vec::new())]
    } else if kind == TypeKind::Resource && name == "id" {
        // The R4 snapshots say `string` here; resource.html and the element's own page say `id`.
        vec![TypeRef::new("id", Vec::new())]
    } else {
        element.json.items("type").iter().filter_map(type_ref).collect()
    };
    let max = element.json.get_str("max").and_then(|max| max.parse().ok());
    ElementDefinition {
        name: name.to_owned(),
        choice: last.ends_with("[x]"),
        min: element.json.get("min").and_then(Value::as_i64).map_or(0, |min| min.max(0) as u32),
        max,
        types,
        content_reference,
        binding: element.json.get("binding").and_then(binding),
        summary: is_true(element, "isSummary"),
        modifier: is_true(element, "isModifier"),
    }
}

fn is_true(element: &Element<'_>, member: &str) -> bool {
    element.json.get(member).and_then(Value::as_bool) == Some(true)
}

fn type_ref(ty: &Value<'_>) -> Option<TypeRef> {
    let code = ty.get_str("code")?;
    let code = match code.strip_prefix(SYSTEM_TYPES) {
        None => code.to_owned(),
        Some(system) => fhir_type(ty).map_or_else(|| system.to_ascii_lowercase(), str::to_owned),
    };
    let target_types = ty
        .items("targetProfile")
        .iter()
        .filter_map(|profile| profile.as_str()?.strip_prefix(CORE))
        .filter(|target| *target != "Resource")
        .map(str::to_owned)
        .collect();
    Some(TypeRef::new(code, target_types))
}

fn fhir_type<'v>(ty: &'v Value<'_>) -> Option<&'v str> {
    let extension = ty.items("extension").iter().find(|extension| extension.get_str("url") == Some(FHIR_TYPE))?;
    extension.get_str("valueUrl").or_else(|| extension.get_str("valueUri"))
}

fn binding(binding: &Value<'_>) -> Option<Binding> {
    let strength = match binding.get_str("strength")? {
        "required" => BindingStrength::Required,
        "extensible" => BindingStrength::Extensible,
        "preferred" => BindingStrength::Preferred,
        _ => BindingStrength::Example,
    };
    let value_set = without_version(binding.get_str("valueSet")?).to_owned();
    Some(Binding { strength, value_set, codes: None })
}
