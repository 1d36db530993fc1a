//! The tree, run over a collection.
//!
//! Source: FHIRPath N1, sections 3 (paths), 5.1 to 5.9, 6; R4 fhirpath.html.

use std::borrow::Cow;

use super::ast::{Ast, Operator, TypeName};
use super::environment::Environment;
use super::error::FhirPathError;
use super::functions;
use super::item::{Item, Node, System};
use crate::definitions::Types;

pub(super) type Items<'a> = Vec<Item<'a>>;
pub(super) type Outcome<'a> = Result<Items<'a>, FhirPathError>;

/// What `$this`, `$index` and `$total` are.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a, 's> {
    pub this: &'s [Item<'a>],
    pub index: Option<usize>,
    pub total: &'s [Item<'a>],
}

/// One evaluation under way.
pub(super) struct Run<'a, 'e> {
    pub env: &'e Environment<'a>,
    pub types: &'a Types,
    pub now: Option<i64>,
    steps: u64,
    steps_left: u64,
}

/// A collection of one value.
pub(super) fn single<'a>(value: System<'a>) -> Items<'a> {
    vec![Item::System(value)]
}

/// A collection of one boolean, or the empty one.
pub(super) fn boolean<'a>(value: impl Into<Option<bool>>) -> Items<'a> {
    value.into().map(|value| Item::System(System::Boolean(value))).into_iter().collect()
}

/// The only item; None if there is none.
pub(super) fn only<'i, 'a>(items: &'i [Item<'a>], what: &str) -> Result<Option<&'i Item<'a>>, FhirPathError> {
    match items {
        [] => Ok(None),
        [item] => Ok(Some(item)),
        _ => Err(FhirPathError::execution(format!("{what} needs one item, and there are {}", items.len()))),
    }
}

