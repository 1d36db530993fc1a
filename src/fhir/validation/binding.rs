//! Codes against the value sets that required bindings name.

use crate::definitions::{BindingStrength, CodeSet, ElementDefinition, TypeRef};
use crate::json::Value;
use crate::outcome::IssueCode;

use super::Run;
use super::path::Path;

/// Up to this many codes are listed in a message.
const LISTED: usize = 12;

impl Run<'_> {
    /// Checks a value of an element that may have a required binding whose codes are known.
    #[inline]
    pub(super) fn binding(
        &mut self,
        path: &Path<'_>,
        element: &ElementDefinition,
        type_ref: &TypeRef,
        value: &Value<'_>,
    ) {
        let Some(binding) = &element.binding else {
            return;
        };
        if binding.strength != BindingStrength::Required {
            return;
        }
        let Some(codes) = self.types.codes(binding) else {
            return;
        };
        let valid = match (type_ref.code.as_str(), value) {
            ("code", Value::String(code)) => codes.contains(code),
            ("Coding", coding) => is_member(coding, codes),
            ("CodeableConcept", concept) => is_concept_member(concept, codes),
            _ => true,
        };
        if !valid {
            let message = format!("the code must be one of {}", list(codes));
            self.error(IssueCode::CodeInvalid, path, message);
        }
    }
}

/// One coding of the value set is enough; what has no coding but extensions says why it has none.
fn is_concept_member(concept: &Value<'_>, codes: &CodeSet) -> bool {
    let codings = concept.items("coding");
    if codings.is_empty() {
        return concept.get("extension").is_some();
    }
    codings.iter().any(|coding| is_member(coding, codes))
}

fn is_member(coding: &Value<'_>, codes: &CodeSet) -> bool {
    match (coding.get_str("system"), coding.get_str("code")) {
        (Some(system), Some(code)) => codes.contains_coding(system, code),
        (None, Some(code)) => codes.contains(code),
        (_, None) => coding.get("_code").is_some() || coding.get("extension").is_some(),
    }
}

/// The codes, or the first of them and where the rest stands.
#[cold]
fn list(codes: &CodeSet) -> String {
    let mut listed: Vec<&str> = codes.codes().take(LISTED).collect();
    listed.dedup();
    let mut list = listed.join(", ");
    if codes.codes().len() > LISTED {
        list.push_str(", … ");
    }
    format!("{list} (value set {})", codes.value_set)
}
