//! The types of FHIR: resources, complex types, primitives, and the backbone elements inside them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::value_sets::CodeSet;

/// What sort of thing a type is (R4 structuredefinition-kind).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TypeKind {
    /// A JSON string, number or boolean, such as `dateTime`.
    Primitive,
    /// An object that is part of a resource, such as `HumanName`.
    Complex,
    /// The content of an element that has no type of its own, such as `Observation.component`.
    Backbone,
    /// A resource, such as `Patient`; also the abstract `Resource` and `DomainResource`.
    Resource,
}

/// One type and its elements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TypeDefinition {
    /// `Patient`, `HumanName`, `dateTime`; for a backbone element its path, `Observation.component`.
    pub name: String,
    /// What sort of type this is.
    pub kind: TypeKind,
    /// The type this one specialises: `DomainResource` for `Patient`, `uri` for `url`. None for
    /// `Resource` and `Element`.
    pub base: Option<String>,
    /// Whether no instance can be of just this type (`Resource`, `DomainResource`, `Element`, …).
    pub abstract_: bool,
    /// All elements, inherited ones included, in the order of the definition.
    pub elements: Vec<ElementDefinition>,
    /// JSON property → element and its type, by index.
    #[serde(skip)]
    properties: HashMap<String, (u16, u16)>,
}

/// One element of a type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ElementDefinition {
    /// The name without path; `value` for `value[x]`.
    pub name: String,
    /// Whether this is a choice of types, whose JSON property carries the type (`valueQuantity`).
    pub choice: bool,
    /// Fewest occurrences.
    pub min: u32,
    /// Most occurrences; None for `*`.
    pub max: Option<u32>,
    /// The types it can have. A backbone element has one, named by its path; one that reuses the
    /// content of another element has that element's.
    pub types: Vec<TypeRef>,
    /// For an element that reuses the content of another one: the type that content has.
    pub content_reference: Option<String>,
    /// The value set its codes come from.
    pub binding: Option<Binding>,
    /// Whether it is part of a summary (`isSummary`).
    pub summary: bool,
    /// Whether it changes the meaning of other elements (`isModifier`).
    pub modifier: bool,
}

impl ElementDefinition {
    /// Whether it is an array in JSON.
    pub fn is_list(&self) -> bool {
        self.max != Some(1)
    }
}

/// A type that an element can have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TypeRef {
    /// The name of the type: `Quantity`, `code`, `Observation.component`.
    pub code: String,
    /// For `Reference` and `canonical`: the resource types that may be its target. Empty for any.
    pub target_types: Vec<String>,
    /// Where the type stands among the [`Types`].
    #[serde(skip)]
    pub(super) index: Option<u32>,
}

impl TypeRef {
    /// A reference to the type `code`.
    pub(super) fn new(code: impl Into<String>, target_types: Vec<String>) -> Self {
        Self { code: code.into(), target_types, index: None }
    }
}

/// How binding a value set is (R4 valueset-binding-strength).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BindingStrength {
    /// Codes must come from it.
    Required,
    /// Codes must come from it where it has a fitting one.
    Extensible,
    /// Codes should come from it.
    Preferred,
    /// It shows what codes could be.
    Example,
}

/// The value set an element is bound to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// How strictly.
    pub strength: BindingStrength,
    /// Canonical URL of the value set, without version.
    pub value_set: String,
    /// Where its expansion stands among the code sets, if it is known and the binding required.
    #[serde(skip)]
    pub(super) codes: Option<u32>,
}

/// All types, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Types {
    list: Vec<TypeDefinition>,
    /// Expansions of the value sets that required bindings of `code` elements name.
    code_sets: Vec<CodeSet>,
    #[serde(skip)]
    by_name: HashMap<String, u32>,
}

impl TypeDefinition {
    /// A type not yet linked to those it refers to.
    pub(super) fn new(
        name: String,
        kind: TypeKind,
        base: Option<String>,
        abstract_: bool,
        elements: Vec<ElementDefinition>,
    ) -> Self {
        Self { name, kind, base, abstract_, elements, properties: HashMap::new() }
    }

