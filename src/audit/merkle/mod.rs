//! Merkle tree hashing, proofs and incremental roots.
//!
//! Source: RFC 6962 section 2.1 (hashing, proofs), RFC 9162 sections 2.1.3 to 2.1.5 (verification).
//! SHA-256; a leaf is hashed with the prefix `0x00`, a node with `0x01`, so that neither passes for
//! the other.

mod proof;
mod range;

pub use proof::{
    consistency_proof, consistency_ranges, inclusion_proof, inclusion_ranges, verify_consistency, verify_inclusion,
};
pub use range::CompactRange;

use sha2::{Digest, Sha256};

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// The hash of a leaf (RFC 6962 2.1: `SHA-256(0x00 || input)`).
#[must_use]
pub fn leaf_hash(input: &[u8]) -> Hash {
    Sha256::new().chain_update([0x00]).chain_update(input).finalize().into()
}

/// The hash of an inner node (RFC 6962 2.1: `SHA-256(0x01 || left || right)`).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([0x01]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves: the hash of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root over these leaf hashes, in order.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split_point(leaves.len() as u64) as usize);
            node_hash(&root(left), &root(right))
        }
    }
}

/// The input of the leaf for one audit event: which tenant's, at which place, and the record exactly
/// as stored.
///
/// A format tag, the tenant (4 bytes), the sequence number (8 bytes), the length of the record
/// (8 bytes) and the record; integers big-endian, so that no two events share their bytes.
#[must_use]
pub fn leaf_bytes(tenant: i32, seq: i64, record: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LEAF_TAG.len() + 20 + record.len());
    bytes.extend_from_slice(LEAF_TAG);
    bytes.extend_from_slice(&tenant.to_be_bytes());
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&(record.len() as u64).to_be_bytes());
    bytes.extend_from_slice(record.as_bytes());
    bytes
}

const LEAF_TAG: &[u8] = b"salus-audit-leaf-v1\0";

/// The hash of the leaf for one audit event: [`leaf_hash`] of [`leaf_bytes`].
#[must_use]
pub fn event_hash(tenant: i32, seq: i64, record: &str) -> Hash {
    leaf_hash(&leaf_bytes(tenant, seq, record))
}

/// The largest power of two smaller than `n` (`k` of RFC 6962 2.1); `n` is at least 2.
fn split_point(n: u64) -> u64 {
    debug_assert!(n >= 2);
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

#[cfg(test)]
mod tests;
