//! What an expression can know beside its input.

use std::collections::BTreeMap;

use super::error::FhirPathError;
use super::evaluate::{Items, single};
use super::item::{Item, Node, System};
use crate::definitions::Definitions;
use crate::json::Value;

/// Steps of an evaluation unless said otherwise: about a second's worth.
const DEFAULT_STEPS: u64 = 5_000_000;

/// What an evaluation may ask of outside. The defaults know nothing.
pub trait Services<'a> {
    /// The resource that a reference names, if it can be had: for `resolve()`. References into the
    /// resource itself (`#id`) and between the entries of a Bundle are followed without asking.
    fn resolve(&self, reference: &str) -> Option<&'a Value<'a>> {
        let _ = reference;
        None
    }

    /// Whether a code is in a value set: for `memberOf()`. None where that is not known.
    fn member_of(&self, value_set: &str, system: Option<&str>, code: &str) -> Option<bool> {
        let _ = (value_set, system, code);
        None
    }

    /// Is told what `trace()` is given.
    fn trace(&self, name: &str, items: &[Item<'a>]) {
        let _ = (name, items);
    }
}

/// What an expression can know beside its input.
pub struct Environment<'a> {
    definitions: &'a Definitions,
    resource: Option<Node<'a>>,
    root: Option<Node<'a>>,
    variables: BTreeMap<String, Items<'a>>,
    services: Option<&'a dyn Services<'a>>,
    strict: bool,
    steps: u64,
    now: Option<i64>,
}

impl<'a> Environment<'a> {
    /// An environment that knows the types of `definitions`.
    pub fn new(definitions: &'a Definitions) -> Self {
        Self {
            definitions,
            resource: None,
            root: None,
            variables: BTreeMap::new(),
            services: None,
            strict: false,
            steps: DEFAULT_STEPS,
            now: None,
        }
    }

    /// With `%resource`, and `%rootResource` where that has not been set.
    pub fn with_resource(mut self, resource: &'a Value<'a>) -> Self {
        let node = Node::resource(resource, self.definitions);
        self.resource = Some(node);
        self.root = self.root.or(self.resource);
        self
    }

    /// With `%rootResource`: the one that holds `%resource` if that is contained.
    pub fn with_root(mut self, root: &'a Value<'a>) -> Self {
        self.root = Some(Node::resource(root, self.definitions));
        self
    }

    /// With a variable `%name`.
    pub fn with_variable(mut self, name: impl Into<String>, items: Vec<Item<'a>>) -> Self {
        self.variables.insert(name.into(), items);
        self
    }

    /// With what `resolve()`, `memberOf()` and `trace()` ask.
    pub fn with_services(mut self, services: &'a dyn Services<'a>) -> Self {
        self.services = Some(services);
        self
    }

    /// Refuses elements that a type does not have, instead of finding none of them.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// Allows an evaluation so many steps; one is about the work of reading an element.
    pub fn with_steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// With the moment that `now()` and `today()` tell, in microseconds since 1970-01-01T00:00:00Z;
    /// else it is the clock's.
    pub fn with_now(mut self, micros: i64) -> Self {
        self.now = Some(micros);
        self
    }

    /// The definitions it knows.
    pub fn definitions(&self) -> &'a Definitions {
        self.definitions
    }

    pub(super) fn services(&self) -> Option<&'a dyn Services<'a>> {
        self.services
    }

    pub(super) fn is_strict(&self) -> bool {
        self.strict
    }

    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    pub(super) fn now(&self) -> Option<i64> {
        self.now
    }

    pub(super) fn root(&self) -> Option<Node<'a>> {
        self.root
    }

    /// The value of `%name` (R4 fhirpath.html#variables).
    pub(super) fn variable(&self, name: &str) -> Result<Items<'a>, FhirPathError> {
        if let Some(items) = self.variables.get(name) {
            return Ok(items.clone());
        }
        let node = |node: Option<Node<'a>>| node.map(Item::Node).into_iter().collect();
        let text = |text: String| single(System::String(text.into()));
        Ok(match name {
            "resource" | "context" => node(self.resource),
            "rootResource" => node(self.root),
            "sct" => text("http://snomed.info/sct".to_owned()),
            "loinc" => text("http://loinc.org".to_owned()),
            "ucum" => text("http://unitsofmeasure.org".to_owned()),
            _ => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
                (Some(id), _) => text(format!("http://hl7.org/fhir/ValueSet/{id}")),
                (_, Some(id)) => text(format!("http://hl7.org/fhir/StructureDefinition/{id}")),
                _ => return Err(FhirPathError::semantic(format!("there is no variable %{name}"))),
            },
        })
    }
}
