//! Equality, order and arithmetic.
//!
//! Source: FHIRPath N1, sections 6.1, 6.2, 6.6.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::ast::Operator;
use super::error::FhirPathError;
use super::evaluate::{Items, Outcome, Run, boolean, only, single};
use super::item::{Item, Node, System};
use super::quantity::{Quantity, decimals_equivalent, parse_decimal};
use super::temporal::Temporal;
use crate::json::Value;

/// The longest string that an expression may make, in bytes.
pub(super) const MAX_TEXT: usize = 16 * 1024 * 1024;

impl<'a> Run<'a, '_> {
    /// `=`: None where either is empty, or what is compared leaves it open.
    pub fn equal(&mut self, left: &[Item<'a>], right: &[Item<'a>]) -> Result<Option<bool>, FhirPathError> {
        if left.is_empty() || right.is_empty() {
            return Ok(None);
        }
        if left.len() != right.len() {
            return Ok(Some(false));
        }
        let mut all = Some(true);
        for (left, right) in left.iter().zip(right) {
            match self.equal_items(left, right)? {
                Some(true) => {}
                Some(false) => return Ok(Some(false)),
                None => all = None,
            }
        }
        Ok(all)
    }

    pub fn equal_items(&mut self, left: &Item<'a>, right: &Item<'a>) -> Result<Option<bool>, FhirPathError> {
        self.charge(1)?;
        if let (Item::Node(left), Item::Node(right)) = (left, right)
            && !(left.is_primitive() && right.is_primitive() && left.value.is_some() && right.value.is_some())
        {
            return self.equal_nodes(left, right).map(Some);
        }
        match (left.system(), right.system()) {
            (Some(left), Some(right)) => Ok(equal_values(&left, &right)),
            _ => Ok(Some(false)),
        }
    }

    fn equal_nodes(&mut self, left: &Node<'a>, right: &Node<'a>) -> Result<bool, FhirPathError> {
        Ok(self.equal_json(left.value, right.value)? && self.equal_json(left.sibling, right.sibling)?)
    }

    /// Whether two JSON values say the same, whatever the order of members.
    fn equal_json(&mut self, left: Option<&Value<'_>>, right: Option<&Value<'_>>) -> Result<bool, FhirPathError> {
        self.charge(1)?;
        let (Some(left), Some(right)) = (left, right) else {
            return Ok(left.is_none() && right.is_none());
        };
        match (left, right) {
            (Value::Object(left), Value::Object(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (name, value) in left.iter() {
                    let other = right.get(name);
                    if other.is_none() || !self.equal_json(Some(value), other)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Array(left), Value::Array(right)) => {
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (left, right) in left.iter().zip(right) {
                    if !self.equal_json(Some(left), Some(right))? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Number(left), Value::Number(right)) if left != right => {
                Ok(parse_decimal(left).is_some_and(|number| parse_decimal(right) == Some(number)))
            }
            (left, right) => Ok(left == right),
        }
    }

    /// `~`: as sets, strings without regard to case and white space, numbers to the lesser precision.
    pub fn equivalent(&mut self, left: &[Item<'a>], right: &[Item<'a>]) -> Result<bool, FhirPathError> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut rest: Vec<&Item<'a>> = right.iter().collect();
        for item in left {
            let mut found = None;
            for (index, other) in rest.iter().enumerate() {
                if self.equivalent_items(item, other)? {
                    found = Some(index);
                    break;
                }
            }
            match found {
                Some(index) => rest.swap_remove(index),
                None => return Ok(false),
            };
        }
        Ok(true)
    }

    fn equivalent_items(&mut self, left: &Item<'a>, right: &Item<'a>) -> Result<bool, FhirPathError> {
        self.charge(1)?;
        if let (Some(left), Some(right)) = (left.system(), right.system()) {
            return Ok(equivalent_values(&left, &right));
        }
        let (Item::Node(left), Item::Node(right)) = (left, right) else { return Ok(false) };
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        left.all_children(self.types, &mut ours);
        right.all_children(self.types, &mut theirs);
        if ours.is_empty() && theirs.is_empty() {
            return self.equal_nodes(left, right);
        }
        self.equivalent(&ours, &theirs)
    }

    /// `<`, `<=`, `>`, `>=`.
    pub fn inequality(&mut self, operator: Operator, left: &[Item<'a>], right: &[Item<'a>]) -> Outcome<'a> {
        let sign = operator.sign();
        let (Some(left), Some(right)) = (only(left, sign)?, only(right, sign)?) else { return Ok(Vec::new()) };
        let order = match (left.system(), right.system()) {
            (Some(left), Some(right)) => compare_values(&left, &right)?,
            _ => return Err(FhirPathError::execution(format!("{sign} compares values, not elements with parts"))),
        };
        Ok(boolean(order.map(|order| match operator {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            _ => order.is_ge(),
        })))
    }

    pub fn negate(&mut self, items: &[Item<'a>]) -> Outcome<'a> {
        let Some(item) = only(items, "a sign")? else { return Ok(Vec::new()) };
        Ok(single(match item.system() {
            Some(System::Integer(number)) => System::Integer(number.saturating_neg()),
            Some(System::Decimal(number)) => System::Decimal(-number),
            Some(System::Quantity(quantity)) => System::Quantity(Quantity { value: -quantity.value, ..quantity }),
            _ => return Err(FhirPathError::execution("a sign needs a number or quantity")),
        }))
    }

    /// `+ - * / div mod &`
    pub fn arithmetic(&mut self, operator: Operator, left: &[Item<'a>], right: &[Item<'a>]) -> Outcome<'a> {
        let sign = operator.sign();
        let (left, right) = (only(left, sign)?, only(right, sign)?);
        if operator == Operator::Concatenate {
            let text = |item: Option<&Item<'a>>| match item.map(Item::system) {
                None => Ok(String::new()),
                Some(Some(System::String(text))) => Ok(text.into_owned()),
                Some(_) => Err(FhirPathError::execution("& joins strings")),
            };
            return self.joined(&[text(left)?, text(right)?]);
        }
        let (Some(left), Some(right)) = (left, right) else { return Ok(Vec::new()) };
        let unfit = || {
            let (left, right) = (left.type_info().name, right.type_info().name);
            FhirPathError::execution(format!("{sign} is not defined for {left} and {right}"))
        };
        let (left, right) = (left.system().ok_or_else(unfit)?, right.system().ok_or_else(unfit)?);
        let value = match (&left, &right) {
            (System::String(left), System::String(right)) if operator == Operator::Add => {
                return self.joined(&[left, right]);
            }
            (System::Integer(left), System::Integer(right)) => integers(operator, *left, *right),
            (System::Temporal(date), System::Quantity(quantity)) => Ok(moved(operator, date, quantity)?),
            (System::Quantity(_), _) | (_, System::Quantity(_)) => {
                let (left, right) = (left.quantity().ok_or_else(unfit)?, right.quantity().ok_or_else(unfit)?);
                quantities(operator, &left, &right)
            }
            _ => decimals(operator, left.decimal().ok_or_else(unfit)?, right.decimal().ok_or_else(unfit)?),
        };
        Ok(value.map_err(|()| unfit())?.map(Item::System).into_iter().collect())
    }

    /// The parts as one string, if that is not too long.
    pub fn joined(&mut self, parts: &[impl AsRef<str>]) -> Outcome<'a> {
        let length = parts.iter().map(|part| part.as_ref().len()).sum::<usize>();
        self.charge_text(length)?;
        let mut text = String::with_capacity(length);
        text.extend(parts.iter().map(AsRef::as_ref));
        Ok(single(System::String(text.into())))
    }

    /// Counts the making of a string.
    pub fn charge_text(&mut self, length: usize) -> Result<(), FhirPathError> {
        if length > MAX_TEXT {
            return Err(FhirPathError::execution(format!("a string would be longer than {MAX_TEXT} bytes")));
        }
        self.charge(1 + length / 16)
    }
}

