//! Proofs: that a leaf stands in a tree, and that a tree grew out of a former one.

use std::ops::Range;

use super::{Hash, node_hash, root, split_point};
use crate::error::Error;

/// The subtrees whose roots make up the audit path of leaf `index` in a tree of `size` leaves, as
/// ranges of leaf indexes, from the leaf up.
///
/// For a log too long to be held: the root of each range comes from a
/// [`CompactRange`](super::CompactRange) that its leaves are streamed through.
///
/// # Errors
/// [`Error::NoSuchLeaf`] where the tree has no such leaf.
pub fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range<u64>>, Error> {
    if index >= size {
        return Err(Error::NoSuchLeaf { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - start > 1 {
        let middle = start + split_point(end - start);
        if index < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The audit path of leaf `index` in the tree of these leaf hashes (RFC 6962 2.1.1), from the leaf
/// up.
///
/// # Errors
/// [`Error::NoSuchLeaf`] where the tree has no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: u64) -> Result<Vec<Hash>, Error> {
    Ok(roots(leaves, inclusion_ranges(index, leaves.len() as u64)?))
}

/// Checks that a leaf stands at `index` of the tree of `size` leaves with this root (RFC 9162
/// 2.1.3.2).
///
/// # Errors
/// [`Error::NoSuchLeaf`] where `index` is outside the tree, [`Error::ProofMismatch`] where the path
/// does not lead from the leaf to the root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> Result<(), Error> {
    if index >= size {
        return Err(Error::NoSuchLeaf { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(Error::ProofMismatch);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(Error::ProofMismatch) }
}

/// The subtrees whose roots make up the proof that a tree of `size` leaves grew out of the tree of its
/// first `former` leaves, as ranges of leaf indexes; to be used as [`inclusion_ranges`].
///
/// # Errors
/// [`Error::NoSuchLeaf`] where `former` is 0 or more than `size`.
pub fn consistency_ranges(former: u64, size: u64) -> Result<Vec<Range<u64>>, Error> {
    if former == 0 || former > size {
        return Err(Error::NoSuchLeaf { index: former, size });
    }
    let mut ranges = Vec::new();
    subproof(former, 0..size, true, &mut ranges);
    Ok(ranges)
}

/// `SUBPROOF(m, D[n], b)` of RFC 6962 2.1.2 over the leaves `tree`; `known` is `b`: the former tree is
/// a subtree whose root the verifier holds.
fn subproof(former: u64, tree: Range<u64>, known: bool, ranges: &mut Vec<Range<u64>>) {
    if former == tree.end {
        if !known {
            ranges.push(tree);
        }
        return;
    }
    let middle = tree.start + split_point(tree.end - tree.start);
    if former <= middle {
        subproof(former, tree.start..middle, known, ranges);
        ranges.push(middle..tree.end);
    } else {
        subproof(former, middle..tree.end, false, ranges);
        ranges.push(tree.start..middle);
    }
}

/// The proof that the tree of these leaf hashes grew out of the tree of the first `former` of them
/// (RFC 6962 2.1.2); empty where both are the same tree.
///
/// # Errors
/// [`Error::NoSuchLeaf`] where `former` is 0 or more than the leaves.
pub fn consistency_proof(leaves: &[Hash], former: u64) -> Result<Vec<Hash>, Error> {
    Ok(roots(leaves, consistency_ranges(former, leaves.len() as u64)?))
}

/// The root of each range of leaves; the ranges lie within the leaves.
fn roots(leaves: &[Hash], ranges: Vec<Range<u64>>) -> Vec<Hash> {
    ranges.into_iter().map(|range| root(&leaves[range.start as usize..range.end as usize])).collect()
}

/// Checks that the tree of `size` leaves with root `root` grew out of the one of `former` leaves with
/// root `former_root` (RFC 9162 2.1.4.2).
///
/// # Errors
/// [`Error::NoSuchLeaf`] where `former` is 0 or more than `size`, [`Error::ProofMismatch`] where the
/// path does not connect the two roots.
pub fn verify_consistency(former: u64, former_root: &Hash, size: u64, root: &Hash, path: &[Hash]) -> Result<(), Error> {
    if former == 0 || former > size {
        return Err(Error::NoSuchLeaf { index: former, size });
    }
    if former == size {
        let same = path.is_empty() && former_root == root;
        return if same { Ok(()) } else { Err(Error::ProofMismatch) };
    }
    // A former tree that is perfect is itself the first node of the path.
    let (start, rest) =
        if former.is_power_of_two() { (former_root, path) } else { path.split_first().ok_or(Error::ProofMismatch)? };
    if connects(former, former_root, size, root, start, rest) { Ok(()) } else { Err(Error::ProofMismatch) }
}

fn connects(former: u64, former_root: &Hash, size: u64, root: &Hash, start: &Hash, rest: &[Hash]) -> bool {
    let shift = (former - 1).trailing_ones();
    let (mut node, mut last) = ((former - 1) >> shift, (size - 1) >> shift);
    let (mut old, mut new) = (*start, *start);
    for hash in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old == *former_root && new == *root
}
