//! Reading elements, a function for each family of datatypes.

use super::super::program::type_of_url;
use super::super::{NumericValue, SearchValue};
use super::Conversion;
use crate::datatypes::{DateTime, Decimal, Reference, period_interval, timing_interval};
use crate::json::Value;

/// The system of `Money.currency`.
const CURRENCIES: &str = "urn:iso:std:iso:4217";
/// The parts of a HumanName that a string search looks at.
pub(super) const NAME_PARTS: [&str; 5] = ["family", "given", "prefix", "suffix", "text"];
/// The parts of an Address that a string search looks at.
pub(super) const ADDRESS_PARTS: [&str; 7] = ["line", "city", "district", "state", "postalCode", "country", "text"];

type Emit<'e, 'r> = &'e mut dyn FnMut(SearchValue<'r>);

pub(super) fn token<'r>(system: Option<&'r str>, code: Option<&'r str>, text: Option<&'r str>, emit: Emit<'_, 'r>) {
    if system.is_some() || code.is_some() || text.is_some() {
        emit(SearchValue::Token { system, code, text });
    }
}

pub(super) fn coding<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    token(value.get_str("system"), value.get_str("code"), value.get_str("display"), emit);
}

pub(super) fn codeable_concept<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    value.items("coding").iter().for_each(|one| coding(one, emit));
    token(None, None, value.get_str("text"), emit);
}

pub(super) fn identifier<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let kind = value.get("type");
    let text = kind.and_then(|kind| kind.get_str("text"));
    let number = value.get_str("value");
    token(value.get_str("system"), number, text, emit);
    let codings = kind.map_or(&[][..], |kind| kind.items("coding"));
    for one in codings {
        if let (Some(code), Some(value)) = (one.get_str("code"), number) {
            emit(SearchValue::OfType { system: one.get_str("system"), code, value });
        }
    }
}

pub(super) fn strings<'r>(value: &'r Value<'_>, parts: &[&str], emit: Emit<'_, 'r>) {
    for part in parts {
        match value.get(part) {
            Some(Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).for_each(|text| emit(SearchValue::String(text)));
            }
            Some(one) => one.as_str().into_iter().for_each(|text| emit(SearchValue::String(text))),
            None => {}
        }
    }
}

pub(super) fn date<'r>(conversion: &Conversion, value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let interval = match conversion {
        Conversion::Period => period_interval(value),
        Conversion::Timing => timing_interval(value),
        _ => value.as_str().and_then(|text| DateTime::parse(text).ok()).map(|date| date.interval),
    };
    interval.into_iter().for_each(|interval| emit(SearchValue::Date(interval)));
}

fn decimal(value: &Value<'_>) -> Option<f64> {
    value.as_f64().filter(|value| value.is_finite())
}

pub(super) fn number<'r>(conversion: &Conversion, value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let number = match conversion {
        Conversion::NumberRange => {
            let end = |name| value.at(&[name, "value"]).and_then(decimal);
            range(end("low"), end("high"))
        }
        _ => decimal(value).map(NumericValue::point),
    };
    number.into_iter().for_each(|number| emit(SearchValue::Number(number)));
}

/// A range with one end at least.
fn range(low: Option<f64>, high: Option<f64>) -> Option<NumericValue> {
    let ordered = low.zip(high).is_none_or(|(low, high)| low <= high);
    ((low.is_some() || high.is_some()) && ordered).then(|| NumericValue::range(low, high))
}

pub(super) fn quantity<'r>(conversion: &Conversion, value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let (number, unit) = match conversion {
        Conversion::QuantityRange => {
            let (low, high) = (value.get("low"), value.get("high"));
            let end = |end: Option<&Value<'_>>| end.and_then(|end| end.get("value")).and_then(decimal);
            (range(end(low), end(high)), low.or(high))
        }
        Conversion::SampledData => (sampled_range(value), value.get("origin")),
        _ => (compared(value), Some(value)),
    };
    let (Some(value), Some(unit)) = (number, unit) else {
        return;
    };
    emit(match conversion {
        Conversion::Money => {
            let currency = unit.get_str("currency");
            SearchValue::Quantity { value, system: currency.map(|_| CURRENCIES), code: currency, unit: None }
        }
        _ => SearchValue::Quantity {
            value,
            system: unit.get_str("system"),
            code: unit.get_str("code"),
            unit: unit.get_str("unit"),
        },
    });
}

