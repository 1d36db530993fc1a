//! Each way to tamper with a log, and what the verifier says of it.

use super::*;
use crate::head::HeadKey;
use proptest::prelude::*;

const TENANT: i32 = 7;

/// A leaf as the store feeds it.
#[derive(Clone)]
struct Row {
    index: u64,
    seq: i64,
    hash: Hash,
    record: Option<String>,
}

/// A whole log as it stands in the tables.
#[derive(Clone)]
struct Log {
    rows: Vec<Row>,
    heads: Vec<SignedTreeHead>,
}

/// A log of `size` events (with gaps in their numbers), with a head after each `every`.
fn log(key: &HeadKey, size: u64, every: u64) -> Log {
    let mut range = CompactRange::new();
    let (mut rows, mut heads) = (Vec::new(), Vec::new());
    for index in 0..size {
        let seq = 10 + 3 * index as i64;
        let record = format!(r#"{{"t":{index},"k":"read","o":0}}"#);
        let hash = event_hash(TENANT, seq, &record);
        range.append(hash);
        rows.push(Row { index, seq, hash, record: Some(record) });
        if (index + 1) % every == 0 || index + 1 == size {
            heads.push(key.sign(TENANT, index + 1, range.root(), index as i64));
        }
    }
    Log { rows, heads }
}

/// Feeds a log as the store does: each head as soon as its leaves were fed.
fn verify(log: &Log, key: &HeadKey) -> Result<Verified, Fault> {
    let mut verifier = LogVerifier::new(TENANT, vec![key.public_key()]);
    let mut heads = log.heads.iter().peekable();
    for row in &log.rows {
        while let Some(head) = heads.next_if(|head| head.size <= verifier.size()) {
            verifier.head(head)?;
        }
        verifier.leaf(row.index, row.seq, &row.hash, row.record.as_deref())?;
    }
    heads.try_for_each(|head| verifier.head(head))?;
    verifier.finish()
}

/// Changes a row's record and its stored hash with it, as someone with all rights on the database can.
fn rewrite(row: &mut Row, record: &str) {
    row.record = Some(record.into());
    row.hash = event_hash(TENANT, row.seq, record);
}

#[test]
fn an_honest_log_holds() {
    let key = HeadKey::generate().unwrap();
    for (size, every) in [(1, 1), (2, 1), (7, 3), (64, 16), (100, 7)] {
        let log = log(&key, size, every);
        let verified = verify(&log, &key).unwrap();
        assert_eq!(verified.events, size);
        assert_eq!(verified.covered, size);
        assert_eq!(verified.heads, log.heads.len() as u64);
        assert_eq!(verified.root, log.heads.last().unwrap().root);
    }
}

#[test]
fn an_empty_log_holds() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 0, 1);
    assert_eq!(verify(&log, &key).unwrap().events, 0);
    log.heads.push(key.sign(TENANT, 0, crate::merkle::empty_root(), 0));
    assert_eq!(verify(&log, &key).unwrap().heads, 1);
}

#[test]
fn a_missing_leaf_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows.remove(7);
    assert_eq!(verify(&log, &key), Err(Fault::MissingLeaf { expected: 7, found: 8 }));
}

#[test]
fn a_missing_leaf_with_the_rest_renumbered_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows.remove(7);
    log.rows[7..].iter_mut().for_each(|row| row.index -= 1);
    assert_eq!(verify(&log, &key), Err(Fault::WrongRoot { size: 10 }));
}

#[test]
fn a_missing_event_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows[7].record = None;
    assert_eq!(verify(&log, &key), Err(Fault::MissingEvent { index: 7, seq: 31 }));
}

#[test]
fn a_changed_record_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows[7].record = Some(r#"{"t":7,"k":"query","o":0}"#.into());
    assert_eq!(verify(&log, &key), Err(Fault::ChangedRecord { index: 7, seq: 31 }));
}

#[test]
fn a_changed_record_with_its_hash_changed_too_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    rewrite(&mut log.rows[7], "{}");
    assert_eq!(verify(&log, &key), Err(Fault::WrongRoot { size: 10 }));
}

