//! That both forms say the same, that what XML cannot mean is refused, and that no text panics.

use proptest::prelude::*;

use super::*;
use crate::Definitions;
use crate::definitions::tests::r4;
use crate::json::{self, Value};

fn parse(text: &str) -> Value<'_> {
    json::parse(text, &json::Limits::default()).unwrap()
}

fn to_json(r4: &Definitions, xml: &str) -> Result<String, XmlError> {
    read(xml, r4, &Limits::default()).map(|value| value.to_string())
}

fn to_xml(r4: &Definitions, json: &str) -> Result<String, XmlWriteError> {
    write(&parse(json), r4, Layout::Compact)
}

/// R4 xml.html and json.html, each rule once.
#[test]
fn both_forms_of_a_resource() {
    let Some(r4) = r4() else { return };
    let xml = concat!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"><id value="a"/>"#,
        r#"<text><status value="generated"/>"#,
        r#"<div xmlns="http://www.w3.org/1999/xhtml"><p class='x'>A &amp; B &#160;</p><br/></div></text>"#,
        r#"<contained><Organization><id value="o"/><name value="O"/></Organization></contained>"#,
        r#"<extension url="http://x"><valueDecimal value="1.00"/></extension>"#,
        r#"<active id="i" value="true"/>"#,
        r#"<name id="n"><family value="&lt;Müller &amp; &quot;Co&quot;&#10;"/><given value="a"/>"#,
        r#"<given><extension url="http://y"><valueCode value="z"/></extension></given><given id="k" value="c"/></name>"#,
        r#"<birthDate><extension url="http://y"><valueInteger value="-3"/></extension></birthDate>"#,
        r##"<managingOrganization><reference value="#o"/></managingOrganization></Patient>"##,
    );
    let json = concat!(
        r#"{"resourceType":"Patient","id":"a","text":{"status":"generated","#,
        r#""div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class='x'>A &amp; B &#160;</p><br/></div>"},"#,
        r#""contained":[{"resourceType":"Organization","id":"o","name":"O"}],"#,
        r#""extension":[{"url":"http://x","valueDecimal":1.00}],"active":true,"_active":{"id":"i"},"#,
        r#""name":[{"id":"n","family":"<Müller & \"Co\"\n","given":["a",null,"c"],"#,
        r#""_given":[null,{"extension":[{"url":"http://y","valueCode":"z"}]},{"id":"k"}]}],"#,
        r#""_birthDate":{"extension":[{"url":"http://y","valueInteger":-3}]},"#,
        r##""managingOrganization":{"reference":"#o"}}"##,
    );
    assert_eq!(to_json(&r4, xml).unwrap(), json);
    assert_eq!(to_xml(&r4, json).unwrap(), xml);
}

