//! What is accepted, what is refused and where, and that nothing is lost on the way.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Value<'_>, JsonError> {
    parse(text, &Limits::default())
}

fn refusal(text: &str) -> JsonError {
    read(text).expect_err(text)
}

#[test]
fn what_was_sent_comes_back() {
    let text = r#"{"resourceType":"Observation","b":1.00,"a":[1E+2,-0.0,1.2e-5,0],"é":"😀\n\"\\/","n":null,"t":true,"f":false,"e":{},"l":[]}"#;
    assert_eq!(read(text).unwrap().to_string(), text);
}

#[test]
fn white_space_and_a_byte_order_mark_are_skipped() {
    let value = read("\u{feff} \r\n\t{ \"a\" : [ 1 , 2 ] , \"b\" : \"\" } \n").unwrap();
    assert_eq!(value.to_string(), r#"{"a":[1,2],"b":""}"#);
}

#[test]
fn strings_without_escapes_are_borrowed() {
    let value = read(r#"["plain","esc\u0041ped"]"#).unwrap();
    let items = value.as_array().unwrap();
    assert!(matches!(&items[0], Value::String(Cow::Borrowed("plain"))));
    assert_eq!(items[1].as_str(), Some("escAped"));
}

#[test]
fn escapes() {
    assert_eq!(read(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#).unwrap().as_str(), Some("\"\\/\u{8}\u{c}\n\r\té😀"));
    assert_eq!(Value::from("\u{1}\u{1f}\u{7f}").to_string(), "\"\\u0001\\u001f\u{7f}\"");
}

#[test]
fn refusals_by_kind() {
    use JsonErrorKind as K;
    for number in ["1.", "01", "-", "-01", ".5", "+1", "1e", "1e+", "1.e3", "-a"] {
        assert_eq!(refusal(&format!("[{number}]")).kind, K::InvalidNumber, "{number}");
    }
    for (text, kind) in [
        ("", K::UnexpectedEnd),
        ("{", K::UnexpectedEnd),
        ("[1,", K::UnexpectedEnd),
        (r#"{"a""#, K::UnexpectedEnd),
        (r#"{"a":"#, K::UnexpectedEnd),
        (r#""abc"#, K::UnexpectedEnd),
        (r#""abc\"#, K::UnexpectedEnd),
        (r#""a string longer than the short scan"#, K::UnexpectedEnd),
        ("{} {}", K::TrailingData),
        ("1 2", K::TrailingData),
        ("[1,]", K::Expected("a JSON value")),
        ("[1 2]", K::Expected("a comma or the array's closing bracket")),
        (r#"{"a":1 "b":2}"#, K::Expected("a comma or the object's closing brace")),
        (r#"{"a":1,}"#, K::Expected("a member name in double quotes")),
        ("{a:1}", K::Expected("a member name in double quotes")),
        (r#"{"a" 1}"#, K::Expected("a colon after the member name")),
        ("nul1", K::Expected("true, false, null or another JSON value")),
        ("NaN", K::Expected("a JSON value")),
        (r#""\x""#, K::InvalidEscape),
        (r#""\u12g4""#, K::InvalidEscape),
        (r#""\u12"#, K::InvalidEscape),
        (r#""\u+123""#, K::InvalidEscape),
        (r#""\ud800""#, K::LoneSurrogate),
        (r#""\ud800\u0041""#, K::LoneSurrogate),
        (r#""\udc00""#, K::LoneSurrogate),
        (r#""\ud800\ud800""#, K::LoneSurrogate),
        (r#""\u0000""#, K::Nul),
        ("\"\0\"", K::Nul),
        ("\"a\nb\"", K::ControlCharacter),
        ("\"a string longer than the short scan\tb\"", K::ControlCharacter),
        ("\"a string longer than the short scan\0b\"", K::Nul),
        (r#"{"a":1,"a":2}"#, K::DuplicateName("a".into())),
        (r#"{"a":1,"\u0061":2}"#, K::DuplicateName("a".into())),
    ] {
        assert_eq!(refusal(text).kind, kind, "{text}");
    }
}

#[test]
fn a_refusal_says_where() {
    let text = "{\"resourceType\":\"Patient\",\n \"name\":[{\"given\":[\"é\", \"b\\u0000\"]}]}";
    let error = refusal(text);
    assert_eq!(error.expression, "Patient.name[0].given[1]");
    assert_eq!((error.line, error.column), (2, 27));
    assert_eq!(&text[error.offset..error.offset + 6], "\\u0000");
    assert_eq!(error.to_string(), "strings must not contain U+0000 (line 2, column 27, at Patient.name[0].given[1])");
    let error =
        refusal(r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"1","id":"2"}}]}"#);
    assert_eq!(error.expression, "Bundle.entry[0].resource.id");
}

#[test]
fn invalid_utf8_says_where() {
    let error = parse_bytes(b"{\n\"a\":\"\xff\"}", &Limits::default()).unwrap_err();
    assert_eq!((error.kind, error.line, error.column, error.offset), (JsonErrorKind::InvalidUtf8, 2, 6, 7));
    assert_eq!(parse_bytes(b"[]", &Limits::default()), Ok(Value::Array(vec![])));
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&nested(128)).is_ok());
    assert_eq!(refusal(&nested(129)).kind, JsonErrorKind::TooDeep(128));
    assert_eq!(refusal(&"[{\"a\":".repeat(500_000)).kind, JsonErrorKind::TooDeep(128));
    // Siblings do not add up.
    assert!(read(&format!("[{}]", vec!["[[]]"; 300].join(","))).is_ok());
}

#[test]
fn duplicates_are_found_in_large_objects() {
    let members: Vec<String> = (0..20_000).map(|i| format!("\"m{i}\":{i}")).collect();
    let text = format!("{{{}}}", members.join(","));
    assert_eq!(read(&text).unwrap().as_object().unwrap().len(), 20_000);
    let text = format!("{{{},\"m7\":1}}", members.join(","));
    assert_eq!(refusal(&text).kind, JsonErrorKind::DuplicateName("m7".into()));
}

#[test]
fn objects_keep_their_order_when_changed() {
    let mut value = read(r#"{"a":1,"b":2,"c":3}"#).unwrap();
    let object = value.as_object_mut().unwrap();
    assert_eq!(object.set("b", "x"), Some(Value::Number("2".into())));
    assert_eq!(object.set("d", true), None);
    assert_eq!(object.insert_at(1, "id", "new".to_owned()), None);
    assert_eq!(object.insert_at(0, "c", 4), Some(Value::Number("3".into())));
    assert_eq!(object.remove("a"), Some(Value::Number("1".into())));
    assert_eq!(object.remove("a"), None);
    assert_eq!(value.into_static().to_string(), r#"{"id":"new","b":"x","c":4,"d":true}"#);
}

#[test]
fn accessors() {
    let value = read(r#"{"s":"x","n":12,"d":1.50,"b":true,"l":[1],"o":{"p":"q"},"z":null}"#).unwrap();
    assert_eq!(value.get_str("s"), Some("x"));
    assert_eq!(value.get("n").and_then(Value::as_i64), Some(12));
    assert_eq!(value.get("d").and_then(Value::as_number), Some("1.50"));
    assert_eq!(value.get("d").and_then(Value::as_f64), Some(1.5));
    assert_eq!(value.get("b").and_then(Value::as_bool), Some(true));
    assert_eq!(value.items("l").len(), 1);
    assert!(value.items("s").is_empty());
    assert_eq!(value.at(&["o", "p"]).and_then(Value::as_str), Some("q"));
    assert!(value.get("z").unwrap().is_null());
    assert_eq!(value.get("missing"), None);
}

/// JSON text, most of it valid: values written with random spacing, some then damaged.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?",
        "\"([a-zé😀 /]|\\\\[\"\\\\/bfnrt]|\\\\u[0-9a-fA-F]{4}){0,40}\"",
    ];
    let value = leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(|v| format!("[ {} ]", v.join(" ,\n"))),
            prop::collection::vec(("[a-d]{1,2}", inner), 0..8).prop_map(|v| {
                let members: Vec<String> = v.iter().map(|(n, v)| format!("\"{n}\" : {v}")).collect();
                format!("{{{}\t}}", members.join(", "))
            }),
        ]
    });
    let damage = prop_oneof![3 => Just(None), 1 => (any::<prop::sample::Index>(), "[\\[\\]{},:\"0-9.eE+\\\\ a\u{1}-]?").prop_map(Some)];
    (value, damage).prop_map(|(mut text, damage)| {
        if let Some((index, replacement)) = damage {
            let at = text.floor_char_boundary(index.index(text.len()));
            let end = text.ceil_char_boundary(at + 1);
            text.replace_range(at..end, &replacement);
        }
        text
    })
}

fn has_duplicates(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_duplicates),
        Value::Object(object) => object
            .iter()
            .enumerate()
            .any(|(i, (name, value))| has_duplicates(value) || object.iter().take(i).any(|(n, _)| n == name)),
        _ => false,
    }
}

proptest! {
    /// Accepts and refuses as `serde_json` does, but for the rules that FHIR adds.
    #[test]
    fn agrees_with_serde_json(text in any_json()) {
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        match read(&text) {
            Ok(value) => {
                prop_assert!(!has_duplicates(&value));
                let written = value.to_string();
                prop_assert_eq!(&read(&written).unwrap(), &value);
                // serde_json refuses numbers that overflow f64; FHIR does not.
                if let Ok(theirs) = theirs {
                    prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&written).unwrap(), theirs);
                } else {
                    prop_assert!(theirs.unwrap_err().to_string().contains("number out of range"));
                }
            }
            Err(error) => {
                let stricter = matches!(error.kind, JsonErrorKind::DuplicateName(_) | JsonErrorKind::Nul);
                prop_assert!(stricter || theirs.is_err(), "{}: {}", error, text);
            }
        }
    }

    /// No input makes the parser panic, and faults lie within the text.
    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Err(error) = parse_bytes(&bytes, &Limits::default()) {
            prop_assert!(error.offset <= bytes.len());
        }
    }

    #[test]
    fn strings_round_trip(text in "\\PC*[^\u{0}]*") {
        let text: String = text.chars().filter(|c| *c != '\0').collect();
        let written = Value::from(text.as_str()).to_string();
        let parsed = read(&written).unwrap();
        prop_assert_eq!(parsed.as_str(), Some(text.as_str()));
    }
}