#[test]
fn a_changed_hash_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows[7].hash[31] ^= 1;
    assert_eq!(verify(&log, &key), Err(Fault::ChangedRecord { index: 7, seq: 31 }));
}

#[test]
fn a_record_moved_to_another_number_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows[7].seq = 1000;
    assert_eq!(verify(&log, &key), Err(Fault::ChangedRecord { index: 7, seq: 1000 }));
}

#[test]
fn a_log_of_another_tenant_does_not_pass() {
    let key = HeadKey::generate().unwrap();
    let log = log(&key, 3, 3);
    let mut verifier = LogVerifier::new(TENANT + 1, vec![key.public_key()]);
    let row = &log.rows[0];
    let found = verifier.leaf(row.index, row.seq, &row.hash, row.record.as_deref());
    assert_eq!(found, Err(Fault::ChangedRecord { index: 0, seq: 10 }));
    assert_eq!(verifier.head(&log.heads[0]), Err(Fault::ForeignHead { size: 3, tenant: TENANT }));
}

#[test]
fn swapped_leaves_are_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows.swap(7, 8);
    assert_eq!(verify(&log, &key), Err(Fault::MissingLeaf { expected: 7, found: 8 }));
    log.rows[7].index = 7;
    log.rows[8].index = 8;
    assert_eq!(verify(&log, &key), Err(Fault::WrongRoot { size: 10 }));
}

#[test]
fn a_repeated_leaf_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 20);
    let row = log.rows[7].clone();
    log.rows.insert(8, row);
    assert_eq!(verify(&log, &key), Err(Fault::LeafOrder { expected: 8, found: 7 }));
    log.rows[8].index = 8;
    assert_eq!(verify(&log, &key), Err(Fault::RepeatedEvent { index: 8, seq: 31 }));
}

#[test]
fn an_inserted_leaf_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    let mut row = log.rows[7].clone();
    row.seq = 32;
    rewrite(&mut row, "{}");
    log.rows.insert(7, row);
    log.rows[8..].iter_mut().for_each(|row| row.index += 1);
    assert_eq!(verify(&log, &key), Err(Fault::WrongRoot { size: 10 }));
}

#[test]
fn a_cut_tail_is_found_by_the_head_that_covers_it() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.rows.truncate(18);
    assert_eq!(verify(&log, &key), Err(Fault::MissingTail { size: 20, leaves: 18 }));
}

#[test]
fn a_tail_without_a_head_is_found_at_rest_and_told_when_live() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.heads.pop();
    assert_eq!(verify(&log, &key), Err(Fault::UncoveredTail { size: 15, leaves: 20 }));
}

#[test]
fn a_head_with_a_forged_or_foreign_signature_is_found() {
    let key = HeadKey::generate().unwrap();
    let other = HeadKey::generate().unwrap();
    let honest = log(&key, 20, 5);

    let mut log = honest.clone();
    log.heads[1].signature[0] ^= 1;
    assert_eq!(verify(&log, &key), Err(Fault::BadSignature { size: 10 }));

    let mut log = honest.clone();
    log.heads[1].signature = Vec::new();
    assert_eq!(verify(&log, &key), Err(Fault::BadSignature { size: 10 }));

    let mut log = honest.clone();
    log.heads[1] = other.sign(TENANT, 10, log.heads[1].root, 9);
    assert_eq!(verify(&log, &key), Err(Fault::UnknownKey { size: 10 }));
    log.heads[1].key_id = key.public_key().id();
    assert_eq!(verify(&log, &key), Err(Fault::BadSignature { size: 10 }));
}

#[test]
fn a_head_changed_anywhere_is_found() {
    let key = HeadKey::generate().unwrap();
    let honest = log(&key, 20, 20);
    type Change = fn(&mut SignedTreeHead);
    let changes: [Change; 3] = [|head| head.size = 19, |head| head.root[0] ^= 1, |head| head.timestamp += 1];
    for change in changes {
        let mut log = honest.clone();
        change(&mut log.heads[0]);
        assert!(matches!(verify(&log, &key), Err(Fault::BadSignature { .. })));
    }
}

