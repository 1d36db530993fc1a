//! A limit on failures: whoever fails too often in a minute has to wait.
//!
//! Failures count for the client that the request claims to be from and for the address it came from.
//! An address over the limit is refused. A client over the limit is refused only at addresses that
//! have failed themselves, since anyone can fail in the name of another, and the client's own servers
//! must not suffer for it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

/// Failures allowed in [`WINDOW`].
const LIMIT: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);

/// Clients and addresses remembered at most; those that come back often stay longest.
const CAPACITY: usize = 10_000;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Subject {
    Client(String),
    Address(IpAddr),
}

/// The last failures of one subject, oldest first.
type Failures = Arc<Mutex<VecDeque<Instant>>>;

/// See the module.
pub(crate) struct Throttle(Cache<Subject, Failures>);

impl Throttle {
    pub fn new() -> Self {
        Self(Cache::new(CAPACITY))
    }

    /// Whether a request may be looked at; else how long to wait.
    pub fn check(&self, client: Option<&str>, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let failures = |subject: Subject| self.recent(&subject, now);
        let of_address = address.map(|address| failures(Subject::Address(network(address))));
        let of_client = client.map(|client| failures(Subject::Client(client.to_owned())));
        match (&of_address, &of_client) {
            (Some((_, Some(wait))), _) => Err(*wait),
            (Some((0, _)), _) => Ok(()),
            (_, Some((_, Some(wait)))) => Err(*wait),
            _ => Ok(()),
        }
    }

    /// Counts a failure.
    pub fn failed(&self, client: Option<&str>, address: Option<IpAddr>, now: Instant) {
        let subjects = [
            client.map(|client| Subject::Client(client.to_owned())),
            address.map(|address| Subject::Address(network(address))),
        ];
        for subject in subjects.into_iter().flatten() {
            let failures =
                self.0.get_or_insert_with(&subject, || Ok::<_, std::convert::Infallible>(Failures::default()));
            let Ok(failures) = failures;
            let mut failures = failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if failures.len() == LIMIT {
                failures.pop_front();
            }
            failures.push_back(now);
        }
    }

    /// How many failures there were within the window, and, at the limit, how long until one of them
    /// leaves it.
    fn recent(&self, subject: &Subject, now: Instant) -> (usize, Option<Duration>) {
        let Some(failures) = self.0.get(subject) else {
            return (0, None);
        };
        let mut failures = failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        while failures.front().is_some_and(|&at| now.saturating_duration_since(at) >= WINDOW) {
            failures.pop_front();
        }
        let wait = failures.front().filter(|_| failures.len() >= LIMIT);
        let wait = wait.map(|&oldest| WINDOW.saturating_sub(now.saturating_duration_since(oldest)));
        (failures.len(), wait)
    }
}

/// What is counted as one address: of IPv6 the /64, which one subscriber has whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));

    fn failing(times: usize, client: Option<&str>, address: Option<IpAddr>, now: Instant) -> Throttle {
        let throttle = Throttle::new();
        for _ in 0..times {
            throttle.failed(client, address, now);
        }
        throttle
    }

    #[test]
    fn after_twenty_failures_an_address_waits_out_the_minute() {
        let start = Instant::now();
        let throttle = failing(20, None, HERE, start);
        let later = start + Duration::from_secs(10);
        assert_eq!(throttle.check(Some("any"), HERE, later), Err(Duration::from_secs(50)));
        assert_eq!(throttle.check(Some("any"), THERE, later), Ok(()));
        assert_eq!(throttle.check(Some("any"), HERE, start + WINDOW), Ok(()));
        assert_eq!(failing(19, None, HERE, start).check(None, HERE, start), Ok(()));
    }

    #[test]
    fn a_client_over_the_limit_waits_only_where_someone_failed() {
        let start = Instant::now();
        let throttle = failing(20, Some("client"), HERE, start);
        assert_eq!(throttle.check(Some("client"), THERE, start), Ok(()));
        throttle.failed(Some("client"), THERE, start);
        assert!(throttle.check(Some("client"), THERE, start).is_err());
        assert_eq!(throttle.check(Some("other"), THERE, start), Ok(()));
        assert!(throttle.check(Some("client"), None, start).is_err());
    }

    #[test]
    fn the_window_slides() {
        let start = Instant::now();
        let throttle = failing(10, None, HERE, start);
        for _ in 0..10 {
            throttle.failed(None, HERE, start + Duration::from_secs(30));
        }
        assert!(throttle.check(None, HERE, start + Duration::from_secs(59)).is_err());
        assert_eq!(throttle.check(None, HERE, start + WINDOW), Ok(()));
    }

    #[test]
    fn an_ipv6_subscriber_is_one_address() {
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let other: IpAddr = "2001:db8::ffff:1".parse().unwrap();
        let throttle = failing(20, None, Some(one), Instant::now());
        assert!(throttle.check(None, Some(other), Instant::now()).is_err());
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), HERE.unwrap());
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new();
        for n in 0..3 * CAPACITY {
            throttle.failed(Some(&n.to_string()), None, Instant::now());
        }
        assert!(throttle.0.len() <= CAPACITY + CAPACITY / 10);
    }
}
