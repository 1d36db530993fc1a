//! Media types: what a body is written in, and which form of an answer is wanted
//! (R4 http.html#mime-type, #version-parameter; RFC 9110 section 12.5.1).

use std::cmp::Reverse;

use salus_fhir::outcome::IssueCode;

use crate::failure::Failure;

/// A form that resources are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// R4 json.html
    #[default]
    Json,
    /// R4 xml.html
    Xml,
}

impl Format {
    /// What `Content-Type` says of an answer in it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json; charset=utf-8",
            Self::Xml => "application/fhir+xml; charset=utf-8",
        }
    }

    /// What clients call it: its media type, those of the syntax, that of DSTU 2, and the short name for
    /// `_format`.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/fhir+json", "application/json", "application/json+fhir", "text/json", "json"],
            Self::Xml => &["application/fhir+xml", "application/xml", "application/xml+fhir", "text/xml", "xml"],
        }
    }

    /// The format that a media type names, which came with a body as [`body_type`] gives it.
    pub fn named(media_type: &str) -> Option<Self> {
        [Self::Json, Self::Xml].into_iter().find(|format| format.names().contains(&media_type))
    }

    /// The format to answer in: what `_format` says, else what `Accept` likes best, else JSON.
    ///
    /// # Errors
    /// 406 where that is neither of the two.
    pub fn wanted(format: Option<&str>, accept: Option<&Accept>) -> Result<Self, Failure> {
        let (chosen, asked) = match (format, accept) {
            (Some(format), _) => {
                let (name, parameters) = format.split_once(';').unwrap_or((format, ""));
                // A plus sign in a query is a space, and clients leave it unescaped.
                let name = name.trim().replace(' ', "+");
                (Accept::parse(&format!("{name};{parameters}")).best(), format)
            }
            (None, Some(accept)) => (accept.best(), accept.text.as_str()),
            (None, None) => return Ok(Self::Json),
        };
        chosen.ok_or_else(|| {
            let message = format!(
                "'{asked}' is nothing this server answers in; it answers in application/fhir+json and \
                 application/fhir+xml, of FHIR 4.0"
            );
            Failure::new(406, IssueCode::NotSupported, message)
        })
    }
}

/// The media type of a body, without parameters, in lower case. One whose parameters say what is not read
/// here (another charset than UTF-8, another version of FHIR) stays whole, and so names nothing that is.
pub fn body_type(content_type: &str) -> String {
    let mut parts = content_type.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let read = parts.filter_map(|part| part.split_once('=')).all(|(parameter, value)| {
        let value = value.trim().trim_matches('"');
        match parameter.trim().to_ascii_lowercase().as_str() {
            "charset" => value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii"),
            "fhirversion" => is_our_version(value),
            _ => true,
        }
    });
    if read { name.to_ascii_lowercase() } else { content_type.to_ascii_lowercase() }
}

/// R4 http.html#version-parameter: major and minor number; a patch number after them is told by some.
fn is_our_version(version: &str) -> bool {
    version.strip_prefix("4.0").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// What an `Accept` header takes.
#[derive(Debug, Clone, Default)]
pub struct Accept {
    text: String,
    ranges: Vec<Range>,
}

#[derive(Debug, Clone)]
struct Range {
    /// `type/subtype`, in lower case; a subtype or both may be `*`.
    name: String,
    /// In thousandths.
    weight: u16,
}

/// How much something is wanted; what is greater is wanted more. Of two that have one weight that is
/// better which is named more exactly, then which is named first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    weight: u16,
    exactness: u8,
    position: Reverse<usize>,
}

impl Accept {
    /// Reads the header. What is no media range, or one of another version of FHIR, accepts nothing.
    pub fn parse(text: &str) -> Self {
        Self { text: text.to_owned(), ranges: members(text).filter_map(Range::parse).collect() }
    }

    /// How much a media type is wanted that goes by any of these names; `None` for not at all.
    pub fn rank(&self, names: &[&str]) -> Option<Rank> {
        let matching = self.ranges.iter().enumerate().filter_map(|(position, range)| {
            let exactness = names.iter().map(|name| range.exactness(name)).max().filter(|&exactness| exactness > 0)?;
            Some(Rank { weight: range.weight, exactness, position: Reverse(position) })
        });
        // The most exact one decides, even if it takes less of it.
        let decides = matching.max_by_key(|rank| (rank.exactness, rank.weight, rank.position));
        decides.filter(|rank| rank.weight > 0)
    }

