//! The OpenAPI description of this server (`/openapi.json`, `salus openapi`).
//!
//! FHIR is one generic interface, so it is described by path templates: one for each interaction that
//! the CapabilityStatement names, and one for each way an operation's OperationDefinition says it can
//! be called. Which search parameters a resource type has, the CapabilityStatement says.

mod endpoints;
mod fhir;

use std::collections::BTreeMap;

use salus_fhir::Definitions;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ClientCredentials, Flow, OAuth2, Scopes, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required,
    ResponseBuilder, Server,
};

pub use endpoints::{Endpoint, Group, endpoints};

/// What an access token is called among the security schemes.
const SMART: &str = "smart";

/// The document for the server at `origin` (scheme, host and port).
pub fn document(definitions: &Definitions, origin: &str) -> OpenApi {
    let mut paths = Paths::new();
    for endpoint in endpoints() {
        paths.add_path_operation(&endpoint.path, vec![method(endpoint.method)], operation(&endpoint));
    }
    let info = InfoBuilder::new()
        .title("Salus")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A SMART-on-FHIR R4 server with clinical models in the process. Which resource types, search parameters and operations there are, /fhir/metadata says in FHIR's own terms. Resources are described here in JSON; they are taken in XML (application/fhir+xml) as well, by Content-Type, and given in it by Accept or _format.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let tags =
        Group::ALL.map(|group| TagBuilder::new().name(group.name()).description(Some(group.description())).build());
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(origin)]))
        .paths(paths)
        .components(Some(components(definitions, origin)))
        .tags(Some(tags))
        .build()
}

fn components(definitions: &Definitions, origin: &str) -> utoipa::openapi::Components {
    let text = |description: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    let object = |description: &str| ObjectBuilder::new().schema_type(Type::Object).description(Some(description));
    let resource = object("A FHIR R4 resource (4.0.1), in JSON.")
        .property("resourceType", text("Its type."))
        .required("resourceType");
    let error = object("RFC 6749 section 5.2.")
        .property("error", text("Error code."))
        .property("error_description", text("What is wrong."))
        .required("error");
    let types = text("A resource type of FHIR R4.").enum_values(Some(definitions.resource_types()));
    let id = text("Logical id.").pattern(Some("^[A-Za-z0-9\\-.]{1,64}$"));
    let scopes: Scopes = [
        ("system/*.cruds", "Everything that the client is registered for"),
        ("system/*.rs", "Read and search"),
        ("system/Patient.rs", "Read and search one type; others go likewise"),
    ]
    .into_iter()
    .collect();
    let flow = Flow::ClientCredentials(ClientCredentials::new(format!("{origin}/auth/token"), scopes));
    let smart = OAuth2::with_description(
        [flow],
        "SMART Backend Services: the client authenticates by private_key_jwt, and gets a token for minutes.",
    );
    ComponentsBuilder::new()
        .schema("Resource", resource.build())
        .schema("OAuthError", error.build())
        .schema("ResourceType", types.build())
        .schema("Id", id.build())
        .security_scheme(SMART, SecurityScheme::OAuth2(smart))
        .build()
}

fn operation(endpoint: &Endpoint) -> utoipa::openapi::path::Operation {
    let mut operation = OperationBuilder::new()
        .tag(endpoint.group.name())
        .summary(Some(endpoint.summary.as_str()))
        .operation_id(Some(endpoint.id()));
    for name in endpoint.path_parameters() {
        operation = operation.parameter(path_parameter(name));
    }
    for (name, description) in &endpoint.query {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
        let parameter = parameter.description(Some(description));
        operation = operation.parameter(match name.as_str() {
            // Each of its members is a parameter of its own.
            fhir::CRITERIA => {
                parameter.style(Some(ParameterStyle::Form)).explode(Some(true)).schema(Some(plain(Type::Object)))
            }
            _ => parameter.schema(Some(plain(Type::String))),
        });
    }
    for (name, description) in endpoint.headers {
        let parameter = ParameterBuilder::new().name(*name).parameter_in(ParameterIn::Header);
        operation = operation.parameter(parameter.description(Some(*description)).schema(Some(plain(Type::String))));
    }
    if !endpoint.body.is_empty() {
        let body = RequestBodyBuilder::new().required(Some(Required::True));
        let forms = endpoint.body.iter().flat_map(|media| forms(media));
        let body = forms.fold(body, |body, media| body.content(media, content(media)));
        operation = operation.request_body(Some(body.build()));
    }
    for (status, description) in endpoint.answers {
        let mut response = ResponseBuilder::new().description(*description);
        if let Some(media) = endpoint.media_of(*status) {
            response =
                forms(media).into_iter().fold(response, |response, media| response.content(media, content(media)));
        }
        operation = operation.response(status.to_string(), response.build());
    }
    match endpoint.scope {
        Some(scope) => operation.security(SecurityRequirement::new(SMART, scopes(scope))).build(),
        None => operation.build(),
    }
}

fn scopes(scope: &str) -> Vec<String> {
    if scope.is_empty() { Vec::new() } else { vec![scope.to_owned()] }
}

fn path_parameter(name: &str) -> Parameter {
    let (schema, description): (RefOr<Schema>, &str) = match name {
        "type" => (Ref::from_schema_name("ResourceType").into(), "Resource type"),
        "id" => (Ref::from_schema_name("Id").into(), "Logical id"),
        _ => (plain(Type::Integer).into(), "Version"),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// The media types that something of this one can have: resources go in JSON and in XML.
fn forms(media: &'static str) -> Vec<&'static str> {
    match media {
        endpoints::FHIR_JSON => vec![media, endpoints::FHIR_XML],
        _ => vec![media],
    }
}

fn content(media: &str) -> utoipa::openapi::Content {
    let schema: RefOr<Schema> = match media {
        endpoints::FHIR_JSON => Ref::from_schema_name("Resource").into(),
        endpoints::JSON | endpoints::FORM => plain(Type::Object).into(),
        _ => plain(Type::String).into(),
    };
    ContentBuilder::new().schema(Some(schema)).build()
}

fn plain(kind: Type) -> Schema {
    ObjectBuilder::new().schema_type(SchemaType::Type(kind)).build().into()
}

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// The document as JSON text.
pub fn json(definitions: &Definitions, origin: &str) -> String {
    // Strings, numbers and maps of ours are written, to memory: this cannot fail.
    let mut text = document(definitions, origin).to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// Endpoints by group, for people to read.
pub fn by_group() -> BTreeMap<Group, Vec<Endpoint>> {
    let mut groups = BTreeMap::<Group, Vec<Endpoint>>::new();
    for endpoint in endpoints() {
        groups.entry(endpoint.group).or_default().push(endpoint);
    }
    groups
}
