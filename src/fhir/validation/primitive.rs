//! The formats of primitive types (R4 datatypes.html#primitive).

use crate::json::Value;
use crate::outcome::IssueCode;

/// The largest string: "SHALL NOT exceed 1MB" (R4 datatypes.html#string).
const MAX_STRING_BYTES: usize = 1024 * 1024;

/// What is wrong with a primitive value.
pub(super) struct Fault {
    pub code: IssueCode,
    pub message: String,
}

/// Checks a JSON value that stands for a value of the primitive type `type_name`.
pub(super) fn check(type_name: &str, value: &Value<'_>) -> Result<(), Fault> {
    match type_name {
        "boolean" => match value {
            Value::Bool(_) => Ok(()),
            _ => Err(wrong_kind(type_name, "true or false, without quotes", value)),
        },
        "integer" | "positiveInt" | "unsignedInt" | "decimal" => match value {
            Value::Number(digits) => check_number(type_name, digits),
            _ => Err(wrong_kind(type_name, "a number, without quotes", value)),
        },
        _ => match value {
            Value::String(text) => check_text(type_name, text),
            _ => Err(wrong_kind(type_name, "a string", value)),
        },
    }
}

fn wrong_kind(type_name: &str, expected: &str, value: &Value<'_>) -> Fault {
    let message = format!("{type_name} must be {expected}; this is {}", value.kind());
    Fault { code: IssueCode::Structure, message }
}

fn check_number(type_name: &str, digits: &str) -> Result<(), Fault> {
    let least = match type_name {
        "decimal" => return Ok(()),
        "positiveInt" => 1,
        "unsignedInt" => 0,
        _ => i64::from(i32::MIN),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && digits != "-0";
    match digits.parse::<i64>() {
        Ok(number) if plain && (least..=i64::from(i32::MAX)).contains(&number) => Ok(()),
        _ => Err(Fault {
            code: IssueCode::Value,
            message: format!("{type_name} must be a whole number from {least} to {}", i32::MAX),
        }),
    }
}

fn check_text(type_name: &str, text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        let message = format!("{type_name} must not be empty: leave out what has no value");
        return Err(Fault { code: IssueCode::Value, message });
    }
    let (valid, format) = match type_name {
        "id" => (is_id(text), "1 to 64 of A-Z, a-z, 0-9, '-' and '.'"),
        "code" => (is_code(text), "without white space at either end and with single spaces inside"),
        "uri" | "url" | "canonical" => (!has_space(text), "without white space"),
        "oid" => (is_oid(text), "'urn:oid:' and numbers with points, like urn:oid:1.2.3"),
        "uuid" => (is_uuid(text), "'urn:uuid:' and a UUID in lower case"),
        "date" => (is_date(text), "YYYY, YYYY-MM or YYYY-MM-DD, and a day that exists"),
        "dateTime" => (
            is_date(text) || is_instant(text),
            "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with Z or +zz:zz, and a day that exists",
        ),
        "instant" => (is_instant(text), "YYYY-MM-DDThh:mm:ss with Z or +zz:zz, and a day that exists"),
        "time" => (is_time(text), "hh:mm:ss"),
        "base64Binary" => (is_base64(text), "base64 with padding"),
        "xhtml" => (is_div(text), "one <div> element"),
        _ => return check_string(type_name, text),
    };
    if valid {
        return Ok(());
    }
    Err(Fault { code: IssueCode::Value, message: format!("{type_name} must be {format}") })
}

fn check_string(type_name: &str, text: &str) -> Result<(), Fault> {
    if text.len() > MAX_STRING_BYTES {
        let message = format!("{type_name} must not exceed {MAX_STRING_BYTES} bytes");
        return Err(Fault { code: IssueCode::TooLong, message });
    }
    Ok(())
}

fn has_space(text: &str) -> bool {
    text.chars().any(char::is_whitespace)
}

/// `[A-Za-z0-9\-\.]{1,64}`. Also what a logical id in a URL must be.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// `[^\s]+(\s[^\s]+)*`
fn is_code(text: &str) -> bool {
    text.split(char::is_whitespace).all(|word| !word.is_empty())
}

/// `urn:oid:[0-2](\.(0|[1-9][0-9]*))+`
fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let mut arcs = arcs.split('.');
    let root = matches!(arcs.next(), Some("0" | "1" | "2"));
    let mut count = 0;
    let valid = arcs.all(|arc| {
        count += 1;
        arc == "0" || (!arc.starts_with('0') && is_digits(arc))
    });
    root && valid && count > 0
}

