//! Cases that the official suites lack, each error, and any patch at all.

use proptest::prelude::*;

use super::*;
use crate::definitions::tests::r4;
use crate::json::{self, Limits};
use crate::outcome::IssueCode;

const PATIENT: &str = r#"{"resourceType":"Patient","id":"p","active":true,"name":[{"family":"F","given":["A","B"],"_given":[null,{"id":"x"}]}],"birthDate":"1974-12-25","_birthDate":{"id":"b"},"deceasedBoolean":false,"contact":[{"gender":"male"}],"extension":[{"url":"http://e/n","valueDecimal":1.50}]}"#;

fn parse(text: &str) -> Value<'_> {
    json::parse(text, &Limits::default()).unwrap()
}

fn json_patched(document: &str, patch: &str) -> Result<String, PatchError> {
    JsonPatch::parse(parse(patch))?.apply(parse(document)).map(|value| value.to_string())
}

/// A FHIRPath Patch of one operation, its parts as JSON without their braces.
fn operation(parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| format!("{{{part}}}")).collect();
    format!(r#"{{"name":"operation","part":[{}]}}"#, parts.join(","))
}

fn parameters(operations: &[String]) -> String {
    format!(r#"{{"resourceType":"Parameters","parameter":[{}]}}"#, operations.join(","))
}

fn kind(name: &str) -> String {
    format!(r#""name":"type","valueCode":"{name}""#)
}

fn path(path: &str) -> String {
    format!(r#""name":"path","valueString":"{path}""#)
}

fn fhir_patched(r4: &Definitions, patch: &str) -> Result<String, PatchError> {
    let patch = Patch::fhir_path(parse(patch), r4)?;
    patch.apply(parse(PATIENT), r4).map(|value| value.to_string())
}

/// The patient after one operation, which changes `from` to `to`.
fn changes(r4: &Definitions, parts: &[&str], from: &str, to: &str) {
    assert!(PATIENT.contains(from), "{from}");
    let patched = fhir_patched(r4, &parameters(&[operation(parts)]));
    assert_eq!(patched.as_deref(), Ok(PATIENT.replacen(from, to, 1).as_str()), "{parts:?}");
}

#[test]
fn json_patch_keeps_digits_and_order() {
    let document = r#"{"b":1.00,"a":[1.50,{"z":1,"y":2}],"c":1E+2}"#;
    let patch = r#"[{"op":"test","path":"/b","value":1},{"op":"copy","from":"/c","path":"/d"},
        {"op":"move","from":"/a/0","path":"/e"},{"op":"add","path":"/a/-","value":0.10},{"op":"replace","path":"/b","value":2.00},
        {"op":"test","path":"/a/0","value":{"y":2.0,"z":1}},{"op":"add","path":"/a~1b","value":null}]"#;
    let expected = r#"{"b":2.00,"a":[{"z":1,"y":2},0.10],"c":1E+2,"d":1E+2,"e":1.50,"a/b":null}"#;
    assert_eq!(json_patched(document, patch).as_deref(), Ok(expected));
    assert_eq!(json_patched("1", r#"[{"op":"replace","path":"","value":[2]}]"#).as_deref(), Ok("[2]"));
}

#[test]
fn json_patch_errors_say_what_they_are() {
    use IssueCode::*;
    let cases = [
        ("{}", 400, Structure),
        ("[1]", 400, Structure),
        (r#"[{"path":"/a"}]"#, 400, Required),
        (r#"[{"op":"add","value":1}]"#, 400, Required),
        (r#"[{"op":"add","path":"/a"}]"#, 400, Required),
        (r#"[{"op":"move","path":"/a"}]"#, 400, Required),
        (r#"[{"op":"merge","path":"/a","value":1}]"#, 400, CodeInvalid),
        (r#"[{"op":1,"path":"/a"}]"#, 400, Invalid),
        (r#"[{"op":"remove","path":"a"}]"#, 400, Invalid),
        (r#"[{"op":"remove","path":"/a~2"}]"#, 400, Invalid),
        (r#"[{"op":"move","from":"/a","path":"/a/b"}]"#, 400, Invalid),
        (r#"[{"op":"remove","path":"/z"}]"#, 422, NotFound),
        (r#"[{"op":"remove","path":"/a/2"}]"#, 422, NotFound),
        (r#"[{"op":"replace","path":"/a/-","value":1}]"#, 422, NotFound),
        (r#"[{"op":"copy","from":"/z","path":"/y"}]"#, 422, NotFound),
        (r#"[{"op":"add","path":"/z/y","value":1}]"#, 422, NotFound),
        (r#"[{"op":"add","path":"/a/3","value":1}]"#, 422, Value),
        (r#"[{"op":"add","path":"/a/01","value":1}]"#, 422, Value),
        (r#"[{"op":"add","path":"/a/x","value":1}]"#, 422, Value),
        (r#"[{"op":"test","path":"/a/0","value":"1"}]"#, 422, Conflict),
        (r#"[{"op":"remove","path":""}]"#, 422, Invalid),
    ];
    for (patch, status, code) in cases {
        let error = json_patched(r#"{"a":[1,2]}"#, patch).unwrap_err();
        assert_eq!((error.status(), error.code()), (status, code), "{patch}: {error}");
    }
    let second = json_patched("{}", r#"[{"op":"add","path":"/a","value":1},{"op":"remove","path":"/b"}]"#);
    assert_eq!(second.unwrap_err().operation, Some(1));
}

#[test]
fn work_and_depth_are_bounded() {
    let copies: Vec<String> = (0..60).map(|n| format!(r#"{{"op":"copy","from":"","path":"/a{n}"}}"#)).collect();
    let error = json_patched(r#"{"x":1}"#, &format!("[{}]", copies.join(","))).unwrap_err();
    assert_eq!(error.code(), IssueCode::TooCostly);
    let many = vec![r#"{"op":"test","path":"","value":{}}"#; 20_000].join(",");
    assert_eq!(json_patched("{}", &format!("[{many}]")).unwrap_err().status(), 422);
    // Chains hung below each other: each level is cheap, and all together would be deep.
    let chain = format!("{}1{}", r#"{"c":"#.repeat(100), "}".repeat(100));
    let hung = format!(
        r#"[{{"op":"move","from":"/a","path":"/b"}},{{"op":"add","path":"/a","value":{chain}}},{{"op":"move","from":"/b","path":"/a{}"}}]"#,
        "/c".repeat(100)
    );
    assert_eq!(json_patched(&format!(r#"{{"a":{chain}}}"#), &hung).unwrap_err().code(), IssueCode::TooCostly);
}

#[test]
fn what_a_json_patch_empties_is_left_out_of_a_resource() {
    let Some(r4) = r4() else { return };
    let apply = |patch| Patch::json(parse(patch)).unwrap().apply(parse(PATIENT), &r4).unwrap().to_string();
    let emptied = apply(r#"[{"op":"remove","path":"/contact/0/gender"}]"#);
    assert_eq!(emptied, PATIENT.replace(r#","contact":[{"gender":"male"}]"#, ""));
    assert!(apply(r#"[{"op":"add","path":"/contact/0/name","value":{}}]"#).contains(r#""name":{}"#));
}

#[test]
fn fhir_path_patch_knows_primitives_and_choices() {
    let Some(r4) = r4() else { return };
    let (add, insert, delete) = (kind("add"), kind("insert"), kind("delete"));
    let (replace, moved) = (kind("replace"), kind("move"));
    let given = path("Patient.name.given");
    let name = |name: &str| format!(r#""name":"name","valueString":"{name}""#);
    let string = r#""name":"value","valueString":"C""#;
    let code = r#""name":"value","valueCode":"female""#;

    // Lists of primitives keep what stands beside their items.
    let lists = r#""given":["A","B"],"_given":[null,{"id":"x"}]"#;
    let is = |parts: &[&str], to: &str| changes(&r4, parts, lists, to);
    is(&[&delete, &path("name.given[0]")], r#""given":["B"],"_given":[{"id":"x"}]"#);
    is(&[&delete, &path("name.given.where($this = 'B')")], r#""given":["A"]"#);
    is(
        &[&insert, &given, r#""name":"index","valueInteger":1"#, string],
        r#""given":["A","C","B"],"_given":[null,null,{"id":"x"}]"#,
    );
    is(
        &[&moved, &given, r#""name":"source","valueInteger":1"#, r#""name":"destination","valueInteger":0"#],
        r#""given":["B","A"],"_given":[{"id":"x"},null]"#,
    );
    is(&[&replace, &path("name.given[1]"), string], r#""given":["A","C"]"#);
    let extended = r#""name":"value","valueString":"C","_valueString":{"id":"y"}"#;
    is(&[&replace, &path("name.given[0]"), extended], r#""given":["C","B"],"_given":[{"id":"y"},{"id":"x"}]"#);
    is(&[&add, &path("name"), &name("given"), string], r#""given":["A","B","C"],"_given":[null,{"id":"x"},null]"#);

    // What stands beside a primitive.
    let extension = r#""name":"value","valueExtension":{"url":"http://e","valueCode":"c"}"#;
    let beside = r#""_birthDate":{"id":"b","extension":[{"url":"http://e","valueCode":"c"}]}"#;
    changes(&r4, &[&add, &path("birthDate"), &name("extension"), extension], r#""_birthDate":{"id":"b"}"#, beside);
    let grouped = r#""name":"value","part":[{"name":"url","valueUri":"http://e"},{"name":"value","valueCode":"c"}]"#;
    changes(&r4, &[&add, &path("birthDate"), &name("extension"), grouped], r#""_birthDate":{"id":"b"}"#, beside);
    changes(&r4, &[&delete, &path("birthDate.id")], r#","_birthDate":{"id":"b"}"#, "");
    changes(&r4, &[&delete, &path("birthDate")], r#""birthDate":"1974-12-25","_birthDate":{"id":"b"},"#, "");

    // A choice takes the property of its type.
    let date = r#""name":"value","valueDateTime":"2020""#;
    let (from, to) = (r#""deceasedBoolean":false"#, r#""deceasedDateTime":"2020""#);
    changes(&r4, &[&replace, &path("Patient.deceased"), date], from, to);
    let decimal = r#""name":"value","valueDecimal":2.00"#;
    changes(&r4, &[&replace, &path("extension.value"), decimal], r#""valueDecimal":1.50"#, r#""valueDecimal":2.00"#);

    // What a deletion leaves empty goes with it; nothing to delete is no error.
    changes(&r4, &[&delete, &path("Patient.contact.gender")], r#""contact":[{"gender":"male"}],"#, "");
    changes(&r4, &[&delete, &path("Patient.photo")], "p", "p");
    changes(&r4, &[&replace, &path("contact[0].gender"), code], r#""male""#, r#""female""#);

    // A list that is not there yet.
    let index = r#""name":"index","valueInteger":0"#;
    let parts = r#""name":"value","part":[{"name":"language","part":[{"name":"text","valueString":"de"}]},{"name":"preferred","valueBoolean":true}]"#;
    let spoken = r#"1.50}],"communication":[{"language":{"text":"de"},"preferred":true}]}"#;
    changes(&r4, &[&insert, &path("Patient.communication"), index, parts], "1.50}]}", spoken);
    let contained = r#""name":"value","resource":{"resourceType":"Organization","id":"o","name":"O"}"#;
    let inside = r#"1.50}],"contained":[{"resourceType":"Organization","id":"o","name":"O"}]}"#;
    changes(&r4, &[&add, &path("Patient"), &name("contained"), contained], "1.50}]}", inside);
}

#[test]
fn fhir_path_patch_errors_say_what_they_are() {
    use IssueCode::*;
    let Some(r4) = r4() else { return };
    let (add, insert, delete) = (kind("add"), kind("insert"), kind("delete"));
    let (replace, moved) = (kind("replace"), kind("move"));
    let (patient, given) = (path("Patient"), path("Patient.name.given"));
    let text = r#""name":"value","valueString":"C""#;
    let named = |name: &str| format!(r#""name":"name","valueString":"{name}""#);
    let number = |name: &str, number: i64| format!(r#""name":"{name}","valueInteger":{number}"#);
    let fails = |parts: &[&str], status: u16, code: IssueCode| {
        let error = fhir_patched(&r4, &parameters(&[operation(parts)])).unwrap_err();
        assert_eq!((error.status(), error.code()), (status, code), "{parts:?}: {error}");
    };
    fails(&[&patient], 400, Required);
    fails(&[&delete], 400, Required);
    fails(&[&replace, &patient], 400, Required);
    fails(&[&delete, &patient, r#""name":"mistake","valueString":"x""#], 400, Invalid);
    fails(&[&delete, &patient, &patient], 400, Invalid);
    fails(&[&delete, &patient, text], 400, Invalid);
    fails(&[&delete, r#""name":"path","valueInteger":1"#], 400, Invalid);
    fails(&[&replace, &patient, r#""name":"value","valueString":"a","valueCode":"b""#], 400, Invalid);
    fails(&[r#""name":"type","valueCode":"merge""#, &patient], 400, CodeInvalid);
    fails(&[&delete, r#""name":"path","valueString":"Patient.(""#], 400, Invalid);
    fails(&[&delete, r#""name":"path","valueString":"Patient.name.given.single()""#], 400, Invalid);
    fails(&[&delete, &given], 422, MultipleMatches);
    fails(&[&delete, &patient], 422, Invalid);
    fails(&[&replace, &path("Patient.photo"), text], 422, NotFound);
    fails(&[&replace, &path("Patient.name.count()"), text], 422, Invalid);
    fails(&[&replace, &path("Patient.contact"), text], 422, Invalid);
    fails(&[&replace, &path("Patient.active"), text], 422, Invalid);
    fails(&[&replace, &path("Patient.deceased"), text], 422, Invalid);
    fails(&[&add, &patient, &named("birthDate"), text], 422, Duplicate);
    fails(&[&add, &patient, &named("deceased"), r#""name":"value","valueDateTime":"2020""#], 422, Duplicate);
    fails(&[&add, &patient, &named("nothing"), text], 422, Invalid);
    fails(&[&add, &path("Patient.photo"), &named("title"), text], 422, NotFound);
    fails(&[&insert, &given, &number("index", 3), text], 422, Value);
    let filtered = path("Patient.name.given.where($this = 'B')");
    fails(&[&insert, &filtered, &number("index", 0), text], 422, Invalid);
    fails(&[&moved, &given, &number("source", 2), &number("destination", 0)], 422, Value);
    fails(&[&moved, &given, &number("source", 0), &number("destination", 2)], 422, Value);
    fails(&[&moved, &path("Patient.photo"), &number("source", 0), &number("destination", 0)], 422, NotFound);
    for (whole, code) in [
        (r#"{"resourceType":"Patient"}"#, Structure),
        (r#"{"resourceType":"Parameters","parameter":[{"name":"x"}]}"#, Structure),
        (r#"{"resourceType":"Parameters","parameter":[{"name":"operation"}]}"#, Required),
    ] {
        let error = fhir_patched(&r4, whole).unwrap_err();
        assert_eq!((error.status(), error.code()), (400, code), "{whole}");
    }
}

#[test]
fn paths_share_their_steps() {
    let Some(r4) = r4() else { return };
    let costly = path("descendants().select(%resource.descendants()).select(%resource.descendants()).where(false)");
    let many = vec![operation(&[&kind("delete"), &costly]); 9_000];
    let error = fhir_patched(&r4, &parameters(&many)).unwrap_err();
    assert_eq!((error.status(), error.code()), (422, IssueCode::TooCostly));
}

/// Any JSON, small, with names and pointers that fit each other.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec!["null", "true", "1", "1.0", r#""a""#, "[]", "{}"]).prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::btree_map("[abc/~]", inner, 0..4).prop_map(|members| {
                let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn any_operation() -> impl Strategy<Value = String> {
    let op = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
    let pointer = || "(/(a|b|c|~0|~1|0|1|2|-)){0,4}";
    (op, pointer(), pointer(), any_json()).prop_map(|(op, path, from, value)| {
        format!(r#"{{"op":"{op}","path":"{path}","from":"{from}","value":{value}}}"#)
    })
}

/// Paths into the patient, some of them fitting.
fn any_path() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "Patient",
        "name",
        "given",
        "birthDate",
        "deceased",
        "contact",
        "gender",
        "extension",
        "value",
        "id",
        "active",
        "first()",
        "where(true)",
        "children()",
        "descendants()[3]",
        "given[1]",
        "photo",
        "text",
        "meta",
        "contained",
    ]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("."))
}

fn any_fhir_operation() -> impl Strategy<Value = String> {
    let value = prop::sample::select(vec![
        r#""valueString":"s""#,
        r#""valueBoolean":true"#,
        r#""valueDateTime":"2020","_valueDateTime":{"id":"d"}"#,
        r#""_valueString":{"id":"d"}"#,
        r#""valueExtension":{"url":"http://e"}"#,
        r#""valueHumanName":{"text":"n"}"#,
        r#""part":[{"name":"gender","valueCode":"male"},{"name":"name","part":[{"name":"given","valueString":"g"}]}]"#,
        r#""resource":{"resourceType":"Patient"}"#,
    ]);
    let op = prop::sample::select(vec!["add", "insert", "delete", "replace", "move"]);
    let name =
        prop::sample::select(vec!["given", "extension", "deceased", "valueString", "contact", "id", "contained"]);
    (op, any_path(), name, value, 0..3_i64, 0..3_i64).prop_map(|(op, at, name, value, a, b)| {
        let (kind, at) = (kind(op), path(&at));
        let name = format!(r#""name":"name","valueString":"{name}""#);
        let value = format!(r#""name":"value",{value}"#);
        let number = |name: &str, number: i64| format!(r#""name":"{name}","valueInteger":{number}"#);
        let (index, source, destination) = (number("index", a), number("source", a), number("destination", b));
        match op {
            "add" => operation(&[&kind, &at, &name, &value]),
            "insert" => operation(&[&kind, &at, &index, &value]),
            "delete" => operation(&[&kind, &at]),
            "replace" => operation(&[&kind, &at, &value]),
            _ => operation(&[&kind, &at, &source, &destination]),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_json_is_a_patch_that_panics(patch in any_json(), document in any_json()) {
        let _ = json_patched(&document, &patch);
        if let Some(r4) = r4() {
            let _ = Patch::fhir_path(parse(&patch), &r4);
        }
    }

    #[test]
    fn a_json_patch_gives_json_or_an_error(
        operations in prop::collection::vec(any_operation(), 1..6), document in any_json(),
    ) {
        if let Ok(patched) = json_patched(&document, &format!("[{}]", operations.join(","))) {
            prop_assert_eq!(parse(&patched).to_string(), patched);
        }
    }

    #[test]
    fn adding_and_removing_again_changes_nothing(value in any_json(), document in any_json()) {
        let document = format!(r#"{{"x":{document}}}"#);
        let patch = format!(r#"[{{"op":"add","path":"/new","value":{value}}},{{"op":"remove","path":"/new"}}]"#);
        prop_assert_eq!(json_patched(&document, &patch), Ok(document));
    }

    #[test]
    fn replacing_with_itself_is_the_test_of_it(document in any_json()) {
        let patch = format!(
            r#"[{{"op":"test","path":"","value":{document}}},{{"op":"replace","path":"","value":{document}}}]"#
        );
        prop_assert_eq!(json_patched(&document, &patch), Ok(document));
    }

    #[test]
    fn a_fhir_path_patch_leaves_no_empty_element(operations in prop::collection::vec(any_fhir_operation(), 1..6)) {
        let Some(r4) = r4() else { return Ok(()) };
        if let Ok(patched) = fhir_patched(&r4, &parameters(&operations)) {
            let mut pruned = parse(&patched);
            prune(&mut pruned);
            prop_assert_eq!(pruned.to_string(), patched);
        }
    }
}
