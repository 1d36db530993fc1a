//! `$meta`, `$meta-add` and `$meta-delete` (R4 resource-operation-meta.html, resource-operation-meta-add.html,
//! resource-operation-meta-delete.html).
//!
//! R4 says of the latter two that they do "not cause a new version of the resource to be created". Here they make
//! one, on the ordinary way of a patch. A security label decides who may see a resource: with an unversioned change
//! one version number, and so one `ETag` and one entry of the audit log, would stand for two texts, and neither
//! `_history` nor an incremental export would tell that the label was ever another. Former versions keep the labels
//! they had; but who may not see the current version sees none of them.

use std::sync::Arc;

use salus_audit::AuditKind;
use salus_fhir::json::{self, Limits, Object, Value};
use salus_fhir::outcome::IssueCode;
use salus_fhir::subset::is_subsetted;
use salus_store::search::{MetaList, SearchContext};
use salus_store::write::transaction::{Entry, Target};
use salus_store::write::{Method, Revise};
use salus_store::{Error as StoreError, Written};

use super::parameters::{bad, body, value_of};
use super::{returned, unreadable};
use crate::app::App;
use crate::conditional::precondition;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::interactions::update::expect_still_whole;
use crate::interactions::{patch, validated};
use crate::response::FhirResponse;

/// Most items of a list that `$meta` gives on a type or the system, and that a change may bring.
const MOST_IN_USE: i64 = 1000;

const LISTS: [MetaList; 3] = [MetaList::Profile, MetaList::Security, MetaList::Tag];

/// What becomes of the profiles, tags and labels that are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They are added, each once.
    Add,
    /// They are taken away, where they are there.
    Delete,
}

/// Gives the meta of a resource, or what is in use on a type or the system.
///
/// # Errors
/// 400 for any parameter, 404 where the caller may see no such resource, 422 where very many are in use.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let named = super::parameters::primitive(act)?;
    if let Some((name, _)) = named.iter().find(|(name, _)| !matches!(name.as_str(), "_format" | "_pretty")) {
        return Err(bad(name, "$meta has no such parameter"));
    }
    if act.route.id.is_none() {
        return in_use(act).await;
    }
    let version = act.reads.read(&act.access, act.route.type_name(), act.route.id()).await?;
    let mut record = act.caller.shown(act.route, act.request, version.version, &version.patients);
    record.kind = AuditKind::Operation;
    let response = meta_of(version.body.as_deref().unwrap_or("{}"))?;
    Ok(Done { response, records: vec![record] })
}

