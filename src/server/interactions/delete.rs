//! `delete` (R4 http.html#delete), conditional too (#cdelete).

use salus_access::Interaction;
use salus_store::Written;
use salus_store::write::transaction::{Entry, Target};
use salus_store::write::{Change, Method};

use super::{answer, only};
use crate::conditional::precondition;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request::Return;

/// Deletes a resource, or the one that matches.
///
/// # Errors
/// 404 for what never was or may not be seen, 412 for a version conflict or several matches.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let precondition = precondition(act.request)?;
    let audit = |written: &[Written]| written.iter().map(|one| act.caller.wrote(act.route.interaction, one)).collect();
    let resource_type = act.route.type_name().to_owned();
    let written = if act.route.interaction == Interaction::Delete {
        let (access, id) = (act.access.clone(), act.route.id().to_owned());
        let change = Change { access, resource_type, id, method: Method::Delete, content: None, precondition };
        act.app.store.commit(&[change], audit).await?
    } else {
        let entry = Entry {
            access: act.access.clone(),
            location: String::new(),
            full_url: None,
            resource_type,
            target: Target::Criteria(act.request.query.clone()),
            method: Method::Delete,
            resource: None,
            revision: None,
            precondition,
        };
        act.app.store.transaction(&[entry], audit).await.map_err(|error| error.error)?
    };
    Ok(answer(act.request, only(&written)?, Return::Representation).into())
}