    /// How much a format is wanted.
    pub fn rank_of(&self, format: Format) -> Option<Rank> {
        self.rank(format.names())
    }

    fn best(&self) -> Option<Format> {
        match (self.rank_of(Format::Json), self.rank_of(Format::Xml)) {
            (None, None) => None,
            (json, xml) if xml > json => Some(Format::Xml),
            _ => Some(Format::Json),
        }
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
        let mut weight = 1000;
        for (parameter, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match parameter.trim().to_ascii_lowercase().as_str() {
                // RFC 9110 section 12.4.2: from 0, "not acceptable", to 1.
                "q" => weight = (value.parse::<f32>().ok()?.clamp(0.0, 1.0) * 1000.0) as u16,
                "fhirversion" if !is_our_version(value) => return None,
                _ => {}
            }
        }
        Some(Self { name, weight })
    }

    /// 3 for a media type itself, 2 for all of its kind, 1 for everything, 0 for others.
    fn exactness(&self, name: &str) -> u8 {
        let kind = |name: &str| name.split_once('/').map(|(kind, _)| kind.to_owned());
        match self.name.as_str() {
            // Alone it is not RFC 9110's, but what some clients send.
            "*/*" | "*" => 1,
            own if own == name => 3,
            own if own.ends_with("/*") && kind(own) == kind(name) => 2,
            _ => 0,
        }
    }
}

/// The members of a list in a header; a comma in quotes is part of one.
fn members(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &str) -> Option<Format> {
        Format::wanted(None, Some(&Accept::parse(accept))).ok()
    }

    #[test]
    fn what_is_liked_best_is_chosen_and_json_where_nothing_decides() {
        use Format::{Json, Xml};
        for (accept, format) in [
            ("application/fhir+json", Json),
            ("application/fhir+xml", Xml),
            ("text/xml", Xml),
            ("Application/XML; charset=UTF-8", Xml),
            ("*/*", Json),
            ("*", Json),
            ("application/*", Json),
            ("application/fhir+json;q=0.5, application/fhir+xml", Xml),
            ("application/fhir+json, application/fhir+xml;q=0.9", Json),
            ("application/fhir+xml, application/fhir+json", Xml),
            ("application/fhir+json, application/fhir+xml", Json),
            ("application/fhir+xml, */*", Xml),
            ("*/*, application/fhir+xml", Xml),
            ("*/*;q=0.1, application/fhir+json;q=0", Xml),
            ("application/xml;q=0.2, application/*;q=0.9", Json),
            ("text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", Xml),
            ("text/html, application/json", Json),
            ("application/fhir+xml; fhirVersion=4.0", Xml),
            ("application/fhir+xml; fhirVersion=3.0, application/fhir+json; fhirVersion=4.0.1", Json),
            ("application/fhir+json;profile=\"a,b;q=0\";q=0.1, application/fhir+xml;q=0.2", Xml),
        ] {
            assert_eq!(wanted(accept), Some(format), "{accept}");
        }
        for accept in ["", ",", "text/html", "application/fhir+json;q=0", "application/fhir+json;q=x", "*/*;q=0"] {
            assert_eq!(wanted(accept), None, "{accept}");
        }
        assert_eq!(wanted("application/fhir+json; fhirVersion=5.0"), None);
    }

    #[test]
    fn format_goes_before_accept() {
        let xml = Accept::parse("application/fhir+xml");
        let wanted = |format: &str| Format::wanted(Some(format), Some(&xml)).map_err(|failure| failure.status);
        for format in ["json", "application/json", "application/fhir json", "application/fhir+json; fhirVersion=4.0"] {
            assert_eq!(wanted(format), Ok(Format::Json), "{format}");
        }
        for format in ["xml", "text/xml", "application/fhir xml;fhirVersion=4.0"] {
            assert_eq!(wanted(format), Ok(Format::Xml), "{format}");
        }
        for format in ["", "html", "text/turtle", "application/fhir+json; fhirVersion=3.0"] {
            assert_eq!(wanted(format), Err(406), "{format}");
        }
    }

    #[test]
    fn a_body_is_in_utf_8_and_of_r4() {
        assert_eq!(body_type("Application/FHIR+json; charset=\"UTF-8\"; fhirVersion=4.0"), "application/fhir+json");
        assert_eq!(Format::named(&body_type("text/xml;charset=utf-8")), Some(Format::Xml));
        assert_eq!(Format::named(&body_type("application/fhir+json; fhirVersion=3.0")), None);
        assert_eq!(Format::named(&body_type("application/fhir+xml; charset=latin1")), None);
    }
}
