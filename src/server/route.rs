//! What a method and a path ask for (R4 http.html#summary).

use salus_access::Interaction;
use salus_fhir::Definitions;
use salus_fhir::outcome::IssueCode;
use salus_fhir::validation::is_id;
use salus_store::search::CompartmentOf;

use crate::failure::Failure;
use crate::operations::{Level, is_served};
use crate::request::{FhirRequest, Verb};

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The interaction.
    pub interaction: Interaction,
    /// Resource type; `None` on system level.
    pub resource_type: Option<String>,
    /// The resource whose compartment is searched (R4 http.html#vsearch).
    pub compartment: Option<CompartmentOf>,
    /// Logical id, for instances.
    pub id: Option<String>,
    /// Version, for vread.
    pub version: Option<i32>,
}

impl Route {
    /// The resource type; empty on system level.
    pub fn type_name(&self) -> &str {
        self.resource_type.as_deref().unwrap_or_default()
    }

    /// The logical id; empty where there is none.
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// `Type/id`, where the request is about one resource.
    pub fn reference(&self) -> Option<String> {
        Some(format!("{}/{}", self.resource_type.as_ref()?, self.id.as_ref()?))
    }

    /// Reads the path below the FHIR base.
    ///
    /// # Errors
    /// 404 for a path that leads nowhere, 405 for a method that the path does not take.
    pub fn of(request: &FhirRequest<'_>, definitions: &Definitions) -> Result<Self, Failure> {
        let verb = request.verb.unwrap_or(Verb::Get);
        let segments: Vec<&str> = request.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let conditional = !request.query.is_empty();
        match segments.as_slice() {
            [] => system(verb),
            ["metadata"] if verb == Verb::Get => Ok(Self::on_system(Interaction::Capabilities)),
            ["_history"] if verb == Verb::Get => Ok(Self::on_system(Interaction::HistorySystem)),
            ["metadata" | "_history"] => Err(method_not_allowed("GET")),
            ["_search"] if verb == Verb::Post => Ok(Self::on_system(Interaction::SearchSystem)),
            ["_search"] => Err(method_not_allowed("POST")),
            [name] if name.starts_with('$') => Ok(Self::on_system(operation(name, None, Level::System)?)),
            // A job of the operation.
            ["$reindex", id] => {
                let route = Self::on_system(operation("$reindex", None, Level::System)?);
                Ok(Self { id: Some(valid_id(id)?.to_owned()), ..route })
            }
            [kind, rest @ ..] => {
                if !definitions.is_resource_type(kind) {
                    let message = format!("'{kind}' is not a resource type of R4");
                    return Err(Failure::new(404, IssueCode::NotSupported, message));
                }
                let route = |interaction, id: Option<&str>, version| Self {
                    interaction,
                    resource_type: Some((*kind).to_owned()),
                    compartment: None,
                    id: id.map(str::to_owned),
                    version,
                };
                match rest {
                    [] => Ok(route(on_type(verb, conditional, request.if_none_exist.is_some())?, None, None)),
                    ["_search"] if verb == Verb::Post => Ok(route(Interaction::SearchType, None, None)),
                    ["_history"] if verb == Verb::Get => Ok(route(Interaction::HistoryType, None, None)),
                    ["_search"] => Err(method_not_allowed("POST")),
                    ["_history"] | [_, "_history"] | [_, "_history", _] if verb != Verb::Get => {
                        Err(method_not_allowed("GET"))
                    }
                    [name] if name.starts_with('$') => Ok(route(operation(name, Some(kind), Level::Type)?, None, None)),
                    [id] => {
                        let interaction = on_instance(verb)?;
                        if interaction == Interaction::Update {
                            creatable_id(id)?;
                        }
                        Ok(route(interaction, Some(valid_id(id)?), None))
                    }
                    [id, "_history"] if verb == Verb::Get => {
                        Ok(route(Interaction::HistoryInstance, Some(valid_id(id)?), None))
                    }
                    [id, "_history", version] if verb == Verb::Get => {
                        // A version that is no number of ours is one that does not exist.
                        Ok(route(Interaction::Vread, Some(valid_id(id)?), Some(version.parse().unwrap_or(-1))))
                    }
                    [id, name] if name.starts_with('$') => {
                        Ok(route(operation(name, Some(kind), Level::Instance)?, Some(valid_id(id)?), None))
                    }
                    [id, what, rest @ ..] if matches!(rest, [] | ["_search"]) => {
                        let of = CompartmentOf { owner: (*kind).to_owned(), id: valid_id(id)?.to_owned() };
                        compartment(definitions, of, what, verb, !rest.is_empty())
                    }
                    _ => Err(nowhere(&request.path)),
                }
            }
        }
    }

