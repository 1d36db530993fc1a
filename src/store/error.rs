//! What can go wrong in the store, and what it becomes for a client.

use salus_fhir::outcome::Issue;
use salus_fhir::patch::PatchError;

/// A failure of a store function. The doc comment of each variant names the HTTP status and the
/// OperationOutcome issue code it becomes (`src/server/failure.rs` maps them).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 404 `not-found`: no such resource, or none that the caller may see.
    #[error("{resource_type}/{id} is not known")]
    NotFound {
        /// Type asked for.
        resource_type: String,
        /// Id asked for.
        id: String,
    },
    /// 410 `deleted`: the resource was deleted.
    #[error("{resource_type}/{id} was deleted (version {version})")]
    Gone {
        /// Type asked for.
        resource_type: String,
        /// Id asked for.
        id: String,
        /// The version that records the deletion.
        version: i32,
    },
    /// 412 `conflict`: `If-Match` names another version than the current one, or `If-None-Match: *` finds one.
    #[error(
        "{resource_type}/{id} is at version {current}, which is not what If-Match or If-None-Match asks for; read it again and repeat the change"
    )]
    VersionConflict {
        /// Type of the resource.
        resource_type: String,
        /// Id of the resource.
        id: String,
        /// Its current version; 0 where there is none.
        current: i32,
    },
    /// 412 `multiple-matches`: a conditional interaction or reference found several resources.
    #[error("{criteria} matches more than {most} resource(s)")]
    MultipleMatches {
        /// The criteria, as sent.
        criteria: String,
        /// How many it may match.
        most: usize,
    },
    /// 404 `not-found`: a conditional patch found nothing to change.
    #[error("no {resource_type} that the caller may see matches the criteria")]
    NoMatch {
        /// Type of the resource.
        resource_type: String,
    },
    /// 400 or 422, as [`PatchError`] says: the patch is none, or cannot be applied to this version.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// 422, with the issues: what a patch would make of the resource cannot be stored.
    #[error("the patched resource would not be valid")]
    Invalid(Vec<Issue>),
    /// 409 `conflict`: a conditional update matched nothing, but the id it brings is taken.
    #[error("{resource_type}/{id} exists, but is not what the criteria match")]
    IdTaken {
        /// Type of the resource.
        resource_type: String,
        /// The id in the body.
        id: String,
    },
    /// 400 `invalid`: the body's id is not that of the resource which the criteria match.
    #[error("the resource has id {sent}, but the criteria match {found}")]
    IdMismatch {
        /// The id in the body.
        sent: String,
        /// The id of the match.
        found: String,
    },
    /// 400 `not-found`: a reference that a transaction must resolve leads nowhere.
    #[error("{location}: {message}")]
    UnresolvedReference {
        /// FHIRPath of the reference.
        location: String,
        /// What is wrong with it.
        message: String,
    },
    /// 400 `duplicate`: two changes of one transaction are about the same resource.
    #[error("the transaction changes {resource_type}/{id} twice")]
    DuplicateChange {
        /// Type of the resource.
        resource_type: String,
        /// Id of the resource.
        id: String,
    },
    /// 400 `duplicate`: two entries of one transaction would create what these criteria ask for, and at least
    /// one of them is an update.
    #[error("two entries create or update what {criteria} matches")]
    DuplicateCriteria {
        /// The criteria, in canonical spelling.
        criteria: String,
    },
    /// 400 `duplicate`: two entries have the same `fullUrl`, so that references to it have no one meaning.
    #[error("another entry has the fullUrl {url}")]
    DuplicateFullUrl {
        /// The `fullUrl`.
        url: String,
    },
    /// 403 `forbidden`: the caller may not write this content (it lies outside what the scopes grant).
    #[error("the {resource_type} as sent lies outside what the access token allows to write")]
    OutsideGrant {
        /// Type of the resource.
        resource_type: String,
    },
    /// 400 `invalid` (or `not-supported`): a search parameter cannot be used as asked.
    #[error("search parameter {parameter}: {message}")]
    Search {
        /// The parameter as sent.
        parameter: String,
        /// What is wrong with it and what would be right.
        message: String,
    },
    /// 400 `invalid`: a page link that this server did not make, or not for this caller.
    #[error("this page link is not valid here; start the search again")]
    PageLink,
    /// 503 `transient`: no database connection, or the database refused for a passing reason.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// 503 `timeout`: a statement ran longer than one may (`statement_timeout`).
    #[error("this takes longer than a statement may; ask for less at a time")]
    TimedOut,
    /// 503 `no-store`: the disk is full.
    #[error("the database has no space left on its disk")]
    DiskFull,
    /// 503 `transient`: the audit record could not be committed, so nothing was disclosed.
    #[error("the audit trail cannot be written: {0}")]
    Audit(String),
    /// 503 `transient`: the search parameters changed again and again while something was written.
    #[error("the search parameters are being changed; try again")]
    DefinitionsChanged,
    /// 500 `exception`: a fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Error {
    /// The same failure for another request that shared the statement.
    pub(crate) fn for_another(&self) -> Self {
        match self {
            Self::DiskFull => Self::DiskFull,
            Self::TimedOut => Self::TimedOut,
            Self::Unavailable(message) => Self::Unavailable(message.clone()),
            Self::Audit(message) => Self::Audit(message.clone()),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// `Result` with the store's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState;
        match error.as_db_error() {
            Some(db) if *db.code() == SqlState::DISK_FULL => Self::DiskFull,
            Some(db) if *db.code() == SqlState::QUERY_CANCELED => Self::TimedOut,
            // Stored text is parsed before, so it is a value to compare with.
            Some(db) if *db.code() == SqlState::CHARACTER_NOT_IN_REPERTOIRE => Self::Search {
                parameter: "(one of them)".to_owned(),
                message: "the value holds U+0000, which no FHIR string does".to_owned(),
            },
            Some(db)
                if matches!(
                    *db.code(),
                    SqlState::ADMIN_SHUTDOWN
                        | SqlState::CRASH_SHUTDOWN
                        | SqlState::CANNOT_CONNECT_NOW
                        | SqlState::TOO_MANY_CONNECTIONS
                        | SqlState::T_R_SERIALIZATION_FAILURE
                        | SqlState::T_R_DEADLOCK_DETECTED
                ) =>
            {
                Self::Unavailable(db.message().to_owned())
            }
            // The message of a database error may quote data; its code and routine do not.
            Some(db) => Self::Internal(format!("SQLSTATE {} in {}", db.code().code(), db.routine().unwrap_or("?"))),
            None if error.is_closed() => Self::Unavailable("connection closed".to_owned()),
            None => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => match Self::from(error) {
                Self::Internal(message) => Self::Unavailable(message),
                other => other,
            },
            other => Self::Unavailable(other.to_string()),
        }
    }
}
