//! FHIRPath Patch: a Parameters resource whose paths are FHIRPath.
//!
//! Source: R4 fhirpatch.html.

use super::budget::{Budget, MAX_OPERATIONS, check_depth};
use super::element::Place;
use super::error::{PatchError, PatchErrorKind as Kind};
use super::value::{self, Given, element_of};
use crate::Definitions;
use crate::fhirpath::{Environment, Expression, Item, Node};
use crate::json::{Object, Value};

/// Steps that all paths of a patch together may take: some tenths of a second's worth.
const STEPS: u64 = 2_000_000;

/// A FHIRPath Patch: operations on a resource, in order, all or none.
#[derive(Debug, Clone)]
pub struct FhirPathPatch<'a> {
    operations: Vec<Operation<'a>>,
}

#[derive(Debug, Clone)]
struct Operation<'a> {
    path: Expression,
    action: Action<'a>,
}

#[derive(Debug, Clone)]
enum Action<'a> {
    Add { name: String, value: Given<'a> },
    Insert { index: usize, value: Given<'a> },
    Delete,
    Replace { value: Given<'a> },
    Move { source: usize, destination: usize },
}

/// The parts of an operation, each at most once.
#[derive(Default)]
struct Parts<'a> {
    texts: [Option<String>; 3],
    numbers: [Option<usize>; 3],
    value: Option<Given<'a>>,
}

const TEXTS: [&str; 3] = ["type", "path", "name"];
const NUMBERS: [&str; 3] = ["index", "source", "destination"];

impl<'a> FhirPathPatch<'a> {
    /// Reads a patch from a Parameters resource.
    ///
    /// # Errors
    /// [`PatchError`] with status 400 for what is no FHIRPath Patch, 422 for one with too many
    /// operations.
    pub fn parse(parameters: Value<'a>, definitions: &Definitions) -> Result<Self, PatchError> {
        if parameters.get_str("resourceType") != Some("Parameters") {
            return Err(Kind::Structure("a FHIRPath Patch is a Parameters resource").into());
        }
        let Value::Object(mut members) = parameters else { return Ok(Self { operations: Vec::new() }) };
        let items = match members.remove("parameter") {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(Kind::Structure("Parameters.parameter is a list").into()),
        };
        if items.len() > MAX_OPERATIONS {
            return Err(Kind::TooCostly.into());
        }
        let read = |(index, item)| operation(item, definitions).map_err(|kind| kind.of(index));
        let operations = items.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { operations })
    }

    /// Applies the patch to a resource.
    ///
    /// # Errors
    /// [`PatchError`], mostly with status 422, at the first operation that cannot be done.
    pub fn apply<'r>(&self, resource: Value<'r>, definitions: &Definitions) -> Result<Value<'r>, PatchError>
    where
        'a: 'r,
    {
        let mut work = Work { resource, definitions, budget: Budget::new(), steps: STEPS };
        for (index, operation) in self.operations.iter().enumerate() {
            work.operate(operation).and_then(|()| work.check_depth()).map_err(|kind| kind.of(index))?;
        }
        Ok(work.resource)
    }
}

fn operation<'a>(item: Value<'a>, definitions: &Definitions) -> Result<Operation<'a>, Kind> {
    let Value::Object(mut parameter) = item else {
        return Err(Kind::Structure("Parameters.parameter is a list of objects"));
    };
    if parameter.get("name").and_then(Value::as_str) != Some("operation") {
        return Err(Kind::Structure("each parameter of a FHIRPath Patch is called 'operation'"));
    }
    let Some(Value::Array(items)) = parameter.remove("part") else { return Err(Kind::Missing("part")) };
    let mut parts = Parts::default();
    for item in items {
        parts.read(item, definitions)?;
    }
    let kind = parts.text(0)?;
    let path = Expression::parse(&parts.text(1)?)?;
    let action = match kind.as_str() {
        "add" => Action::Add { name: parts.text(2)?, value: parts.value()? },
        "insert" => Action::Insert { index: parts.number(0)?, value: parts.value()? },
        "delete" => Action::Delete,
        "replace" => Action::Replace { value: parts.value()? },
        "move" => Action::Move { source: parts.number(1)?, destination: parts.number(2)? },
        _ => return Err(Kind::UnknownOperation(kind.chars().take(64).collect())),
    };
    parts.expect_used()?;
    Ok(Operation { path, action })
}

