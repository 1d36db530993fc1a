//! What one request may take of the server, and all of them together: time, size and number.
//!
//! A client that sends slowly, or nothing, is let go; a request more than can be worked on is turned away
//! at once (503), so that those at work still end in time; one that takes too long is ended; and a fault
//! of ours fails the request that met it and no other.
//!
//! What is turned away for want of room is counted (`salus_requests_turned_away_total`) and leaves no
//! AuditEvent: it was not looked at, not even for who sent it, and a flood must not fill the trail.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::BytesMut;
use futures_util::{FutureExt as _, StreamExt as _};
use salus_fhir::outcome::IssueCode;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use crate::app::App;
use crate::failure::Failure;
use crate::fallback::Asked;

/// The limits, as settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Seconds for the head of a request to arrive, and that a connection may be open without one.
    pub header_timeout: u64,
    /// Seconds for the body of a request to arrive, and one more for each 64 KiB of it.
    pub body_timeout: u64,
    /// Seconds in which a request is answered once it has arrived, and its answer is taken.
    pub request_timeout: u64,
    /// Seconds that requests have to end when the server is told to stop.
    pub shutdown_timeout: u64,
    /// Most requests worked on at a time; beyond, 503.
    pub most_requests: usize,
    /// Most connections at a time; beyond, they wait to be accepted.
    pub most_sockets: usize,
    /// Most entries of a batch or transaction; beyond, 413.
    pub most_bundle_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: 30,
            body_timeout: 20,
            request_timeout: 300,
            shutdown_timeout: 20,
            most_requests: 512,
            most_sockets: 4096,
            most_bundle_entries: 20_000,
        }
    }
}

/// Bytes of a body that buy it another second.
const SLOWEST: u64 = 64 << 10;

impl Limits {
    /// [`Limits::header_timeout`]
    pub fn head(&self) -> Duration {
        Duration::from_secs(self.header_timeout)
    }

    /// [`Limits::request_timeout`]
    pub fn request(&self) -> Duration {
        Duration::from_secs(self.request_timeout)
    }

    /// [`Limits::shutdown_timeout`]
    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_timeout)
    }

    /// Reads a body of at most `most` bytes.
    ///
    /// # Errors
    /// 413 for a larger one, 408 for one that comes too slowly, 400 for one that breaks off.
    pub async fn body(&self, body: Body, most: usize) -> Result<Bytes, Failure> {
        let mut deadline = Instant::now() + Duration::from_secs(self.body_timeout);
        let mut stream = body.into_data_stream();
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        loop {
            let chunk = match timeout_at(deadline, stream.next()).await {
                Ok(Some(chunk)) => chunk.map_err(|_| Failure::new(400, IssueCode::Structure, "the body broke off"))?,
                Ok(None) => break,
                Err(_) => return Err(too_slow()),
            };
            if first.len() + rest.len() + chunk.len() > most {
                return Err(too_large(most));
            }
            deadline += Duration::from_millis(chunk.len() as u64 * 1000 / SLOWEST);
            // A body in one piece is not copied.
            if first.is_empty() {
                first = chunk;
            } else {
                rest.extend_from_slice(&chunk);
            }
        }
        Ok(if rest.is_empty() { first } else { [first.as_ref(), rest.as_ref()].concat().into() })
    }
}

/// A body that has more bytes than are taken.
pub fn too_large(most: usize) -> Failure {
    Failure::new(413, IssueCode::TooLong, format!("the body is larger than the {} MiB taken here", most >> 20))
}

fn too_slow() -> Failure {
    let message = "the body came too slowly, and was not waited for any longer";
    // RFC 9110 section 15.5.9: the connection is of no further use.
    Failure::new(408, IssueCode::Timeout, message).with_header("Connection", "close")
}

fn took_too_long() -> Failure {
    let message = "this took longer than a request may; it was ended, and a change that it asks for may have been made";
    Failure::new(503, IssueCode::Timeout, message).with_header("Retry-After", "60")
}

/// How many requests are at work, and how many were turned away.
#[derive(Debug)]
pub struct Slots {
    free: Semaphore,
    most: usize,
    turned_away: AtomicU64,
}

