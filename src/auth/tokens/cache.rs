//! Verified tokens, remembered for as long as they may be believed.
//!
//! A signature costs 50 to 200 µs and the question whether the token still stands a round trip to the
//! database; a hit here costs about a microsecond. On every hit the token must not have expired, must
//! not be among the revoked, and nothing may have happened since it was checked that could change the
//! answer (the epoch). Without a live listener this node would not hear of such things, so a check is
//! then good for [`UNHEARD`] only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use quick_cache::sync::Cache;
use salus_access::Principal;

/// Tokens remembered at most, about half a kilobyte each.
const CAPACITY: usize = 20_000;

/// How long a check holds while no changes are heard of (ms).
const UNHEARD: i64 = 2_000;

type Digest = [u8; 32];

struct Entry {
    principal: Arc<Principal>,
    epoch: u64,
    /// Milliseconds since the epoch.
    checked: i64,
}

/// The state a check was begun in; what is checked is remembered with it, so that a change which
/// happens meanwhile makes it void.
#[derive(Clone, Copy)]
pub(crate) struct Freshness {
    epoch: u64,
    checked: i64,
}

/// See the module.
pub(crate) struct TokenCache {
    entries: Cache<Digest, Arc<Entry>>,
    epoch: AtomicU64,
    listening: AtomicBool,
    /// `jti` and `exp` of revoked tokens that have not expired.
    revoked: RwLock<HashMap<String, i64>>,
    /// Its size, so that the usual case (none) takes no lock.
    revocations: AtomicUsize,
}

impl TokenCache {
    pub fn new() -> Self {
        Self {
            entries: Cache::new(CAPACITY),
            epoch: AtomicU64::new(0),
            listening: AtomicBool::new(false),
            revoked: RwLock::default(),
            revocations: AtomicUsize::new(0),
        }
    }

    /// What is known of `token` at `now` (ms since the epoch); `None` means that it must be checked.
    pub fn get(&self, token: &str, now: i64) -> Option<Arc<Principal>> {
        let entry = self.entries.get(&digest(token))?;
        let heard = self.listening.load(Ordering::Acquire) || now - entry.checked < UNHEARD;
        let holds = heard
            && entry.epoch == self.epoch.load(Ordering::Acquire)
            && entry.principal.expires_at > now / 1000
            && !self.is_revoked(&entry.principal.token_id);
        holds.then(|| entry.principal.clone())
    }

    /// To be called before a check begins.
    pub fn begin(&self, now: i64) -> Freshness {
        Freshness { epoch: self.epoch.load(Ordering::Acquire), checked: now }
    }

    /// Remembers a token that was found good.
    pub fn insert(&self, token: &str, principal: Arc<Principal>, freshness: Freshness) {
        let Freshness { epoch, checked } = freshness;
        self.entries.insert(digest(token), Arc::new(Entry { principal, epoch, checked }));
    }

    /// Makes every check so far void.
    pub fn invalidate(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether this node hears of changes elsewhere.
    pub fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Release);
    }

    /// Adds a revoked token.
    pub fn revoke(&self, token_id: String, expires: i64) {
        let mut revoked = self.revoked.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        revoked.insert(token_id, expires);
        self.revocations.store(revoked.len(), Ordering::Release);
    }

    /// Forgets revoked tokens that have expired at `now` (seconds).
    pub fn purge(&self, now: i64) {
        let mut revoked = self.revoked.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        revoked.retain(|_, expires| *expires > now);
        self.revocations.store(revoked.len(), Ordering::Release);
    }

    /// Whether that token is known to be revoked.
    pub fn is_revoked(&self, token_id: &str) -> bool {
        self.revocations.load(Ordering::Acquire) > 0
            && self.revoked.read().unwrap_or_else(|poisoned| poisoned.into_inner()).contains_key(token_id)
    }
}

/// The whole token, signature and all, so that a hit is for what was verified and nothing else.
fn digest(token: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal() -> Arc<Principal> {
        Arc::new(Principal {
            tenant: 0,
            client_id: "client".to_owned(),
            user: None,
            patient: None,
            scopes: Vec::new(),
            purpose_of_use: "TREAT".to_owned(),
            actors: Vec::new(),
            token_id: "id".to_owned(),
            expires_at: 1_000,
        })
    }

    fn cache() -> TokenCache {
        let cache = TokenCache::new();
        cache.set_listening(true);
        cache.insert("token", principal(), cache.begin(0));
        cache
    }

    #[test]
    fn an_expired_token_is_not_remembered_to_be_good() {
        assert!(cache().get("token", 999_999).is_some());
        assert!(cache().get("token", 1_000_000).is_none());
    }

    #[test]
    fn another_token_is_another_entry() {
        assert!(cache().get("token2", 0).is_none());
    }

    #[test]
    fn a_revoked_token_is_refused_at_once_and_forgotten_after_it_expired() {
        let cache = cache();
        cache.revoke("id".to_owned(), 1_000);
        assert!(cache.get("token", 1).is_none());
        cache.purge(999);
        assert!(cache.is_revoked("id"));
        cache.purge(1_000);
        assert!(!cache.is_revoked("id"));
    }

    #[test]
    fn a_change_during_a_check_makes_it_void() {
        let cache = TokenCache::new();
        cache.set_listening(true);
        let freshness = cache.begin(0);
        cache.invalidate();
        cache.insert("token", principal(), freshness);
        assert!(cache.get("token", 1).is_none());
    }

    #[test]
    fn a_node_that_hears_nothing_believes_a_check_for_two_seconds() {
        let cache = cache();
        cache.set_listening(false);
        assert!(cache.get("token", 1_999).is_some());
        assert!(cache.get("token", 2_000).is_none());
    }
}
