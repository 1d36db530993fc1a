//! Search values by the type of their parameter.
//!
//! Each `parse` takes one alternative of a value (after [`split_values`](super::split_values)), its
//! escapes still in it.
//!
//! Source: R4 search.html#token, #date, #number, #quantity, #reference, #string, #uri.

use super::split::{find_unescaped, split_unescaped, unescape};
use super::{Modifier, Prefix, RangeCondition, normalize_string, parse_prefixed};
use crate::datatypes::{DateTime, Decimal, Interval, Reference, is_id, sortable_f64};
use crate::search::SearchError;
use crate::units::Canonical;

fn refused(value: &str, expected: &'static str) -> SearchError {
    SearchError::Value { value: value.to_owned(), expected }
}

/// What a token search says of the system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum System {
    /// `code`: any, or none.
    Any,
    /// `|code`: no system.
    Absent,
    /// `system|…`: this one.
    Is(String),
}

/// A token: `code`, `system|code`, `|code` or `system|`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenQuery {
    /// The system asked for.
    pub system: System,
    /// The code asked for; `None` for `system|`: any.
    pub code: Option<String>,
}

impl TokenQuery {
    /// Reads a token.
    ///
    /// # Errors
    /// [`SearchError::Value`] where neither system nor code is given.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let given = |part: &str| Some(unescape(part).into_owned()).filter(|part| !part.is_empty());
        let (system, code) = match find_unescaped(text, '|') {
            None => (System::Any, given(text)),
            Some(at) => (given(&text[..at]).map_or(System::Absent, System::Is), given(&text[at + 1..])),
        };
        if code.is_none() && !matches!(system, System::Is(_)) {
            return Err(refused(text, "token"));
        }
        Ok(Self { system, code })
    }

    /// Whether a stored token is the one asked for. Codes compare to the letter.
    pub fn matches(&self, system: Option<&str>, code: Option<&str>) -> bool {
        let system_matches = match &self.system {
            System::Any => true,
            System::Absent => system.is_none(),
            System::Is(expected) => system == Some(expected),
        };
        system_matches && self.code.as_deref().is_none_or(|expected| code == Some(expected))
    }
}

/// An identifier by its type and value: `identifier:of-type=system|code|value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfTypeQuery {
    /// System of the identifier's type.
    pub system: String,
    /// Code of the identifier's type.
    pub code: String,
    /// Value of the identifier.
    pub value: String,
}

impl OfTypeQuery {
    /// Reads `system|code|value`.
    ///
    /// # Errors
    /// [`SearchError::Value`] where one of the three is missing.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let parts: Vec<String> = split_unescaped(text, '|').map(|part| unescape(part).into_owned()).collect();
        match <[String; 3]>::try_from(parts) {
            Ok([system, code, value]) if ![&system, &code, &value].iter().any(|part| part.is_empty()) => {
                Ok(Self { system, code, value })
            }
            _ => Err(refused(text, "system|code|value")),
        }
    }
}

/// A date with prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateQuery {
    /// How to compare.
    pub prefix: Prefix,
    /// The time that the value stands for, in microseconds since the epoch.
    pub interval: Interval<i64>,
}

impl DateQuery {
    /// Reads a date with an optional prefix.
    ///
    /// # Errors
    /// [`SearchError::Value`] where the rest is no date (see [`DateTime::parse_search`]).
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let (prefix, date) = parse_prefixed(text);
        let date = DateTime::parse_search(date).map_err(|_| refused(text, "date"))?;
        Ok(Self { prefix, interval: date.interval })
    }

    /// What it demands of a stored interval. `now` (microseconds since the epoch) matters to `ap`
    /// only, which widens the interval by a tenth of the gap between now and the date.
    pub fn condition(&self, now: i64) -> RangeCondition<i64> {
        let mut interval = self.interval;
        if self.prefix == Prefix::Ap {
            let gap = now.abs_diff(interval.low).min(now.abs_diff(interval.high));
            let widening = i64::try_from(gap / 10).unwrap_or(i64::MAX);
            interval.low = interval.low.saturating_sub(widening);
            interval.high = interval.high.saturating_add(widening);
        }
        RangeCondition::new(self.prefix, interval)
    }
}

/// A number with prefix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberQuery {
    /// How to compare.
    pub prefix: Prefix,
    /// The number, with the interval that its digits imply.
    pub number: Decimal,
}