impl Slots {
    /// Room for this many.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Semaphore::new(most), most, turned_away: AtomicU64::new(0) }
    }

    /// Requests at work.
    pub fn taken(&self) -> usize {
        self.most - self.free.available_permits()
    }

    /// Requests turned away since the start.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    fn take(&self) -> Result<SemaphorePermit<'_>, Failure> {
        self.free.try_acquire().map_err(|_| {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            Failure::new(503, IssueCode::Throttled, "the server has all the work it takes at a time; try again")
                .with_header("Retry-After", "1")
        })
    }
}

/// Layer: a request takes one of the slots as long as it is worked on.
pub async fn in_a_slot(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.slots.take() {
        Ok(_slot) => next.run(request).await,
        Err(failure) => Asked::of(request.uri(), request.headers()).failed(Some(&app), failure),
    }
}

/// Layer: what is asked outside FHIR arrives and is answered in the time that a body has to arrive, and
/// a fault of ours is an answer like any other.
pub async fn in_short(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let asked = Asked::of(request.uri(), request.headers());
    let allowed = Duration::from_secs(app.limits.body_timeout);
    match timeout(allowed, unbroken(next.run(request))).await {
        Ok(Ok(response)) => response,
        Ok(Err(failure)) => asked.failed(Some(&app), failure),
        Err(_) => asked.failed(Some(&app), too_slow()),
    }
}

/// Runs `act`, but no longer than `allowed`, and unharmed by a panic in it.
///
/// # Errors
/// 503 where it took too long, 500 where it panicked.
pub async fn bounded<T>(allowed: Duration, act: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(allowed, unbroken(act)).await.map_err(|_| took_too_long())?
}

/// Runs `act`; a panic in it becomes a 500.
async fn unbroken<T>(act: impl Future<Output = T>) -> Result<T, Failure> {
    // What a panic leaves half-done is dropped with the future; what requests share is behind locks whose
    // poison is heeded, or in the database.
    AssertUnwindSafe(act)
        .catch_unwind()
        .await
        .map_err(|_| Failure::new(500, IssueCode::Exception, "the server failed; its log says where"))
}

/// Has panics logged by their place alone: their message may quote what was being worked on.
pub fn log_panics_by_place() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name().unwrap_or_default(), "a fault of ours: a panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_fails_one_request_and_tells_nothing() {
        let failure = bounded(Duration::from_secs(5), async { panic!("Müller, HIV positive") }).await;
        let failure: Failure = failure.map(|(): ()| ()).unwrap_err();
        assert_eq!(failure.status, 500);
        assert!(!failure.outcome().contains("Müller"));
        assert_eq!(bounded(Duration::from_secs(5), async { 7 }).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended() {
        let failure = bounded(Duration::ZERO, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!((failure.status, failure.issues[0].code), (503, IssueCode::Timeout));
        assert!(failure.headers.iter().any(|(name, _)| *name == "Retry-After"));
    }

    #[tokio::test]
    async fn bodies_are_read_whole_and_to_the_limit() {
        let limits = Limits::default();
        let pieces = |count: usize| {
            let pieces = (0..count).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"abcd")));
            Body::from_stream(futures_util::stream::iter(pieces))
        };
        assert_eq!(limits.body(Body::empty(), 4).await.unwrap(), Bytes::new());
        assert_eq!(limits.body(pieces(3), 12).await.unwrap(), "abcdabcdabcd");
        assert_eq!(limits.body(pieces(4), 12).await.unwrap_err().status, 413);
        let broken = futures_util::stream::iter([Ok("{"), Err(std::io::Error::other("reset"))]);
        assert_eq!(limits.body(Body::from_stream(broken), 12).await.unwrap_err().status, 400);
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let hasty = Limits { body_timeout: 0, ..Limits::default() };
        assert_eq!(hasty.body(never, 12).await.unwrap_err().status, 408);
    }

    #[test]
    fn a_slot_is_free_again_when_its_request_ends() {
        let slots = Slots::new(1);
        let first = slots.take().unwrap();
        let refused = slots.take().unwrap_err();
        assert_eq!((refused.status, slots.taken(), slots.turned_away()), (503, 1, 1));
        drop(first);
        assert!(slots.take().is_ok());
    }
}
