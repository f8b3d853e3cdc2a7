//! No more frames a second than the server allows.

use std::time::{Duration, Instant};

/// How much slower than allowed we are: the server counts on its own clock.
const SHARE: f64 = 0.9;

/// The shortest wait: what rounding leaves over would be waited for without end.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// A bucket that holds one second's worth.
pub(crate) struct Pace {
    rate: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        let rate = f64::from(per_second.max(1)) * SHARE;
        Self { rate, left: rate, at: now }
    }

    /// Takes one frame, or says how long to wait for it.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = self.rate.min(self.left + passed * self.rate);
        self.at = now;
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / self.rate).max(WAIT_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_has_no_more_frames_than_the_server_allows() {
        let begin = Instant::now();
        let mut pace = Pace::new(50, begin);
        let mut sent = 0;
        let mut now = begin;
        while now < begin + Duration::from_secs(10) {
            match pace.take(now) {
                Ok(()) => sent += 1,
                Err(wait) => now += wait,
            }
        }
        assert!((450..=500).contains(&sent), "{sent}");
    }
}
