//! Names of search parameters with modifiers, chains and reverse chains.
//!
//! Source: R4 search.html#modifiers, #chaining, #has.

use crate::datatypes::is_type_name;
use crate::search::SearchError;

/// Most steps of a chain: each is a join, and nobody means more.
pub const MAX_CHAIN: usize = 8;

/// What stands after the colon of a parameter name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Modifier {
    /// `:missing` – whether the parameter has a value at all.
    Missing,
    /// `:exact` – strings equal to the letter.
    Exact,
    /// `:contains` – strings that hold the value somewhere.
    Contains,
    /// `:text` – the text beside a code.
    Text,
    /// `:not` – no value equals this one.
    Not,
    /// `:above` – the value or one that subsumes it.
    Above,
    /// `:below` – the value or one that it subsumes.
    Below,
    /// `:in` – a member of the value set.
    In,
    /// `:not-in` – no member of the value set.
    NotIn,
    /// `:of-type` – identifier by type and value.
    OfType,
    /// `:identifier` – a reference by identifier.
    Identifier,
    /// `:iterate` – for `_include` and `_revinclude`; also in its older form `:recurse`.
    Iterate,
    /// `:[type]` – a reference to this resource type.
    Type(String),
}

impl Modifier {
    /// Reads what stands after the colon.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        Ok(match text {
            "missing" => Self::Missing,
            "exact" => Self::Exact,
            "contains" => Self::Contains,
            "text" => Self::Text,
            "not" => Self::Not,
            "above" => Self::Above,
            "below" => Self::Below,
            "in" => Self::In,
            "not-in" => Self::NotIn,
            "of-type" => Self::OfType,
            "identifier" => Self::Identifier,
            "iterate" | "recurse" => Self::Iterate,
            name if is_type_name(name) => Self::Type(name.to_owned()),
            _ => return Err(SearchError::Modifier(text.to_owned())),
        })
    }
}

/// The name of a parameter in a search URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterName {
    /// `code`, `code:modifier`
    Plain {
        /// The parameter's code.
        code: String,
        /// Its modifier.
        modifier: Option<Modifier>,
    },
    /// `subject.name`, `subject:Patient.name`: `rest` is asked of what the reference points at.
    Chain {
        /// The reference parameter's code.
        code: String,
        /// The type it must point at, where given.
        target: Option<String>,
        /// What is asked there.
        rest: Box<ParameterName>,
    },
    /// `_has:Observation:patient:code`: `rest` is asked of the resources that point here.
    Has {
        /// The type of those resources.
        resource_type: String,
        /// Their reference parameter that points here.
        reference: String,
        /// What is asked of them.
        rest: Box<ParameterName>,
    },
}

impl ParameterName {
    /// The modifier of the parameter that a chain or `_has` ends in, or of this one.
    pub fn modifier(&self) -> Option<&Modifier> {
        match self {
            Self::Plain { modifier, .. } => modifier.as_ref(),
            Self::Chain { rest, .. } | Self::Has { rest, .. } => rest.modifier(),
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`SearchError::Name`], [`SearchError::Modifier`] or [`SearchError::TooDeep`].
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        Self::parse_part(text, text, MAX_CHAIN)
    }

    fn parse_part(text: &str, whole: &str, steps: usize) -> Result<Self, SearchError> {
        let refused = || SearchError::Name(whole.to_owned());
        let deeper = |rest| match steps.checked_sub(1) {
            Some(steps) => Self::parse_part(rest, whole, steps).map(Box::new),
            None => Err(SearchError::TooDeep),
        };
        if let Some(reverse) = text.strip_prefix("_has:") {
            let mut parts = reverse.splitn(3, ':');
            let (resource_type, reference, rest) =
                (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().ok_or_else(refused)?);
            if !is_type_name(resource_type) || !is_code(reference) {
                return Err(refused());
            }
            let (resource_type, reference) = (resource_type.to_owned(), reference.to_owned());
            return Ok(Self::Has { resource_type, reference, rest: deeper(rest)? });
        }
        let (head, rest) = match text.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (text, None),
        };
        let (code, suffix) = match head.split_once(':') {
            Some((code, suffix)) => (code, Some(suffix)),
            None => (head, None),
        };
        if !is_code(code) {
            return Err(refused());
        }
        let (code, modifier) = (code.to_owned(), suffix.map(Modifier::parse).transpose()?);
        match (rest, modifier) {
            (None, modifier) => Ok(Self::Plain { code, modifier }),
            (Some(rest), None) => Ok(Self::Chain { code, target: None, rest: deeper(rest)? }),
            (Some(rest), Some(Modifier::Type(target))) => {
                Ok(Self::Chain { code, target: Some(target), rest: deeper(rest)? })
            }
            (Some(_), Some(_)) => Err(refused()),
        }
    }
}

