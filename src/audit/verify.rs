//! Verifying a log: that nothing in it is missing, changed or reordered.
//!
//! The verifier is pure. The store feeds it the leaves of one tenant in the order of their index,
//! each with the record as it stands in its row, and the tree heads in the order of their size; what
//! the verifier recomputes from the rows must be what the heads signed.

use crate::head::{HeadPublicKey, SignedTreeHead};
use crate::merkle::{CompactRange, Hash, event_hash};

/// The first thing in a log that does not hold.
///
/// Leaves are named by their index, events by their sequence number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A leaf is missing: the next index was skipped.
    #[error("leaf {expected} is missing: the next one found is {found}")]
    MissingLeaf {
        /// The index that should have come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A leaf came twice, or an earlier one came later.
    #[error("leaf {found} stands where leaf {expected} should be")]
    LeafOrder {
        /// The index that should have come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A leaf's event is gone from the table of events.
    #[error("event {seq} of leaf {index} is missing")]
    MissingEvent {
        /// The leaf.
        index: u64,
        /// The event.
        seq: i64,
    },
    /// The record is not the one that was hashed, or stands under another sequence number.
    #[error("event {seq} of leaf {index} was changed: its hash is not the one stored")]
    ChangedRecord {
        /// The leaf.
        index: u64,
        /// The event.
        seq: i64,
    },
    /// One event stands in the log twice.
    #[error("event {seq} of leaf {index} stands in the log twice")]
    RepeatedEvent {
        /// The second leaf.
        index: u64,
        /// The event.
        seq: i64,
    },
    /// A head belongs to another tenant.
    #[error("the head of size {size} belongs to tenant {tenant}")]
    ForeignHead {
        /// The head.
        size: u64,
        /// Its tenant.
        tenant: i32,
    },
    /// No known key has the id that a head names.
    #[error("the head of size {size} is signed by an unknown key")]
    UnknownKey {
        /// The head.
        size: u64,
    },
    /// A head's signature does not hold.
    #[error("the signature of the head of size {size} does not hold")]
    BadSignature {
        /// The head.
        size: u64,
    },
    /// A head is smaller than the one before it: the log was cut and grown anew.
    #[error("the head of size {size} follows one of size {former}")]
    ShrunkHead {
        /// The head.
        size: u64,
        /// The size of the head before it.
        former: u64,
    },
    /// A head was signed earlier than the one before it.
    #[error("the head of size {size} is older than the head before it")]
    HeadTime {
        /// The head.
        size: u64,
    },
    /// A head speaks of more leaves than the log has: the last ones are missing.
    #[error("the head of size {size} speaks of more leaves than the {leaves} in the log")]
    MissingTail {
        /// The head.
        size: u64,
        /// How many leaves there are.
        leaves: u64,
    },
    /// A head came after a leaf that it does not count, so its root cannot be compared.
    #[error("the head of size {size} came after {leaves} leaves")]
    LateHead {
        /// The head.
        size: u64,
        /// How many leaves came before it.
        leaves: u64,
    },
    /// The leaves do not have the root that the head signed: one was changed together with its hash,
    /// or leaves were reordered, added or taken out.
    #[error("the leaves do not have the root that the head of size {size} signed")]
    WrongRoot {
        /// The head.
        size: u64,
    },
    /// Events are in the log that no head covers, where one should.
    #[error("{leaves} leaves are in the log and the last head covers {size}")]
    UncoveredTail {
        /// How many leaves the last head covers.
        size: u64,
        /// How many leaves there are.
        leaves: u64,
    },
    /// An event was committed and never came into the log, though later ones did.
    #[error("event {seq} is not in the log")]
    UnloggedEvent {
        /// The event.
        seq: i64,
    },
}

/// What was verified, where everything held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many events.
    pub events: u64,
    /// How many heads.
    pub heads: u64,
    /// The root over all events.
    pub root: Hash,
    /// How many leaves the last head covers.
    pub covered: u64,
}

/// Verifies the log of one tenant as it is fed.
///
/// ```
/// use salus_audit::{HeadKey, LogVerifier, merkle};
///
/// let key = HeadKey::generate()?;
/// let hash = merkle::event_hash(1, 7, "{}");
/// let head = key.sign(1, 1, hash, 0);
///
/// let mut log = LogVerifier::new(1, vec![key.public_key()]);
/// log.leaf(0, 7, &hash, Some("{}")).unwrap();
/// log.head(&head).unwrap();
/// assert_eq!(log.finish().unwrap().events, 1);
/// # Ok::<(), salus_audit::Error>(())
/// ```
#[derive(Debug)]
pub struct LogVerifier {
    tenant: i32,
    keys: Vec<HeadPublicKey>,
    range: CompactRange,
    heads: u64,
    last_head: Option<(u64, i64)>,
    seen: SeenEvents,
}