impl<'a> Parts<'a> {
    fn read(&mut self, item: Value<'a>, definitions: &Definitions) -> Result<(), Kind> {
        let Value::Object(mut part) = item else {
            return Err(Kind::Structure("the parts of an operation are objects"));
        };
        let name = part.get("name").and_then(Value::as_str).ok_or(Kind::Missing("name"))?.to_owned();
        let fault = |expected| Kind::Part { part: name.chars().take(64).collect(), expected };
        let once = || fault("given once");
        if let Some(index) = TEXTS.iter().position(|known| *known == name) {
            let text = ["valueString", "valueCode"].iter().find_map(|member| part.get(member)?.as_str());
            let text = text.ok_or_else(|| fault("a valueString or valueCode"))?.to_owned();
            return if self.texts[index].replace(text).is_some() { Err(once()) } else { Ok(()) };
        }
        if let Some(index) = NUMBERS.iter().position(|known| *known == name) {
            let number = integer(&part).ok_or_else(|| fault("a valueInteger that is not negative"))?;
            return if self.numbers[index].replace(number).is_some() { Err(once()) } else { Ok(()) };
        }
        if name != "value" {
            return Err(fault("one of type, path, name, value, index, source and destination"));
        }
        let given = Given::parse(&name, &mut part, definitions)?;
        if self.value.replace(given).is_some() { Err(once()) } else { Ok(()) }
    }

    fn text(&mut self, index: usize) -> Result<String, Kind> {
        self.texts[index].take().ok_or(Kind::Missing(TEXTS[index]))
    }

    fn number(&mut self, index: usize) -> Result<usize, Kind> {
        self.numbers[index].take().ok_or(Kind::Missing(NUMBERS[index]))
    }

    fn value(&mut self) -> Result<Given<'a>, Kind> {
        self.value.take().ok_or(Kind::Missing("value"))
    }

    /// Refuses parts that the operation has no use for, rather than leave them out.
    fn expect_used(&self) -> Result<(), Kind> {
        let texts = TEXTS.iter().zip(&self.texts).filter(|(_, left)| left.is_some());
        let numbers = NUMBERS.iter().zip(&self.numbers).filter(|(_, left)| left.is_some());
        let value = self.value.is_some().then_some("value");
        let left = texts.map(|(name, _)| *name).chain(numbers.map(|(name, _)| *name)).chain(value).next();
        match left {
            Some(part) => Err(Kind::Part { part: part.to_owned(), expected: "left out in this operation" }),
            None => Ok(()),
        }
    }
}

fn integer(part: &Object<'_>) -> Option<usize> {
    let number = ["valueInteger", "valueUnsignedInt", "valuePositiveInt"].iter().find_map(|name| part.get(name));
    usize::try_from(number?.as_i64()?).ok()
}

/// A resource being patched.
struct Work<'r, 'd> {
    resource: Value<'r>,
    definitions: &'d Definitions,
    budget: Budget,
    steps: u64,
}

