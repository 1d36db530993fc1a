//! A tree's root kept incrementally.

use super::{Hash, empty_root, node_hash};
use crate::error::Error;

/// The roots of the perfect subtrees that make up a tree, largest first: one for each one bit of its
/// size. From them the root follows, and a leaf is appended in constant time on average, without the
/// leaves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactRange {
    size: u64,
    peaks: Vec<Hash>,
}

impl CompactRange {
    /// The tree without leaves.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf by its hash.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        // A carry of binary addition: each trailing one bit is a peak that the new node completes.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of the tree (RFC 6962 2.1).
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(smallest) => peaks.fold(*smallest, |right, left| node_hash(left, &right)),
        }
    }

    /// Its bytes, to be kept in a row: the size (8 bytes, big-endian), then the peaks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + 32 * self.peaks.len());
        bytes.extend_from_slice(&self.size.to_be_bytes());
        self.peaks.iter().for_each(|peak| bytes.extend_from_slice(peak));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Error::Range`] where the number of peaks does not fit the size. That the peaks are right is
    /// for the caller to see, by [`root`](Self::root) against the signed head.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (size, peaks) = bytes.split_first_chunk::<8>().ok_or(Error::Range("it is too short"))?;
        let size = u64::from_be_bytes(*size);
        let (peaks, rest) = peaks.as_chunks::<32>();
        if !rest.is_empty() || peaks.len() != size.count_ones() as usize {
            return Err(Error::Range("its peaks do not fit its size"));
        }
        Ok(Self { size, peaks: peaks.to_vec() })
    }
}
