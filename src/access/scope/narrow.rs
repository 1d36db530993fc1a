//! Cutting a client's requested scopes down to those it is registered for.

use super::{Permissions, Scope, Wildcard};

/// What of `requested` lies within `allowed`, in the order of the request.
///
/// A resource scope is cut to its overlap with each allowed one of the same context: the narrower
/// type, the permissions in both, the filters of both. `system/Observation.rs` asked of
/// `system/*.cruds` stays as it is; `system/*.cruds` asked of `system/Observation.rs` becomes
/// `system/Observation.rs`; what overlaps nowhere is left out (RFC 6749 section 3.3 lets a server
/// grant less than was asked, and then it must say what it granted). Every other scope is kept if
/// `allowed` has the same. What another result already covers is left out.
pub fn narrow(requested: &[Scope], allowed: &[Scope], wildcard: Wildcard) -> Vec<Scope> {
    let mut granted: Vec<Scope> = Vec::new();
    for wish in requested {
        for bound in allowed {
            let Some(scope) = intersect(wish, bound, wildcard) else {
                continue;
            };
            if granted.iter().any(|wider| covers(wider, &scope, wildcard)) {
                continue;
            }
            granted.retain(|narrower| !covers(&scope, narrower, wildcard));
            granted.push(scope);
        }
    }
    granted
}

fn intersect(wish: &Scope, bound: &Scope, wildcard: Wildcard) -> Option<Scope> {
    let (
        Scope::Resource { context, resource_type, permissions, filters, v1 },
        Scope::Resource {
            context: bound_context,
            resource_type: bound_type,
            permissions: bound_permissions,
            filters: bound_filters,
            ..
        },
    ) = (wish, bound)
    else {
        return (wish == bound).then(|| wish.clone());
    };
    let permissions = permissions.intersection(*bound_permissions);
    let resource_type = match (resource_type.as_str(), bound_type.as_str()) {
        (wished, bound) if wildcard.bears(bound, wished) => wished,
        (wished, bound) if wildcard.bears(wished, bound) => bound,
        _ => return None,
    };
    if context != bound_context || permissions == Permissions::NONE {
        return None;
    }
    let further = bound_filters.iter().filter(|filter| !filters.contains(filter));
    Some(Scope::Resource {
        context: *context,
        resource_type: resource_type.to_owned(),
        permissions,
        filters: filters.iter().chain(further).cloned().collect(),
        v1: *v1,
    })
}

/// Whether everything `narrower` grants is granted by `wider` too.
fn covers(wider: &Scope, narrower: &Scope, wildcard: Wildcard) -> bool {
    match (wider, narrower) {
        (
            Scope::Resource { context, resource_type, permissions, filters, .. },
            Scope::Resource {
                context: inner_context,
                resource_type: inner_type,
                permissions: inner_permissions,
                filters: inner_filters,
                ..
            },
        ) => {
            context == inner_context
                && wildcard.bears(resource_type, inner_type)
                && inner_permissions.is_subset_of(*permissions)
                && filters.iter().all(|filter| inner_filters.contains(filter))
        }
        _ => wider == narrower,
    }
}
