//! The public faults of other servers (../shared/cases.md, part A), and properties.

use super::*;
use crate::search::NumericValue;
use proptest::prelude::*;

fn date_matches(query: &str, stored: &str) -> bool {
    let stored = DateTime::parse(stored).unwrap().interval;
    DateQuery::parse(query).unwrap().condition(0).matches(stored.low, stored.high)
}

fn number_matches(query: &str, stored: &str) -> bool {
    let stored = NumericValue::point(Decimal::parse(stored).unwrap().value).sortable();
    NumberQuery::parse(query).unwrap().condition().matches(stored.low, stored.high)
}

/// Case A1: day precision at its boundaries.
#[test]
fn a_day_includes_its_ends() {
    for query in ["1995-10-02", "eq1995-10-02", "ge1995-10-02", "le1995-10-02", "ap1995-10-02"] {
        assert!(date_matches(query, "1995-10-02"), "{query}");
    }
    for query in ["lt1996-01-01", "le1995-12-31", "gt1996-01-01", "ne1996-01-01", "sa1996-01-01", "eb1996-01-01"] {
        assert!(!date_matches(query, "1996-01-01"), "{query}");
    }
}

/// Case A2: a year is compared as the whole year.
#[test]
fn a_stored_year_is_an_interval() {
    assert!(date_matches("gt2072-01-01", "2073"));
    assert!(!date_matches("2000-03-13", "2000"));
    assert!(date_matches("2000", "2000"));
    assert!(date_matches("ne2000-03-13", "2000"));
    assert!(date_matches("gt2000-03-13", "2000") && date_matches("lt2000-03-13", "2000"));
    assert!(!date_matches("sa2000-03-13", "2000") && !date_matches("eb2000-03-13", "2000"));
    assert!(date_matches("2000", "2000-03-13T10:00:00Z"));
}

/// Case A4: only `eq` and `ne` look at the digits of the search value.
#[test]
fn comparisons_ignore_implicit_precision() {
    assert!(number_matches("gt60", "60.2") && number_matches("gt60.0", "60.2"));
    assert!(number_matches("60", "60.2") && !number_matches("60.0", "60.2"));
    assert!(number_matches("ne60.0", "60.2") && !number_matches("ne60", "60.2"));
    assert!(!number_matches("gt60", "60") && number_matches("ge60", "60") && number_matches("le60", "60.0"));
    assert!(!number_matches("lt60", "60") && number_matches("sa60", "60.2") && number_matches("eb60", "59.9"));
    assert!(number_matches("60", "59.5") && !number_matches("60", "60.5"));
    assert!(number_matches("1e2", "104.9") && !number_matches("1e2", "105"));
    assert!(number_matches("ap100", "110") && !number_matches("ap100", "111"));
}

/// Case A16: scale does not hide a value.
#[test]
fn scale_does_not_matter_to_a_stored_number() {
    for stored in ["140.0", "140", "1.4e2", "140.00"] {
        assert!(number_matches("140.0", stored), "{stored}");
        assert!(number_matches("140", stored), "{stored}");
    }
    let stored = NumericValue::point(140.0).sortable();
    let query = QuantityQuery::parse("140.0|http://unitsofmeasure.org|mm[Hg]").unwrap();
    assert!(query.number.condition().matches(stored.low, stored.high));
}

/// Case A6: absent, given and any system are three things.
#[test]
fn a_token_says_which_system() {
    let token = |text| TokenQuery::parse(text).unwrap();
    assert!(token("|X").matches(None, Some("X")) && !token("|X").matches(Some("http://s"), Some("X")));
    assert!(token("http://s|").matches(Some("http://s"), Some("Y")) && !token("http://s|").matches(None, Some("Y")));
    assert!(token("X").matches(None, Some("X")) && token("X").matches(Some("http://s"), Some("X")));
    assert!(!token("|X").matches(Some(""), Some("X")));
    assert_eq!(token(r"http://s|a\|b\,c").code.as_deref(), Some("a|b,c"));
    assert!(TokenQuery::parse("").is_err() && TokenQuery::parse("|").is_err());
}

