//! Reading scopes.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::{Context, Permissions, Scope};
use crate::Error;

/// Result parameters (R4 search.html#table) and the searches that reach beyond the resource at
/// hand. They say nothing about one resource, so no granular scope can carry them; of the parameters
/// that begin with an underscore only these do.
const UNDERSCORE_PARAMETERS: [&str; 6] = ["_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"];

/// Reads a space-separated list (RFC 6749 section 3.3), each scope once, in the order they came. A
/// malformed resource scope is kept as [`Scope::Other`], which grants nothing; use
/// [`Scope::from_str`] to have it refused.
pub fn parse_scopes(text: &str) -> Vec<Scope> {
    let mut scopes = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let scope = word.parse().unwrap_or_else(|_: Error| Scope::Other(word.to_owned()));
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    scopes
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Scope { scope: text.to_owned(), reason };
        if text.is_empty() || !text.bytes().all(is_scope_character) {
            return Err(refuse("has a character that no scope has (RFC 6749 section 3.3)"));
        }
        Ok(match text {
            "launch" => Self::Launch(None),
            "openid" => Self::OpenId,
            "fhirUser" => Self::FhirUser,
            "profile" => Self::Profile,
            "offline_access" => Self::OfflineAccess,
            "online_access" => Self::OnlineAccess,
            _ => match text.split_once('/') {
                Some(("launch", what)) if !what.is_empty() => Self::Launch(Some(what.to_owned())),
                Some(("patient", rest)) => resource(Context::Patient, rest).map_err(refuse)?,
                Some(("user", rest)) => resource(Context::User, rest).map_err(refuse)?,
                Some(("system", rest)) => resource(Context::System, rest).map_err(refuse)?,
                _ => Self::Other(text.to_owned()),
            },
        })
    }
}

/// RFC 6749 section 3.3: `%x21 / %x23-5B / %x5D-7E`. SMART's own examples hold to it, so a value
/// with a space, a quote or a letter beyond ASCII comes percent-encoded.
fn is_scope_character(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

fn resource(context: Context, rest: &str) -> Result<Scope, &'static str> {
    let (grant, query) = match rest.split_once('?') {
        Some((grant, query)) => (grant, Some(query)),
        None => (rest, None),
    };
    let (resource_type, letters) = grant.split_once('.').ok_or("has no permissions")?;
    let is_name = resource_type.starts_with(|c: char| c.is_ascii_uppercase())
        && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
    if resource_type != "*" && !is_name {
        return Err("names no resource type");
    }
    let v1 = Permissions::from_v1_name(letters);
    if v1.is_some() && query.is_some() {
        return Err("has parameters, which v1 scopes have not");
    }
    let permissions = v1
        .or_else(|| Permissions::from_letters(letters))
        .ok_or("permissions are not letters of 'cruds' in this order")?;
    Ok(Scope::Resource {
        context,
        resource_type: resource_type.to_owned(),
        permissions,
        filters: query.map(filters).transpose()?.unwrap_or_default(),
        v1: v1.is_some(),
    })
}

fn filters(query: &str) -> Result<Vec<(String, String)>, &'static str> {
    query.split('&').map(filter).collect()
}

fn filter(pair: &str) -> Result<(String, String), &'static str> {
    let (name, value) = pair.split_once('=').ok_or("has a parameter without a value")?;
    let name = decode(name).ok_or("is badly percent-encoded")?;
    let value = decode(value).ok_or("is badly percent-encoded")?;
    if name.is_empty() || value.is_empty() {
        return Err("has a parameter without a name or a value");
    }
    let (code, modifier) = name.split_once(':').unwrap_or((&name, ""));
    if name.contains('.') || code.starts_with('_') && !UNDERSCORE_PARAMETERS.contains(&code) {
        return Err("has a parameter that does not test the resource itself");
    }
    // A scope that could be tested in no resource would grant nothing.
    if code == "near" || modifier == "text" {
        return Err("has a parameter that scopes cannot be tested by");
    }
    Ok((name, value))
}

/// Percent-decodes (RFC 3986 section 2.1; a `+` is a plus). `None` where it is malformed, not UTF-8,
/// or holds a control character.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Writes `text` with everything percent-encoded that would end or change the parameter.
pub(super) fn write_encoded(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for character in text.chars() {
        let plain = u8::try_from(character).is_ok_and(is_scope_character);
        if plain && !matches!(character, '%' | '&' | '=' | '#' | '?') {
            f.write_char(character)?;
            continue;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}
