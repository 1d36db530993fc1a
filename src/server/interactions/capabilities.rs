//! `capabilities`: the CapabilityStatement (R4 capabilitystatement.html), made from the definitions.
//!
//! Of what it depends on only the search parameters change while the server runs: it is made anew when they have.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Bytes;
use salus_auth::AuthConfig;
use salus_fhir::search::{ParameterType, SearchParameter};
use salus_fhir::{CANONICAL_BASE, Definitions};
use salus_store::audit::AuditQuery;

use crate::app::App;
use crate::bundle::quoted;
use crate::failure::Failure;
use crate::media::Format;
use crate::operations::{self, Level, Served};
use crate::presentation;

/// What can be done with resources of every type but AuditEvent (codes of `type-restful-interaction`).
pub const RESOURCE_INTERACTIONS: [&str; 9] =
    ["read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"];
/// What can be done with AuditEvents.
pub const AUDIT_EVENT_INTERACTIONS: [&str; 2] = ["read", "search-type"];
/// The type that the server alone writes.
const AUDIT_EVENT: &str = "AuditEvent";
/// What can be done with the system (codes of `system-restful-interaction`).
pub const SYSTEM_INTERACTIONS: [&str; 4] = ["transaction", "batch", "search-system", "history-system"];

/// The statement as it was last made.
#[derive(Default)]
pub struct Capabilities(Mutex<Option<Arc<Statement>>>);

/// The CapabilityStatement by some definitions, in the forms it was asked for.
pub struct Statement {
    definitions: Arc<Definitions>,
    json: Bytes,
    xml: OnceLock<Bytes>,
}

impl Capabilities {
    /// The statement by the definitions in force.
    pub fn current(&self, app: &App) -> Arc<Statement> {
        let definitions = app.store.definitions();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(made) = known.filter(|made| Arc::ptr_eq(&made.definitions, &definitions)) {
            return made;
        }
        let json = statement(&definitions, &app.base, app.auth.config(), app.cors.is_some()).into();
        let made = Arc::new(Statement { definitions, json, xml: OnceLock::new() });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(made.clone());
        made
    }
}

impl Statement {
    /// Its text, in one form or the other.
    ///
    /// # Errors
    /// As [`presentation::xml_of`].
    pub fn text(&self, format: Format) -> Result<Bytes, Failure> {
        if let Some(xml) = self.xml.get().filter(|_| format == Format::Xml) {
            return Ok(xml.clone());
        }
        Ok(match format {
            Format::Json => self.json.clone(),
            Format::Xml => {
                let json = String::from_utf8_lossy(&self.json);
                let xml = Bytes::from(presentation::xml_of(&json, &self.definitions, false)?);
                self.xml.get_or_init(|| xml).clone()
            }
        })
    }
}

/// The CapabilityStatement of the server at the FHIR base `base`.
///
/// `cors` is whether pages of other origins may call. Its `date` is that of this version of Salus ([`crate::RELEASED`]): what a server can do changes with
/// its version, not with its restarts.
pub fn statement(definitions: &Definitions, base: &str, auth: &AuthConfig, cors: bool) -> String {
    let including = reverse_includes(definitions);
    let resources: Vec<String> =
        definitions.resource_types().map(|name| resource(definitions, name, including.get(name))).collect();
    let on_system = operations::SERVED.iter().filter(|one| one.levels.contains(&Level::System));
    let on_system: Vec<String> = on_system.map(operation).collect();
    format!(
        concat!(
            r#"{{"resourceType":"CapabilityStatement","id":"salus","url":"{canonical}/CapabilityStatement/salus","#,
            r#""version":"{version}","name":"Salus","title":"Salus FHIR server","status":"active","date":"{date}","#,
            r#""publisher":"Salus","description":"What this Salus server can do.","kind":"instance","#,
            r#""software":{{"name":"Salus","version":"{version}","releaseDate":"{date}"}},"#,
            r#""implementation":{{"description":"Salus FHIR server","url":{base}}},"fhirVersion":"4.0.1","#,
            r#""format":["application/fhir+json","application/fhir+xml","json","xml"],"#,
            r#""patchFormat":["application/json-patch+json","application/fhir+json","application/fhir+xml"],"rest":[{{"mode":"server","#,
            r#""security":{security},"resource":[{resources}],"interaction":{interactions},"searchParam":{common},"#,
            r#""operation":[{operations}]}}]}}"#
        ),
        canonical = CANONICAL_BASE,
        version = env!("CARGO_PKG_VERSION"),
        date = crate::RELEASED,
        base = quoted(base),
        security = security(auth, cors),
        resources = resources.join(","),
        interactions = coded(&SYSTEM_INTERACTIONS),
        common = common_parameters(),
        operations = on_system.join(","),
    )
}

