//! Which of many equal errors is worth a line: a hold-up says what it is when it begins, when its cause
//! changes, and once a minute.

use std::time::Duration;

use tokio::time::Instant;

/// How often an error is said again that does not change.
const REPEAT: Duration = Duration::from_secs(60);

/// How often at most when it changes all the time.
const CHANGE: Duration = Duration::from_secs(1);

/// Remembers what was said last.
#[derive(Debug, Default)]
pub struct ErrorGate {
    last: Option<(String, Instant)>,
}

impl ErrorGate {
    /// Whether this error is to be logged now.
    pub fn opens(&mut self, error: &str) -> bool {
        let silent = self
            .last
            .as_ref()
            .is_some_and(|(last, at)| at.elapsed() < if last == error { REPEAT } else { CHANGE });
        if !silent {
            self.last = Some((error.to_owned(), Instant::now()));
        }
        !silent
    }

    /// Begins anew after a success; whether an error was logged since the last one.
    pub fn close(&mut self) -> bool {
        self.last.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_error_is_said_once_a_minute_and_when_it_changes() {
        let mut gate = ErrorGate::default();
        assert!(gate.opens("full") && !gate.opens("full"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(gate.opens("read-only") && !gate.opens("read-only"));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!gate.opens("read-only"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(gate.opens("read-only"));
        assert!(gate.close() && !gate.close());
        assert!(gate.opens("read-only"), "a new hold-up");
    }
}
