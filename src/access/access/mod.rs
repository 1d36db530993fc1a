//! [`Access`]: the proof that a request was authorized, and the predicate over rows it was
//! authorized for.

mod authorize;
mod grants;
mod refusal;

use std::collections::BTreeMap;
use std::sync::Arc;

use salus_fhir::Key;

pub use authorize::authorize;
pub(crate) use grants::Grants;
pub use refusal::Refusal;

use crate::interaction::Interaction;
use crate::principal::Principal;
use crate::scope::{Permission, Scope};

/// What one caller may reach with one interaction.
///
/// Every function of the store that returns content or counts takes one. Only [`authorize`] builds
/// one for a caller, and [`Access::system`] for a named internal job. The store compiles it to SQL:
/// a row may be seen when its type has a [`RowFilter`] that admits it and [`ConsentView`] does not
/// hide it.
///
/// Nobody can make one up:
///
/// ```compile_fail,E0451
/// let access = salus_access::Access { tenant: 0 };
/// ```
#[derive(Debug)]
pub struct Access {
    tenant: i32,
    caller: Caller,
    permission: Permission,
    grants: Arc<Grants>,
    consent: ConsentView,
    code_sets: CodeSets,
    fingerprint: Key,
}

/// What search parameters of scopes stand for that ask for a set of codes (`code:in`): by name and value, the name and
/// value that list the codes.
pub type CodeSets = BTreeMap<(String, String), (String, String)>;

#[derive(Debug, Clone)]
enum Caller {
    Principal(Arc<Principal>),
    Job(&'static str),
}

/// One alternative of what is granted on a resource type; all of its parts must hold for a row. The
/// default admits every row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RowFilter {
    /// The row must be in this patient's compartment, i.e. have this key
    /// (`Key::resource("Patient", id)`) among its own. The Patient itself is in its compartment.
    pub compartment: Option<Key>,
    /// The row must match each of these search parameters (name with modifier, value), as in a search
    /// URL. One that the row's type does not have, or that does not compile, admits nothing.
    pub search: Vec<(String, String)>,
}

impl RowFilter {
    /// Whether every row is admitted.
    pub fn is_unrestricted(&self) -> bool {
        self.compartment.is_none() && self.search.is_empty()
    }

    /// Whether a row with these keys is in the compartment, if one is demanded. The search part is
    /// the store's to test.
    pub fn admits_keys(&self, keys: &[Key]) -> bool {
        self.compartment.is_none_or(|patient| keys.contains(&patient))
    }
}

/// Which resource types have at least one grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeSelector {
    /// All of them.
    All,
    /// These, sorted; empty for none.
    Only(Vec<String>),
}

impl TypeSelector {
    /// Whether `resource_type` is selected.
    pub fn contains(&self, resource_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(types) => types.iter().any(|name| name == resource_type),
        }
    }
}

/// What holds for a patient's data where no active Consent decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DefaultPolicy {
    /// Permit what is not labelled as more than normally confidential (`R`, `V`).
    PermitNormal,
    /// Permit everything.
    PermitAll,
    /// Permit only to whoever breaks the glass.
    BreakGlassOnly,
    /// Permit nothing.
    Deny,
}

/// How Consent sees the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConsentView {
    /// A named internal job: Consent does not bind it.
    Exempt,
    /// Consent binds the caller.
    Enforce {
        /// Purpose of use: a bare ActReason code.
        purpose: String,
        /// The keys by which a provision may name the caller
        /// ([`reference_key`](crate::consent::keys::reference_key)).
        actors: Vec<Key>,
        /// What holds where no Consent decides.
        default_policy: DefaultPolicy,
        /// The caller breaks the glass and may: a deny provision hides nothing, unless it names the
        /// purpose `BTG` itself.
        break_glass: bool,
    },
}