#[test]
fn elements_are_written_in_the_order_of_the_definitions() {
    let Some(r4) = r4() else { return };
    let json = r#"{"birthDate":"2000","_active":{"id":"x"},"resourceType":"Patient","active":true,"id":"a"}"#;
    let xml = to_xml(&r4, json).unwrap();
    assert!(xml.ends_with(r#"<id value="a"/><active id="x" value="true"/><birthDate value="2000"/></Patient>"#));
}

#[test]
fn what_says_nothing_is_skipped_and_prefixes_are_resolved() {
    let Some(r4) = r4() else { return };
    let xml = concat!(
        "\u{feff}<?xml version='1.0'?>\n<!-- c --><?p i?><f:Patient xmlns:f='http://hl7.org/fhir' ",
        "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b' ",
        "xmlns:h='http://www.w3.org/1999/xhtml'>\n <!-- c --> <f:text><f:status value='empty'/>",
        "<h:div><h:p title='\"'>x<!-- kept --></h:p></h:div></f:text>\r\n",
        "<f:active value='true'></f:active></f:Patient>\n<!-- c -->\n",
    );
    let value = read(xml, &r4, &Limits::default()).unwrap();
    assert_eq!(
        value.at(&["text", "div"]).and_then(Value::as_str),
        Some(r#"<div xmlns="http://www.w3.org/1999/xhtml"><p title='"'>x<!-- kept --></p></div>"#)
    );
    assert_eq!(value.get("active"), Some(&Value::Bool(true)));
}

/// XML 1.0 section 2.11: lines end with a line feed, however they were written; a character reference is kept.
#[test]
fn lines_end_with_a_line_feed() {
    let Some(r4) = r4() else { return };
    for end in ["\r\n", "\r", "\n"] {
        let xml = [
            "<Patient xmlns=\"http://hl7.org/fhir\">",
            "<text><status value=\"generated\"/>",
            "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a",
            "b</p></div></text>",
            "<name><text value=\"c",
            "d&#13;&#10;e\"/></name></Patient>",
        ];
        let value = read(&xml.join(end), &r4, &Limits::default()).unwrap();
        assert_eq!(
            value.at(&["text", "div"]).and_then(Value::as_str),
            Some("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a\nb</p></div>"),
            "{end:?}"
        );
        assert_eq!(value.items("name")[0].get_str("text"), Some("c d\r\ne"), "{end:?}");
    }
}

#[test]
fn numbers_keep_their_digits() {
    let Some(r4) = r4() else { return };
    for digits in ["1.00", "-0.0", "1E+2", "1.2e-5", "123456789012345678901234567890.123456789", "0"] {
        let json = format!(r#"{{"resourceType":"Observation","valueQuantity":{{"value":{digits}}}}}"#);
        assert_eq!(to_json(&r4, &to_xml(&r4, &json).unwrap()).unwrap(), json);
    }
}

#[test]
fn a_narrative_of_html_becomes_xml() {
    let Some(r4) = r4() else { return };
    let xml = to_xml(&r4, r#"{"resourceType":"Patient","text":{"div":"<div>a&nbsp;b&amp;<br/></div>"}}"#).unwrap();
    assert!(xml.contains(r#"<div xmlns="http://www.w3.org/1999/xhtml">a&#160;b&amp;<br/></div>"#), "{xml}");
    for broken in [
        "",
        "text",
        "<div>",
        "<div><p></div>",
        "<div/><div/>",
        "<div></div>x",
        "<p/>",
        "<div a=b/>",
        "<div a='<'/>",
        "<div>&unknown;</div>",
        "<div>&</div>",
        "<div>]]></div>",
        "<div><1/></div>",
        "<!DOCTYPE div><div/>",
        "<div><svg xmlns='http://www.w3.org/2000/svg'/></div>",
        "<div a='1' a='2'/>",
        "<div>\u{1}</div>",
        "<div xmlns='http://hl7.org/fhir'/>",
        "<div><!-- -- --></div>",
        "<x:div/>",
        "<div x:a=''/>",
    ] {
        let mut object = json::Object::new();
        object.set("resourceType", "Patient");
        object.set("text", json::Object::from_iter([("div", broken)]));
        let error = write(&object.into(), &r4, Layout::Compact).expect_err(broken);
        assert!(matches!(error.kind, XmlWriteErrorKind::Narrative(_)), "{broken}: {error}");
        assert_eq!(error.expression, "Patient.text.div");
    }
}

/// Each text has one fault: what is said of it, and where it is.
#[test]
fn refusals() {
    let Some(r4) = r4() else { return };
    let wrap = |inside: &str| format!("<Patient xmlns=\"http://hl7.org/fhir\">\n{inside}</Patient>");
    for (text, says, expression) in [
        (String::new(), "ends too early", ""),
        ("{}".into(), "text is not allowed", ""),
        ("<Patient/>".into(), "namespace http://hl7.org/fhir", ""),
        (r#"<Patent xmlns="http://hl7.org/fhir"/>"#.into(), "no resource type", ""),
        (r#"<DomainResource xmlns="http://hl7.org/fhir"/>"#.into(), "no resource type", ""),
        ("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a/>".into(), "DOCTYPE", ""),
        ("<?xml version='1.0' encoding='ISO-8859-1'?><a/>".into(), "UTF-8", ""),
        ("<?xml version='1.1'?><a/>".into(), "XML 1.1", ""),
        (wrap("<active value='true'/>") + "<a/>", "one root", ""),
        (wrap("")[..30].into(), "not well-formed", ""),
        (wrap("<active value='true'>"), "not well-formed", "Patient.active"),
        (wrap("<nam/>"), r#"no element "nam""#, "Patient"),
        (wrap("<active value='&x;'/>"), "no reference", "Patient.active"),
        (wrap("<active value='&#1;'/>"), "no reference", "Patient.active"),
        (wrap("<id value='a<b'/>"), "&lt;", "Patient.id"),
        (wrap("<id value='a' value='b'/>"), "not well-formed", "Patient.id"),
        (wrap("<active value='yes'/>"), "true or false", "Patient.active"),
        (wrap("<multipleBirthInteger value='+1'/>"), "a number", "Patient.multipleBirth"),
        (wrap("<multipleBirthInteger value=' 1'/>"), "a number", "Patient.multipleBirth"),
        (wrap("<active value='true' other='1'/>"), "attribute", "Patient.active"),
        (wrap("<name value='x'/>"), "attribute", "Patient.name[0]"),
        (wrap("<name/>"), "empty", "Patient.name[0]"),
        (wrap("<active/>"), "empty", "Patient.active"),
        (wrap("<contained/>"), "empty", "Patient.contained[0]"),
        (wrap("<contained><Patient/><Patient/></contained>"), "not two", "Patient.contained[0]"),
        (wrap("<active value='true'/><active value='true'/>"), "repeated", "Patient.active"),
        (wrap("<name><given value='a'/>\n<given>b</given></name>"), "text is not allowed", "Patient.name[0].given[1]"),
        (wrap("<name><id value='a'/></name>"), "no element", "Patient.name[0]"),
        (wrap("<extension><url value='a'/></extension>"), "no element", "Patient.extension[0]"),
        (wrap("<active value='true'><value/></active>"), "no element", "Patient.active"),
        (wrap("<x:active xmlns:x='y' value='true'/>"), "namespace", "Patient"),
        (wrap("<text><div>x</div></text>"), "1999/xhtml", "Patient.text"),
        (wrap("<![CDATA[x]]>"), "text is not allowed", "Patient"),
        (wrap("<active value='true'/>&amp;"), "text is not allowed", "Patient"),
    ] {
        let error = to_json(&r4, &text).expect_err(&text);
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert_eq!(error.expression, expression, "{text}: {error}");
    }
    let error = to_json(&r4, &wrap("  <nam/>")).expect_err("nam");
    assert_eq!((error.line, error.column), (2, 3));
    let error = read_bytes(b"<Patient>\xff", &r4, &Limits::default()).expect_err("bytes");
    assert!(matches!(error.kind, XmlErrorKind::Encoding(_)) && error.column == 10, "{error}");
}

#[test]
fn depth_and_size_are_bounded() {
    let Some(r4) = r4() else { return };
    let nested = |levels: usize| {
        let open = "<extension url='x'>".repeat(levels);
        format!("<Basic xmlns='http://hl7.org/fhir'>{open}{}</Basic>", "</extension>".repeat(levels))
    };
    assert!(to_json(&r4, &nested(60)).is_ok());
    let error = to_json(&r4, &nested(100_000)).expect_err("deep");
    assert!(matches!(error.kind, XmlErrorKind::TooDeep(128)), "{error}");
    // What is read can be read again as JSON: levels are counted alike.
    let deepest = (1..100).rev().find_map(|levels| to_json(&r4, &nested(levels)).ok()).unwrap();
    assert!(json::parse(&deepest, &json::Limits::default()).is_ok());
    let limits = Limits { bytes: 10, ..Limits::default() };
    assert!(matches!(read(&nested(1), &r4, &limits).unwrap_err().kind, XmlErrorKind::TooLarge(10)));
    let div = format!("<div xmlns=\"{XHTML}\">{}{}</div>", "<b>".repeat(50_000), "</b>".repeat(50_000));
    assert!(narrative::to_xml(&div).is_ok());
}

#[test]
fn what_xml_cannot_show_is_refused() {
    let Some(r4) = r4() else { return };
    for (json, says, expression) in [
        (r#"[]"#, "no resource", ""),
        (r#"{"resourceType":"X"}"#, "no resource", ""),
        (r#"{"resourceType":"Patient","x":1}"#, "no element", "Patient"),
        (r#"{"resourceType":"Patient","name":{}}"#, "an array", "Patient.name"),
        (r#"{"resourceType":"Patient","name":[]}"#, "empty", "Patient.name"),
        (r#"{"resourceType":"Patient","name":[{}]}"#, "empty", "Patient.name[0]"),
        (r#"{"resourceType":"Patient","name":[null]}"#, "empty", "Patient.name[0]"),
        (r#"{"resourceType":"Patient","active":"true"}"#, "true or false", "Patient.active"),
        (r#"{"resourceType":"Patient","birthDate":2000}"#, "a string", "Patient.birthDate"),
        (r#"{"resourceType":"Patient","id":"\u0001"}"#, "U+0001", "Patient.id"),
        (r#"{"resourceType":"Patient","name":[{"id":"a","_id":{"id":"b"}}]}"#, "attribute", "Patient.name[0]"),
    ] {
        let error = to_xml(&r4, json).expect_err(json);
        assert!(error.to_string().contains(says), "{json}: {error}");
        assert_eq!(error.expression, expression, "{json}");
    }
}

#[test]
fn the_pretty_layout_says_the_same() {
    let Some(r4) = r4() else { return };
    let json = r#"{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a</p></div>"},"name":[{"family":"x"}]}"#;
    let pretty = write(&parse(json), &r4, Layout::Pretty).unwrap();
    assert!(pretty.contains("\n  <name>\n    <family value=\"x\"/>\n  </name>\n</Patient>"), "{pretty}");
    assert_eq!(to_json(&r4, &pretty).unwrap(), json);
}

/// What XML takes of the text of a string, whatever it is.
fn any_text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.chars().filter(|c| is_xml_char(*c)).collect())
}

proptest! {
    #[test]
    fn any_string_survives(text in any_text()) {
        let Some(r4) = r4() else { return Ok(()) };
        let name = json::Object::from_iter([("text", text)]);
        let members: [(&str, Value<'_>); 2] = [("resourceType", "Patient".into()), ("name", vec![name.into()].into())];
        let resource = Value::Object(json::Object::from_iter(members));
        let xml = write(&resource, &r4, Layout::Compact).unwrap();
        prop_assert_eq!(read(&xml, &r4, &Limits::default()).unwrap(), resource);
    }

    #[test]
    fn lists_of_values_and_siblings_survive(items in prop::collection::vec((any::<bool>(), any::<bool>()), 1..6)) {
        let Some(r4) = r4() else { return Ok(()) };
        let given = items.iter().map(|(value, sibling)| if *value || !sibling { "\"a\"" } else { "null" });
        let siblings = items.iter().map(|(_, sibling)| if *sibling { r#"{"id":"i"}"# } else { "null" });
        let given = given.collect::<Vec<_>>().join(",");
        let siblings = siblings.collect::<Vec<_>>().join(",");
        let mut name = Vec::new();
        if given.contains('a') { name.push(format!(r#""given":[{given}]"#)); }
        if siblings.contains('i') { name.push(format!(r#""_given":[{siblings}]"#)); }
        let json = format!(r#"{{"resourceType":"Patient","name":[{{{}}}]}}"#, name.join(","));
        prop_assert_eq!(to_json(&r4, &to_xml(&r4, &json).unwrap()).unwrap(), json);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,80}") {
        let Some(r4) = r4() else { return Ok(()) };
        let _ = to_json(&r4, &text);
        let _ = narrative::to_xml(&text);
    }

    #[test]
    fn nearly_right_text_does_not_panic(
        text in "(<\\?xml version='1.0'\\?>)?<Patient xmlns='http://hl7.org/fhir'>(<(/)?(name|given|text|div|id|extension|contained|Patient)( (value|url|id|xmlns)=['\"][a&;#<]{0,3}['\"]){0,2}/?>|[a&;\\]]|<!--|-->|<!\\[CDATA\\[|\\]\\]>){0,12}"
    ) {
        let Some(r4) = r4() else { return Ok(()) };
        let _ = to_json(&r4, &text);
        let _ = narrative::to_xml(&text.replace("Patient", "div"));
    }
}
