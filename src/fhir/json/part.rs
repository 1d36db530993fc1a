//! Reading a part of a text that is known to be JSON.
//!
//! Who wants five members of a stored resource need not build the other thirty. What is not wanted is passed over,
//! looking only for where it ends, so this is for text that [`parse`](super::parse) has accepted before, such as
//! stored bodies: of other text it may accept what is no JSON, where that is not wanted. It never panics, and what it
//! returns is what [`parse`](super::parse) would make of that alone: well-formed, no name twice.

use std::borrow::Cow;

use super::error::{Fault, JsonErrorKind as Kind};
use super::parse::{Parsed, Parser};
use super::{JsonError, Limits, Object, Value};

/// Which part of a value is wanted. Arrays are wanted item by item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    All,
    /// Of an object these members, as far as they are wanted in turn; all of what is no object.
    Members(&'static [(&'static str, Wanted)]),
}

impl Wanted {
    fn member(self, name: &str) -> Option<Wanted> {
        match self {
            Self::All => Some(Self::All),
            Self::Members(members) => members.iter().find(|(wanted, _)| *wanted == name).map(|(_, part)| *part),
        }
    }
}

/// Reads what is wanted of a text that [`parse`](super::parse) has accepted before: the same value that it gave,
/// without the members that are not wanted.
///
/// # Errors
/// [`JsonError`] where the text is no JSON after all, as far as that was noticed.
pub fn parse_part<'a>(text: &'a str, wanted: Wanted, limits: &Limits) -> Result<Value<'a>, JsonError> {
    let mut parser = Parser::new(text, limits);
    parser.document(|parser| parser.part(wanted)).map_err(|fault| fault.into_error(text))
}