/// `=` of two values.
fn equal_values(left: &System<'_>, right: &System<'_>) -> Option<bool> {
    match (left, right) {
        (System::Temporal(left), System::Temporal(right)) => match left.compare(right) {
            Ok(order) => order.map(Ordering::is_eq),
            Err(()) => Some(false),
        },
        (System::Quantity(_), _) | (_, System::Quantity(_)) => match (left.quantity(), right.quantity()) {
            (Some(left), Some(right)) => left.compare(&right).map(Ordering::is_eq),
            _ => Some(false),
        },
        (System::String(left), System::String(right)) => Some(left == right),
        (System::Boolean(left), System::Boolean(right)) => Some(left == right),
        _ => match (left.decimal(), right.decimal()) {
            (Some(left), Some(right)) => Some(left == right),
            _ => Some(false),
        },
    }
}

fn equivalent_values(left: &System<'_>, right: &System<'_>) -> bool {
    match (left, right) {
        (System::String(left), System::String(right)) => {
            let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
            words(left) == words(right)
        }
        (System::Temporal(left), System::Temporal(right)) => matches!(left.compare(right), Ok(Some(Ordering::Equal))),
        (System::Quantity(_), _) | (_, System::Quantity(_)) => match (left.quantity(), right.quantity()) {
            (Some(left), Some(right)) => left.equivalent(&right),
            _ => false,
        },
        _ => match (left.decimal(), right.decimal()) {
            (Some(left), Some(right)) => decimals_equivalent(left, right),
            _ => equal_values(left, right) == Some(true),
        },
    }
}

