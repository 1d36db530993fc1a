//! Connections: accepted, bounded in number and idle time, and ended in order when the server stops.
//!
//! `axum::serve` waits for ever for a head that does not come and for connections that do not end, so
//! the loop is ours; HTTP/1 and HTTP/2 are `hyper`'s.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::Service as _;

use crate::front::Front;
use crate::limits::Limits;

/// Files that the server needs besides its connections: to the database, packages, models, the log.
const OTHER_FILES: u64 = 256;
/// Most streams of one HTTP/2 connection.
const STREAMS: u32 = 128;
/// Largest head of an HTTP/2 request, bytes.
const LARGEST_HEAD: u32 = 64 << 10;

/// Serves `front` to whoever connects, until `stop` resolves; then lets what is at work end, for as long
/// as `limits` allow.
pub async fn serve(listener: TcpListener, front: Front, limits: Limits, stop: impl Future<Output = ()>) {
    let (stopping, stopped) = watch::channel(false);
    let room = Arc::new(Semaphore::new(room(limits.most_sockets)));
    let serving = Arc::new(Serving { front, builder: builder(&limits), limits: limits.clone() });
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        // Those that ended are forgotten.
        while connections.try_join_next().is_some() {}
        let next = async {
            let place = room.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let (serving, stopped) = (serving.clone(), stopped.clone());
                connections.spawn(async move {
                    serving.connection(stream, address, stopped).await;
                    drop(place);
                });
            }
            Err(error) => pause_after(&error).await,
        }
    }
    // Who connects from now on is told at once that nobody is there.
    drop(listener);
    let _ = stopping.send(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.shutdown(), all_ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off to stop in time");
        connections.shutdown().await;
    }
}

/// A connection that broke before it was accepted is its client's affair; without a free file
/// descriptor, some have to be closed first.
async fn pause_after(error: &std::io::Error) {
    let of_client = [ErrorKind::ConnectionRefused, ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset];
    if !of_client.contains(&error.kind()) {
        tracing::error!(%error, "connections cannot be accepted");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// How many connections there is room for: as many as wanted, if the process may open so many files.
fn room(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    let needed = wanted as u64 + OTHER_FILES;
    if allowed.current.is_some_and(|current| current < needed) {
        let more = allowed.maximum.map_or(needed, |maximum| maximum.min(needed));
        // Where it is refused, there is room for fewer.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum: allowed.maximum });
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let room = files.saturating_sub(OTHER_FILES).max(files / 2).min(wanted as u64);
    usize::try_from(room).unwrap_or(wanted).clamp(1, Semaphore::MAX_PERMITS)
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head());
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(LARGEST_HEAD)
        .keep_alive_interval(limits.head())
        .keep_alive_timeout(limits.head());
    builder
}

/// What every connection needs.
struct Serving {
    front: Front,
    builder: Builder<TokioExecutor>,
    limits: Limits,
}

impl Serving {
    /// Serves one connection to its end.
    async fn connection(&self, stream: TcpStream, address: SocketAddr, mut stopped: watch::Receiver<bool>) {
        // Answers go out when they are there.
        let _ = stream.set_nodelay(true);
        let use_made = Arc::new(Use::default());
        let service = service_fn(|mut request: Request<Incoming>| {
            let one = One::of(&use_made);
            request.extensions_mut().insert(ConnectInfo(address));
            let answer = self.front.router().clone().call(request);
            async move {
                let answer = answer.await;
                drop(one);
                answer
            }
        });
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            // How it ended is its client's affair.
            _ = connection.as_mut() => return,
            () = use_made.idle_for(self.limits.head()) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        // No more requests; the one at work, and an answer on its way, have their time.
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(self.limits.request(), connection).await;
    }
}

/// Requests of a connection: those at work, and all there have been.
#[derive(Debug, Default)]
struct Use {
    at_work: AtomicUsize,
    begun: AtomicUsize,
}

impl Use {
    /// Resolves when nothing was asked for a while. The head of an HTTP/1 request has a timeout in
    /// `hyper`; this is for clients that say nothing at all, and for HTTP/2.
    async fn idle_for(&self, while_: Duration) {
        let mut seen = usize::MAX;
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            if begun == seen && self.at_work.load(Ordering::Relaxed) == 0 {
                return;
            }
            seen = begun;
            tokio::time::sleep(while_).await;
        }
    }
}

/// A request at work.
struct One(Arc<Use>);

impl One {
    fn of(use_made: &Arc<Use>) -> Self {
        use_made.at_work.fetch_add(1, Ordering::Relaxed);
        use_made.begun.fetch_add(1, Ordering::Relaxed);
        Self(use_made.clone())
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}
