//! `create` (R4 http.html#create), conditional too (#ccreate).

use salus_fhir::outcome::IssueCode;
use salus_store::write::transaction::{Entry, Target, new_id};
use salus_store::write::{Change, Method};
use salus_store::{Precondition, Written};

use super::{answer, validated};
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request::Return;

/// Creates a resource under a new id, unless `If-None-Exist` finds one.
///
/// # Errors
/// 400 and 422 for a resource that is none, 400 for criteria in the URL, 412 where the criteria find several.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let resource = act.request.resource()?;
    let resource_type = act.route.type_name();
    expect_no_criteria(act, resource_type)?;
    validated(act.app, resource_type, &resource)?;
    let audit = |written: &[Written]| written.iter().map(|one| act.caller.wrote(act.route.interaction, one)).collect();
    let written = match &act.request.if_none_exist {
        None => {
            let id = new_id();
            let change = Change {
                access: act.access.clone(),
                resource_type: resource_type.to_owned(),
                content: Some(act.app.store.content(resource_type, &id, &resource)),
                id,
                method: Method::Post,
                precondition: Precondition::None,
            };
            act.app.store.commit(&[change], audit).await?
        }
        Some(criteria) => {
            let entry = Entry {
                access: act.access.clone(),
                location: String::new(),
                full_url: None,
                resource_type: resource_type.to_owned(),
                target: Target::NewUnless(criteria.trim_start_matches('?').to_owned()),
                method: Method::Post,
                resource: Some(resource),
                revision: None,
                precondition: Precondition::None,
            };
            act.app.store.transaction(&[entry], audit).await.map_err(|error| error.error)?
        }
    };
    Ok(answer(act.request, super::only(&written)?, Return::Representation).into())
}

/// Refuses criteria in the URL: they belong in `If-None-Exist`. Clients that put them there (fhirpy's
/// `get_or_create`) would have a second copy of what they wanted once.
fn expect_no_criteria(act: &Act<'_>, resource_type: &str) -> Result<(), Failure> {
    let definitions = act.app.store.definitions();
    let table = definitions.search();
    for (parameter, _) in act.request.parameters() {
        let name = parameter.split([':', '.']).next().unwrap_or_default();
        if name == "_has" || table.get(resource_type, name).is_some() {
            let message = format!("{name}: a create takes no criteria in its URL; send them in If-None-Exist");
            return Err(Failure::new(400, IssueCode::NotSupported, message));
        }
    }
    Ok(())
}
