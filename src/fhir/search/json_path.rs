//! Where in the JSON of a resource a search parameter's values stand, as paths of SQL/JSON (ISO 9075-2, as
//! PostgreSQL's `jsonpath` has them, in lax mode): for what no index is kept of, such as the text beside a code.

use std::fmt::Write as _;

use super::SearchParameter;
use super::convert::Conversion;
use super::expression::Literal;
use super::program::{Condition, Program, Step};

/// Which part of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What it is found by: a code, an identifier's value, a reference, a uri.
    Value,
    /// The text beside it: `Coding.display`, `CodeableConcept.text`, `Identifier.type.text` (R4 search.html#token).
    Text,
}

impl SearchParameter {
    /// The paths to this part of its values; none where they have no such part, or no path leads to them.
    pub fn json_paths(&self, part: Part) -> Vec<String> {
        let Program::Values(leaves) = &self.program else { return Vec::new() };
        let mut paths = Vec::new();
        for leaf in leaves {
            let mut path = "$".to_owned();
            write_steps(&leaf.path, &mut path);
            paths.extend(ends(&leaf.conversion, part).iter().map(|end| format!("{path}{end}")));
        }
        paths
    }
}

/// How a path goes on from an element to a part of its value.
fn ends(conversion: &Conversion, part: Part) -> &'static [&'static str] {
    match (conversion, part) {
        (Conversion::Coding, Part::Value) => &[".code"],
        (Conversion::Coding, Part::Text) => &[".display"],
        (Conversion::CodeableConcept, Part::Value) => &[".coding.code"],
        (Conversion::CodeableConcept, Part::Text) => &[".text", ".coding.display"],
        (Conversion::Identifier | Conversion::ContactPoint | Conversion::IdentifierReference, Part::Value) => {
            &[".value"]
        }
        (Conversion::Identifier, Part::Text) => &[".type.text", ".type.coding.display"],
        (Conversion::Reference, Part::Value) => &[".reference"],
        (Conversion::Reference, Part::Text) => &[".display"],
        (Conversion::Code(_) | Conversion::Boolean | Conversion::Literal, Part::Value) => &[""],
        (Conversion::Canonical | Conversion::Uri, Part::Value) => &[""],
        _ => &[],
    }
}

// Writing to a String does not fail.
fn write_steps(steps: &[Step], out: &mut String) {
    for step in steps {
        let _ = match step {
            Step::Property(name) => write!(out, ".{}", quoted(name)),
            Step::Item(name, index) => write!(out, ".{}[{index}]", quoted(name)),
            Step::Extension(url) => write!(out, ".extension ? (@.url == {})", quoted(url)),
            Step::Filter(condition) => write!(out, " ? ({})", condition_path(condition)),
        };
    }
}

fn condition_path(condition: &Condition) -> String {
    let each = |paths: &[Vec<Step>], rest: &str| {
        let written = paths.iter().map(|path| {
            let mut text = "@".to_owned();
            write_steps(path, &mut text);
            format!("{text}{rest}")
        });
        written.collect::<Vec<String>>()
    };
    match condition {
        Condition::Exists(paths) => {
            let all: Vec<String> = each(paths, "").into_iter().map(|path| format!("exists({path})")).collect();
            joined(&all, "||")
        }
        Condition::Equals { paths, literal } => {
            let literal = match literal {
                Literal::Text(text) => quoted(text),
                Literal::Boolean(boolean) => boolean.to_string(),
            };
            joined(&each(paths, &format!(" == {literal}")), "||")
        }
        Condition::Not(condition) => format!("!({})", condition_path(condition)),
        Condition::All(all) => joined(&all.iter().map(condition_path).collect::<Vec<_>>(), "&&"),
        Condition::Any(any) => joined(&any.iter().map(condition_path).collect::<Vec<_>>(), "||"),
        Condition::RefersTo(name) => {
            format!(r#"@.reference like_regex "(^|/){name}/[^/]+(/_history/[^/]+)?$" || @.type == {}"#, quoted(name))
        }
    }
}

fn joined(parts: &[String], joint: &str) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("({part})")).collect();
    parts.join(&format!(" {joint} "))
}

/// As a string of SQL/JSON, which is written as in JSON.
fn quoted(text: &str) -> String {
    crate::json::Value::String(text.into()).to_string()
}
