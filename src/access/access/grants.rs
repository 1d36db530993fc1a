//! What a token's scopes reach, expanded from classes to resource types.

use std::collections::BTreeSet;
use std::sync::Arc;

use salus_fhir::Key;

use super::{RowFilter, TypeSelector};
use crate::policy::{Grant, Policy, Reach, own_patient};
use crate::principal::Principal;
use crate::scope::{Permission, Scope, Wildcard};
use crate::types::{Class, Link, TypeTable};

/// Row filters for each resource type and permission. Most are the same few, so each distinct list
/// is kept once.
#[derive(Debug)]
pub(crate) enum Grants {
    /// All rows of all types, known or not.
    Everything(Vec<RowFilter>),
    /// By type.
    ByType {
        types: Arc<TypeTable>,
        lists: Vec<Vec<RowFilter>>,
        /// For each type, in the table's order, and each permission, the number of its list.
        index: Vec<[usize; 5]>,
    },
}

impl Grants {
    /// Everything.
    pub fn everything() -> Self {
        Self::Everything(vec![RowFilter::default()])
    }

    /// Expands what the policy granted.
    pub fn new(policy: &Policy, principal: &Principal, granted: &BTreeSet<Grant>) -> Self {
        let types = policy.types();
        let mut lists = vec![Vec::new()];
        let mut index = Vec::with_capacity(types.len());
        for (name, class, link) in types.iter() {
            index.push(Permission::ALL.map(|permission| {
                let list = filters(policy.settings().wildcard, principal, granted, (name, class, link), permission);
                lists.iter().position(|known| *known == list).unwrap_or_else(|| {
                    lists.push(list);
                    lists.len() - 1
                })
            }));
        }
        Self::ByType { types: Arc::clone(types), lists, index }
    }

    pub fn get(&self, permission: Permission, resource_type: &str) -> &[RowFilter] {
        match self {
            Self::Everything(list) => list,
            Self::ByType { types, lists, index } => match types.position(resource_type) {
                Some(position) => &lists[index[position][permission as usize]],
                None => &[],
            },
        }
    }

    pub fn types(&self, permission: Permission) -> TypeSelector {
        let Self::ByType { types, lists, index } = self else {
            return TypeSelector::All;
        };
        let granted: Vec<_> = types
            .iter()
            .zip(index)
            .filter(|(_, lists_of)| !lists[lists_of[permission as usize]].is_empty())
            .map(|((name, ..), _)| name.to_owned())
            .collect();
        if granted.len() == types.len() { TypeSelector::All } else { TypeSelector::Only(granted) }
    }

    /// Whether the permission is granted on the type, or on any where `on` is `None`.
    pub fn any(&self, permission: Permission, on: Option<&str>) -> bool {
        match on {
            Some(name) => !self.get(permission, name).is_empty(),
            None => self.types(permission) != TypeSelector::Only(Vec::new()),
        }
    }
}

/// The alternatives for one type and permission: one for each scope and each way it reaches.
fn filters(
    wildcard: Wildcard,
    principal: &Principal,
    granted: &BTreeSet<Grant>,
    (name, class, link): (&str, Class, Link),
    permission: Permission,
) -> Vec<RowFilter> {
    let mut list = Vec::new();
    for scope in &principal.scopes {
        let Scope::Resource { context, resource_type, permissions, filters, .. } = scope else {
            continue;
        };
        if !permissions.contains(permission) || !wildcard.bears(resource_type, name) {
            continue;
        }
        let reaches = granted.iter().filter(|grant| {
            grant.context == *context && grant.permission == permission && grant.class == class.as_str()
        });
        for grant in reaches {
            let Some(mut filter) = reached(principal, grant.reach, link) else {
                continue;
            };
            filter.search.extend(filters.iter().cloned());
            if filter.is_unrestricted() {
                return vec![filter];
            }
            if !list.contains(&filter) {
                list.push(filter);
            }
        }
    }
    list
}

/// The rows a reach stands for; `None` for none.
fn reached(principal: &Principal, reach: Reach, link: Link) -> Option<RowFilter> {
    let patient = match reach {
        Reach::All => return Some(RowFilter::default()),
        Reach::Own => own_patient(principal)?,
        Reach::Launch => principal.patient.as_deref()?,
    };
    match link {
        Link::Compartment => {
            Some(RowFilter { compartment: Some(Key::resource("Patient", patient)), search: Vec::new() })
        }
        Link::Search(parameter) => {
            Some(RowFilter { compartment: None, search: vec![(parameter.to_owned(), format!("Patient/{patient}"))] })
        }
        Link::None => None,
    }
}