/// All that is in use among the resources that the caller may see.
async fn in_use(act: &Act<'_>) -> Result<Done, Failure> {
    let context = match act.route.resource_type.as_deref() {
        Some(name) => SearchContext::of_type(name),
        None => SearchContext::system(&act.app.definitions),
    };
    let mut members = Vec::new();
    for list in LISTS {
        let texts = act.app.store.in_use(&act.access, &context, list, MOST_IN_USE).await?;
        if texts.len() as i64 > MOST_IN_USE {
            let message =
                format!("more than {MOST_IN_USE} of meta.{} are in use; ask by type or by resource", list.name());
            return Err(Failure::new(422, IssueCode::TooCostly, message));
        }
        let mut items: Vec<Value<'_>> = Vec::new();
        for text in &texts {
            let item = json::parse(text, &Limits::default()).map_err(unreadable)?;
            if !items.iter().any(|known| is_same(known, &item)) {
                items.push(item);
            }
        }
        if !items.is_empty() {
            members.push(format!(r#""{}":{}"#, list.name(), Value::Array(items)));
        }
    }
    let record = act.caller.listed(AuditKind::Operation, act.route, act.request, std::iter::empty());
    let response = returned(&format!(r#""valueMeta":{{{}}}"#, members.join(",")));
    Ok(Done { response, records: vec![record] })
}

/// Changes the profiles, tags and security labels of a resource.
///
/// # Errors
/// 400 without a Meta, 404 and 410 where there is nothing to change, 412 for a version conflict, 422 for a Meta that
/// is none.
pub async fn change(act: &Act<'_>, change: Change) -> Result<Done, Failure> {
    let asked = body(act)?.ok_or_else(|| bad("meta", "the body must be a Parameters resource with 'meta'"))?;
    let mut meta = None;
    for parameter in asked.items("parameter") {
        match (parameter.get_str("name"), value_of(parameter)) {
            (Some("meta"), Some(value @ Value::Object(_))) if meta.is_none() => {
                meta = Some(value.clone().into_static())
            }
            (Some("meta"), _) => return Err(bad("meta", "takes one valueMeta")),
            (name, _) => return Err(bad(name.unwrap_or("parameter"), "there is no such parameter")),
        }
    }
    let meta = meta.ok_or_else(|| bad("meta", "is needed"))?;
    if LISTS.iter().any(|list| meta.items(list.name()).len() as i64 > MOST_IN_USE) {
        return Err(bad("meta", &format!("at most {MOST_IN_USE} of a list are changed in one request")));
    }
    let revision = Changed { app: act.app, change, meta, resource_type: act.route.type_name().to_owned() };
    let entry = Entry {
        access: act.access.clone(),
        location: String::new(),
        full_url: None,
        resource_type: act.route.type_name().to_owned(),
        target: Target::Id(act.route.id().to_owned()),
        method: Method::Patch,
        resource: None,
        revision: Some(Arc::new(revision)),
        precondition: precondition(act.request)?,
    };
    let audit = |written: &[Written]| written.iter().map(|one| act.caller.wrote(act.route.interaction, one)).collect();
    let written = act.app.store.transaction(&[entry], audit).await.map_err(|error| error.error)?;
    let written = crate::interactions::only(&written)?;
    let mut response = FhirResponse::written(written);
    if patch::may_read(act, written).await {
        response.body = meta_of(written.body.as_deref().unwrap_or("{}"))?.body;
    }
    response.location = None;
    Ok(response.into())
}

/// The answer that holds the meta of a resource.
fn meta_of(resource: &str) -> Result<FhirResponse, Failure> {
    let resource = json::parse(resource, &Limits::default()).map_err(unreadable)?;
    let meta = resource.get("meta").cloned().unwrap_or_else(|| Object::new().into());
    Ok(returned(&format!(r#""valueMeta":{meta}"#)))
}

/// The lists of `meta` with some items added or taken away.
struct Changed<'a> {
    app: &'a App,
    change: Change,
    meta: Value<'static>,
    resource_type: String,
}

impl std::fmt::Debug for Changed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The labels are a patient's data.
        f.debug_struct("Changed").field("resource_type", &self.resource_type).finish_non_exhaustive()
    }
}

impl Revise for Changed<'_> {
    fn revise<'v>(&'v self, mut current: Value<'v>) -> Result<Value<'v>, StoreError> {
        let was_part = is_subsetted(&current);
        if let Some(resource) = current.as_object_mut() {
            if !resource.contains("meta") {
                resource.insert_at(2, "meta", Object::new());
            }
            if let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) {
                LISTS.iter().for_each(|list| self.apply(list.name(), meta));
            }
        }
        expect_still_whole(was_part, &current)?;
        validated(self.app, &self.resource_type, &current).map_err(|failure| StoreError::Invalid(failure.issues))?;
        Ok(current)
    }
}

impl Changed<'_> {
    fn apply<'v>(&'v self, list: &'static str, meta: &mut Object<'v>) {
        let mut items = meta.get(list).and_then(Value::as_array).unwrap_or_default().to_vec();
        for item in self.meta.items(list) {
            match self.change {
                Change::Add if items.iter().any(|known| is_same(known, item)) => {}
                Change::Add => items.push(item.clone()),
                Change::Delete => items.retain(|known| !is_same(known, item)),
            }
        }
        if items.is_empty() {
            meta.remove(list);
        } else {
            meta.set(list, items);
        }
    }
}

/// Whether two are the same: profiles by URL, tags and labels by system and code (R4
/// resource-operation-meta-add.html).
fn is_same(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one, other) {
        (Value::Object(_), Value::Object(_)) => {
            ["system", "code"].iter().all(|name| one.get_str(name) == other.get_str(name))
        }
        _ => one == other,
    }
}