#[test]
fn a_forked_log_signed_by_the_right_key_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.heads[2] = key.sign(TENANT, 15, [9; 32], 14);
    assert_eq!(verify(&log, &key), Err(Fault::WrongRoot { size: 15 }));
}

#[test]
fn a_shrunk_head_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.heads.swap(1, 2);
    // The head of 10 leaves comes after the one of 15.
    assert_eq!(verify(&log, &key), Err(Fault::ShrunkHead { size: 10, former: 15 }));
}

#[test]
fn a_head_out_of_its_place_is_found() {
    let key = HeadKey::generate().unwrap();
    let log = log(&key, 10, 5);
    let mut verifier = LogVerifier::new(TENANT, vec![key.public_key()]);
    for row in &log.rows {
        verifier.leaf(row.index, row.seq, &row.hash, row.record.as_deref()).unwrap();
    }
    assert_eq!(verifier.head(&log.heads[0]), Err(Fault::LateHead { size: 5, leaves: 10 }));
}

#[test]
fn a_head_older_than_the_one_before_is_found() {
    let key = HeadKey::generate().unwrap();
    let mut log = log(&key, 20, 5);
    log.heads[2] = key.sign(TENANT, 15, log.heads[2].root, 3);
    assert_eq!(verify(&log, &key), Err(Fault::HeadTime { size: 15 }));
}

#[test]
fn heads_of_a_rotated_key_hold() {
    let (old, new) = (HeadKey::generate().unwrap(), HeadKey::generate().unwrap());
    let mut log = log(&old, 20, 10);
    log.heads[1] = new.sign(TENANT, 20, log.heads[1].root, 19);
    let mut verifier = LogVerifier::new(TENANT, vec![new.public_key(), old.public_key()]);
    for row in &log.rows {
        verifier.leaf(row.index, row.seq, &row.hash, row.record.as_deref()).unwrap();
        if let Some(head) = log.heads.iter().find(|head| head.size == verifier.size()) {
            verifier.head(head).unwrap();
        }
    }
    assert_eq!(verifier.finish().unwrap().heads, 2);
}

#[test]
fn an_event_that_never_came_into_the_log_is_found() {
    let key = HeadKey::generate().unwrap();
    let log = log(&key, 3, 3);
    let mut verifier = LogVerifier::new(TENANT, vec![key.public_key()]);
    for row in &log.rows {
        verifier.leaf(row.index, row.seq, &row.hash, row.record.as_deref()).unwrap();
    }
    assert_eq!(verifier.logged(13), Ok(()));
    assert_eq!(verifier.logged(14), Err(Fault::UnloggedEvent { seq: 14 }));
}

proptest! {
    /// Whatever is done to one row, one of the checks tells.
    #[test]
    fn no_change_of_a_row_goes_unseen(size in 1_u64..60, every in 1_u64..20, pick in any::<usize>(), how in 0..5) {
        let key = HeadKey::generate().unwrap();
        let mut log = log(&key, size, every);
        let at = pick % log.rows.len();
        match how {
            0 => { log.rows.remove(at); }
            1 => log.rows[at].record = None,
            2 => rewrite(&mut log.rows[at], "changed"),
            3 => log.rows[at].seq += 1,
            _ => log.rows[at].index += 1,
        }
        prop_assert!(verify(&log, &key).is_err());
    }

    #[test]
    fn the_numbers_seen_are_a_set(numbers in proptest::collection::vec(-20_i64..20, 0..60)) {
        let mut seen = SeenEvents::default();
        let mut set = std::collections::BTreeSet::new();
        for number in numbers {
            prop_assert_eq!(seen.insert(number), set.insert(number));
        }
        for number in -25..25 {
            prop_assert_eq!(seen.contains(number), set.contains(&number));
        }
        let pieces = seen.runs.iter().collect::<Vec<_>>();
        prop_assert!(pieces.windows(2).all(|pair| pair[0].1 + 1 < *pair[1].0));
    }
}

#[test]
fn the_extreme_numbers_do_not_overflow() {
    let mut seen = SeenEvents::default();
    for number in [i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
        assert!(seen.insert(number));
        assert!(!seen.insert(number));
    }
    assert_eq!(seen.runs.len(), 2);
}
