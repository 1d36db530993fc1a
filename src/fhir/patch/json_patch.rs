//! JSON Patch (RFC 6902).

use super::budget::{Budget, MAX_OPERATIONS, check_depth};
use super::equality::same;
use super::error::{PatchError, PatchErrorKind as Kind};
use super::pointer::{Holder, Pointer};
use crate::json::{Object, Value};

/// A JSON Patch: operations on a JSON document, in order, all or none.
#[derive(Debug, Clone)]
pub struct JsonPatch<'a> {
    operations: Vec<Operation<'a>>,
}

#[derive(Debug, Clone)]
enum Operation<'a> {
    Add(Pointer, Value<'a>),
    Remove(Pointer),
    Replace(Pointer, Value<'a>),
    Move(Pointer, Pointer),
    Copy(Pointer, Pointer),
    Test(Pointer, Value<'a>),
}

impl<'a> JsonPatch<'a> {
    /// Reads a patch from its JSON form.
    ///
    /// # Errors
    /// [`PatchError`] with status 400 for what is no JSON Patch, 422 for one with too many operations.
    pub fn parse(document: Value<'a>) -> Result<Self, PatchError> {
        let Value::Array(items) = document else {
            return Err(Kind::Structure("a JSON Patch is an array of operations").into());
        };
        if items.len() > MAX_OPERATIONS {
            return Err(Kind::TooCostly.into());
        }
        let read = |(index, item)| Operation::parse(item).map_err(|kind| kind.of(index));
        let operations = items.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Self { operations })
    }

    /// Applies the patch to a document. The document is any JSON; numbers keep their digits, members
    /// their order, new members come last.
    ///
    /// # Errors
    /// [`PatchError`], mostly with status 422, at the first operation that cannot be done.
    pub fn apply<'r>(&self, document: Value<'r>) -> Result<Value<'r>, PatchError>
    where
        'a: 'r,
    {
        let (mut document, mut budget) = (document, Budget::new());
        for (index, operation) in self.operations.iter().enumerate() {
            operation.apply(&mut document, &mut budget).map_err(|kind| kind.of(index))?;
        }
        Ok(document)
    }

    /// Whether it brings in arrays or objects with nothing in them.
    pub(super) fn brings_empty(&self) -> bool {
        self.operations.iter().any(|operation| match operation {
            Operation::Add(_, value) | Operation::Replace(_, value) => has_empty(value),
            _ => false,
        })
    }
}

fn has_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty),
        Value::Object(members) => members.is_empty() || members.iter().any(|(_, value)| has_empty(value)),
        _ => false,
    }
}

impl<'a> Operation<'a> {
    fn parse(item: Value<'a>) -> Result<Self, Kind> {
        let Value::Object(mut members) = item else {
            return Err(Kind::Structure("an operation of a JSON Patch is an object"));
        };
        let name = text(&members, "op")?.to_owned();
        let path = Pointer::parse(text(&members, "path")?, "path")?;
        let from = |members: &Object<'a>| Pointer::parse(text(members, "from")?, "from");
        let mut value = || members.remove("value").ok_or(Kind::Missing("value"));
        match name.as_str() {
            "add" => Ok(Self::Add(path, value()?)),
            "remove" => Ok(Self::Remove(path)),
            "replace" => Ok(Self::Replace(path, value()?)),
            "test" => Ok(Self::Test(path, value()?)),
            "copy" => Ok(Self::Copy(from(&members)?, path)),
            "move" => {
                let from = from(&members)?;
                if from.holds(&path) { Err(Kind::IntoItself) } else { Ok(Self::Move(from, path)) }
            }
            _ => Err(Kind::UnknownOperation(name.chars().take(64).collect())),
        }
    }

    fn apply<'r>(&self, document: &mut Value<'r>, budget: &mut Budget) -> Result<(), Kind>
    where
        'a: 'r,
    {
        match self {
            Self::Add(path, value) => add(document, path, value.clone(), budget),
            Self::Remove(path) => remove(document, path, budget).map(drop),
            Self::Replace(path, value) => {
                check_depth(path.depth(), budget.weigh(value)?)?;
                *existing(document, path, budget)? = value.clone();
                Ok(())
            }
            Self::Move(from, path) if from == path => from.get(document, budget).map(drop),
            Self::Move(from, path) => {
                let value = remove(document, from, budget)?;
                add(document, path, value, budget)
            }
            Self::Copy(from, path) => {
                // Weighed before it is copied, so that a refused copy costs no memory.
                let value = from.get(document, budget)?;
                check_depth(path.depth(), budget.weigh(value)?)?;
                let value = value.clone();
                add(document, path, value, budget)
            }
            Self::Test(path, value) => {
                budget.weigh(value)?;
                if same(path.get(document, budget)?, value) { Ok(()) } else { Err(Kind::TestFailed) }
            }
        }
    }
}

fn text<'m>(members: &'m Object<'_>, part: &'static str) -> Result<&'m str, Kind> {
    let value = members.get(part).ok_or(Kind::Missing(part))?;
    value.as_str().ok_or_else(|| Kind::Part { part: part.to_owned(), expected: "a string" })
}

fn add<'r>(document: &mut Value<'r>, path: &Pointer, value: Value<'r>, budget: &mut Budget) -> Result<(), Kind> {
    check_depth(path.depth(), budget.weigh(&value)?)?;
    if path.is_root() {
        *document = value;
        return Ok(());
    }
    match path.holder(document, budget)? {
        (Holder::Object(members), name) => {
            members.set(name.to_owned(), value);
        }
        (Holder::Array(items), "-") => items.push(value),
        (Holder::Array(items), token) => {
            let index = path.index(token)?;
            if index > items.len() {
                return Err(Kind::Index("path"));
            }
            items.insert(index, value);
        }
    }
    Ok(())
}

fn remove<'r>(document: &mut Value<'r>, path: &Pointer, budget: &mut Budget) -> Result<Value<'r>, Kind> {
    // Says which of the two pointers it is that leads nowhere.
    path.get(document, budget)?;
    let removed = match path.holder(document, budget)? {
        (Holder::Object(members), name) => members.remove(name),
        (Holder::Array(items), token) => {
            let index = path.index(token)?;
            (index < items.len()).then(|| items.remove(index))
        }
    };
    removed.ok_or(Kind::NotFound("path"))
}

fn existing<'v, 'r>(
    document: &'v mut Value<'r>,
    path: &Pointer,
    budget: &mut Budget,
) -> Result<&'v mut Value<'r>, Kind> {
    if path.is_root() {
        return Ok(document);
    }
    let found = match path.holder(document, budget)? {
        (Holder::Object(members), name) => members.get_mut(name),
        (Holder::Array(items), token) => {
            let index = path.index(token)?;
            items.get_mut(index)
        }
    };
    found.ok_or(Kind::NotFound("path"))
}
