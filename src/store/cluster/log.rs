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
        match line.split_once(':').map_or("", |(level, _)| level) {
            "PANIC" => tracing::error!(target: "postgres", "{line}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_the_log_is_kept() {
        let log = Log::default();
        let text: String = (0..100).map(|n| format!("LOG:  line {n}\n")).collect();
        log.clone().follow(text.as_bytes()).await;
        assert!(log.tail().starts_with("LOG:  line 80\n") && log.tail().ends_with("line 99"));
    }
}
