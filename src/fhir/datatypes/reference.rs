//! What the text of a reference points at.
//!
//! Source: R4 references.html#literal, #contained, #canonical; http.html#ctype for logical ids.

/// The text of `Reference.reference` or of a `canonical`, taken apart. Borrows from the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference<'a> {
    /// `Patient/1`, `Patient/1/_history/2`: a resource on the same server.
    Relative {
        /// `Patient`
        resource_type: &'a str,
        /// `1`
        id: &'a str,
        /// `2`
        version: Option<&'a str>,
    },
    /// An absolute URL; the last segments are read as type, id and version where they look so.
    Absolute {
        /// The whole text.
        url: &'a str,
        /// Type, id and version by RESTful convention.
        target: Option<(&'a str, &'a str, Option<&'a str>)>,
    },
    /// `urn:uuid:…` or `urn:oid:…`, whole.
    Urn(&'a str),
    /// `#id`, without the `#`; empty for the resource that contains the reference.
    Fragment(&'a str),
    /// `url|version`, with an optional `#fragment`.
    Canonical {
        /// What stands before the `|`.
        url: &'a str,
        /// What stands between `|` and `#`.
        version: &'a str,
    },
    /// `Patient?identifier=…`: allowed in transactions only (R4 http.html#trules).
    Conditional {
        /// `Patient`
        resource_type: &'a str,
        /// What stands after the `?`.
        query: &'a str,
    },
    /// Anything else.
    Other(&'a str),
}

impl<'a> Reference<'a> {
    /// Takes `text` apart. Never fails: what fits no form is [`Reference::Other`].
    pub fn parse(text: &'a str) -> Self {
        if let Some(fragment) = text.strip_prefix('#') {
            return Self::Fragment(fragment);
        }
        if text.starts_with("urn:") {
            return match text.split_once('|') {
                Some((url, version)) => Self::Canonical { url, version },
                None => Self::Urn(text),
            };
        }
        if let Some((resource_type, query)) = text.split_once('?').filter(|(name, _)| is_type_name(name)) {
            return Self::Conditional { resource_type, query };
        }
        if let Some((url, rest)) = text.split_once('|') {
            let version = rest.split_once('#').map_or(rest, |(version, _)| version);
            return Self::Canonical { url, version };
        }
        if text.contains("://") {
            return Self::Absolute { url: text, target: last_segments(text) };
        }
        match whole_segments(text) {
            Some((resource_type, id, version)) => Self::Relative { resource_type, id, version },
            None => Self::Other(text),
        }
    }

    /// Takes `text` apart; an absolute URL below `base` (with or without its final slash) becomes
    /// relative. An empty base strips nothing.
    pub fn parse_below(text: &'a str, base: &str) -> Self {
        let base = base.strip_suffix('/').unwrap_or(base);
        let below = text.strip_prefix(base).and_then(|rest| rest.strip_prefix('/')).filter(|_| !base.is_empty());
        match below.map(Self::parse) {
            Some(relative @ (Self::Relative { .. } | Self::Conditional { .. })) => relative,
            _ => Self::parse(text),
        }
    }

    /// The type that the text names, if it does.
    pub fn resource_type(&self) -> Option<&'a str> {
        match *self {
            Self::Relative { resource_type, .. } | Self::Conditional { resource_type, .. } => Some(resource_type),
            Self::Absolute { target, .. } => target.map(|(resource_type, ..)| resource_type),
            _ => None,
        }
    }
}

/// Whether `text` may be a logical id: 1 to 64 of `A-Z a-z 0-9 - .` (R4 datatypes.html#id).
pub fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether `text` has the shape of a resource type's name: a capital, then letters.
pub fn is_type_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase()) && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

type Target<'a> = (&'a str, &'a str, Option<&'a str>);

/// `Type/id` or `Type/id/_history/version`, and nothing before it.
fn whole_segments(text: &str) -> Option<Target<'_>> {
    let (resource_type, rest) = text.split_once('/')?;
    let (id, version) = match rest.split_once("/_history/") {
        Some((id, version)) => (id, Some(version)),
        None => (rest, None),
    };
    let valid = is_type_name(resource_type) && is_id(id) && version.is_none_or(is_id);
    valid.then_some((resource_type, id, version))
}

/// The same at the end of a URL.
fn last_segments(url: &str) -> Option<Target<'_>> {
    let (_, path) = url.split_once("://")?;
    let head = path.split_once("/_history/").map_or(path, |(head, _)| head);
    let (before, _id) = head.rsplit_once('/')?;
    let (_, resource_type) = before.rsplit_once('/')?;
    whole_segments(&path[before.len() - resource_type.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_form_is_known() {
        let relative = |version| Reference::Relative { resource_type: "Patient", id: "1", version };
        assert_eq!(Reference::parse("Patient/1"), relative(None));
        assert_eq!(Reference::parse("Patient/1/_history/2"), relative(Some("2")));
        assert_eq!(
            Reference::parse("https://a.example/fhir/Patient/1/_history/2"),
            Reference::Absolute {
                url: "https://a.example/fhir/Patient/1/_history/2",
                target: Some(("Patient", "1", Some("2")))
            }
        );
        assert_eq!(
            Reference::parse("http://hl7.org/fhir/ValueSet/x|4.0.1#part"),
            Reference::Canonical { url: "http://hl7.org/fhir/ValueSet/x", version: "4.0.1" }
        );
        assert_eq!(Reference::parse("#p"), Reference::Fragment("p"));
        assert_eq!(Reference::parse("urn:uuid:1"), Reference::Urn("urn:uuid:1"));
        assert_eq!(
            Reference::parse("Practitioner?identifier=s|1"),
            Reference::Conditional { resource_type: "Practitioner", query: "identifier=s|1" }
        );
        assert_eq!(Reference::parse("patient/1"), Reference::Other("patient/1"));
        assert_eq!(Reference::parse("Patient/1/2"), Reference::Other("Patient/1/2"));
        assert_eq!(Reference::parse("Patient/"), Reference::Other("Patient/"));
    }

    #[test]
    fn only_the_given_base_is_stripped() {
        let text = "https://a.example/fhir/Patient/1";
        let relative = Reference::Relative { resource_type: "Patient", id: "1", version: None };
        assert_eq!(Reference::parse_below(text, "https://a.example/fhir"), relative);
        assert_eq!(Reference::parse_below(text, "https://a.example/fhir/"), relative);
        for base in ["", "/", "https://b.example/fhir", "https://a.example/fh", "https://a.example"] {
            assert!(matches!(Reference::parse_below(text, base), Reference::Absolute { .. }), "{base}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}|[A-Za-z:/#|?_.-]{0,40}", base in "[a-z:/]{0,10}") {
            let _ = Reference::parse_below(&text, &base);
        }

        #[test]
        fn what_is_written_is_read(resource_type in "[A-Z][a-zA-Z]{1,12}", id in "[A-Za-z0-9.-]{1,64}") {
            let text = format!("{resource_type}/{id}");
            let expected = Reference::Relative { resource_type: &resource_type, id: &id, version: None };
            prop_assert_eq!(Reference::parse(&text), expected);
            let absolute = format!("http://x.example/{text}");
            prop_assert_eq!(Reference::parse_below(&absolute, "http://x.example"), expected);
        }
    }
}
