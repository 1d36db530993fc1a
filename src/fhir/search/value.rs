//! What a search parameter finds in a resource.

use crate::datatypes::{Interval, sortable_f64};
use crate::units::Canonical;

/// One value that a search parameter finds in a resource. Borrows from the resource, and from the
/// [`ParameterTable`](super::ParameterTable) for implied systems.
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
    /// An Identifier whose type is coded, for `:of-type`; comes beside its `Token`, once a coding.
    OfType {
        /// `Identifier.type.coding.system`
        system: Option<&'a str>,
        /// `Identifier.type.coding.code`
        code: &'a str,
        /// `Identifier.value`
        value: &'a str,
    },
    /// A string as written (not normalised).
    String(&'a str),
    /// A date, dateTime, instant, Period or Timing, as a half-open interval of microseconds since
    /// 1970-01-01T00:00:00Z.
    Date(Interval<i64>),
    /// A number or a Range.
    Number(NumericValue),
    /// A quantity; `system`/`code` may be absent; `unit` is the printed unit.
    Quantity {
        /// The value.
        value: NumericValue,
        /// `Quantity.system`
        system: Option<&'a str>,
        /// `Quantity.code`
        code: Option<&'a str>,
        /// `Quantity.unit`
        unit: Option<&'a str>,
    },
    /// A reference to a resource, by type and id where it is one of ours (relative, or absolute
    /// below the server's base), else by its whole URL. A canonical with a version comes twice: as
    /// `url` and as `url|version`.
    Reference {
        /// Resource type named by the reference (or by `Reference.type`), if known.
        resource_type: Option<&'a str>,
        /// Logical id, for resources on this server.
        id: Option<&'a str>,
        /// The reference as written, without `/_history/…` for resources on this server. Absent
        /// where there is an identifier only.
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

/// A number as the resource states it: a point, or a range for a `Range` or a comparator.
///
/// Stored numbers are points whatever their digits: R4 search.html#number lets the precision of the
/// *search* value decide ("`100` … values in the range [99.5, 100.5)").
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumericValue {
    /// The number itself; NaN for a range.
    pub value: f64,
    /// The doubles it covers: `[value, next double)` for a point; infinite ends are open.
    pub interval: Interval<f64>,
}

impl NumericValue {
    /// Just `value`.
    pub fn point(value: f64) -> Self {
        Self { value, interval: Interval::new(value, value.next_up()) }
    }

    /// From `low` up to and including `high`; `None` is open.
    pub fn range(low: Option<f64>, high: Option<f64>) -> Self {
        let low = low.unwrap_or(f64::NEG_INFINITY);
        let high = high.map_or(f64::INFINITY, f64::next_up);
        Self { value: f64::NAN, interval: Interval::new(low, high) }
    }

    /// The same in the canonical unit, where this one is in `unit`.
    pub fn in_canonical(&self, unit: &Canonical) -> Self {
        let end = |value: f64| value.is_finite().then(|| unit.value(value));
        match self.value.is_nan() {
            true => Self::range(end(self.interval.low), end(self.interval.high.next_down())),
            false => Self::point(unit.value(self.value)),
        }
    }

    /// The interval as it stands in index columns (see [`sortable_f64`]).
    pub fn sortable(&self) -> Interval<i64> {
        Interval::new(sortable_f64(self.interval.low), sortable_f64(self.interval.high))
    }
}