/// A Quantity's value; with a comparator, all that it allows.
fn compared(quantity: &Value<'_>) -> Option<NumericValue> {
    let value = quantity.get("value").and_then(decimal)?;
    Some(match quantity.get_str("comparator") {
        Some("<") => NumericValue::range(None, Some(value.next_down())),
        Some("<=") => NumericValue::range(None, Some(value)),
        Some(">=") => NumericValue::range(Some(value), None),
        Some(">") => NumericValue::range(Some(value.next_up()), None),
        _ => NumericValue::point(value),
    })
}

/// From the lowest to the highest sample, as Observation-value-quantity asks ("just search on the
/// bounds of the values in sampled data"). `E`, `L` and `U` are no values.
fn sampled_range(sampled: &Value<'_>) -> Option<NumericValue> {
    let origin = sampled.at(&["origin", "value"]).and_then(decimal)?;
    let factor = sampled.get("factor").and_then(decimal).unwrap_or(1.0);
    let samples = sampled.get_str("data")?.split_ascii_whitespace();
    let values = samples.filter_map(|text| Decimal::parse(text).ok()).map(|one| origin + one.value * factor);
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    range(Some(low), Some(high))
}

pub(super) fn reference<'r>(value: &'r Value<'_>, base: &str, emit: Emit<'_, 'r>) {
    let resource_type = value.get_str("type").map(type_of_url);
    let identifier = value.get("identifier");
    let identifier = identifier.and_then(|one| one.get_str("value").map(|text| (one.get_str("system"), text)));
    let target = value.get_str("reference").map(|text| Target::of(text, base)).unwrap_or_default();
    // A contained resource is no resource of its own (R4 search.html#contained).
    if target.url.is_some() || identifier.is_some() {
        emit(SearchValue::Reference {
            resource_type: target.resource_type.or(resource_type),
            id: target.id,
            url: target.url,
            identifier,
        });
    }
}

/// What the text of a reference gives a search.
#[derive(Default)]
struct Target<'r> {
    resource_type: Option<&'r str>,
    id: Option<&'r str>,
    url: Option<&'r str>,
}

impl<'r> Target<'r> {
    fn of(text: &'r str, base: &str) -> Self {
        match Reference::parse_below(text, base) {
            Reference::Relative { resource_type, id, version } => {
                let without = version.map_or(text.len(), |version| text.len() - version.len() - "/_history/".len());
                Self { resource_type: Some(resource_type), id: Some(id), url: Some(&text[..without]) }
            }
            Reference::Fragment(_) => Self::default(),
            other => Self { resource_type: other.resource_type(), id: None, url: Some(text) },
        }
    }
}

pub(super) fn canonical<'r>(text: &'r str, base: &str, emit: Emit<'_, 'r>) {
    let target = Target::of(text, base);
    let (unversioned, resource_type, id) = match text.split_once('|') {
        Some((url, _)) => (Some(url), None, None),
        None => (None, target.resource_type, target.id),
    };
    for url in unversioned.into_iter().chain(target.url) {
        emit(SearchValue::Reference { resource_type, id, url: Some(url), identifier: None });
    }
}

/// A resource in a Bundle: a reference to it by its own type and id.
pub(super) fn inline<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    if let (Some(resource_type), Some(id)) = (value.get_str("resourceType"), value.get_str("id")) {
        emit(SearchValue::Reference { resource_type: Some(resource_type), id: Some(id), url: None, identifier: None });
    }
}

pub(super) fn position<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let degrees = |name| value.get(name).and_then(decimal);
    if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) {
        emit(SearchValue::Position { latitude, longitude });
    }
}