impl NumberQuery {
    /// Reads a number with an optional prefix.
    ///
    /// # Errors
    /// [`SearchError::Value`] where the rest is no number.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let (prefix, number) = parse_prefixed(text);
        let number = Decimal::parse(number).map_err(|_| refused(text, "number"))?;
        Ok(Self { prefix, number })
    }

    /// What it demands of a stored number's [sortable](crate::search::NumericValue::sortable)
    /// interval: `eq` and `ne` take what the digits imply, `ap` a tenth of the value around that,
    /// and the others the number itself (R4 search.html#prefix).
    pub fn condition(&self) -> RangeCondition<i64> {
        self.of(self.around().unwrap_or_else(|| Interval::new(self.number.value, self.number.value.next_up())))
    }

    /// The same of a number in the canonical unit, where this one is in `unit`.
    pub fn condition_in(&self, unit: &Canonical) -> RangeCondition<i64> {
        let point = || {
            let value = unit.value(self.number.value);
            Interval::new(value, value.next_up())
        };
        self.of(self.around().map_or_else(point, |around| unit.interval(around)))
    }

    /// The interval around the number that counts as the number; none where it is meant to the last digit.
    fn around(&self) -> Option<Interval<f64>> {
        let (value, implied) = (self.number.value, self.number.implied);
        match self.prefix {
            Prefix::Eq | Prefix::Ne => Some(implied),
            Prefix::Ap => {
                let tenth = value.abs() / 10.0;
                Some(Interval::new(value - tenth, (value + tenth).next_up()).envelope(&implied))
            }
            _ => None,
        }
    }

    fn of(&self, interval: Interval<f64>) -> RangeCondition<i64> {
        RangeCondition::new(self.prefix, Interval::new(sortable_f64(interval.low), sortable_f64(interval.high)))
    }
}

/// A quantity: `number`, `number|system|code` or `number||code`.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantityQuery {
    /// The number and how to compare it.
    pub number: NumberQuery,
    /// The system of the unit, where given.
    pub system: Option<String>,
    /// The unit: with a system its code, otherwise its code or its printed form.
    pub code: Option<String>,
}

impl QuantityQuery {
    /// Reads a quantity with an optional prefix.
    ///
    /// # Errors
    /// [`SearchError::Value`] where it has not one or three parts or the first is no number.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let mut parts = split_unescaped(text, '|');
        let number = NumberQuery::parse(parts.next().unwrap_or("")).map_err(|_| refused(text, "quantity"))?;
        let given = |part: &str| Some(unescape(part).into_owned()).filter(|part| !part.is_empty());
        let (system, code) = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => (None, None),
            (Some(system), Some(code), None) => (given(system), given(code)),
            _ => return Err(refused(text, "quantity")),
        };
        Ok(Self { number, system, code })
    }
}

/// What a reference search points at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReferenceQuery {
    /// `23`: this id, of any of the parameter's target types.
    Id(String),
    /// `Patient/23`, `subject:Patient=23`, or an absolute URL below the server's base.
    Resource {
        /// `Patient`
        resource_type: String,
        /// `23`
        id: String,
    },
    /// Another URL, or a canonical with `|version`, whole.
    Url(String),
    /// `subject:identifier=system|value`
    Identifier(TokenQuery),
}

impl ReferenceQuery {
    /// Reads a reference; `base` is the server's own base URL. A version (`/_history/2`) is left out:
    /// R4 asks for none.
    ///
    /// # Errors
    /// [`SearchError::Value`] where the value is empty, or its type is not the modifier's.
    pub fn parse(text: &str, modifier: Option<&Modifier>, base: &str) -> Result<Self, SearchError> {
        if modifier == Some(&Modifier::Identifier) {
            return TokenQuery::parse(text).map(Self::Identifier);
        }
        let value = unescape(text);
        let expected = match modifier {
            Some(Modifier::Type(name)) => Some(name.as_str()),
            _ => None,
        };
        match (Reference::parse_below(&value, base), expected) {
            (Reference::Relative { resource_type, .. }, Some(expected)) if resource_type != expected => {
                Err(refused(text, "reference to the type that the modifier names"))
            }
            (Reference::Relative { resource_type, id, .. }, _) => {
                Ok(Self::Resource { resource_type: resource_type.to_owned(), id: id.to_owned() })
            }
            (Reference::Other(id), Some(expected)) if is_id(id) => {
                Ok(Self::Resource { resource_type: expected.to_owned(), id: id.to_owned() })
            }
            (Reference::Other(id), None) if is_id(id) => Ok(Self::Id(id.to_owned())),
            (Reference::Other(_) | Reference::Fragment(_) | Reference::Conditional { .. }, _) => {
                Err(refused(text, "reference"))
            }
            _ => Ok(Self::Url(value.into_owned())),
        }
    }
}

/// A string, as sent and as compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StringQuery {
    /// As sent, for `:exact`.
    pub exact: String,
    /// Normalised, for starts-with and `:contains`.
    pub normalized: String,
}

impl StringQuery {
    /// Reads a string.
    ///
    /// # Errors
    /// [`SearchError::Value`] where it is empty.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let exact = unescape(text).into_owned();
        let normalized = normalize_string(&exact);
        if normalized.is_empty() {
            return Err(refused(text, "string"));
        }
        Ok(Self { exact, normalized })
    }
}

/// A URI, to be compared to the letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UriQuery(pub String);

impl UriQuery {
    /// Reads a URI.
    ///
    /// # Errors
    /// [`SearchError::Value`] where it is empty.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let uri = unescape(text).into_owned();
        if uri.is_empty() { Err(refused(text, "uri")) } else { Ok(Self(uri)) }
    }
}

#[cfg(test)]
#[path = "values_tests.rs"]
mod tests;