/// The truth of a collection: a boolean says itself, any other single item is true (N1, 4.5).
pub(super) fn truth(items: &[Item<'_>], what: &str) -> Result<Option<bool>, FhirPathError> {
    Ok(only(items, what)?.map(|item| match item.system() {
        Some(System::Boolean(value)) => value,
        _ => true,
    }))
}

impl<'a, 'e> Run<'a, 'e> {
    pub fn new(env: &'e Environment<'a>, steps: u64) -> Self {
        Self { env, types: env.definitions().types(), now: env.now(), steps, steps_left: steps }
    }

    /// Steps that were not taken.
    pub fn steps_left(&self) -> u64 {
        self.steps_left
    }

    /// Counts steps, and stops where there are too many.
    pub fn charge(&mut self, steps: usize) -> Result<(), FhirPathError> {
        match self.steps_left.checked_sub(steps as u64) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(FhirPathError::TooCostly(self.steps)),
        }
    }

    /// Evaluates `ast`.
    pub fn eval(&mut self, ast: &'a Ast, scope: Scope<'a, '_>) -> Outcome<'a> {
        self.charge(1)?;
        match ast {
            Ast::Empty => Ok(Vec::new()),
            Ast::Literal(value) => Ok(single(value.borrowed())),
            Ast::Variable(name) => self.env.variable(name),
            Ast::This => Ok(scope.this.to_vec()),
            Ast::Index => Ok(scope.index.map(|index| System::Integer(index as i64).into()).into_iter().collect()),
            Ast::Total => Ok(scope.total.to_vec()),
            Ast::Member(None, name) => self.first_member(name, scope),
            Ast::Member(Some(on), name) => {
                let items = self.eval(on, scope)?;
                self.check_cast(on, name, &items)?;
                self.member(&items, name)
            }
            Ast::Call(on, call) => {
                let input = match on {
                    Some(on) => self.eval(on, scope)?,
                    None => scope.this.to_vec(),
                };
                if let (Some(on), true) = (on, call.function.needs_order()) {
                    self.check_order(on)?;
                }
                functions::call(self, call, input, scope)
            }
            Ast::Indexer(on, index) => self.indexer(on, index, scope),
            Ast::Negate(operand) => {
                let items = self.eval(operand, scope)?;
                self.negate(&items)
            }
            Ast::Plus(operand) => {
                let items = self.eval(operand, scope)?;
                self.negate(&items)?;
                Ok(items)
            }
            Ast::Is(on, name) => {
                let items = self.eval(on, scope)?;
                self.is(&items, name)
            }
            Ast::As(on, name) => {
                let items = self.eval(on, scope)?;
                only(&items, "as")?;
                self.of_type(items, name)
            }
            Ast::Binary(operator, left, right) => self.binary(*operator, left, right, scope),
        }
    }

    /// Evaluates `ast` for one item, as the criteria of `where` are.
    pub fn eval_item(&mut self, ast: &'a Ast, item: &Item<'a>, index: usize, scope: Scope<'a, '_>) -> Outcome<'a> {
        let this = std::slice::from_ref(item);
        self.eval(ast, Scope { this, index: Some(index), total: scope.total })
    }

    /// The first name of a path: an element of the focus, or the focus itself by its type.
    fn first_member(&mut self, name: &'a str, scope: Scope<'a, '_>) -> Outcome<'a> {
        let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
        if is_type && scope.this.iter().any(|item| item.is(None, name, self.types)) {
            return Ok(scope.this.to_vec());
        }
        self.member(scope.this, name)
    }

    /// The elements `name` of all items.
    pub fn member(&mut self, items: &[Item<'a>], name: &'a str) -> Outcome<'a> {
        let mut out = Vec::new();
        for item in items {
            match item {
                Item::Node(node) => {
                    let known = node.children(name, self.types, &mut out);
                    if !known && self.env.is_strict() {
                        let ty = item.type_info().name;
                        return Err(FhirPathError::semantic(format!("{ty} has no element {name:?}")));
                    }
                }
                Item::Type(info) => match name {
                    "namespace" => out.push(System::String(info.namespace.into()).into()),
                    "name" => out.push(System::String(info.name.clone()).into()),
                    _ => {}
                },
                Item::System(_) => {}
            }
        }
        self.charge(items.len() + out.len())?;
        Ok(out)
    }

    /// Where elements are checked: what a cast leads to must have the element, items or none.
    fn check_cast(&self, on: &Ast, name: &str, items: &[Item<'a>]) -> Result<(), FhirPathError> {
        let Ast::As(_, ty) = on else { return Ok(()) };
        if !self.env.is_strict() || !items.is_empty() {
            return Ok(());
        }
        match self.types.get(&ty.name) {
            Some(definition) if definition.element(name).is_none() => {
                Err(FhirPathError::semantic(format!("{} has no element {name:?}", ty.name)))
            }
            _ => Ok(()),
        }
    }

    /// Where elements are checked: what asks for an order must not stand on what has none.
    fn check_order(&self, on: &Ast) -> Result<(), FhirPathError> {
        match on {
            Ast::Call(_, call) if self.env.is_strict() && call.function.is_unordered() => {
                Err(FhirPathError::semantic("the items have no order"))
            }
            _ => Ok(()),
        }
    }

    fn indexer(&mut self, on: &'a Ast, index: &'a Ast, scope: Scope<'a, '_>) -> Outcome<'a> {
        let items = self.eval(on, scope)?;
        self.check_order(on)?;
        let index = self.eval(index, scope)?;
        match only(&index, "an index")?.map(Item::system) {
            None => Ok(Vec::new()),
            Some(Some(System::Integer(index))) => {
                let index = usize::try_from(index).ok();
                Ok(index.and_then(|index| items.into_iter().nth(index)).into_iter().collect())
            }
            Some(_) => Err(FhirPathError::execution("an index must be an integer")),
        }
    }

    /// Whether the single item is of a type.
    pub fn is(&mut self, items: &[Item<'a>], name: &TypeName) -> Outcome<'a> {
        let item = only(items, "is")?;
        Ok(boolean(item.map(|item| item.is(name.namespace.as_deref(), &name.name, self.types))))
    }

    /// Those items that are of a type.
    pub fn of_type(&mut self, items: Items<'a>, name: &TypeName) -> Outcome<'a> {
        const SYSTEM: [&str; 8] = ["Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"];
        let known = match name.namespace.as_deref() {
            None => SYSTEM.contains(&name.name.as_str()) || self.types.get(&name.name).is_some(),
            Some("System") => SYSTEM.contains(&name.name.as_str()),
            Some("FHIR") => self.types.get(&name.name).is_some(),
            Some(_) => false,
        };
        if !known {
            return Err(FhirPathError::semantic(format!("there is no type {}", name.name)));
        }
        let casts = |item: &Item<'a>| item.casts_to(name.namespace.as_deref(), &name.name, self.types);
        Ok(items.into_iter().filter(casts).collect())
    }

    fn binary(&mut self, operator: Operator, left: &'a Ast, right: &'a Ast, scope: Scope<'a, '_>) -> Outcome<'a> {
        use Operator::*;
        let left = self.eval(left, scope)?;
        if matches!(operator, And | Or | Xor | Implies) {
            return self.logic(operator, &left, right, scope);
        }
        let right = self.eval(right, scope)?;
        match operator {
            Equal => Ok(boolean(self.equal(&left, &right)?)),
            NotEqual => Ok(boolean(self.equal(&left, &right)?.map(|equal| !equal))),
            Equivalent => Ok(boolean(self.equivalent(&left, &right)?)),
            NotEquivalent => Ok(boolean(!self.equivalent(&left, &right)?)),
            Union => self.distinct(left.into_iter().chain(right).collect()),
            In => self.contains(&right, &left),
            Contains => self.contains(&left, &right),
            Less | LessOrEqual | Greater | GreaterOrEqual => self.inequality(operator, &left, &right),
            _ => self.arithmetic(operator, &left, &right),
        }
    }

    /// Three-valued logic; the right side is not looked at where the left one decides (N1, 6.5).
    fn logic(&mut self, operator: Operator, left: &[Item<'a>], right: &'a Ast, scope: Scope<'a, '_>) -> Outcome<'a> {
        let left = truth(left, operator.sign())?;
        match (operator, left) {
            (Operator::And, Some(false)) => return Ok(boolean(false)),
            (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => return Ok(boolean(true)),
            _ => {}
        }
        let right = self.eval(right, scope)?;
        let right = truth(&right, operator.sign())?;
        Ok(boolean(match operator {
            Operator::And if right == Some(false) => Some(false),
            Operator::Or | Operator::Implies if right == Some(true) => Some(true),
            Operator::Xor => left.zip(right).map(|(left, right)| left != right),
            // The left side is true for `and` and `implies`, false for `or`, or not known.
            _ => left.and(right),
        }))
    }

    /// `contains`, and `in` the other way round.
    fn contains(&mut self, items: &[Item<'a>], item: &[Item<'a>]) -> Outcome<'a> {
        match only(item, "membership")? {
            None => Ok(Vec::new()),
            Some(item) => Ok(boolean(self.holds(items, item)?)),
        }
    }

    /// Whether an item equal to `item` is among `items`.
    pub fn holds(&mut self, items: &[Item<'a>], item: &Item<'a>) -> Result<bool, FhirPathError> {
        for other in items {
            if self.equal_items(other, item)? == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Without repetitions, in the order of first occurrence.
    pub fn distinct(&mut self, items: Items<'a>) -> Outcome<'a> {
        self.charge(items.len())?;
        if let Some(distinct) = distinct_texts(&items) {
            return Ok(distinct);
        }
        let mut out: Items<'a> = Vec::new();
        for item in items {
            if !self.holds(&out, &item)? {
                out.push(item);
            }
        }
        Ok(out)
    }

    /// The resource that the node is, or is in, where it is the root.
    pub fn root(&self) -> Option<Node<'a>> {
        self.env.root()
    }
}

/// As [`Run::distinct`], by hash, where all items are strings.
fn distinct_texts<'a>(items: &Items<'a>) -> Option<Items<'a>> {
    let texts: Option<Vec<Cow<'a, str>>> = items
        .iter()
        .map(|item| match item.system() {
            Some(System::String(text)) => Some(text),
            _ => None,
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    let firsts = texts?.into_iter().map(|text| seen.insert(text)).collect::<Vec<_>>();
    Some(items.iter().zip(firsts).filter(|(_, first)| *first).map(|(item, _)| item.clone()).collect())
}
