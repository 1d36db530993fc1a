//! `$validate` (R4 resource-operation-validate.html): whether a resource could be stored. Nothing is.
//!
//! Checks what a write checks, no more, and says so: the answer never claims more than was looked at. What the caller
//! may not do or see decides as it would in the interaction itself, so that nothing is learnt here that an attempt
//! would not tell.

use salus_access::Interaction;
use salus_audit::AuditKind;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::{Issue, IssueCode, OperationOutcome};
use salus_store::Version;

use super::parameters::{bad, value_of};
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::interactions::{expect_type, update};
use crate::request::{Body, FORM};
use crate::response::FhirResponse;
use crate::validation::check;

/// What a resource is checked for (R4 valueset-resource-validation-mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    Delete,
    Profile,
}

/// What was asked.
#[derive(Default)]
struct Parameters {
    resource: Option<Value<'static>>,
    mode: Option<Mode>,
    profiles: Vec<String>,
    /// Faults that keep the body from being read as a resource at all.
    unread: Vec<Issue>,
}

/// Validates what was sent or, on an instance without it, what is stored.
///
/// # Errors
/// 400 for parameters that are unknown, wrong or missing, 404 where the caller may see no such resource. A resource
/// that is not valid is no error: 200, with its faults.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = Parameters::read(act)?;
    let stored = match act.route.id {
        Some(_) => Some(act.reads.read(&act.access, act.route.type_name(), act.route.id()).await?),
        None => None,
    };
    if stored.is_none() && matches!(parameters.mode, Some(Mode::Update | Mode::Delete)) {
        return Err(bad("mode", "'update' and 'delete' are asked of an instance"));
    }
    let issues = outcome(act, &parameters, stored.as_ref()).await?;
    let response = FhirResponse::json(200, OperationOutcome { issues }.to_json());
    let record = match &stored {
        Some(version) => {
            let mut record = act.caller.shown(act.route, act.request, version.version, &version.patients);
            record.kind = AuditKind::Operation;
            record
        }
        None => act.caller.listed(AuditKind::Operation, act.route, act.request, std::iter::empty()),
    };
    Ok(Done { response, records: vec![record] })
}

async fn outcome(act: &Act<'_>, parameters: &Parameters, stored: Option<&Version>) -> Result<Vec<Issue>, Failure> {
    let mut issues = parameters.unread.clone();
    if issues.is_empty() {
        match (&parameters.resource, stored) {
            (Some(resource), _) => of_resource(act, parameters, resource, &mut issues),
            (None, Some(_)) if parameters.mode == Some(Mode::Delete) => {}
            (None, Some(version)) => {
                let body = version.body.as_deref().unwrap_or("{}");
                let resource = json::parse(body, &Limits::default()).map_err(super::unreadable)?;
                of_resource(act, parameters, &resource, &mut issues);
            }
            (None, None) => return Err(bad("resource", "is needed")),
        }
    }
    let interaction = match parameters.mode {
        Some(Mode::Create) => Some(Interaction::Create),
        Some(Mode::Update) => Some(Interaction::Update),
        Some(Mode::Delete) => Some(Interaction::Delete),
        Some(Mode::Profile) | None => None,
    };
    if let Some(interaction) = interaction {
        permitted(act, interaction, &mut issues).await?;
    }
    if !issues.iter().any(Issue::is_error) {
        let message = "nothing wrong was found in what was checked";
        issues.insert(0, Issue::information(IssueCode::Informational, message));
    }
    Ok(issues)
}

/// Whether the caller could do it, to the resource as it stands.
async fn permitted(act: &Act<'_>, interaction: Interaction, issues: &mut Vec<Issue>) -> Result<(), Failure> {
    let Some(principal) = &act.caller.principal else { return Ok(()) };
    match act.app.access(principal, interaction, act.route.resource_type.as_deref()).await {
        Err(refusal) if refusal.status == 403 => {
            issues.push(Issue::error(IssueCode::Forbidden, refusal.summary()));
        }
        Err(failure) => return Err(failure),
        Ok(_) if act.route.id.is_none() => {}
        Ok(access) => match act.reads.read(&access, act.route.type_name(), act.route.id()).await {
            Ok(_) => {}
            Err(salus_store::Error::NotFound { .. }) => {
                let message = format!("this token does not reach the resource with '{}'", interaction.code());
                issues.push(Issue::error(IssueCode::Forbidden, message));
            }
            Err(error) => return Err(error.into()),
        },
    }
    Ok(())
}

/// What a write would find wrong with a resource, then what was not looked at.
fn of_resource(act: &Act<'_>, parameters: &Parameters, resource: &Value<'_>, issues: &mut Vec<Issue>) {
    let mut expect = |outcome: Result<(), Failure>| {
        if let Err(failure) = outcome {
            issues.extend(failure.issues);
        }
    };
    expect(expect_type(act.route.type_name(), resource));
    if parameters.mode == Some(Mode::Update) {
        expect(update::expect_id(resource, act.route.id()));
        expect(update::expect_whole(resource));
    }
    let checked = check(act.app, resource, &parameters.profiles);
    issues.extend(checked.issues);
    issues.extend(checked.unchecked);
}

impl Parameters {
    fn read(act: &Act<'_>) -> Result<Self, Failure> {
        let mut read = Self::default();
        for (name, value) in act.request.parameters() {
            read.text(&name, &value)?;
        }
        let sent = match &act.request.body {
            Body::Empty => return Ok(read),
            Body::Bytes(bytes) if bytes.is_empty() => return Ok(read),
            Body::Bytes(_) if act.request.content_type == FORM => {
                return Err(Failure::new(415, IssueCode::NotSupported, "send a resource, or Parameters"));
            }
            _ => act.request.resource(),
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(failure) if failure.status == 400 => {
                read.unread = failure.issues;
                return Ok(read);
            }
            Err(failure) => return Err(failure),
        };
        // On Parameters itself, the body may be either: what has a parameter 'resource' is the operation's.
        let is_call = sent.get_str("resourceType") == Some("Parameters")
            && (act.route.type_name() != "Parameters"
                || sent.items("parameter").iter().any(|one| one.get_str("name") == Some("resource")));
        if !is_call {
            read.resource = Some(sent.into_static());
            return Ok(read);
        }
        for parameter in sent.items("parameter") {
            let name = parameter.get_str("name").unwrap_or_default();
            match (name, parameter.get("resource"), value_of(parameter)) {
                ("resource", Some(resource), _) if read.resource.is_none() => {
                    read.resource = Some(resource.clone().into_static());
                }
                ("mode" | "profile", _, Some(Value::String(value))) => read.text(name, value)?,
                _ => return Err(bad(name, "takes one resource ('resource') or a code or uri ('mode', 'profile')")),
            }
        }
        Ok(read)
    }

    fn text(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        match name {
            "mode" => {
                self.mode = Some(match value {
                    "create" => Mode::Create,
                    "update" => Mode::Update,
                    "delete" => Mode::Delete,
                    "profile" => Mode::Profile,
                    _ => return Err(bad(name, "takes create, update, delete or profile")),
                });
            }
            "profile" => self.profiles.push(value.to_owned()),
            "_format" | "_pretty" => {}
            _ => return Err(bad(name, "$validate has no such parameter")),
        }
        Ok(())
    }
}