/// `urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
fn is_uuid(text: &str) -> bool {
    let Some(uuid) = text.strip_prefix("urn:uuid:") else {
        return false;
    };
    let lengths = [8, 4, 4, 4, 12];
    uuid.len() == 36
        && uuid.split('-').map(str::len).eq(lengths)
        && uuid.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of exactly `length` digits.
fn digits(text: &str, length: usize) -> Option<u32> {
    (text.len() == length && is_digits(text)).then(|| text.parse().ok())?
}

fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let Some(year @ 1..) = parts.next().and_then(|part| digits(part, 4)) else {
        return false;
    };
    let Some(month) = parts.next() else {
        return true;
    };
    let Some(month @ 1..=12) = digits(month, 2) else {
        return false;
    };
    let Some(day) = parts.next() else { return true };
    digits(day, 2).is_some_and(|day| (1..=days_in(year, month)).contains(&day))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn is_instant(text: &str) -> bool {
    let Some((date, rest)) = text.split_once('T') else {
        return false;
    };
    let Some(zone) = rest.find(['Z', '+', '-']) else {
        return false;
    };
    let (time, zone) = rest.split_at(zone);
    date.len() == 10 && is_date(date) && is_time(time) && is_zone(zone)
}

/// `([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?`
fn is_time(text: &str) -> bool {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = whole.split(':').map(|part| digits(part, 2));
    matches!(parts.next(), Some(Some(0..=23)))
        && matches!(parts.next(), Some(Some(0..=59)))
        && matches!(parts.next(), Some(Some(0..=60)))
        && parts.next().is_none()
        && fraction.is_none_or(is_digits)
}

/// `Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)`
fn is_zone(text: &str) -> bool {
    let Some(offset) = text.strip_prefix(['+', '-']) else {
        return text == "Z";
    };
    let Some((hours, minutes)) = offset.split_once(':') else {
        return false;
    };
    match (digits(hours, 2), digits(minutes, 2)) {
        (Some(0..=13), Some(0..=59)) => true,
        (hours, minutes) => (hours, minutes) == (Some(14), Some(0)),
    }
}

fn is_base64(text: &str) -> bool {
    let (mut length, mut padding) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        length += 1;
    }
    length.is_multiple_of(4) && padding <= 2 && length > 0
}

/// Whether this looks like the single `<div>` that a Narrative is; its content is not parsed.
fn is_div(text: &str) -> bool {
    let text = text.trim();
    let opened = text.strip_prefix("<div").is_some_and(|rest| rest.starts_with([' ', '>', '/', '\n', '\r', '\t']));
    opened && (text.ends_with("</div>") || text.ends_with("/>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (type_name, valid, invalid) in [
            ("id", &["a", "A-1.b"][..], &["", "a_b", "a/b", "é", &"x".repeat(65)][..]),
            ("code", &["a", "a b"], &[" a", "a ", "a  b", ""]),
            ("uri", &["urn:x", "http://a/é"], &["a b", "\u{a0}"]),
            (
                "oid",
                &["urn:oid:1.2.0", "urn:oid:2.16.840"],
                &["1.2", "urn:oid:1", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1."],
            ),
            (
                "uuid",
                &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
                &[
                    "c757873d-ec9a-4326-a141-556f43239520",
                    "urn:uuid:C757873D-ec9a-4326-a141-556f43239520",
                    "urn:uuid:c757873dec9a-4326-a141-556f43239520-",
                ],
            ),
            (
                "date",
                &["2000", "2000-02", "2000-02-29", "0001"],
                &[
                    "0000",
                    "1900-02-29",
                    "2001-04-31",
                    "2001-13",
                    "2001-1-1",
                    "20010101",
                    "2001-01-01T00:00:00Z",
                    "2001-",
                    "2001-01-01-",
                ],
            ),
            (
                "dateTime",
                &["2000", "2000-01-01T00:00:00Z", "2000-01-01T23:59:60.123-05:30", "2000-01-01T00:00:00+14:00"],
                &[
                    "2000-01-01T00:00:00",
                    "2000-01-01T24:00:00Z",
                    "2000-01-01T00:00Z",
                    "2000-01T00:00:00Z",
                    "2000-01-01 00:00:00Z",
                    "2000-01-01T00:00:00+14:01",
                    "2000-01-01T00:00:00.Z",
                    "2000-01-01T00:00:00z",
                ],
            ),
            ("instant", &["2000-01-01T00:00:00.001Z"], &["2000-01-01", "2000-01-01T00:00:00"]),
            ("time", &["00:00:00", "23:59:59.9"], &["24:00:00", "00:00", "00:00:00Z", "1:00:00"]),
            ("base64Binary", &["TWE=", "TW Fu\n", "TQ=="], &["TWE", "T===", "TW=u", "T-_=", " "]),
            ("xhtml", &["<div>a</div>", "<div xmlns=\"x\"/>"], &["text", "<divan></divan>", "<p><div></div></p>"]),
            ("string", &["a", " a\n"], &[""]),
        ] {
            for text in valid {
                assert!(check(type_name, &Value::from(*text)).is_ok(), "{type_name} {text:?}");
            }
            for text in invalid {
                assert!(check(type_name, &Value::from(*text)).is_err(), "{type_name} {text:?}");
            }
        }
        assert!(check("markdown", &Value::from("x".repeat(MAX_STRING_BYTES + 1))).is_err());
    }

    #[test]
    fn numbers() {
        for (type_name, valid, invalid) in [
            ("integer", &["0", "-2147483648", "2147483647"][..], &["1.0", "1e2", "2147483648", "-0"][..]),
            ("positiveInt", &["1"], &["0", "-1"]),
            ("unsignedInt", &["0"], &["-1"]),
            ("decimal", &["1.00", "-1E+2"], &[]),
        ] {
            for digits in valid {
                assert!(check(type_name, &Value::Number((*digits).into())).is_ok(), "{type_name} {digits}");
            }
            for digits in invalid {
                assert!(check(type_name, &Value::Number((*digits).into())).is_err(), "{type_name} {digits}");
            }
            assert!(check(type_name, &Value::from("1")).is_err());
        }
        assert!(check("boolean", &Value::Bool(true)).is_ok());
        assert!(check("boolean", &Value::from("true")).is_err());
        assert!(check("string", &Value::Null).is_err());
    }
}
