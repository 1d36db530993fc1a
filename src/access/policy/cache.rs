//! What was decided for each token, so that the hot path runs no Datalog.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use quick_cache::sync::Cache;

use crate::access::{Access, Grants, Refusal};
use crate::interaction::Interaction;
use crate::principal::Principal;

type Answer = Result<Arc<Access>, Refusal>;

/// Tokens by `jti`; bounded, the least useful leave first.
pub(super) struct TokenCache(Cache<String, Arc<TokenEntry>>);

/// One token's answers. Bounded: interactions and resource types are closed sets, and types that the
/// packages do not know never come here.
pub(crate) struct TokenEntry {
    /// The token's principal, shared with each [`Access`].
    pub principal: Arc<Principal>,
    /// What its scopes reach, the same for all its requests.
    pub grants: OnceLock<Arc<Grants>>,
    answers: RwLock<HashMap<(Interaction, Option<usize>), Answer>>,
}

impl TokenCache {
    pub fn new(capacity: usize) -> Self {
        Self(Cache::new(capacity))
    }

    /// The entry of `principal`'s token. A principal that differs from the one remembered under the
    /// same `jti` starts anew: an answer is never lent to somebody else.
    pub fn entry(&self, principal: &Principal) -> Arc<TokenEntry> {
        if let Some(entry) = self.0.get(principal.token_id.as_str())
            && *entry.principal == *principal
        {
            return entry;
        }
        let entry = Arc::new(TokenEntry {
            principal: Arc::new(principal.clone()),
            grants: OnceLock::new(),
            answers: RwLock::default(),
        });
        if !principal.token_id.is_empty() {
            self.0.insert(principal.token_id.clone(), Arc::clone(&entry));
        }
        entry
    }

    pub fn forget(&self, token_id: &str) {
        self.0.remove(token_id);
    }
}

impl TokenEntry {
    /// The remembered answer for an interaction on the resource type with this number.
    pub fn answer(&self, interaction: Interaction, on: Option<usize>) -> Option<Answer> {
        let answers = self.answers.read().unwrap_or_else(PoisonError::into_inner);
        answers.get(&(interaction, on)).cloned()
    }

    /// Remembers an answer. A failure of the policy itself is not remembered: it may pass.
    pub fn remember(&self, interaction: Interaction, on: Option<usize>, answer: &Answer) {
        if matches!(answer, Err(Refusal::Policy { .. })) {
            return;
        }
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert((interaction, on), answer.clone());
    }
}
