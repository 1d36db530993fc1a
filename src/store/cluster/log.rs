//! PostgreSQL's log, taken over line by line.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How many lines are kept to explain a failed start.
const KEPT: usize = 20;

/// Passes PostgreSQL's log on to `tracing` (target `postgres`) and remembers its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    last: Arc<Mutex<VecDeque<String>>>,
}

impl Log {
    /// Follows `stream` to its end.
    pub async fn follow(self, stream: impl AsyncRead + Unpin) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        // Bytes, since a message may quote text of another encoding.
        while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
            self.line(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
    }

    fn line(&self, line: &str) {
        // Clients see their own errors; a refused connection is FATAL and no event either.
        let (level, message) = line.split_once(':').unwrap_or_default();
        match level {
            "PANIC" => tracing::error!(target: "postgres", "{line}"),
            "FATAL" if is_of_course(message.trim_start()) => tracing::debug!(target: "postgres", "{line}"),
            "FATAL" | "WARNING" => tracing::warn!(target: "postgres", "{line}"),
            _ => tracing::debug!(target: "postgres", "{line}"),
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(line.to_owned());
    }

    /// The last lines.
    pub fn tail(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// What connections are told while the database comes and goes: those that ask whether it is there yet, and those
/// that are open when it is stopped or that we left.
fn is_of_course(message: &str) -> bool {
    [
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is not yet accepting connections",
        "the database system is in recovery mode",
        "terminating connection due to administrator command",
        "connection to client lost",
    ]
    .iter()
    .any(|known| message.starts_with(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_and_going_is_no_event() {
        assert!(is_of_course("the database system is starting up"));
        assert!(!is_of_course("could not write to file: No space left on device"));
    }

    #[tokio::test]
    async fn the_end_of_the_log_is_kept() {
        let log = Log::default();
        let text: String = (0..100).map(|n| format!("LOG:  line {n}\n")).collect();
        log.clone().follow(text.as_bytes()).await;
        assert!(log.tail().starts_with("LOG:  line 80\n") && log.tail().ends_with("line 99"));
    }
}
