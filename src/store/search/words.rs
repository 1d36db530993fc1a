//! `_text` and `_content`: words in the narrative, or anywhere in a resource (R4 search.html#content).
//!
//! Words are compared as PostgreSQL's `simple` text search configuration has them: whole, whatever their letter case.
//! No index is kept of them, which every write would have to pay for; a page looks at resources in order until it is
//! full.

use salus_fhir::search::query::{Modifier, StringQuery};

use super::compile::{each, unsupported};
use super::condition::Condition;
use super::start::Clause;
use super::text_test::WordTest;
use crate::Result;

/// The clause of `_text` or `_content`.
pub(super) fn words(code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    if modifier.is_some() {
        return Err(unsupported(code, "this modifier"));
    }
    let any = tests(code, value)?.into_iter().map(Condition::Words).collect();
    Ok(Clause::filter(Condition::Any(any)))
}

/// What a value of `_text` or `_content` asks: any of these.
pub(super) fn tests(code: &str, value: &str) -> Result<Vec<WordTest>> {
    let queries = each(code, value, |one| Ok(websearch(&StringQuery::parse(one)?.exact)))?;
    Ok(queries.into_iter().map(|query| WordTest { narrative: code == "_text", query }).collect())
}

/// In the language of `websearch_to_tsquery`, where words stand for all of them without an `and`.
fn websearch(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.eq_ignore_ascii_case("and"));
    words.collect::<Vec<&str>>().join(" ")
}
