//! How many messages a client may send: a bucket that refills (`CLIENT_FRAMES_PER_SECOND`).

use std::time::Duration;

use tokio::time::Instant;

/// How many seconds' worth may come at once.
const BURST_SECONDS: u32 = 4;

/// A pause is worth at least so much: shorter ones would be as long as the timer's grain.
const PAUSE_MIN_MS: i64 = 20;

/// The messages that one session may still send.
#[derive(Debug)]
pub(super) struct MessageRate {
    per_second: u32,
    /// Messages left, in thousandths; negative when the client goes on beyond its limit.
    left_milli: i64,
    refilled_at: Instant,
}

impl MessageRate {
    pub(super) fn new(per_second: u32) -> Self {
        let left_milli = i64::from(per_second) * i64::from(BURST_SECONDS) * 1000;
        Self { per_second, left_milli, refilled_at: Instant::now() }
    }

    /// Takes one message, which is handled in any case. Returns how long none is read after it.
    pub(super) fn take(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let elapsed_ms = now.duration_since(self.refilled_at).as_millis().min(60_000);
        let rate = i64::from(self.per_second);
        let burst = rate * i64::from(BURST_SECONDS) * 1000;
        let refill = i64::try_from(elapsed_ms).unwrap_or(60_000) * rate;
        if refill > 0 {
            self.refilled_at = now;
        }
        self.left_milli = (self.left_milli + refill).min(burst) - 1000;
        let pause_ms = -self.left_milli / rate.max(1);
        (pause_ms >= PAUSE_MIN_MS).then(|| Duration::from_millis(pause_ms.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages a client gets through in a time, that always has more.
    async fn through(per_second: u32, time: Duration) -> usize {
        let mut rate = MessageRate::new(per_second);
        let end = Instant::now() + time;
        let mut count = 0;
        while Instant::now() < end {
            count += 1;
            if let Some(pause) = rate.take() {
                tokio::time::advance(pause).await;
            }
        }
        count
    }

    #[tokio::test(start_paused = true)]
    async fn four_seconds_worth_may_come_at_once_and_then_the_rate_counts() {
        let at_once = through(50, Duration::from_millis(1)).await;
        assert!((200..=202).contains(&at_once), "{at_once}");
        let slowly = through(50, Duration::from_secs(10)).await;
        assert!((690..=702).contains(&slowly), "{slowly}");
        let one = through(1, Duration::from_secs(10)).await;
        assert!((13..=16).contains(&one), "{one}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_container_gets_its_whole_rate_through_in_pauses_that_a_timer_can_keep() {
        let count = through(5000, Duration::from_secs(10)).await;
        assert!((69_000..=70_200).contains(&count), "{count}");
    }
}
