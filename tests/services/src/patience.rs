//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Sleeps; only for polling and for tests of a timer.
#[expect(clippy::disallowed_methods, reason = "this crate is synchronous: no runtime is blocked")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Asks `condition` every 10 ms until it answers, or gives up after `patience` with `None`.
pub fn eventually<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = condition() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause(Duration::from_millis(10));
    }
}
