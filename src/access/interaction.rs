//! What a request asks to do, and which SMART permissions that takes.
//!
//! SMART App Launch 2.2 ("Scopes for requesting FHIR Resources") puts read, vread and instance
//! history under `r`; search and history of a type or the system under `s`; create under `c`; update
//! (also where it creates) and patch under `u`; delete under `d`. It is silent on two points, which
//! we settle so:
//! - a *conditional* create, update, patch or delete tells its caller whether a match exists, so it
//!   takes `s` beside its own permission;
//! - an operation takes what [`OPERATIONS`] says. One that is not listed is not granted to anybody.

use crate::scope::Permission;

/// An interaction of the RESTful API (R4 http.html; code system `restful-interaction`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interaction {
    /// `read`
    Read,
    /// `vread`
    Vread,
    /// `update`, also where it creates.
    Update,
    /// `update` by search criteria.
    ConditionalUpdate,
    /// `patch`
    Patch,
    /// `patch` by search criteria.
    ConditionalPatch,
    /// `delete`
    Delete,
    /// `delete` by search criteria.
    ConditionalDelete,
    /// `history-instance`
    HistoryInstance,
    /// `history-type`
    HistoryType,
    /// `history-system`
    HistorySystem,
    /// `create`
    Create,
    /// `create` with `If-None-Exist`.
    ConditionalCreate,
    /// `search-type`
    SearchType,
    /// `search-system`
    SearchSystem,
    /// `capabilities`
    Capabilities,
    /// `transaction`: permits to send one; each entry is authorized by itself.
    Transaction,
    /// `batch`: permits to send one; each entry is authorized by itself.
    Batch,
    /// `operation`: one of [`OPERATIONS`].
    Operation(&'static Operation),
}

/// What an operation takes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// Its name, without the `$`.
    pub name: &'static str,
    /// The permissions it takes.
    pub needs: &'static [Permission],
    /// The resource type the permissions must be on; `None`: the type it is called on, or any type
    /// when it is called on the system.
    pub on: Option<&'static str>,
}

const fn operation(name: &'static str, needs: &'static [Permission], on: Option<&'static str>) -> Operation {
    Operation { name, needs, on }
}

/// Every operation that can be granted. What an operation writes (`persist=true`) its handler
/// authorizes as a create of that type; what it reads of other types goes through
/// [`Access::grants_for`](crate::Access::grants_for).
pub const OPERATIONS: &[Operation] = {
    use Permission::{Read, Search, Update};
    &[
        operation("accounting-of-disclosures", &[Search], Some("AuditEvent")),
        operation("anomaly", &[Read], Some("Patient")),
        operation("consent-decision", &[Read], Some("Consent")),
        operation("docref", &[Search], Some("DocumentReference")),
        operation("everything", &[Read], None),
        operation("export", &[Search], None),
        operation("extract", &[Read], Some("DocumentReference")),
        operation("graphql", &[Read], None),
        operation("lastn", &[Search], Some("Observation")),
        operation("meta", &[Read], None),
        operation("meta-add", &[Update], None),
        operation("meta-delete", &[Update], None),
        operation("proof", &[Read], Some("AuditEvent")),
        operation("reindex", &[Update], Some("SearchParameter")),
        operation("risk-score", &[Read], Some("Patient")),
        operation("sql-run", &[Search], None),
        operation("stats", &[Search], Some("Observation")),
        operation("validate", &[Read], None),
        operation("viewdefinition-run", &[Search], None),
    ]
};

impl Interaction {
    /// The operation `name` (without `$`), if it is one of [`OPERATIONS`].
    pub fn operation(name: &str) -> Option<Self> {
        OPERATIONS.iter().find(|operation| operation.name == name).map(Self::Operation)
    }

    /// The permissions it takes, all of them, the defining one first. None for `capabilities`, which
    /// is open, and for Bundles, whose entries are authorized one by one.
    pub fn needs(self) -> &'static [Permission] {
        use Permission::{Create, Delete, Read, Search, Update};
        match self {
            Self::Read | Self::Vread | Self::HistoryInstance => &[Read],
            Self::HistoryType | Self::HistorySystem | Self::SearchType | Self::SearchSystem => &[Search],
            Self::Create => &[Create],
            Self::ConditionalCreate => &[Create, Search],
            Self::Update | Self::Patch => &[Update],
            Self::ConditionalUpdate | Self::ConditionalPatch => &[Update, Search],
            Self::Delete => &[Delete],
            Self::ConditionalDelete => &[Delete, Search],
            Self::Capabilities | Self::Transaction | Self::Batch => &[],
            Self::Operation(operation) => operation.needs,
        }
    }

    /// The permission whose row filters bound it: the first it takes, or `r` where it takes none.
    pub fn permission(self) -> Permission {
        self.needs().first().copied().unwrap_or(Permission::Read)
    }

    /// Whether it changes resources.
    pub fn writes(self) -> bool {
        self.needs().iter().any(|permission| permission.writes())
    }

    /// The resource type the permissions must be on, for a request on `requested`.
    pub fn authorized_on(self, requested: Option<&str>) -> Option<&str> {
        match self {
            Self::Operation(Operation { on: Some(on), .. }) => Some(on),
            _ => requested,
        }
    }

    /// Its code in `restful-interaction` (`read`, `search-type`, `operation`, …); conditional forms
    /// have the code of the plain one.
    pub fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Vread => "vread",
            Self::Update | Self::ConditionalUpdate => "update",
            Self::Patch | Self::ConditionalPatch => "patch",
            Self::Delete | Self::ConditionalDelete => "delete",
            Self::HistoryInstance => "history-instance",
            Self::HistoryType => "history-type",
            Self::HistorySystem => "history-system",
            Self::Create | Self::ConditionalCreate => "create",
            Self::SearchType => "search-type",
            Self::SearchSystem => "search-system",
            Self::Capabilities => "capabilities",
            Self::Transaction => "transaction",
            Self::Batch => "batch",
            Self::Operation(_) => "operation",
        }
    }
}
