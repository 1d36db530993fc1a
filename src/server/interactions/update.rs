//! `update` (R4 http.html#update), which creates under the client's id where there is nothing yet;
//! conditional too (#cond-update).

use salus_access::Interaction;
use salus_fhir::json::Value;
use salus_fhir::outcome::{Issue, IssueCode};
use salus_fhir::subset::is_subsetted;
use salus_store::write::transaction::{Entry, Target};
use salus_store::write::{Change, Method};
use salus_store::{Error as StoreError, Precondition, Written};

use super::{answer, only, validated};
use crate::conditional::precondition;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request::Return;

/// Replaces a resource, or creates it under the id in the path.
///
/// # Errors
/// 400 where the body's id is not the path's, 412 for a version conflict or criteria with several
/// matches, 422 for a resource that is none, or only a part of one.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let resource = act.request.resource()?;
    let resource_type = act.route.type_name();
    expect_whole(&resource)?;
    validated(act.app, resource_type, &resource)?;
    let precondition: Precondition = precondition(act.request)?;
    let audit = |written: &[Written]| written.iter().map(|one| act.caller.wrote(act.route.interaction, one)).collect();
    let written = if act.route.interaction == Interaction::Update {
        let id = act.route.id();
        expect_id(&resource, id)?;
        let change = Change {
            access: act.access.clone(),
            resource_type: resource_type.to_owned(),
            id: id.to_owned(),
            method: Method::Put,
            content: Some(act.app.store.content(resource_type, id, &resource)),
            precondition,
        };
        act.app.store.commit(&[change], audit).await?
    } else {
        let entry = Entry {
            access: act.access.clone(),
            location: String::new(),
            full_url: None,
            resource_type: resource_type.to_owned(),
            target: Target::Criteria(act.request.query.clone()),
            method: Method::Put,
            resource: Some(resource),
            revision: None,
            precondition,
        };
        act.app.store.transaction(&[entry], audit).await.map_err(|error| error.error)?
    };
    Ok(answer(act.request, only(&written)?, Return::Representation).into())
}

/// A part of a resource must not take the place of the whole: what is marked as a part is there to be read. The mark
/// is made "to ensure that the incomplete resource is not actually used to overwrite a complete resource" (R4
/// search.html#elements), and nothing in R4 asks a server to take one as an update. As a new resource it is taken.
pub(crate) fn expect_whole(resource: &Value<'_>) -> Result<(), Failure> {
    if !is_subsetted(resource) {
        return Ok(());
    }
    let message = "the resource is marked as a part of one (tag SUBSETTED): read it whole, change that, and update";
    Err(Failure::of(422, Issue::error(IssueCode::BusinessRule, message).at(format!("{}.meta.tag", type_of(resource)))))
}

/// A change must not mark as a part what was whole: nobody could update it from then on.
pub(crate) fn expect_still_whole(was_part: bool, changed: &Value<'_>) -> Result<(), StoreError> {
    match was_part {
        true => Ok(()),
        false => expect_whole(changed).map_err(|failure| StoreError::Invalid(failure.issues)),
    }
}

/// The body must carry the id of the path.
pub(crate) fn expect_id(resource: &Value<'_>, expected: &str) -> Result<(), Failure> {
    let message = match resource.get_str("id") {
        Some(id) if id == expected => return Ok(()),
        Some(id) => format!("the resource's id is '{id}', but the path says '{expected}'"),
        None => format!("the resource needs the id of the path, '{expected}'"),
    };
    Err(Failure::of(400, Issue::error(IssueCode::Invalid, message).at(format!("{}.id", type_of(resource)))))
}

/// The type that the resource says it is of, where an expression begins.
fn type_of<'v>(resource: &'v Value<'_>) -> &'v str {
    resource.get_str("resourceType").unwrap_or("Resource")
}
