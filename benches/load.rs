//! Turns: a fixed number of requests over a fixed number of connections, and what they took.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::Fallible;
use crate::http::Connection;
use crate::process::{Cpu, Place};

/// Longer than this, a turn is given up: the whole run is bounded.
const LONGEST: Duration = Duration::from_secs(60);

/// The requests of a turn, sent in this order, from the start again where they are too few.
pub type Requests = Rc<Vec<Vec<u8>>>;

/// What a turn took.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Requests answered.
    pub requests: usize,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Seconds from request to answer, ascending.
    pub latencies: Vec<f64>,
    /// Processor time of server, PostgreSQL and generator.
    pub cpu: Cpu,
}

impl Turn {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// The latency, seconds, that this share of requests stayed within.
    pub fn percentile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((share * last as f64).round() as usize).copied().unwrap_or_default()
    }
}

/// Sends `count` requests over `connections` connections to a server; all must answer `expected`.
///
/// # Errors
/// Another status (with the body), a broken connection, or more than a minute.
pub async fn turn(
    place: &Place,
    connections: usize,
    requests: &Requests,
    count: usize,
    expected: u16,
) -> Fallible<Turn> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(place.address).await?);
    }
    let (next, before, begun) = (Rc::new(Cell::new(0)), place.cpu(), Instant::now());
    let set = LocalSet::new();
    let workers: Vec<_> = open
        .into_iter()
        .map(|connection| set.spawn_local(work(connection, next.clone(), requests.clone(), count, expected)))
        .collect();
    tokio::time::timeout(LONGEST, set).await.map_err(|_| format!("a turn took longer than {LONGEST:?}"))?;
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), place.cpu().since(&before));
    let mut latencies = Vec::with_capacity(count);
    for worker in workers {
        latencies.extend(worker.await??);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(Turn { requests: count, seconds, latencies, cpu })
}

async fn work(
    mut connection: Connection,
    next: Rc<Cell<usize>>,
    requests: Requests,
    count: usize,
    expected: u16,
) -> Fallible<Vec<f64>> {
    let mut latencies = Vec::new();
    loop {
        let index = next.get();
        if index >= count {
            return Ok(latencies);
        }
        next.set(index + 1);
        let begun = Instant::now();
        let answer = connection.exchange(&requests[index % requests.len()]).await?;
        if answer.status != expected {
            return Err(format!("answered {} instead of {expected}: {}", answer.status, answer.text()).into());
        }
        latencies.push(begun.elapsed().as_secs_f64());
    }
}

/// One request on a connection of its own, whatever it answers.
///
/// # Errors
/// A connection that broke.
pub async fn once(address: SocketAddr, request: &[u8]) -> Fallible<(u16, String)> {
    let mut connection = Connection::open(address).await?;
    let answer = connection.exchange(request).await?;
    Ok((answer.status, answer.text()))
}

/// All answers to these requests, in their order, over `connections` connections.
///
/// # Errors
/// A connection that broke.
pub async fn fetch(address: SocketAddr, connections: usize, requests: &Requests) -> Fallible<Vec<(u16, String)>> {
    let (next, set) = (Rc::new(Cell::new(0)), LocalSet::new());
    let worker = |next: Rc<Cell<usize>>, requests: Requests| async move {
        let mut connection = Connection::open(address).await?;
        let mut answers = Vec::new();
        loop {
            let index = next.replace(next.get() + 1);
            let Some(request) = requests.get(index) else { return Fallible::Ok(answers) };
            let answer = connection.exchange(request).await?;
            answers.push((index, (answer.status, answer.text())));
        }
    };
    let workers: Vec<_> = (0..connections).map(|_| set.spawn_local(worker(next.clone(), requests.clone()))).collect();
    set.await;
    let mut answers = Vec::with_capacity(requests.len());
    for worker in workers {
        answers.extend(worker.await??);
    }
    answers.sort_by_key(|(index, _)| *index);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// How many requests make a turn of about `seconds`, judged by a short one that also warms up.
///
/// # Errors
/// As [`turn`].
pub async fn calibrate(
    place: &Place,
    connections: usize,
    requests: &Requests,
    expected: u16,
    seconds: f64,
) -> Fallible<usize> {
    let count = (connections * 6).max(50);
    turn(place, connections, requests, count, expected).await?;
    let warm = turn(place, connections, requests, count, expected).await?;
    Ok(((warm.rate() * seconds) as usize).clamp(50, 50_000))
}

/// The middle one; of an even number, the upper.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The smallest and the largest.
pub fn spread(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    values.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_sorted_latencies() {
        let latencies = (0..=100).map(f64::from).collect();
        let turn = Turn { requests: 101, seconds: 2.0, latencies, cpu: Cpu::default() };
        assert_eq!((turn.percentile(0.5), turn.percentile(0.99), turn.rate()), (50.0, 99.0, 50.5));
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(spread([3.0, 1.0, 2.0]), (1.0, 3.0));
    }
}