/// The order of two values; None where it is open.
///
/// # Errors
/// Where values of these types have no order.
pub(super) fn compare_values(left: &System<'_>, right: &System<'_>) -> Result<Option<Ordering>, FhirPathError> {
    let unfit = || {
        let (left, right) = (left.type_name(), right.type_name());
        FhirPathError::execution(format!("{left} and {right} have no order"))
    };
    match (left, right) {
        (System::String(left), System::String(right)) => Ok(Some(left.cmp(right))),
        (System::Temporal(a), System::Temporal(b)) => a.compare(b).map_err(|()| unfit()),
        (System::Quantity(_), _) | (_, System::Quantity(_)) => {
            let (left, right) = (left.quantity().ok_or_else(unfit)?, right.quantity().ok_or_else(unfit)?);
            Ok(left.compare(&right))
        }
        _ => {
            let (left, right) = (left.decimal().ok_or_else(unfit)?, right.decimal().ok_or_else(unfit)?);
            Ok(Some(left.cmp(&right)))
        }
    }
}

/// The result, if there is one; Err where the operator is not defined for the types.
type Arithmetic = Result<Option<System<'static>>, ()>;

fn integers(operator: Operator, left: i64, right: i64) -> Arithmetic {
    let number = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Div => left.checked_div(right),
        Operator::Mod => left.checked_rem(right),
        _ => return decimals(operator, left.into(), right.into()),
    };
    Ok(number.map(System::Integer))
}

fn decimals(operator: Operator, left: Decimal, right: Decimal) -> Arithmetic {
    let number = match operator {
        Operator::Add => left.checked_add(right),
        Operator::Subtract => left.checked_sub(right),
        Operator::Multiply => left.checked_mul(right),
        Operator::Divide => left.checked_div(right),
        Operator::Mod => left.checked_rem(right),
        Operator::Div => {
            let whole = left.checked_div(right).and_then(|quotient| quotient.trunc().to_i64());
            return Ok(whole.map(System::Integer));
        }
        _ => return Err(()),
    };
    Ok(number.map(System::Decimal))
}

fn quantities(operator: Operator, left: &Quantity, right: &Quantity) -> Arithmetic {
    Ok(match operator {
        Operator::Add => left.add(right, false),
        Operator::Subtract => left.add(right, true),
        Operator::Multiply => left.multiply(right, false),
        Operator::Divide => left.multiply(right, true),
        _ => return Err(()),
    }
    .map(System::Quantity))
}

/// A date or time moved by a quantity of time; fractions of a unit do not count.
fn moved(operator: Operator, date: &Temporal, quantity: &Quantity) -> Result<Option<System<'static>>, FhirPathError> {
    let unit = quantity.calendar_step();
    let (Some(unit), Operator::Add | Operator::Subtract) = (unit, operator) else {
        return Err(FhirPathError::execution(format!("a date or time cannot be moved by {quantity}")));
    };
    let Some(amount) = quantity.value.trunc().to_i64() else { return Ok(None) };
    let amount = if operator == Operator::Add { amount } else { amount.saturating_neg() };
    Ok(date.add(amount, unit).map(System::Temporal))
}

/// All items as text, for joins; elements with parts have none.
pub(super) fn texts<'a>(items: &Items<'a>) -> Result<Vec<std::borrow::Cow<'a, str>>, FhirPathError> {
    let text = |item: &Item<'a>| match item.system() {
        Some(System::String(text)) => Ok(text),
        _ => Err(FhirPathError::execution("this needs strings")),
    };
    items.iter().map(text).collect()
}