impl<'r> Work<'r, '_> {
    fn operate<'a: 'r>(&mut self, operation: &Operation<'a>) -> Result<(), Kind> {
        match &operation.action {
            Action::Add { name, value } => self.add(&operation.path, name, value.clone()),
            Action::Insert { index, value } => self.insert(&operation.path, *index, value.clone()),
            Action::Delete => match self.places(&operation.path)?.as_slice() {
                [] => Ok(()),
                [(place, _)] => place.delete(&mut self.resource),
                several => Err(Kind::Several(several.len())),
            },
            Action::Replace { value } => self.replace(&operation.path, value.clone()),
            Action::Move { source, destination } => {
                let (place, length) = self.list(&operation.path)?.ok_or(Kind::NotFound("path"))?;
                for (position, name) in [(*source, "source"), (*destination, "destination")] {
                    if position >= length {
                        return Err(Kind::Index(name));
                    }
                }
                self.budget.scan(length)?;
                place.reorder(&mut self.resource, *source, *destination)
            }
        }
    }

    fn check_depth(&mut self) -> Result<(), Kind> {
        check_depth(0, self.budget.weigh(&self.resource)?)
    }

    /// Where the path leads, and whether to a primitive.
    fn places(&mut self, path: &Expression) -> Result<Vec<(Place, bool)>, Kind> {
        let environment = Environment::new(self.definitions).with_resource(&self.resource);
        let root = Node::resource(&self.resource, self.definitions);
        let items = path.evaluate_within(&environment, root, &mut self.steps)?;
        let mut places = Vec::new();
        for item in &items {
            let Item::Node(node) = item else { return Err(Kind::NoPlace) };
            places.push((Place::of(node, &self.resource, &mut self.budget)?, node.is_primitive()));
        }
        Ok(places)
    }

    /// The one element that the path leads to.
    fn single(&mut self, path: &Expression) -> Result<(Place, bool), Kind> {
        let mut places = self.places(path)?;
        match (places.len(), places.pop()) {
            (1, Some(place)) => Ok(place),
            (0, _) | (_, None) => Err(Kind::NotFound("path")),
            (several, _) => Err(Kind::Several(several)),
        }
    }

    /// The list that the path leads to, by its first item, and its length; None where it has no items.
    fn list(&mut self, path: &Expression) -> Result<Option<(Place, usize)>, Kind> {
        let places = self.places(path)?;
        let Some((first, _)) = places.first() else { return Ok(None) };
        let is_whole =
            places.iter().enumerate().all(|(index, (place, _))| place.index == Some(index) && place.is_beside(first));
        let length = value::list_length(first.parent(&mut self.resource)?, first.property()?)?;
        if is_whole && length == places.len() { Ok(Some((first.clone(), length))) } else { Err(Kind::NoList) }
    }

    fn add<'a: 'r>(&mut self, path: &Expression, name: &str, value: Given<'a>) -> Result<(), Kind> {
        let (place, is_primitive) = self.single(path)?;
        let (object, ty) = place.content(is_primitive, &mut self.resource, self.definitions)?;
        value::add(object, ty, name, value, self.definitions, &mut self.budget)
    }

    fn insert<'a: 'r>(&mut self, path: &Expression, index: usize, given: Given<'a>) -> Result<(), Kind> {
        if let Some((place, length)) = self.list(path)? {
            let definition = place.definition(&self.resource, self.definitions).ok_or(Kind::NoPlace)?;
            let (property, element) = given.place(definition, self.definitions, &mut self.budget)?;
            self.budget.scan(length)?;
            return value::insert(place.parent(&mut self.resource)?, &property, index, element);
        }
        // A list without items is not there: what would have it is.
        let (above, name) = path.split_last().ok_or(Kind::NotFound("path"))?;
        let (place, is_primitive) = self.single(&above)?;
        let (object, ty) = place.content(is_primitive, &mut self.resource, self.definitions)?;
        let definition = element_of(ty, name)?;
        if !definition.is_list() {
            return Err(Kind::NoList);
        }
        if index > 0 {
            return Err(Kind::Index("index"));
        }
        let (property, element) = given.place(definition, self.definitions, &mut self.budget)?;
        value::insert(object, &property, 0, element)
    }

    fn replace<'a: 'r>(&mut self, path: &Expression, value: Given<'a>) -> Result<(), Kind> {
        let (place, _) = self.single(path)?;
        place.property()?;
        let definition = place.definition(&self.resource, self.definitions).ok_or(Kind::NoPlace)?;
        let (property, element) = value.place(definition, self.definitions, &mut self.budget)?;
        place.replace(&mut self.resource, &property, element)
    }
}