#[test]
fn quantities_have_one_or_three_parts() {
    let query = QuantityQuery::parse("ge5.4|http://unitsofmeasure.org|mg").unwrap();
    assert_eq!((query.number.prefix, query.code.as_deref()), (Prefix::Ge, Some("mg")));
    let query = QuantityQuery::parse("5.4||mg").unwrap();
    assert_eq!((query.system, query.code.as_deref()), (None, Some("mg")));
    for text in ["", "x", "5.4|mg", "5.4|a|b|c", "|a|b"] {
        assert!(QuantityQuery::parse(text).is_err(), "{text}");
    }
}

#[test]
fn references_have_several_forms() {
    let base = "https://a.example/fhir";
    let parse = |text: &str, modifier: Option<Modifier>| ReferenceQuery::parse(text, modifier.as_ref(), base);
    let patient = ReferenceQuery::Resource { resource_type: "Patient".into(), id: "23".into() };
    let type_modifier = || Some(Modifier::Type("Patient".into()));
    assert_eq!(parse("23", None), Ok(ReferenceQuery::Id("23".into())));
    assert_eq!(parse("23", type_modifier()).as_ref(), Ok(&patient));
    assert_eq!(parse("Patient/23", None).as_ref(), Ok(&patient));
    assert_eq!(parse("https://a.example/fhir/Patient/23", None).as_ref(), Ok(&patient));
    let foreign = "https://b.example/fhir/Patient/23";
    assert_eq!(parse(foreign, None), Ok(ReferenceQuery::Url(foreign.into())));
    assert!(parse("Group/23", type_modifier()).is_err());
    assert!(matches!(parse("s|1", Some(Modifier::Identifier)), Ok(ReferenceQuery::Identifier(_))));
    for text in ["", "#p", "a b", "Patient/"] {
        assert!(parse(text, None).is_err(), "{text}");
    }
}

#[test]
fn strings_and_identifier_types() {
    let query = StringQuery::parse(r"O\,Brien").unwrap();
    assert_eq!((query.exact.as_str(), query.normalized.as_str()), ("O,Brien", "obrien"));
    assert!(StringQuery::parse(" ").is_err());
    assert_eq!(OfTypeQuery::parse("s|MR|1").unwrap().value, "1");
    assert!(OfTypeQuery::parse("s|MR").is_err());
}

#[test]
fn approximate_dates_widen_with_their_distance_from_now() {
    let now = DateTime::parse("2020-01-01").unwrap().interval.low;
    let stored = DateTime::parse("2010-06-01").unwrap().interval;
    let matches = |query| DateQuery::parse(query).unwrap().condition(now).matches(stored.low, stored.high);
    assert!(matches("ap2010-01-01") && !matches("ap2018-01-01"));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,30}|[a-z0-9.,$|\\\\:T+-]{0,30}") {
        let _ = (TokenQuery::parse(&text), OfTypeQuery::parse(&text), StringQuery::parse(&text));
        let _ = (ReferenceQuery::parse(&text, None, "http://x"), UriQuery::parse(&text));
        if let Ok(query) = DateQuery::parse(&text) {
            let _ = query.condition(0);
        }
        if let Ok(query) = NumberQuery::parse(&text) {
            let _ = query.condition();
        }
        let _ = QuantityQuery::parse(&text);
    }

    /// A number compares as the number it is, whatever way either side is written.
    #[test]
    fn ordered_prefixes_compare_values(stored in -1000_i32..1000, query in -1000_i32..1000, decimals in 0_usize..3) {
        let stored_text = format!("{}.{}", stored / 10, stored.unsigned_abs() % 10);
        let query_text = format!("{query}{}{}", if decimals > 0 { "." } else { "" }, "0".repeat(decimals));
        let (stored, query) = (stored_text.parse::<f64>().unwrap(), f64::from(query));
        let matches = |prefix: &str| number_matches(&format!("{prefix}{query_text}"), &stored_text);
        prop_assert_eq!(matches("gt"), stored > query);
        prop_assert_eq!(matches("ge"), stored >= query);
        prop_assert_eq!(matches("lt"), stored < query);
        prop_assert_eq!(matches("le"), stored <= query);
        prop_assert_eq!(matches("sa"), stored > query);
        prop_assert_eq!(matches("eb"), stored < query);
        prop_assert_eq!(matches("eq"), !matches("ne"));
    }
}
