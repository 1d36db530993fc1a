//! What can go wrong in this crate.

use std::path::PathBuf;

/// Why an audit record, a proof or a tree head could not be made or read.
///
/// None of these is a caller's mistake: over HTTP each is a 500 with issue code `exception`, but
/// where a request cannot be audited, which is a 503 with issue code `transient`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A stored record is not what [`AuditRecord::to_text`](crate::AuditRecord::to_text) writes.
    /// 500, `exception`.
    #[error("a stored audit record cannot be read: {0}")]
    Record(String),
    /// A stored compact range is damaged. 500, `exception`.
    #[error("a stored tree range is damaged: {0}")]
    Range(&'static str),
    /// A proof was asked for a leaf or size that the tree does not have. 404, `not-found`.
    #[error("the tree has no leaf {index} at size {size}")]
    NoSuchLeaf {
        /// The leaf or former size asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A proof does not lead to the root. 500, `exception`.
    #[error("the proof does not lead to the root of the tree head")]
    ProofMismatch,
    /// A tree head's signature does not hold under the key. 500, `exception`.
    #[error("the signature of a tree head does not hold")]
    Signature,
    /// A signing key is malformed, or a new one could not be made. 503, `transient`.
    #[error("the tree head signing key cannot be used: {0}")]
    Key(String),
    /// The file of a signing key cannot be read or written. 503, `transient`.
    #[error("the tree head signing key file {path} cannot be used: {source}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
