//! What a resource offers to search: SearchParameters compiled to walkers, and the values they find.
//!
//! Source: R4 search.html; searchparameter.html.

mod key;

pub use key::Key;

use crate::datatypes::Interval;

/// The type of a search parameter (R4 valueset-search-param-type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum ParameterType {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

/// One value that a search parameter finds in a resource. Borrows from the resource.
#[derive(Debug, Clone, PartialEq)]
pub enum SearchValue<'a> {
    /// A coded value, identifier, boolean, or contact point. `system` is `None` where there is none;
    /// for `code` elements it is the system implied by the required binding, if there is one.
    Token {
        /// The code system or namespace.
        system: Option<&'a str>,
        /// The code or value; `None` when only a system or text is there.
        code: Option<&'a str>,
        /// `Coding.display`, `CodeableConcept.text` or `Identifier.type.text`, for `:text`.
        text: Option<&'a str>,
    },
    /// A string as written (not normalised).
    String(&'a str),
    /// A date, dateTime, instant, Period or Timing, as a half-open interval of microseconds since
    /// 1970-01-01T00:00:00Z.
    Date(Interval<i64>),
    /// A number with the interval its written precision implies.
    Number(NumericValue),
    /// A quantity; `system`/`code` may be absent; `unit` is the printed unit.
    Quantity {
        /// The value and the interval its precision implies.
        value: NumericValue,
        /// `Quantity.system`
        system: Option<&'a str>,
        /// `Quantity.code`
        code: Option<&'a str>,
        /// `Quantity.unit`
        unit: Option<&'a str>,
    },
    /// A reference to a resource, by type and id where it is one of ours (relative, or absolute
    /// below the server's base), else by its whole URL.
    Reference {
        /// Resource type named by the reference (or by `Reference.type`), if known.
        resource_type: Option<&'a str>,
        /// Logical id, for relative references.
        id: Option<&'a str>,
        /// The reference as written (absolute URL, canonical without version, or `Type/id`).
        url: Option<&'a str>,
        /// `Reference.identifier` as (system, value), for `:identifier`.
        identifier: Option<(Option<&'a str>, &'a str)>,
    },
    /// A uri, url, canonical, oid or uuid.
    Uri(&'a str),
    /// The component values of one composite match, in component order.
    Composite(Vec<SearchValue<'a>>),
    /// `Location.position`: latitude and longitude in degrees.
    Position {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
    },
}

/// A number as stored and as the interval of values its written precision stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumericValue {
    /// The number itself.
    pub value: f64,
    /// `[value - half a unit of the last digit, value + half)`; equal ends for ranges given exactly.
    pub interval: Interval<f64>,
}
