use proptest::prelude::*;

use super::*;
use crate::Error;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// The leaf inputs of the test vectors that Certificate Transparency implementations share
/// (google/certificate-transparency, merkle_tree_test).
fn vectors() -> Vec<Hash> {
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
        .iter()
        .map(|input| leaf_hash(&unhex(input)))
        .collect()
}

/// The roots of the trees of the first one to eight of those leaves.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// `MTH` of RFC 6962 2.1, written as the RFC writes it.
fn mth(leaves: &[Hash]) -> Hash {
    if leaves.is_empty() {
        return sha2::Sha256::digest([]).into();
    }
    if leaves.len() == 1 {
        return leaves[0];
    }
    let mut k = 1;
    while 2 * k < leaves.len() {
        k *= 2;
    }
    node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
}

/// `PATH(m, D[n])` of RFC 6962 2.1.1.
fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let mut k = 1;
    while 2 * k < leaves.len() {
        k *= 2;
    }
    if m < k {
        [path(m, &leaves[..k]), vec![mth(&leaves[k..])]].concat()
    } else {
        [path(m - k, &leaves[k..]), vec![mth(&leaves[..k])]].concat()
    }
}

fn leaves(count: usize) -> Vec<Hash> {
    (0..count).map(|i| leaf_hash(&(i as u64).to_be_bytes())).collect()
}

