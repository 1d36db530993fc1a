//! Strings.
//!
//! Source: FHIRPath N1, section 5.6; 2.0.0 for those added since.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use regex::Regex;

use super::super::ast::Call;
use super::super::error::FhirPathError;
use super::super::evaluate::{Items, Outcome, Run, Scope, boolean, single};
use super::super::item::{Item, System};
use super::super::operators::{MAX_TEXT, texts};
use super::{Function, integer_argument, string, string_argument};
use crate::json;

/// Bytes that a compiled regular expression may take.
const MAX_PATTERN: usize = 1024 * 1024;

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Items<'a> {
    single(System::String(text.into()))
}

type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Input and first argument; None where one is empty.
fn pair<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: &Items<'a>,
    scope: Scope<'a, '_>,
) -> Result<Option<Pair<'a>>, FhirPathError> {
    let input = string(input, call.function)?;
    let argument = string_argument(run, call, 0, scope)?;
    let pair = input.zip(argument);
    if let Some((input, _)) = &pair {
        run.charge(input.len() / 64)?;
    }
    Ok(pair)
}

/// Counts characters before a byte.
fn position(text: &str, byte: Option<usize>) -> i64 {
    byte.map_or(-1, |byte| text[..byte].chars().count() as i64)
}

pub(super) fn index_of<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    Ok(pair(run, call, &input, scope)?.map_or(Vec::new(), |(input, part)| {
        let first = call.function == Function::IndexOf;
        let byte = if first { input.find(&*part) } else { input.rfind(&*part) };
        single(System::Integer(position(&input, byte)))
    }))
}

pub(super) fn substring<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let start = integer_argument(run, call, 0, scope)?;
    let length = integer_argument(run, call, 1, scope)?;
    let (Some(input), Some(start)) = (string(&input, call.function)?, start) else { return Ok(Vec::new()) };
    run.charge_text(input.len())?;
    let Some(start) = usize::try_from(start).ok().filter(|start| input.chars().nth(*start).is_some()) else {
        return Ok(Vec::new());
    };
    let length = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
    Ok(text(input.chars().skip(start).take(length).collect::<String>()))
}

/// `startsWith`, `endsWith`, `contains`
pub(super) fn test<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    Ok(boolean(pair(run, call, &input, scope)?.map(|(input, part)| match call.function {
        Function::StartsWith => input.starts_with(&*part),
        Function::EndsWith => input.ends_with(&*part),
        _ => input.contains(&*part),
    })))
}

/// A regular expression: `.` matches line ends too, and `matchesFull` the whole.
pub(in crate::fhirpath) fn pattern(function: Function, pattern: &str) -> Result<Regex, String> {
    let whole = if function == Function::MatchesFull { format!("^(?:{pattern})$") } else { pattern.to_owned() };
    let compiled = regex::RegexBuilder::new(&whole).dot_matches_new_line(true).size_limit(MAX_PATTERN).build();
    compiled.map_err(|_| format!("{pattern:?} is no regular expression that can be run"))
}

fn compiled<'c>(run: &mut Run<'_, '_>, call: &'c Call, written: &str) -> Result<Cow<'c, Regex>, FhirPathError> {
    if let Some(pattern) = &call.pattern {
        return Ok(Cow::Borrowed(pattern));
    }
    // Compiling is a hundred times the work of an ordinary step.
    run.charge(200 + written.len() * 10)?;
    pattern(call.function, written).map(Cow::Owned).map_err(FhirPathError::Execution)
}

pub(super) fn matches<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let Some((input, written)) = pair(run, call, &input, scope)? else { return Ok(Vec::new()) };
    Ok(boolean(compiled(run, call, &written)?.is_match(&input)))
}

pub(super) fn replace<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let pair = pair(run, call, &input, scope)?;
    let (Some((input, part)), Some(by)) = (pair, string_argument(run, call, 1, scope)?) else {
        return Ok(Vec::new());
    };
    let count = input.matches(&*part).count();
    run.charge_text(input.len().saturating_add(count.saturating_mul(by.len())))?;
    Ok(text(input.replace(&*part, &by)))
}

