//! Full jitter: a random wait below a bound that doubles with each attempt.

use std::time::Duration;

/// How long to wait before coming back.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The shortest wait.
    pub least: Duration,
    /// The bound that waits grow to.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { least: Duration::from_millis(500), most: Duration::from_secs(20) }
    }
}

impl Backoff {
    /// Returns the wait before an attempt, counted from 1.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Duration {
        let bound = self.most.min(self.least.saturating_mul(2_u32.saturating_pow(attempt.min(20))));
        let least = self.least.min(bound);
        least + (bound - least).mul_f64(rand::random_range(0.0..1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_between_its_bounds_and_they_grow() {
        let backoff = Backoff::default();
        for attempt in 1..40 {
            let wait = backoff.wait(attempt);
            assert!(wait >= backoff.least && wait <= backoff.most, "{attempt}: {wait:?}");
        }
        assert!(backoff.wait(1) <= Duration::from_secs(1));
    }
}
