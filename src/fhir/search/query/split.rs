//! Separators of search values and their escapes.
//!
//! Source: R4 search.html#escaping: `\,` `\$` `\|` `\\` stand for the character itself. A backslash
//! before anything else is kept as it is.

use std::borrow::Cow;

/// Splits at each `separator` (an ASCII character) that no backslash escapes. Parts keep their
/// escapes.
pub fn split_unescaped(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let current = rest?;
        let (part, remaining) = match find_unescaped(current, separator) {
            Some(at) => (&current[..at], Some(&current[at + separator.len_utf8()..])),
            None => (current, None),
        };
        rest = remaining;
        Some(part)
    })
}

/// The alternatives of a value: `a,b` means a or b.
pub fn split_values(text: &str) -> impl Iterator<Item = &str> {
    split_unescaped(text, ',')
}

/// The components of a composite value: `code$value`.
pub fn split_components(text: &str) -> impl Iterator<Item = &str> {
    split_unescaped(text, '$')
}

/// Takes the escapes away. To be done last, once a value was split.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = characters.peek().copied().filter(|next| character == '\\' && is_escapable(*next));
        if escaped.is_some() {
            characters.next();
        }
        out.push(escaped.unwrap_or(character));
    }
    Cow::Owned(out)
}

/// `text` as one value: no part of it separates. A `|` still tells the system of a token from its code.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ',' | '$' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

/// Where the first `separator` without a backslash stands.
pub(super) fn find_unescaped(text: &str, separator: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if character == '\\' {
            escaped = true;
        } else if character == separator {
            return Some(at);
        }
    }
    None
}

fn is_escapable(character: char) -> bool {
    matches!(character, ',' | '$' | '|' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_protect_separators() {
        let parts: Vec<_> = split_values(r"a,b\,c,,\\,d").collect();
        assert_eq!(parts, ["a", r"b\,c", "", r"\\", "d"]);
        assert_eq!(unescape(r"b\,c"), "b,c");
        assert_eq!(unescape(r"\\"), "\\");
        assert_eq!(unescape(r"C:\dir\"), r"C:\dir\");
        assert_eq!(split_components("a$b").collect::<Vec<_>>(), ["a", "b"]);
    }

    fn escape(text: &str) -> String {
        text.chars().fold(String::new(), |mut out, character| {
            if is_escapable(character) {
                out.push('\\');
            }
            out.push(character);
            out
        })
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(parts in proptest::collection::vec("[a-z,$|\\\\é]{0,6}", 1..5)) {
            let text = parts.iter().map(|part| escape(part)).collect::<Vec<_>>().join(",");
            let back: Vec<_> = split_values(&text).map(|part| unescape(part).into_owned()).collect();
            prop_assert_eq!(back, parts);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            split_values(&text).for_each(|part| _ = unescape(part));
        }
    }
}