/// What resources of every type can be searched by, beside the parameters of their type.
fn common_parameters() -> String {
    let parameter =
        |name: &str, kind: &str, text: &str| format!(r#"{{"name":"{name}","type":"{kind}","documentation":"{text}"}}"#);
    let all = [
        parameter("_content", "string", "Words anywhere in the resource."),
        parameter("_filter", "special", "An expression (R4 search_filter.html)."),
        parameter("_list", "reference", "What stands in the List with this id."),
        parameter("_text", "string", "Words in the narrative."),
        parameter("_type", "token", "Types, in searches of several."),
    ];
    format!("[{}]", all.join(","))
}

/// SMART App Launch 2.2, "Conformance": the endpoints as an extension, beside the discovery document.
fn security(auth: &AuthConfig, cors: bool) -> String {
    format!(
        concat!(
            r#"{{"extension":[{{"url":"http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris","#,
            r#""extension":[{{"url":"token","valueUri":{token}}},{{"url":"introspect","valueUri":{introspect}}},"#,
            r#"{{"url":"revoke","valueUri":{revoke}}}]}}],"cors":{cors},"#,
            r#""service":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/restful-security-service","#,
            r#""code":"SMART-on-FHIR"}}]}}],"#,
            r#""description":"Access tokens by SMART Backend Services. Scopes, Consent and purpose of use bound every answer; what may not be seen answers as what does not exist."}}"#
        ),
        cors = cors,
        token = quoted(&auth.token_endpoint()),
        introspect = quoted(&auth.introspection_endpoint()),
        revoke = quoted(&auth.revocation_endpoint()),
    )
}

/// For each type what `_revinclude` finds it by: the reference parameters of other types that can point at it.
fn reverse_includes(definitions: &Definitions) -> BTreeMap<&str, Vec<String>> {
    let mut including: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for source in definitions.resource_types().filter(|name| *name != AUDIT_EVENT) {
        for parameter in definitions.search().for_type(source) {
            if parameter.kind != ParameterType::Reference {
                continue;
            }
            let points_at =
                |name: &&str| parameter.targets.is_empty() || parameter.targets.iter().any(|one| one == name);
            for target in definitions.resource_types().filter(points_at) {
                including.entry(target).or_default().push(format!(r#""{source}:{}""#, parameter.code));
            }
        }
    }
    including
}

fn resource(definitions: &Definitions, name: &str, including: Option<&Vec<String>>) -> String {
    let audit = name == AUDIT_EVENT;
    let mut out = String::with_capacity(8 << 10);
    // Writing to a String does not fail.
    let _ = write!(out, r#"{{"type":"{name}""#);
    if audit {
        let interactions = coded(&AUDIT_EVENT_INTERACTIONS);
        let _ = write!(out, r#","interaction":{interactions},"versioning":"no-version""#);
        out.push_str(r#","documentation":"Written by the server alone, and never changed or deleted.""#);
    } else {
        let interactions = coded(&RESOURCE_INTERACTIONS);
        let _ = write!(out, r#","interaction":{interactions},"versioning":"versioned-update","readHistory":true"#);
        out.push_str(r#","updateCreate":true,"conditionalCreate":true,"conditionalRead":"full-support""#);
        out.push_str(r#","conditionalUpdate":true,"conditionalDelete":"multiple""#);
    }
    let searched = |parameter: &&SearchParameter| {
        let known = !audit || AuditQuery::PARAMETERS.contains(&parameter.code.as_str());
        known && (parameter.kind != ParameterType::Special || parameter.code == "near")
    };
    let parameters: Vec<&SearchParameter> = definitions.search().for_type(name).iter().filter(searched).collect();
    let references = parameters.iter().filter(|parameter| !audit && parameter.kind == ParameterType::Reference);
    let included: Vec<String> = references.map(|parameter| format!(r#""{name}:{}""#, parameter.code)).collect();
    if !included.is_empty() {
        let _ = write!(out, r#","searchInclude":[{}]"#, included.join(","));
    }
    if let Some(including) = including.filter(|_| !audit) {
        let _ = write!(out, r#","searchRevInclude":[{}]"#, including.join(","));
    }
    let listed: Vec<String> = parameters.iter().map(|parameter| search_parameter(parameter)).collect();
    if !listed.is_empty() {
        let _ = write!(out, r#","searchParam":[{}]"#, listed.join(","));
    }
    let operations: Vec<String> = operations::SERVED.iter().filter(|one| one.on.has(name)).map(operation).collect();
    if !operations.is_empty() {
        let _ = write!(out, r#","operation":[{}]"#, operations.join(","));
    }
    out.push('}');
    out
}

fn search_parameter(parameter: &SearchParameter) -> String {
    let kind = format!("{:?}", parameter.kind).to_lowercase();
    format!(r#"{{"name":"{}","definition":{},"type":"{kind}"}}"#, parameter.code, quoted(&parameter.url))
}

fn operation(served: &Served) -> String {
    format!(r#"{{"name":"{0}","definition":"{CANONICAL_BASE}/OperationDefinition/{0}"}}"#, served.name)
}

fn coded(codes: &[&str]) -> String {
    let codes: Vec<String> = codes.iter().map(|code| format!(r#"{{"code":"{code}"}}"#)).collect();
    format!("[{}]", codes.join(","))
}
