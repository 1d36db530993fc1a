//! The keys that Consent rules and rows share.
//!
//! A rule about a code, a label or an instance holds the key of that fact; the store puts the same
//! keys among each row's `keys`, and matching is whether the two overlap.

use salus_fhir::Key;
use salus_fhir::datatypes::Reference;

/// v3 Confidentiality, the code system of `meta.security` labels such as `R`.
pub const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

/// Confidentiality codes from least to most restrictive (HL7 v3 Confidentiality).
const LEVELS: [&str; 6] = ["U", "L", "M", "N", "R", "V"];

/// The key of a coded value. The store puts one on a row for each value of each coded element
/// (CodeableConcept, Coding, code, Identifier excepted); `system` is `None` where there is none, and
/// for a `code` element the system its binding implies.
pub fn code_key(system: Option<&str>, code: &str) -> Key {
    Key::of(&["code", system.unwrap_or_default(), code])
}

/// The key of a security label. The store puts [`row_label_keys`] on each row.
pub fn label_key(system: &str, code: &str) -> Key {
    Key::of(&["label", system, code])
}

/// The keys of a row's `meta.security` labels (system, code). A row without a confidentiality label
/// counts as `N`, normal, as HL7 v3 Confidentiality has it, so that a rule about `N` finds it.
pub fn row_label_keys<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rated = false;
    for (system, code) in labels {
        rated |= system == CONFIDENTIALITY && LEVELS.contains(&code);
        keys.push(label_key(system, code));
    }
    if !rated {
        keys.push(normal());
    }
    keys
}

/// The label of what is normally confidential, which rows without one have too.
pub fn normal() -> Key {
    label_key(CONFIDENTIALITY, "N")
}

/// The confidentiality codes above normal (v3-Confidentiality: restricted, very restricted).
pub const ABOVE_NORMAL: [&str; 2] = ["R", "V"];

/// The labels that [`DefaultPolicy::PermitNormal`](crate::DefaultPolicy::PermitNormal) withholds: the
/// confidentiality codes above `N`.
pub fn above_normal() -> Vec<Key> {
    ABOVE_NORMAL.map(|code| label_key(CONFIDENTIALITY, code)).to_vec()
}

/// The labels that a provision about confidentiality `code` is about: itself and, for a deny, those
/// more restrictive; for a permit, those less restrictive (high-water mark). `None` if it is no
/// confidentiality code.
pub(super) fn confidentiality_keys(code: &str, deny: bool) -> Option<Vec<Key>> {
    let level = LEVELS.iter().position(|known| *known == code)?;
    let codes = if deny { &LEVELS[level..] } else { &LEVELS[..=level] };
    Some(codes.iter().map(|code| label_key(CONFIDENTIALITY, code)).collect())
}

/// The key of what a reference points at: `Key::resource` for a resource here (`Type/id`, or an
/// absolute URL below `base`; a version is left off), else the key of the URL. An Organization on
/// another server is thus never taken for the one here with the same id.
pub fn reference_key(reference: &str, base: &str) -> Key {
    match Reference::parse_below(reference, base) {
        Reference::Relative { resource_type, id, .. } => Key::resource(resource_type, id),
        _ => Key::of(&["url", reference.split("/_history/").next().unwrap_or(reference)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_local_only_below_our_base() {
        let base = "http://127.0.0.1:8080/fhir";
        let here = Key::resource("Organization", "1");
        for reference in [
            "Organization/1",
            "Organization/1/_history/3",
            "http://127.0.0.1:8080/fhir/Organization/1",
            "http://127.0.0.1:8080/fhir/Organization/1/_history/2",
        ] {
            assert_eq!(reference_key(reference, base), here, "{reference}");
        }
        for reference in [
            "https://elsewhere.example/fhir/Organization/1",
            "http://127.0.0.1:8080/fhirx/Organization/1",
            "Organization/1/more",
            "urn:uuid:6c1d",
            "#contained",
            "",
        ] {
            assert_ne!(reference_key(reference, base), here, "{reference}");
        }
        assert_eq!(
            reference_key("https://e.example/Organization/1/_history/2", base),
            reference_key("https://e.example/Organization/1", base)
        );
    }

    #[test]
    fn an_unlabelled_row_is_normal_and_a_labelled_one_is_what_it_says() {
        let normal = label_key(CONFIDENTIALITY, "N");
        assert_eq!(row_label_keys([]), [normal]);
        assert!(row_label_keys([("http://x", "PSY")]).contains(&normal));
        assert!(!row_label_keys([(CONFIDENTIALITY, "R")]).contains(&normal));
    }

    #[test]
    fn confidentiality_widens_upwards_for_denies_and_downwards_for_permits() {
        assert_eq!(confidentiality_keys("R", true).unwrap(), above_normal());
        assert_eq!(confidentiality_keys("U", false).unwrap(), [label_key(CONFIDENTIALITY, "U")]);
        assert_eq!(confidentiality_keys("N", false).unwrap().len(), 4);
        assert_eq!(confidentiality_keys("PSY", true), None);
    }
}
