//! JSON as text, written in the order and with the digits we choose.
//!
//! A number is kept as the text that will be sent, so that a temperature of `37.0` stays `37.0`.
//! What is absent or empty is left out, since FHIR knows neither null members nor empty arrays.

use std::borrow::Cow;

/// A JSON value to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// Nothing: a member with this value is not written.
    Absent,
    /// A string.
    Text(Cow<'static, str>),
    /// A number or boolean, as it will be written.
    Literal(Cow<'static, str>),
    /// An array.
    List(Vec<Json>),
    /// An object, in order.
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    /// A number with exactly `digits` decimals.
    pub(crate) fn decimal(value: f64, digits: usize) -> Json {
        let text = format!("{value:.digits$}");
        // Rounding can leave a minus sign before nothing but zeroes.
        let negative_zero = text.starts_with('-') && text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
        Json::Literal(Cow::Owned(if negative_zero { text[1..].to_owned() } else { text }))
    }

    /// Whether nothing would be written.
    fn is_empty(&self) -> bool {
        match self {
            Json::Absent => true,
            Json::List(items) => items.iter().all(Json::is_empty),
            Json::Object(members) => members.iter().all(|(_, v)| v.is_empty()),
            Json::Text(_) | Json::Literal(_) => false,
        }
    }

    /// Appends the value to `out`.
    pub(crate) fn write(&self, out: &mut String) {
        match self {
            Json::Absent => out.push_str("null"),
            Json::Text(text) => write_string(text, out),
            Json::Literal(text) => out.push_str(text),
            Json::List(items) => {
                out.push('[');
                for (i, item) in items.iter().filter(|i| !i.is_empty()).enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().filter(|m| !m.1.is_empty()).enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    write_string(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

impl From<&'static str> for Json {
    fn from(text: &'static str) -> Json {
        Json::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::Text(Cow::Owned(text))
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Json {
        Json::Literal(Cow::Borrowed(if value { "true" } else { "false" }))
    }
}

impl From<u32> for Json {
    fn from(value: u32) -> Json {
        Json::Literal(Cow::Owned(value.to_string()))
    }
}

impl From<Vec<Json>> for Json {
    fn from(items: Vec<Json>) -> Json {
        Json::List(items)
    }
}

impl<T: Into<Json>> From<Option<T>> for Json {
    fn from(value: Option<T>) -> Json {
        value.map_or(Json::Absent, Into::into)
    }
}

/// An object: `object! { "name": value, … }`; values are anything that becomes [`Json`].
macro_rules! object {
    ($($name:literal : $value:expr),* $(,)?) => {
        $crate::json::Json::Object(vec![$(($name, $crate::json::Json::from($value))),*])
    };
}

/// An array: `list![value, …]`.
macro_rules! list {
    ($($value:expr),* $(,)?) => {
        $crate::json::Json::List(vec![$($crate::json::Json::from($value)),*])
    };
}

pub(crate) use {list, object};

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &Json) -> String {
        let mut out = String::new();
        json.write(&mut out);
        out
    }

    #[test]
    fn digits_order_and_absence_are_kept() {
        let json = object! {
            "b": Json::decimal(37.0, 1), "a": None::<&'static str>, "c": list!["x\"\n", true],
            "d": list![object! {}], "e": Json::decimal(-0.01, 1),
        };
        assert_eq!(text(&json), r#"{"b":37.0,"c":["x\"\n",true],"e":0.0}"#);
    }
}