pub(super) fn replace_matches<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let pair = pair(run, call, &input, scope)?;
    let (Some((input, written)), Some(by)) = (pair, string_argument(run, call, 1, scope)?) else {
        return Ok(Vec::new());
    };
    // An empty pattern would match between all characters; the suite has it match nowhere.
    if written.is_empty() {
        return Ok(text(input));
    }
    let pattern = compiled(run, call, &written)?;
    let (mut out, mut end) = (String::new(), 0);
    for captures in pattern.captures_iter(&input) {
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&input[end..whole.start()]);
        captures.expand(&by, &mut out);
        end = whole.end();
        if out.len() > MAX_TEXT {
            break;
        }
    }
    out.push_str(&input[end..]);
    run.charge_text(out.len())?;
    Ok(text(out))
}

/// `upper`, `lower`, `trim`
pub(super) fn map<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let Some(input) = string(&input, call.function)? else { return Ok(Vec::new()) };
    run.charge_text(input.len())?;
    Ok(text(match call.function {
        Function::Upper => input.to_uppercase(),
        Function::Lower => input.to_lowercase(),
        _ => input.trim().to_owned(),
    }))
}

pub(super) fn length<'a>(_: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let length = |text: Cow<'a, str>| single(System::Integer(text.chars().count() as i64));
    Ok(string(&input, call.function)?.map_or(Vec::new(), length))
}

fn pieces<'a>(run: &mut Run<'a, '_>, pieces: impl Iterator<Item = String>) -> Outcome<'a> {
    let mut out = Vec::new();
    for piece in pieces {
        run.charge(1)?;
        out.push(Item::System(System::String(piece.into())));
    }
    Ok(out)
}

pub(super) fn to_chars<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let input = string(&input, call.function)?.unwrap_or_default();
    pieces(run, input.chars().map(String::from))
}

pub(super) fn split<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let Some((input, separator)) = pair(run, call, &input, scope)? else { return Ok(Vec::new()) };
    if separator.is_empty() {
        return pieces(run, input.chars().map(String::from));
    }
    pieces(run, input.split(&*separator).map(str::to_owned))
}

pub(super) fn join<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let separator = string_argument(run, call, 0, scope)?.unwrap_or_default();
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let texts = texts(&input)?;
    let length = texts.iter().map(|text| text.len() + separator.len()).sum();
    run.charge_text(length)?;
    Ok(text(texts.join(&*separator)))
}

pub(super) fn encode<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let Some((input, form)) = pair(run, call, &input, scope)? else { return Ok(Vec::new()) };
    run.charge_text(input.len() * 2)?;
    Ok(match &*form {
        "base64" => text(STANDARD.encode(&*input)),
        "urlbase64" => text(URL_SAFE.encode(&*input)),
        "hex" => text(input.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()),
        _ => Vec::new(),
    })
}

pub(super) fn decode<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let Some((input, form)) = pair(run, call, &input, scope)? else { return Ok(Vec::new()) };
    run.charge_text(input.len())?;
    let bytes = match &*form {
        "base64" => STANDARD.decode(&*input).ok(),
        "urlbase64" => URL_SAFE.decode(&*input).ok(),
        "hex" => unhex(&input),
        _ => None,
    };
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Vec::new(), text))
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
}

pub(super) fn escape<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let Some((input, form)) = pair(run, call, &input, scope)? else { return Ok(Vec::new()) };
    run.charge_text(input.len() * 2)?;
    Ok(match &*form {
        "html" => text(quick_xml::escape::escape(&*input).replace("&apos;", "&#39;")),
        "json" => {
            let mut quoted = String::new();
            json::write_string(&input, &mut quoted);
            text(quoted[1..quoted.len() - 1].to_owned())
        }
        _ => Vec::new(),
    })
}

pub(super) fn unescape<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let Some((input, form)) = pair(run, call, &input, scope)? else { return Ok(Vec::new()) };
    run.charge_text(input.len())?;
    let plain = match &*form {
        "html" => {
            quick_xml::escape::unescape_with(&input, quick_xml::escape::resolve_html5_entity).ok().map(Cow::into_owned)
        }
        "json" => {
            // Quotes that were not escaped do no harm to what is no more than text.
            let quoted = format!("\"{}\"", input.replace("\\\"", "\"").replace('"', "\\\""));
            let parsed = json::parse(&quoted, &json::Limits { depth: 0 }).ok();
            parsed.and_then(|value| value.as_str().map(str::to_owned))
        }
        _ => None,
    };
    Ok(plain.map_or(Vec::new(), text))
}
