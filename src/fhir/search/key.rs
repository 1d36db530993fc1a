//! The 128-bit key under which the search index stores a fact about a resource.

/// A hash of a fact such as "Observation, code, http://loinc.org|8867-4".
///
/// 128 bits of BLAKE3 over the length-prefixed parts. Wide and collision-resistant, so that neither
/// chance nor an attacker makes two facts share a key, and no row has to be rechecked (see
/// `docs/decisions/0001-search-keys.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Key(pub u128);

impl Key {
    /// Hashes `parts`; each part is length-prefixed, so `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn of(parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u32).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut bytes = [0; 16];
        hasher.finalize_xof().fill(&mut bytes);
        Self(u128::from_be_bytes(bytes))
    }

    /// The key of a resource itself: its row, its compartment, and the target of references to it.
    pub fn resource(resource_type: &str, id: &str) -> Self {
        Self::of(&["resource", resource_type, id])
    }

    /// The key of a reference that the parameter with this key (`Key::of([type, code])`) holds to the
    /// resource with key `target`. SHA-256, since PostgreSQL has to compute the same
    /// (`reference_key` in `migrations/V1__store.sql`).
    pub fn reference(self, target: Key) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        hasher.update(self.0.to_be_bytes());
        hasher.update(target.0.to_be_bytes());
        let digest = hasher.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(bytes))
    }

    /// A key that hashes this one with further parts.
    pub fn with(self, parts: &[&str]) -> Self {
        let hex = format!("{:032x}", self.0);
        let mut all = Vec::with_capacity(parts.len() + 1);
        all.push(hex.as_str());
        all.extend_from_slice(parts);
        Self::of(&all)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn parts_are_length_prefixed() {
        assert_ne!(Key::of(&["ab", "c"]), Key::of(&["a", "bc"]));
        assert_eq!(Key::of(&["ab", "c"]), Key::of(&["ab", "c"]));
    }
}