impl<'a> Parser<'a, '_> {
    fn part(&mut self, wanted: Wanted) -> Parsed<Value<'a>> {
        match (self.peek(), wanted) {
            (Some(b'{'), Wanted::Members(_)) => self.nested(|parser| parser.object_part(wanted)),
            (Some(b'['), Wanted::Members(_)) => self.nested(|parser| parser.array_part(wanted)),
            _ => self.value(),
        }
    }

    fn array_part(&mut self, wanted: Wanted) -> Parsed<Value<'a>> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_space();
            items.push(self.part(wanted)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.fault(Kind::Expected("a comma or the array's closing bracket"))),
            }
        }
    }

    fn object_part(&mut self, wanted: Wanted) -> Parsed<Value<'a>> {
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(Object(members)));
        }
        loop {
            self.skip_space();
            self.member_part(wanted, &mut members)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(Object(members)));
                }
                _ => return Err(self.fault(Kind::Expected("a comma or the object's closing brace"))),
            }
        }
    }

    fn member_part(&mut self, wanted: Wanted, members: &mut Vec<(Cow<'a, str>, Value<'a>)>) -> Parsed<()> {
        if self.peek() != Some(b'"') {
            return Err(self.fault(Kind::Expected("a member name in double quotes")));
        }
        let start = self.at;
        let name = self.string()?;
        let part = wanted.member(&name);
        if part.is_some() && members.iter().any(|(present, _)| *present == name) {
            return Err(Fault::new(Kind::DuplicateName(name.into_owned()), start));
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.fault(Kind::Expected("a colon after the member name")));
        }
        self.at += 1;
        self.skip_space();
        match part {
            Some(part) => {
                let value = self.part(part)?;
                members.push((name, value));
                Ok(())
            }
            None => self.pass_over(),
        }
    }

    /// Moves behind a value.
    fn pass_over(&mut self) -> Parsed<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => self.pass_over_string()?,
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'}' | b']' | b',') if depth == 0 => return Err(self.fault(Kind::Expected("a JSON value"))),
                Some(_) => self.pass_over_plain(),
                None => return Err(self.fault(Kind::UnexpectedEnd)),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Moves to the next byte that opens or closes something. Within an array or object that is all that matters;
    /// outside it ends a number or a word, at a comma too.
    #[inline]
    fn pass_over_plain(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            if matches!(byte, b'"' | b'{' | b'[' | b'}' | b']' | b',' | b' ' | b'\n' | b'\r' | b'\t') {
                return;
            }
            self.at += 1;
        }
    }

    /// Moves behind a string.
    #[inline]
    fn pass_over_string(&mut self) -> Parsed<()> {
        self.at += 1;
        loop {
            let Some(length) = memchr::memchr2(b'"', b'\\', &self.bytes[self.at..]) else {
                self.at = self.bytes.len();
                return Err(self.fault(Kind::UnexpectedEnd));
            };
            self.at += length + 1;
            if self.bytes[self.at - 1] == b'"' {
                return Ok(());
            }
            // The character behind a backslash ends nothing; of a longer one the rest is as any other.
            self.at = (self.at + 1).min(self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use proptest::prelude::*;

    const WANTED: Wanted = Wanted::Members(&[
        ("a", Wanted::All),
        ("b", Wanted::Members(&[("a", Wanted::All), ("c", Wanted::Members(&[]))])),
        ("\"", Wanted::Members(&[("\\", Wanted::All)])),
    ]);

    /// What is wanted of a whole value: the definition that reading a part is held to.
    fn prune<'a>(value: &Value<'a>, wanted: Wanted) -> Value<'a> {
        match value {
            Value::Array(items) => Value::Array(items.iter().map(|item| prune(item, wanted)).collect()),
            Value::Object(members) => Value::Object(
                members
                    .iter()
                    .filter_map(|(name, one)| Some((name.to_owned(), prune(one, wanted.member(name)?))))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// Values whose names are often wanted and whose strings are hard to pass over.
    fn value() -> impl Strategy<Value = Value<'static>> {
        let text = prop_oneof![r#"[\\"{}\[\],: é𝄞a-c\n]{0,8}"#, "[a-c]{0,2}", "[x{\"]{20,60}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            let name = prop_oneof![4 => "[abcd]", 1 => r#"["\\]"#, 1 => r#"[a"\\{]{0,3}"#];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name, inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// The text with space wherever some may stand.
    fn spaced(text: &str) -> String {
        let (mut out, mut quoted, mut escaped) = (String::new(), false, false);
        for c in text.chars() {
            let structural = !quoted && "{}[]:,".contains(c);
            out.push_str(if structural { " \n" } else { "" });
            out.push(c);
            out.push_str(if structural { "\t " } else { "" });
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
        }
        out
    }

    /// The text with every letter and space in a string as an escape.
    fn escaped(text: &str) -> String {
        let (mut out, mut quoted, mut behind) = (String::new(), false, false);
        for c in text.chars() {
            match c {
                'a'..='z' | ' ' if quoted && !behind => out.push_str(&format!("\\u{:04X}", u32::from(c))),
                _ => out.push(c),
            }
            quoted ^= c == '"' && !behind;
            behind = c == '\\' && !behind;
        }
        out
    }

    proptest! {
        #[test]
        fn a_part_is_the_whole_without_the_rest(value in value()) {
            let text = value.to_string();
            for text in [spaced(&text), escaped(&text), text] {
                let whole = parse(&text, &Limits::default()).unwrap();
                let part = parse_part(&text, WANTED, &Limits::default()).unwrap();
                prop_assert_eq!(&part, &prune(&whole, WANTED), "{}", text);
                prop_assert_eq!(&parse_part(&text, Wanted::All, &Limits::default()).unwrap(), &whole);
            }
        }

        /// Whatever it is given, it does not panic, and what it makes of it is JSON.
        #[test]
        fn no_text_is_a_danger(value in value(), cut in any::<prop::sample::Index>(), junk in r#"[{}\[\]",:\\0a ]{0,6}"#) {
            let text = value.to_string();
            let at = text.floor_char_boundary(cut.index(text.len() + 1));
            for text in [format!("{}{junk}", &text[..at]), format!("{}{junk}{}", &text[..at], &text[at..])] {
                if let Ok(part) = parse_part(&text, WANTED, &Limits::default()) {
                    let written = part.to_string();
                    prop_assert_eq!(&parse(&written, &Limits::default()).unwrap(), &part);
                    prop_assert_eq!(&parse_part(&written, WANTED, &Limits::default()).unwrap(), &part);
                }
                let all = parse_part(&text, Wanted::All, &Limits::default());
                match parse(&text, &Limits::default()) {
                    Ok(whole) => {
                        let part = parse_part(&text, WANTED, &Limits::default()).unwrap();
                        prop_assert_eq!(part, prune(&whole, WANTED));
                        prop_assert_eq!(all.unwrap(), whole);
                    }
                    Err(fault) => prop_assert_eq!(all.unwrap_err().to_string(), fault.to_string()),
                }
            }
        }

        /// What is wrong with what is wanted is seen, wherever it stands.
        #[test]
        fn faults_in_what_is_wanted_are_seen(
            wrong in prop::sample::select(vec![
                "01", "1.", "tru", "\"\\x\"", "\"\\u0000\"", "\"\\ud800\"", "\"\n\"", "[1,]", "[1 2]", "{\"x\"}", "{x:1}",
                "{\"x\":1,}", "{\"x\":1,\"x\":2}", "", "\"", "[", "{", "]", "1}",
            ]),
            before in value(),
            place in prop::sample::select(vec!["", "[1,", "{\"b\":{\"a\":", "{\"b\":[{\"a\":"]),
        ) {
            let closed = match place {
                "" => "",
                "[1," => "]",
                "{\"b\":{\"a\":" => "}}",
                _ => "}]}",
            };
            let (open, close) = if place.starts_with('{') { (place.to_owned(), closed.to_owned()) } else {
                (format!("{{\"d\":{before},\"a\":{place}"), format!("{closed}}}"))
            };
            let text = format!("{open}{wrong}{close}");
            prop_assert!(parse(&text, &Limits::default()).is_err(), "{}", text);
            prop_assert!(parse_part(&text, WANTED, &Limits::default()).is_err(), "{}", text);
        }
    }

    #[test]
    fn a_name_that_is_wanted_may_not_stand_twice() {
        for text in [
            r#"{"a": 1, "d": 2, "a": 1}"#,
            r#"{"a": 1, "\u0061": 2}"#,
            r#"[{"b": [{}, {"c": 1, "c": 1}]}]"#,
            r#"{"\"": 0, "\u0022": {}}"#,
        ] {
            let whole = parse(text, &Limits::default()).unwrap_err();
            let part = parse_part(text, WANTED, &Limits::default()).unwrap_err();
            assert_eq!(part.kind, whole.kind, "{text}");
            assert_eq!(part.offset, whole.offset, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_where_it_is_read() {
        let deep = |depth: usize| format!("{}1{}", r#"{"b":"#.to_owned() + &"[".repeat(depth), "]".repeat(depth) + "}");
        let limits = Limits { depth: 10 };
        assert!(parse_part(&deep(9), WANTED, &limits).is_ok());
        assert!(parse_part(&deep(10), WANTED, &limits).is_err());
        assert!(parse_part(&deep(100_000), WANTED, &limits).is_err());
        // What is passed over takes no stack, however deep it is.
        let deep = format!(r#"{{"d": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_part(&deep, WANTED, &limits).is_ok());
    }
}