    /// The element behind a JSON property, and which of its types that property says it has
    /// (`valueQuantity` is `value` as a `Quantity`).
    pub fn property(&self, property: &str) -> Option<(&ElementDefinition, &TypeRef)> {
        self.property_index(property).map(|(element, ty)| {
            let element = &self.elements[element];
            (element, &element.types[ty])
        })
    }

    /// As [`property`](Self::property), by index.
    pub(crate) fn property_index(&self, property: &str) -> Option<(usize, usize)> {
        let (element, ty) = self.properties.get(property)?;
        Some((usize::from(*element), usize::from(*ty)))
    }

    /// The element `name` (for a choice its name without `[x]`).
    pub fn element(&self, name: &str) -> Option<&ElementDefinition> {
        self.elements.iter().find(|element| element.name == name)
    }

    fn link(&mut self, by_name: &HashMap<String, u32>, code_sets: &HashMap<String, u32>) {
        for (index, element) in self.elements.iter_mut().enumerate() {
            for (type_index, ty) in element.types.iter_mut().enumerate() {
                ty.index = by_name.get(&ty.code).copied();
                let property =
                    if element.choice { choice_property(&element.name, &ty.code) } else { element.name.clone() };
                // One without choice has a single type, but in definitions of logical models.
                self.properties.entry(property).or_insert((index as u16, type_index as u16));
            }
            if let Some(binding) = &mut element.binding {
                binding.codes = code_sets.get(&binding.value_set).copied();
            }
        }
    }
}

/// The JSON property of a choice element that has type `code`: `value`, `dateTime` → `valueDateTime`.
pub fn choice_property(name: &str, code: &str) -> String {
    let mut property = String::with_capacity(name.len() + code.len());
    property.push_str(name);
    let mut letters = code.chars();
    property.extend(letters.next().map(|first| first.to_ascii_uppercase()));
    property.push_str(letters.as_str());
    property
}

impl Types {
    /// Puts types and code sets together, and resolves the names by which they refer to each other.
    pub(super) fn new(mut list: Vec<TypeDefinition>, code_sets: Vec<CodeSet>) -> Self {
        list.sort_by(|a, b| a.name.cmp(&b.name));
        let mut types = Self { list, code_sets, by_name: HashMap::new() };
        types.link();
        types
    }

    /// Builds what is not stored: the maps by name, and the indexes that stand for names.
    pub(super) fn link(&mut self) {
        let number = |(index, name): (usize, &String)| (name.clone(), index as u32);
        self.by_name = self.list.iter().map(|ty| &ty.name).enumerate().map(number).collect();
        let code_sets = self.code_sets.iter().map(|set| &set.value_set).enumerate().map(number).collect();
        for ty in &mut self.list {
            ty.link(&self.by_name, &code_sets);
        }
    }

    /// The type `name`.
    pub fn get(&self, name: &str) -> Option<&TypeDefinition> {
        self.by_name.get(name).map(|index| &self.list[*index as usize])
    }

    /// The definition a [`TypeRef`] of these types points to.
    pub fn resolve(&self, ty: &TypeRef) -> Option<&TypeDefinition> {
        match ty.index {
            Some(index) => self.list.get(index as usize),
            None => self.get(&ty.code),
        }
    }

    /// The codes a required binding allows, where they are known.
    pub fn codes(&self, binding: &Binding) -> Option<&CodeSet> {
        self.code_sets.get(binding.codes? as usize)
    }

    /// The codes of the value set with this URL, where some required binding has it and they are known.
    pub fn code_set(&self, value_set: &str) -> Option<&CodeSet> {
        self.code_sets.iter().find(|set| set.value_set == value_set)
    }

    /// The element behind a JSON property of a type, and which of its types it has there.
    pub fn element(&self, type_name: &str, property: &str) -> Option<(&ElementDefinition, &TypeRef)> {
        self.get(type_name)?.property(property)
    }

    /// Whether `name` is `ancestor` or specialises it.
    pub fn is_a(&self, name: &str, ancestor: &str) -> bool {
        let mut current = Some(name);
        while let Some(name) = current {
            if name == ancestor {
                return true;
            }
            current = self.get(name).and_then(|ty| ty.base.as_deref());
        }
        false
    }

    /// All types, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &TypeDefinition> {
        self.list.iter()
    }
}