impl LogVerifier {
    /// A verifier for the log of one tenant, whose heads may be signed by any of these keys.
    #[must_use]
    pub fn new(tenant: i32, keys: Vec<HeadPublicKey>) -> Self {
        Self { tenant, keys, range: CompactRange::new(), heads: 0, last_head: None, seen: SeenEvents::default() }
    }

    /// How many leaves were fed. A head of this size is due before the next leaf.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.range.size()
    }

    /// The next leaf: its index, the sequence number of its event, the hash as stored, and the record
    /// as stored, or `None` where the event's row is gone.
    ///
    /// # Errors
    /// The [`Fault`] found. The verifier then says nothing more about the log: stop here.
    pub fn leaf(&mut self, index: u64, seq: i64, stored: &Hash, record: Option<&str>) -> Result<(), Fault> {
        let expected = self.range.size();
        match index {
            found if found > expected => return Err(Fault::MissingLeaf { expected, found }),
            found if found < expected => return Err(Fault::LeafOrder { expected, found }),
            _ => {}
        }
        let record = record.ok_or(Fault::MissingEvent { index, seq })?;
        let hash = event_hash(self.tenant, seq, record);
        if hash != *stored {
            return Err(Fault::ChangedRecord { index, seq });
        }
        if !self.seen.insert(seq) {
            return Err(Fault::RepeatedEvent { index, seq });
        }
        // The recomputed hash, never the stored one, makes up the root.
        self.range.append(hash);
        Ok(())
    }

    /// The next head, fed when exactly the leaves it covers were fed, before the leaf after them.
    ///
    /// # Errors
    /// The [`Fault`] found.
    pub fn head(&mut self, head: &SignedTreeHead) -> Result<(), Fault> {
        let (size, leaves) = (head.size, self.range.size());
        if head.tenant != self.tenant {
            return Err(Fault::ForeignHead { size, tenant: head.tenant });
        }
        let key = self.keys.iter().find(|key| key.id() == head.key_id);
        let key = key.ok_or(Fault::UnknownKey { size })?;
        head.verify(key).map_err(|_| Fault::BadSignature { size })?;
        if let Some((former, timestamp)) = self.last_head {
            if size < former {
                return Err(Fault::ShrunkHead { size, former });
            }
            if head.timestamp < timestamp {
                return Err(Fault::HeadTime { size });
            }
        }
        if size > leaves {
            return Err(Fault::MissingTail { size, leaves });
        }
        if size < leaves {
            return Err(Fault::LateHead { size, leaves });
        }
        if self.range.root() != head.root {
            return Err(Fault::WrongRoot { size });
        }
        self.heads += 1;
        self.last_head = Some((size, head.timestamp));
        Ok(())
    }

    /// Checks that a committed event came into the log; to be asked for every event, after the
    /// leaves, where the store cannot join the two tables.
    ///
    /// # Errors
    /// [`Fault::UnloggedEvent`] where it did not.
    pub fn logged(&self, seq: i64) -> Result<(), Fault> {
        if self.seen.contains(seq) { Ok(()) } else { Err(Fault::UnloggedEvent { seq }) }
    }

    /// Ends the verification of a log at rest, whose last head covers every leaf.
    ///
    /// # Errors
    /// [`Fault::UncoveredTail`] where it does not. A log that is being written has such a tail for a
    /// moment: use [`finish_live`](Self::finish_live).
    pub fn finish(self) -> Result<Verified, Fault> {
        let verified = self.finish_live();
        if verified.covered < verified.events {
            return Err(Fault::UncoveredTail { size: verified.covered, leaves: verified.events });
        }
        Ok(verified)
    }

    /// Ends the verification of a log that is being written; [`Verified::covered`] says how far the
    /// signatures reach.
    #[must_use]
    pub fn finish_live(self) -> Verified {
        Verified {
            events: self.range.size(),
            heads: self.heads,
            root: self.range.root(),
            covered: self.last_head.map_or(0, |(size, _)| size),
        }
    }
}

/// The sequence numbers seen, as disjoint runs. Numbers come almost in order, with gaps where
/// transactions were rolled back, so the runs are few for a log of any length.
#[derive(Debug, Default)]
struct SeenEvents {
    /// First to last number of each run, both included.
    runs: std::collections::BTreeMap<i64, i64>,
}

impl SeenEvents {
    fn contains(&self, seq: i64) -> bool {
        self.runs.range(..=seq).next_back().is_some_and(|(_, last)| *last >= seq)
    }

    /// Adds a number; false where it was there.
    fn insert(&mut self, seq: i64) -> bool {
        if self.contains(seq) {
            return false;
        }
        let mut first = seq;
        if let Some((start, end)) = self.runs.range(..seq).next_back()
            && end.checked_add(1) == Some(seq)
        {
            first = *start;
        }
        let last = match seq.checked_add(1).and_then(|next| self.runs.remove(&next)) {
            Some(end) => end,
            None => seq,
        };
        self.runs.insert(first, last);
        true
    }
}

#[cfg(test)]
mod tests;
