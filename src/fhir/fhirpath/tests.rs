//! Cases that the official suite lacks: places of results, errors, bounds, and any text at all.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::Definitions;
use crate::definitions::tests::r4;
use crate::json::{self, Value};

const PATIENT: &str = r##"{"resourceType":"Patient","id":"p","active":true,
    "contained":[{"resourceType":"Organization","id":"o","name":"Ward"}],
    "name":[{"given":["A","B"],"_given":[null,{"id":"x"}],"family":"F"},{"use":"usual","given":["C"]}],
    "birthDate":"1974-12-25","_birthDate":{"extension":[{"url":"http://e/t","valueDecimal":1.50}]},
    "deceasedBoolean":false,"multipleBirthInteger":2,"managingOrganization":{"reference":"#o"}}"##;

fn parse(text: &str) -> Value<'_> {
    json::parse(text, &json::Limits::default()).unwrap()
}

/// What an expression gives for the patient, joined; or its error.
fn eval(r4: &Definitions, text: &str) -> Result<String, FhirPathError> {
    eval_with(r4, text, |environment| environment)
}

fn eval_with(
    r4: &Definitions,
    text: &str,
    set: impl for<'a> FnOnce(Environment<'a>) -> Environment<'a>,
) -> Result<String, FhirPathError> {
    let patient = parse(PATIENT);
    let environment = set(Environment::new(r4).with_resource(&patient));
    let expression = Expression::parse(text)?;
    let items = expression.evaluate(&environment, Node::resource(&patient, r4))?;
    let text = |item: &Item<'_>| match item {
        Item::Node(Node { value: Some(value @ Value::Object(_)), .. }) => value.to_string(),
        item => item.system().map_or("no value".to_owned(), |value| value.text().into_owned()),
    };
    Ok(items.iter().map(text).collect::<Vec<_>>().join("|"))
}

fn with_r4(test: impl FnOnce(&Definitions)) {
    // Where it is not there, r4() says so.
    if let Some(r4) = r4() {
        test(&r4);
    }
}

#[test]
fn values_come_with_their_digits_and_places() {
    with_r4(|r4| {
        let cases = [
            ("name.given", "A|B|C"),
            ("name[1].given", "C"),
            ("name.given[1].id", "x"),
            ("Patient.birthDate.extension('http://e/t').value", "1.50"),
            ("birthDate.extension.value * 2", "3.00"),
            ("deceased", "false"),
            ("multipleBirth + 1", "3"),
            ("managingOrganization.resolve().name", "Ward"),
            ("contained.ofType(Organization).name", "Ward"),
            ("name.where(use = 'usual').given", "C"),
            ("%resource.id & '-' & %ucum", "p-http://unitsofmeasure.org"),
            ("birthDate + 1 month", "1975-01-25"),
            ("(1 'g' = 1000 'mg') and (1 'h' > 59 'min') and (1 'h' = 60 'min') and (60 'min' = 1 'h')", "true"),
            ("(37 'Cel').toQuantity('K')", "310.15 'K'"),
            ("name.given.aggregate($total & $this, '')", "ABC"),
            ("nothing.here", ""),
        ];
        for (expression, expected) in cases {
            assert_eq!(eval(r4, expression).as_deref(), Ok(expected), "{expression}");
        }
    });
}

#[test]
fn results_are_references_into_the_resource() {
    with_r4(|r4| {
        let patient = parse(PATIENT);
        let environment = Environment::new(r4).with_resource(&patient);
        let expression = Expression::parse("name.where(given = 'C')").unwrap();
        let items = expression.evaluate(&environment, Node::resource(&patient, r4)).unwrap();
        let [Item::Node(Node { value: Some(found), .. })] = items.as_slice() else { panic!("{items:?}") };
        assert!(std::ptr::eq(*found, &patient.items("name")[1]));
    });
}

#[test]
fn errors_say_what_they_are() {
    use FhirPathError::{Execution, Semantic, Syntax, TooCostly};
    with_r4(|r4| {
        let fault = |text: &str| eval(r4, text).unwrap_err();
        assert!(matches!(fault("name.given +"), Syntax { offset: 12, .. }));
        assert!(matches!(fault("name.nofunction()"), Syntax { .. }));
        assert!(matches!(fault("'ö' + ?"), Syntax { offset: 6, .. }));
        assert!(matches!(fault("name.given.single()"), Execution(_)));
        assert!(matches!(fault("'a' - 1"), Execution(_)));
        assert!(matches!(fault("'a'.matches('(')"), Syntax { .. }));
        assert!(matches!(fault("%nobody"), Semantic(_)));
        assert!(matches!(fault("name.ofType(Nothing)"), Semantic(_)));
        let strict = eval_with(r4, "name.nothing", |environment| environment.strict());
        assert!(matches!(strict, Err(Semantic(_))));
        let costly = "name.given.repeat($this & 'x')";
        assert_eq!(eval_with(r4, costly, |environment| environment.with_steps(10_000)), Err(TooCostly(10_000)));
    });
}