#[test]
fn empty_tree_hashes_nothing() {
    // RFC 6962 2.1: MTH({}) = SHA-256().
    assert_eq!(hex(&root(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(CompactRange::new().root(), empty_root());
}

#[test]
fn roots_agree_with_the_certificate_transparency_vectors() {
    let vectors = vectors();
    let mut range = CompactRange::new();
    for (size, expected) in (1..).zip(ROOTS) {
        range.append(vectors[size - 1]);
        assert_eq!(hex(&root(&vectors[..size])), expected, "size {size}");
        assert_eq!(hex(&range.root()), expected, "size {size}");
    }
}

#[test]
fn inclusion_proof_agrees_with_the_certificate_transparency_vectors() {
    // Leaf 0 of 8 and leaf 5 of 8.
    let first = inclusion_proof(&vectors(), 0).unwrap();
    assert_eq!(
        first.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    let sixth = inclusion_proof(&vectors(), 5).unwrap();
    assert_eq!(
        sixth.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn consistency_proof_agrees_with_the_certificate_transparency_vectors() {
    // From 6 leaves to 8.
    let proof = consistency_proof(&vectors(), 6).unwrap();
    assert_eq!(
        proof.iter().map(|hash| hex(hash)).collect::<Vec<_>>(),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_proof_of_small_trees_holds_and_no_other_does() {
    for size in 1..=33_u64 {
        let leaves = leaves(size as usize);
        let root = root(&leaves);
        for index in 0..size {
            let proof = inclusion_proof(&leaves, index).unwrap();
            assert_eq!(proof, path(index as usize, &leaves));
            verify_inclusion(&leaves[index as usize], index, size, &proof, &root).unwrap();
            let other = (index + 1) % size;
            if other != index {
                let wrong = verify_inclusion(&leaves[other as usize], index, size, &proof, &root);
                assert!(matches!(wrong, Err(Error::ProofMismatch)));
                let wrong = verify_inclusion(&leaves[index as usize], other, size, &proof, &root);
                assert!(matches!(wrong, Err(Error::ProofMismatch)));
            }
        }
        for former in 1..=size {
            let former_root = mth(&leaves[..former as usize]);
            let proof = consistency_proof(&leaves, former).unwrap();
            verify_consistency(former, &former_root, size, &root, &proof).unwrap();
        }
    }
}

#[test]
fn proofs_outside_the_tree_are_refused() {
    let leaves = leaves(3);
    let root = root(&leaves);
    assert!(matches!(inclusion_proof(&leaves, 3), Err(Error::NoSuchLeaf { index: 3, size: 3 })));
    assert!(matches!(inclusion_proof(&[], 0), Err(Error::NoSuchLeaf { .. })));
    assert!(matches!(consistency_proof(&leaves, 0), Err(Error::NoSuchLeaf { .. })));
    assert!(matches!(consistency_proof(&leaves, 4), Err(Error::NoSuchLeaf { .. })));
    let refused = verify_inclusion(&leaves[0], 3, 3, &[], &root);
    assert!(matches!(refused, Err(Error::NoSuchLeaf { .. })));
    for (former, size) in [(0, 3), (4, 3), (0, 0)] {
        let refused = verify_consistency(former, &root, size, &root, &[]);
        assert!(matches!(refused, Err(Error::NoSuchLeaf { .. })));
    }
}

#[test]
fn a_node_does_not_pass_for_a_leaf() {
    let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
    assert_ne!(leaf_hash(&[left, right].concat()), node_hash(&left, &right));
}

#[test]
fn damaged_ranges_are_refused() {
    let mut range = CompactRange::new();
    leaves(5).into_iter().for_each(|leaf| range.append(leaf));
    let bytes = range.to_bytes();
    assert_eq!(CompactRange::from_bytes(&bytes).unwrap(), range);
    for damaged in [&bytes[..bytes.len() - 1], &bytes[..7], &bytes[..40], &[&bytes[..], &[0]].concat()] {
        assert!(matches!(CompactRange::from_bytes(damaged), Err(Error::Range(_))));
    }
}

#[test]
fn leaf_bytes_tell_tenant_place_and_record_apart() {
    let base = leaf_bytes(1, 2, "x");
    assert_eq!(base.len(), LEAF_TAG.len() + 4 + 8 + 8 + 1);
    for other in [leaf_bytes(2, 2, "x"), leaf_bytes(1, 3, "x"), leaf_bytes(1, 2, "y"), leaf_bytes(1, 2, "")] {
        assert_ne!(base, other);
    }
    assert_eq!(event_hash(1, 2, "x"), leaf_hash(&base));
}

#[test]
fn a_proof_of_a_log_too_long_to_hold_is_short() {
    let size = 1 << 62;
    let ranges = inclusion_ranges(12_345, size).unwrap();
    assert_eq!(ranges.len(), 62);
    assert_eq!(ranges.iter().map(|range| range.end - range.start).sum::<u64>(), size - 1);
    assert!(consistency_ranges(12_345, u64::MAX).unwrap().len() <= 65);
}

proptest! {
    #[test]
    fn a_proof_can_be_made_by_streaming(size in 1_u64..300, pick in any::<u64>()) {
        let leaves = leaves(size as usize);
        let index = pick % size;
        let stream = |range: std::ops::Range<u64>| {
            let mut part = CompactRange::new();
            range.for_each(|at| part.append(leaves[at as usize]));
            part.root()
        };
        let path: Vec<Hash> = inclusion_ranges(index, size).unwrap().into_iter().map(stream).collect();
        prop_assert_eq!(path, inclusion_proof(&leaves, index).unwrap());
    }

    #[test]
    fn incremental_root_is_the_recursive_one(count in 0_usize..300, split in 0_usize..300) {
        let leaves = leaves(count);
        let mut range = CompactRange::new();
        for (index, leaf) in leaves.iter().enumerate() {
            if index == split {
                range = CompactRange::from_bytes(&range.to_bytes()).unwrap();
            }
            range.append(*leaf);
        }
        prop_assert_eq!(range.size(), count as u64);
        prop_assert_eq!(range.root(), mth(&leaves));
        prop_assert_eq!(root(&leaves), mth(&leaves));
    }

    #[test]
    fn proofs_of_any_tree_hold(size in 1_u64..300, pick in any::<u64>()) {
        let leaves = leaves(size as usize);
        let (index, former) = (pick % size, pick % size + 1);
        let root = mth(&leaves);
        let proof = inclusion_proof(&leaves, index).unwrap();
        prop_assert!(verify_inclusion(&leaves[index as usize], index, size, &proof, &root).is_ok());
        let proof = consistency_proof(&leaves, former).unwrap();
        let former_root = mth(&leaves[..former as usize]);
        prop_assert!(verify_consistency(former, &former_root, size, &root, &proof).is_ok());
    }

    #[test]
    fn a_tampered_proof_does_not_hold(size in 2_u64..200, pick in any::<u64>(), at in any::<usize>()) {
        let leaves = leaves(size as usize);
        let root = mth(&leaves);
        let index = pick % size;
        let mut proof = inclusion_proof(&leaves, index).unwrap();
        let at = at % proof.len();
        proof[at][0] ^= 1;
        prop_assert!(verify_inclusion(&leaves[index as usize], index, size, &proof, &root).is_err());
        proof[at][0] ^= 1;
        proof.push([0; 32]);
        prop_assert!(verify_inclusion(&leaves[index as usize], index, size, &proof, &root).is_err());
        proof.pop();
        proof.pop();
        prop_assert!(verify_inclusion(&leaves[index as usize], index, size, &proof, &root).is_err());
    }

    #[test]
    fn a_rewritten_history_is_not_consistent(size in 2_u64..200, pick in any::<u64>()) {
        let leaves = leaves(size as usize);
        let former = pick % (size - 1) + 1;
        let mut rewritten = leaves.clone();
        rewritten[(pick % former) as usize] = leaf_hash(b"rewritten");
        let former_root = mth(&leaves[..former as usize]);
        let proof = consistency_proof(&rewritten, former).unwrap();
        let root = mth(&rewritten);
        prop_assert!(verify_consistency(former, &former_root, size, &root, &proof).is_err());
    }

    #[test]
    fn no_bytes_make_verification_panic(
        former in any::<u64>(), size in any::<u64>(),
        path in proptest::collection::vec(any::<[u8; 32]>(), 0..70),
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = verify_consistency(former, &[0; 32], size, &[1; 32], &path);
        let _ = verify_inclusion(&[0; 32], former, size, &path, &[1; 32]);
        let _ = CompactRange::from_bytes(&bytes);
    }
}