impl std::fmt::Display for Modifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Missing => "missing",
            Self::Exact => "exact",
            Self::Contains => "contains",
            Self::Text => "text",
            Self::Not => "not",
            Self::Above => "above",
            Self::Below => "below",
            Self::In => "in",
            Self::NotIn => "not-in",
            Self::OfType => "of-type",
            Self::Identifier => "identifier",
            Self::Iterate => "iterate",
            Self::Type(name) => name,
        })
    }
}

impl std::fmt::Display for ParameterName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain { code, modifier: None } => out.write_str(code),
            Self::Plain { code, modifier: Some(modifier) } => write!(out, "{code}:{modifier}"),
            Self::Chain { code, target: None, rest } => write!(out, "{code}.{rest}"),
            Self::Chain { code, target: Some(target), rest } => write!(out, "{code}:{target}.{rest}"),
            Self::Has { resource_type, reference, rest } => {
                write!(out, "_has:{resource_type}:{reference}:{rest}")
            }
        }
    }
}

fn is_code(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(code: &str, modifier: Option<Modifier>) -> ParameterName {
        ParameterName::Plain { code: code.into(), modifier }
    }

    #[test]
    fn names_are_taken_apart() {
        let parse = |text| ParameterName::parse(text).unwrap();
        assert_eq!(parse("name"), plain("name", None));
        assert_eq!(parse("code:not-in"), plain("code", Some(Modifier::NotIn)));
        assert_eq!(parse("subject:Patient"), plain("subject", Some(Modifier::Type("Patient".into()))));
        let named = Box::new(plain("name", Some(Modifier::Exact)));
        assert_eq!(
            parse("subject:Patient.name:exact"),
            ParameterName::Chain { code: "subject".into(), target: Some("Patient".into()), rest: named }
        );
    }

    /// Case A10: chains that end in `_has` and the reverse.
    #[test]
    fn chains_and_reverse_chains_nest() {
        let text = "_has:ExplanationOfBenefit:care-team:coverage.payor._has:List:item:_id";
        let ParameterName::Has { resource_type, reference, rest } = ParameterName::parse(text).unwrap() else {
            panic!("not a reverse chain");
        };
        assert_eq!((resource_type.as_str(), reference.as_str()), ("ExplanationOfBenefit", "care-team"));
        assert!(matches!(*rest, ParameterName::Chain { ref code, .. } if code == "coverage"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["", ":exact", "a b", "subject:exact.name", ".name", "name.", "_has:Observation:patient", "_has:x:y:z"]
        {
            assert!(matches!(ParameterName::parse(text), Err(SearchError::Name(_))), "{text}");
        }
        assert_eq!(ParameterName::parse("name:like"), Err(SearchError::Modifier("like".into())));
        let long = format!("{}a", "a.".repeat(MAX_CHAIN + 1));
        assert_eq!(ParameterName::parse(&long), Err(SearchError::TooDeep));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|(_has:|[A-Z][a-z]{0,4}|[a-z]{1,4}|:|\\.){0,12}") {
            if let Ok(name) = ParameterName::parse(&text) {
                let again = ParameterName::parse(&name.to_string());
                prop_assert_eq!(again, Ok(name));
            }
        }
    }
}