#[test]
fn length_and_nesting_are_bounded() {
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let (signs, path) = ("-".repeat(5_000) + "1", "a.".repeat(5_000) + "a");
    let (sum, long) = ("1+".repeat(5_000) + "1", "'".to_owned() + &"a".repeat(40_000) + "'");
    for text in [deep, signs, path, sum, long] {
        assert!(matches!(Expression::parse(&text), Err(FhirPathError::Syntax { .. })));
    }
    let just = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    assert!(Expression::parse(&just).is_ok());
}

#[test]
fn strings_and_patterns_are_bounded() {
    with_r4(|r4| {
        let doubling = "'aaaaaaaaaaaaaaaa'.repeat(iif($this.length() < 100000000, $this & $this, {}))";
        assert!(eval(r4, doubling).is_err());
        // Exponential in an engine that backtracks.
        let pattern = format!("'{}'.matches('^(a+)+$')", "a".repeat(2_000) + "b");
        assert_eq!(eval(r4, &pattern).as_deref(), Ok("false"));
        assert!(eval(r4, "'a'.matches('((((a{1,100}){1,100}){1,100}){1,100})')").is_err());
    });
}

#[test]
fn the_clock_is_the_one_given() {
    with_r4(|r4| {
        let now = eval_with(r4, "now()", |environment| environment.with_now(1_700_000_000_123_456));
        assert_eq!(now.as_deref(), Ok("2023-11-14T22:13:20.123Z"));
        assert_eq!(eval(r4, "now() = now()").as_deref(), Ok("true"));
    });
}

/// Words of the language, in any order.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "name",
        "given",
        "Patient",
        "birthDate",
        "where(",
        "select(",
        "repeat(",
        "children()",
        "descendants()",
        "resolve()",
        "ofType(Quantity)",
        "is",
        "as",
        "and",
        "or",
        "implies",
        "in",
        "contains",
        "div",
        "mod",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ".",
        ",",
        "+",
        "-",
        "*",
        "/",
        "&",
        "|",
        "=",
        "~",
        "!=",
        "<=",
        "1",
        "0",
        "-1",
        "1.50",
        "99999999999999999999",
        "79228162514264337593543950335",
        "'a'",
        "'",
        "`x`",
        "$this",
        "$total",
        "$index",
        "%resource",
        "@2020-02-30",
        "@2020-02",
        "@T10:30",
        "@2020-01-01T08:00Z",
        "4 'mg'",
        "1 year",
        "9999 years",
        "toQuantity('g')",
        "lowBoundary()",
        "highBoundary(28)",
        "power(99)",
        "round(28)",
        "substring(1,2)",
        "matches('a+')",
        "replaceMatches('a','$0$0')",
        "sort(-$this)",
        "aggregate($total+$this, 0)",
        "first()",
        "toString()",
        "toDate()",
        "escape('json')",
        "decode('hex')",
        "type()",
        "iif(",
        "true",
        "//",
        "/*",
        "*/",
    ]);
    prop::collection::vec((word, prop::sample::select(vec!["", " ", "."])), 0..16)
        .prop_map(|words| words.into_iter().map(|(word, gap)| format!("{word}{gap}")).collect())
}

fn never_panics(r4: &Arc<Definitions>, text: &str) {
    let _ = eval_with(r4, text, |environment| environment.with_steps(20_000));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn no_expression_makes_it_panic(text in words()) {
        match r4() {
            Some(r4) => never_panics(&r4, &text),
            None => { let _ = Expression::parse(&text); }
        }
    }

    #[test]
    fn a_string_literal_is_its_text(text in "[^\\\\']{0,40}") {
        let Some(r4) = r4() else { return Ok(()) };
        let literal = format!("'{text}'");
        prop_assert_eq!(eval(&r4, &literal), Ok(text));
    }

    #[test]
    fn a_sum_of_decimals_is_exact(a in 0_i64..1_000_000_000, b in 0_i64..1_000_000_000) {
        let Some(r4) = r4() else { return Ok(()) };
        let cents = |number: i64| format!("{}.{:02}", number / 100, number % 100);
        let sum = eval(&r4, &format!("{} + {}", cents(a), cents(b)));
        prop_assert_eq!(sum, Ok(cents(a + b)));
    }
}
