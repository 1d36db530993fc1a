//! Strings as string parameters compare them.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What a string parameter compares: letters and digits in lower case without accents, punctuation
/// left out, white space collapsed to single spaces. Text without letters and digits keeps its
/// punctuation, so that it never becomes the empty string, which everything starts with.
///
/// Source: R4 search.html#string ("normalized by case and combining characters … punctuation and
/// non-significant whitespace are ignored").
pub fn normalize_string(text: &str) -> String {
    let folded = fold(text);
    let kept = collapse(&folded, |character| character.is_alphanumeric());
    if kept.is_empty() { collapse(&folded, |character| !character.is_control()) } else { kept }
}

/// Lower case, compatibility forms decomposed, marks taken away.
fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    // Lower-casing may bring marks and marks may hide case: decompose on both sides.
    let lower = text.nfkd().flat_map(char::to_lowercase);
    Cow::Owned(lower.nfkd().filter(|character| !is_combining_mark(*character)).collect())
}

fn collapse(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for character in text.chars() {
        if character.is_whitespace() {
            gap = !out.is_empty();
        } else if keep(character) {
            if std::mem::take(&mut gap) {
                out.push(' ');
            }
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_accents_punctuation_and_space_are_folded() {
        assert_eq!(normalize_string("  Éva   O'Brien-Müller\t"), "eva obrienmuller");
        assert_eq!(normalize_string("ÅNGSTRÖM"), normalize_string("A\u{30a}ngstro\u{308}m"));
        assert_eq!(normalize_string("ﬁn ＡＢ"), "fin ab");
        assert_eq!(normalize_string("李 明"), "李 明");
        assert_eq!(normalize_string("--"), "--");
        assert_eq!(normalize_string(" \t"), "");
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,20}") {
            let once = normalize_string(&text);
            prop_assert_eq!(normalize_string(&once), once);
        }

        #[test]
        fn case_does_not_matter(text in "[a-zA-Zäöüéèç ]{0,20}") {
            prop_assert_eq!(normalize_string(&text.to_uppercase()), normalize_string(&text.to_lowercase()));
        }
    }
}
