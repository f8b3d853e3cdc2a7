//! How many messages a client may send: a bucket that refills (`CLIENT_FRAMES_PER_SECOND`).

use std::time::Duration;

use tokio::time::Instant;

/// How many seconds' worth may come at once.
const BURST_SECONDS: u32 = 4;

/// The messages that one session may still send.
#[derive(Debug)]
pub(super) struct MessageRate {
    per_second: u32,
    /// Messages left, in thousandths; negative when the client goes on beyond its limit.
    left_milli: i64,
    refilled_at: Instant,
}

/// What the limit says to one more message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RateVerdict {
    /// It is within the limit.
    Within,
    /// It is beyond the limit; so long until the next one is within.
    Over(Duration),
    /// It is beyond the limit by another whole burst.
    Abuse(Duration),
}

impl MessageRate {
    pub(super) fn new(per_second: u32) -> Self {
        let left_milli = i64::from(per_second) * i64::from(BURST_SECONDS) * 1000;
        Self { per_second, left_milli, refilled_at: Instant::now() }
    }

    /// Takes one message.
    pub(super) fn take(&mut self) -> RateVerdict {
        let now = Instant::now();
        let elapsed_ms = now.duration_since(self.refilled_at).as_millis().min(60_000);
        let rate = i64::from(self.per_second);
        let burst = rate * i64::from(BURST_SECONDS) * 1000;
        let refill = i64::try_from(elapsed_ms).unwrap_or(60_000) * rate;
        if refill > 0 {
            self.refilled_at = now;
        }
        self.left_milli = (self.left_milli + refill).min(burst) - 1000;
        if self.left_milli >= 0 {
            return RateVerdict::Within;
        }
        let pause_ms = (-self.left_milli / rate.max(1)).unsigned_abs().max(1);
        let pause = Duration::from_millis(pause_ms);
        if self.left_milli < -burst {
            self.left_milli = -burst;
            return RateVerdict::Abuse(pause);
        }
        RateVerdict::Over(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn four_seconds_worth_may_come_at_once_and_then_the_rate_counts() {
        let mut rate = MessageRate::new(50);
        for _ in 0..200 {
            assert_eq!(rate.take(), RateVerdict::Within);
        }
        assert!(matches!(rate.take(), RateVerdict::Over(_)));
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..49 {
            assert_eq!(rate.take(), RateVerdict::Within);
        }
        let verdicts: Vec<RateVerdict> = (0..300).map(|_| rate.take()).collect();
        assert!(verdicts.iter().any(|verdict| matches!(verdict, RateVerdict::Abuse(_))));
    }
}
