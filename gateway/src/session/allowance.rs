//! How many messages a client may send: a bucket that refills (`CLIENT_FRAMES_PER_SECOND`).

use std::time::Duration;

use tokio::time::Instant;

/// How many seconds' worth may come at once.
const BURST_SECONDS: u32 = 4;

/// The allowance of one session.
#[derive(Debug)]
pub(super) struct Allowance {
    per_second: u32,
    /// Messages left, in thousandths; negative when the client goes on beyond its allowance.
    left_milli: i64,
    refilled_at: Instant,
}

/// What an allowance says to one more message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Within the allowance.
    Good,
    /// Beyond it; so long until the next one is good.
    Over(Duration),
    /// Beyond it by another whole burst.
    Abuse(Duration),
}

impl Allowance {
    pub(super) fn new(per_second: u32) -> Self {
        let left_milli = i64::from(per_second) * i64::from(BURST_SECONDS) * 1000;
        Self { per_second, left_milli, refilled_at: Instant::now() }
    }

    /// Takes one message.
    pub(super) fn take(&mut self) -> Verdict {
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
            return Verdict::Good;
        }
        let pause_ms = (-self.left_milli / rate.max(1)).unsigned_abs().max(1);
        let pause = Duration::from_millis(pause_ms);
        if self.left_milli < -burst {
            self.left_milli = -burst;
            return Verdict::Abuse(pause);
        }
        Verdict::Over(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn four_seconds_worth_may_come_at_once_and_then_the_rate_counts() {
        let mut allowance = Allowance::new(50);
        for _ in 0..200 {
            assert_eq!(allowance.take(), Verdict::Good);
        }
        assert!(matches!(allowance.take(), Verdict::Over(_)));
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..49 {
            assert_eq!(allowance.take(), Verdict::Good);
        }
        let verdicts: Vec<Verdict> = (0..300).map(|_| allowance.take()).collect();
        assert!(verdicts.iter().any(|verdict| matches!(verdict, Verdict::Abuse(_))));
    }
}