impl Access {
    /// The access of a named internal job: everything of `tenant`, exempt from Consent, audited
    /// under `job`. For what the server does on its own behalf (loading demo data, sequencing audit),
    /// never on behalf of a caller.
    pub fn system(job: &'static str, tenant: i32) -> Self {
        Self {
            tenant,
            caller: Caller::Job(job),
            permission: Permission::Read,
            grants: Arc::new(Grants::everything()),
            consent: ConsentView::Exempt,
            code_sets: CodeSets::new(),
            fingerprint: Key::of(&["system", &tenant.to_string()]),
        }
    }

    /// What is granted on a resource type for the interaction at hand: alternatives, any of which
    /// admits a row. Empty: nothing. If everything is granted the one entry is
    /// [`RowFilter::default`].
    pub fn grants(&self, resource_type: &str) -> &[RowFilter] {
        self.grants_for(self.permission, resource_type)
    }

    /// The same for another permission: what `_include` may add takes [`Permission::Search`] or
    /// [`Permission::Read`] on the included type, whatever the interaction.
    pub fn grants_for(&self, permission: Permission, resource_type: &str) -> &[RowFilter] {
        self.grants.get(permission, resource_type)
    }

    /// The search parameters that the caller's scopes have, each with the type of its scope (or `*`).
    pub fn scope_filters(&self) -> impl Iterator<Item = (&str, &(String, String))> {
        let scopes = self.principal().into_iter().flat_map(|principal| &principal.scopes);
        scopes.flat_map(|scope| match scope {
            Scope::Resource { resource_type, filters, .. } => {
                filters.iter().map(|filter| (resource_type.as_str(), filter)).collect()
            }
            _ => Vec::new(),
        })
    }

    /// The same access, where these sets of codes were looked up. One that was not admits nothing.
    pub fn with_code_sets(&self, code_sets: CodeSets) -> Self {
        let listed = code_sets.iter().flat_map(|((name, value), (_, codes))| [name, value, codes].map(String::as_str));
        let fingerprint = self.fingerprint.with(&listed.collect::<Vec<_>>());
        let (caller, grants, consent) = (self.caller.clone(), Arc::clone(&self.grants), self.consent.clone());
        Self { tenant: self.tenant, caller, permission: self.permission, grants, consent, code_sets, fingerprint }
    }

    /// What a search parameter of a scope that asks for a set of codes stands for, where it was looked up.
    pub fn code_set(&self, name: &str, value: &str) -> Option<(&str, &str)> {
        let found = self.code_sets.iter().find(|((known, asked), _)| known == name && asked == value);
        found.map(|(_, (name, codes))| (name.as_str(), codes.as_str()))
    }

    /// The resource types on which the interaction at hand is granted at all.
    pub fn types(&self) -> TypeSelector {
        self.grants.types(self.permission)
    }

    /// Whether `interaction` on `resource_type` is granted at all. The store also tests that the row
    /// before and after satisfies [`Self::grants_for`] the interaction's permission.
    pub fn permits_write(&self, resource_type: &str, interaction: Interaction) -> bool {
        let granted = |permission: &Permission| !self.grants_for(*permission, resource_type).is_empty();
        interaction.writes() && interaction.needs().iter().all(granted)
    }

    /// How Consent sees the caller.
    pub fn consent(&self) -> &ConsentView {
        &self.consent
    }

    /// The tenant whose rows are meant.
    pub fn tenant(&self) -> i32 {
        self.tenant
    }

    /// Who is asking; `None` for internal jobs.
    pub fn principal(&self) -> Option<&Principal> {
        match &self.caller {
            Caller::Principal(principal) => Some(principal),
            Caller::Job(_) => None,
        }
    }

    /// The internal job's name; `None` for callers.
    pub fn job(&self) -> Option<&'static str> {
        match self.caller {
            Caller::Principal(_) => None,
            Caller::Job(job) => Some(job),
        }
    }

    /// The permission whose grants [`Self::grants`] gives.
    pub fn permission(&self) -> Permission {
        self.permission
    }

    /// The same for two accesses only if they reach the same rows: a key for compiled SQL.
    pub fn fingerprint(&self) -> Key {
        self.fingerprint
    }
}

#[cfg(test)]
mod tests;
