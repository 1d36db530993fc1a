//! Proofs: that a leaf stands in a tree, and that a tree grew out of a former one.

use super::{Hash, node_hash, root, split_point};
use crate::error::Error;

/// The audit path of leaf `index` in the tree of these leaf hashes (RFC 6962 2.1.1), from the leaf
/// up.
///
/// # Errors
/// [`Error::NoSuchLeaf`] where the tree has no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: u64) -> Result<Vec<Hash>, Error> {
    let size = leaves.len() as u64;
    if index >= size {
        return Err(Error::NoSuchLeaf { index, size });
    }
    let (mut leaves, mut index) = (leaves, index as usize);
    let mut path = Vec::new();
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split_point(leaves.len()));
        if index < left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Ok(path)
}

/// Checks that a leaf stands at `index` of the tree of `size` leaves with this root (RFC 9162
/// 2.1.3.2).
///
/// # Errors
/// [`Error::NoSuchLeaf`] where `index` is outside the tree, [`Error::ProofMismatch`] where the path
/// does not lead from the leaf to the root.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), Error> {
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
    if last == 0 && hash == *root {
        Ok(())
    } else {
        Err(Error::ProofMismatch)
    }
}

/// The proof that the tree of these leaf hashes grew out of the tree of the first `former` of them
/// (RFC 6962 2.1.2); empty where both are the same tree.
///
/// # Errors
/// [`Error::NoSuchLeaf`] where `former` is 0 or more than the leaves.
pub fn consistency_proof(leaves: &[Hash], former: u64) -> Result<Vec<Hash>, Error> {
    let size = leaves.len() as u64;
    if former == 0 || former > size {
        return Err(Error::NoSuchLeaf {
            index: former,
            size,
        });
    }
    let mut path = Vec::new();
    subproof(leaves, former as usize, true, &mut path);
    Ok(path)
}

/// `SUBPROOF(m, D[n], b)` of RFC 6962 2.1.2; `known` is `b`: the former tree is a subtree whose root
/// the verifier holds.
fn subproof(leaves: &[Hash], former: usize, known: bool, path: &mut Vec<Hash>) {
    if former == leaves.len() {
        if !known {
            path.push(root(leaves));
        }
        return;
    }
    let (left, right) = leaves.split_at(split_point(leaves.len()));
    if former <= left.len() {
        subproof(left, former, known, path);
        path.push(root(right));
    } else {
        subproof(right, former - left.len(), false, path);
        path.push(root(left));
    }
}

/// Checks that the tree of `size` leaves with root `root` grew out of the one of `former` leaves with
/// root `former_root` (RFC 9162 2.1.4.2).
///
/// # Errors
/// [`Error::NoSuchLeaf`] where `former` is 0 or more than `size`, [`Error::ProofMismatch`] where the
/// path does not connect the two roots.
pub fn verify_consistency(
    former: u64,
    former_root: &Hash,
    size: u64,
    root: &Hash,
    path: &[Hash],
) -> Result<(), Error> {
    if former == 0 || former > size {
        return Err(Error::NoSuchLeaf {
            index: former,
            size,
        });
    }
    if former == size {
        let same = path.is_empty() && former_root == root;
        return if same {
            Ok(())
        } else {
            Err(Error::ProofMismatch)
        };
    }
    // A former tree that is perfect is itself the first node of the path.
    let (start, rest) = if former.is_power_of_two() {
        (former_root, path)
    } else {
        path.split_first().ok_or(Error::ProofMismatch)?
    };
    if connects(former, former_root, size, root, start, rest) {
        Ok(())
    } else {
        Err(Error::ProofMismatch)
    }
}

fn connects(
    former: u64,
    former_root: &Hash,
    size: u64,
    root: &Hash,
    start: &Hash,
    rest: &[Hash],
) -> bool {
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
