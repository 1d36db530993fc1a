//! `capabilities`: the CapabilityStatement (R4 capabilitystatement.html), made from the definitions.

use std::fmt::Write as _;

use salus_fhir::CANONICAL_BASE;
use salus_fhir::search::ParameterType;

use crate::app::App;
use crate::bundle::quoted;

/// The CapabilityStatement of this server.
pub fn statement(app: &App) -> String {
    let mut resources = String::new();
    for (position, resource_type) in app.definitions.resource_types().enumerate() {
        resources.push_str(if position > 0 { "," } else { "" });
        write_resource(app, resource_type, &mut resources);
    }
    let auth = app.auth.config();
    format!(
        concat!(
            r#"{{"resourceType":"CapabilityStatement","id":"salus","url":"{canonical}/CapabilityStatement/salus","version":"{version}","#,
            r#""name":"Salus","title":"Salus FHIR server","status":"active","date":"{date}","publisher":"Salus","kind":"instance","#,
            r#""software":{{"name":"Salus","version":"{version}"}},"implementation":{{"description":"Salus","url":{base}}},"#,
            r#""fhirVersion":"4.0.1","format":["application/fhir+json","json"],"rest":[{{"mode":"server","#,
            r#""security":{{"extension":[{{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","extension":["#,
            r#"{{"url":"token","valueUri":{token}}},{{"url":"introspect","valueUri":{introspect}}},{{"url":"revoke","valueUri":{revoke}}}]}}],"#,
            r#""cors":false,"service":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service","code":"SMART-on-FHIR"}}]}}]}},"#,
            r#""resource":[{resources}],"interaction":[{{"code":"transaction"}},{{"code":"batch"}},{{"code":"history-system"}}]}}]}}"#
        ),
        canonical = CANONICAL_BASE,
        version = env!("CARGO_PKG_VERSION"),
        date = "2026-11-25",
        base = quoted(&app.base),
        token = quoted(&auth.token_endpoint()),
        introspect = quoted(&auth.introspection_endpoint()),
        revoke = quoted(&auth.revocation_endpoint()),
        resources = resources,
    )
}

const INTERACTIONS: &str = r#"[{"code":"read"},{"code":"vread"},{"code":"update"},{"code":"delete"},{"code":"history-instance"},{"code":"history-type"},{"code":"create"},{"code":"search-type"}]"#;
const READ_ONLY: &str = r#"[{"code":"read"},{"code":"search-type"}]"#;

fn write_resource(app: &App, resource_type: &str, out: &mut String) {
    let appended = resource_type == "AuditEvent";
    let interactions = if appended { READ_ONLY } else { INTERACTIONS };
    // Writing to a String does not fail.
    let _ = write!(out, r#"{{"type":"{resource_type}","interaction":{interactions},"versioning":"versioned-update""#);
    out.push_str(r#","conditionalCreate":true,"conditionalRead":"full-support","conditionalUpdate":true,"conditionalDelete":"single","readHistory":true,"updateCreate":true"#);
    let parameters = app.definitions.search().for_type(resource_type);
    let references: Vec<String> = parameters
        .iter()
        .filter(|parameter| parameter.kind == ParameterType::Reference)
        .map(|parameter| format!("\"{resource_type}:{}\"", parameter.code))
        .collect();
    if !references.is_empty() {
        let _ = write!(out, r#","searchInclude":[{}]"#, references.join(","));
    }
    let listed: Vec<String> = parameters
        .iter()
        .filter(|parameter| parameter.kind != ParameterType::Special)
        .map(|parameter| {
            let kind = format!("{:?}", parameter.kind).to_lowercase();
            format!(r#"{{"name":"{}","definition":{},"type":"{kind}"}}"#, parameter.code, quoted(&parameter.url))
        })
        .collect();
    let _ = write!(out, r#","searchParam":[{}]"#, listed.join(","));
    if resource_type == "Patient" {
        let _ = write!(
            out,
            r#","operation":[{{"name":"risk-score","definition":"{CANONICAL_BASE}/OperationDefinition/risk-score"}}]"#
        );
    }
    out.push('}');
}
