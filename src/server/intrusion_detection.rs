//! Intrusion detection: notices many unknown ids or bad tokens of one client or address in a minute (contract, "Audit").

use std::sync::Mutex;
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;
use salus_audit::Alert;

use crate::account::Caller;
use crate::failure::Failure;

/// Unknown ids in a minute that are worth an alert.
const UNKNOWN_IDS: u32 = 50;
/// Bad tokens in a minute that are worth an alert.
const BAD_TOKENS: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// Most clients and addresses watched at a time. Beyond, those that fail least are forgotten first, so
/// that many addresses cannot hide a busy one.
const WATCHED: usize = 10_000;

/// Failures counted by who caused them: a client or an address, and whether by a bad token.
pub struct IntrusionDetection(Cache<(String, bool), std::sync::Arc<Mutex<Count>>>);

struct Count {
    since: Instant,
    failures: u32,
}

impl Default for IntrusionDetection {
    fn default() -> Self {
        Self(Cache::new(WATCHED))
    }
}

impl IntrusionDetection {
    /// Counts a failed request; `Some` when this one crosses the line, once a minute.
    pub fn count(&self, caller: &Caller, failure: &Failure) -> Option<Alert> {
        let bad_token = match failure.status {
            401 => true,
            404 | 410 => false,
            _ => return None,
        };
        let who = match (&caller.principal, caller.address) {
            (Some(principal), _) => principal.client_id.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => return None,
        };
        let new = || Ok::<_, ()>(std::sync::Arc::new(Mutex::new(Count { since: Instant::now(), failures: 0 })));
        let count = self.0.get_or_insert_with(&(who, bad_token), new).ok()?;
        let mut count = count.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if count.since.elapsed() >= MINUTE {
            *count = Count { since: Instant::now(), failures: 0 };
        }
        count.failures += 1;
        match (bad_token, count.failures) {
            (true, BAD_TOKENS) => Some(Alert::TokenGuessing),
            (false, UNKNOWN_IDS) => Some(Alert::IdProbing),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use salus_fhir::outcome::IssueCode;

    use super::*;

    #[test]
    fn many_who_fail_once_do_not_hide_one_who_fails_often() {
        let detection = IntrusionDetection::default();
        let from = |number: u32| Caller {
            principal: None,
            address: Some(std::net::Ipv4Addr::from(number).into()),
            request_id: String::new(),
        };
        let unauthorized = Failure::new(401, IssueCode::Login, "no");
        let mut alerts = 0;
        for number in 1..=100_000 {
            assert_eq!(detection.count(&from(number), &unauthorized), None);
            if number % 1000 == 0 {
                alerts += usize::from(detection.count(&from(0), &unauthorized).is_some());
            }
        }
        assert_eq!(alerts, 1);
        assert!(detection.0.len() <= WATCHED);
    }

    #[test]
    fn what_tells_nothing_of_guessing_is_not_counted() {
        let caller = Caller { principal: None, address: None, request_id: String::new() };
        assert_eq!(IntrusionDetection::default().count(&caller, &Failure::new(422, IssueCode::Invalid, "no")), None);
    }
}