    fn on_system(interaction: Interaction) -> Self {
        Self { interaction, resource_type: None, compartment: None, id: None, version: None }
    }
}

fn system(verb: Verb) -> Result<Route, Failure> {
    match verb {
        // Whether it is a batch or a transaction, the body says.
        Verb::Post => Ok(Route::on_system(Interaction::Batch)),
        Verb::Get => Ok(Route::on_system(Interaction::SearchSystem)),
        _ => Err(method_not_allowed("GET, POST")),
    }
}

/// A search of what is in a compartment: of one type, or `*` for all that can be.
fn compartment(
    definitions: &Definitions,
    of: CompartmentOf,
    what: &str,
    verb: Verb,
    by_post: bool,
) -> Result<Route, Failure> {
    let resource_type = match what {
        "*" | "_search" => None,
        name if definitions.is_resource_type(name) => Some(name.to_owned()),
        name => {
            let message = format!("'{name}' is not a resource type of R4");
            return Err(Failure::new(404, IssueCode::NotSupported, message));
        }
    };
    if definitions.compartment(&of.owner).is_none() {
        let message = format!("a {} has no compartment; search with parameters", of.owner);
        return Err(Failure::new(404, IssueCode::NotSupported, message));
    }
    let by_post = by_post || what == "_search";
    match (verb, by_post) {
        (Verb::Post, true) | (Verb::Get, false) => {}
        (_, true) => return Err(method_not_allowed("POST")),
        (_, false) => return Err(method_not_allowed("GET")),
    }
    let interaction = if resource_type.is_some() { Interaction::SearchType } else { Interaction::SearchSystem };
    Ok(Route { interaction, resource_type, compartment: Some(of), id: None, version: None })
}

fn on_type(verb: Verb, conditional: bool, if_none_exist: bool) -> Result<Interaction, Failure> {
    let criteria =
        || Failure::new(400, IssueCode::Required, "this needs an id in the path, or search criteria in the query");
    match verb {
        Verb::Get => Ok(Interaction::SearchType),
        Verb::Post if if_none_exist => Ok(Interaction::ConditionalCreate),
        Verb::Post => Ok(Interaction::Create),
        Verb::Put if conditional => Ok(Interaction::ConditionalUpdate),
        Verb::Delete if conditional => Ok(Interaction::ConditionalDelete),
        Verb::Patch if conditional => Ok(Interaction::ConditionalPatch),
        Verb::Put | Verb::Patch | Verb::Delete => Err(criteria()),
    }
}

fn on_instance(verb: Verb) -> Result<Interaction, Failure> {
    match verb {
        Verb::Get => Ok(Interaction::Read),
        Verb::Put => Ok(Interaction::Update),
        Verb::Delete => Ok(Interaction::Delete),
        Verb::Patch => Ok(Interaction::Patch),
        Verb::Post => Err(method_not_allowed("GET, PUT, PATCH, DELETE")),
    }
}

fn operation(name: &str, on: Option<&str>, level: Level) -> Result<Interaction, Failure> {
    let known = Interaction::operation(name.trim_start_matches('$'));
    known.filter(|_| is_served(name, on, level)).ok_or_else(|| {
        Failure::new(
            404,
            IssueCode::NotSupported,
            format!("no operation {name} here{}", on.map(|on| format!(" on {on}")).unwrap_or_default()),
        )
    })
}

/// An id that cannot exist is one that does not.
///
/// Dots alone are ids by their pattern, but clients and proxies take them out of a path (RFC 3986 section 5.2.4), and
/// so would ask for something else.
fn valid_id(id: &str) -> Result<&str, Failure> {
    match can_exist(id) {
        true => Ok(id),
        false => Err(Failure::new(404, IssueCode::NotFound, format!("no resource has such an id ({ID_RULE})"))),
    }
}

/// An update would create what is not there, so that of an id that cannot exist it is told what is wrong with it.
fn creatable_id(id: &str) -> Result<(), Failure> {
    match can_exist(id) {
        true => Ok(()),
        false => Err(Failure::new(400, IssueCode::Value, format!("'{id}' is no id for a resource ({ID_RULE})"))),
    }
}

/// R4 datatypes.html#id
const ID_RULE: &str = "1 to 64 of A-Z a-z 0-9 - .";

fn can_exist(id: &str) -> bool {
    is_id(id) && !matches!(id, "." | "..")
}

fn method_not_allowed(allow: &str) -> Failure {
    Failure::new(405, IssueCode::NotSupported, format!("this path takes {allow}")).with_header("Allow", allow)
}

fn nowhere(path: &str) -> Failure {
    Failure::new(404, IssueCode::NotFound, format!("nothing at '{path}'"))
}
