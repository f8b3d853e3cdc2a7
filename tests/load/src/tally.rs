//! What clients have seen, counted so that many processes' counts add up.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Eight buckets for each doubling: percentiles are right within 9 %.
const PER_DOUBLING: f64 = 8.0;
const BUCKETS: usize = 256;

/// Deliveries, what was wrong with them, and how long they took.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Connections that are subscribed.
    pub(crate) ready: u64,
    /// Connections that ended.
    pub(crate) ended: u64,
    /// Events that came.
    pub(crate) delivered: u64,
    /// Events whose number was not the one after the last.
    pub(crate) disordered: u64,
    /// `gap` frames.
    pub(crate) gaps: u64,
    /// How many deliveries took so long; see [`Tally::percentile_us`].
    latencies: Vec<u64>,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { ready, ended, delivered, disordered, gaps, .. } = self;
        write!(f, "ready {ready}, ended {ended}, delivered {delivered}, ")?;
        write!(f, "disordered {disordered}, gaps {gaps}")
    }
}

impl Default for Tally {
    fn default() -> Self {
        let latencies = vec![0; BUCKETS];
        Self { ready: 0, ended: 0, delivered: 0, disordered: 0, gaps: 0, latencies }
    }
}

impl Tally {
    /// Counts a delivery that took so many microseconds.
    pub(crate) fn took(&mut self, us: u64) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 256")]
        let bucket = ((us.max(1) as f64).log2() * PER_DOUBLING) as usize;
        self.latencies[bucket.min(BUCKETS - 1)] += 1;
    }

    /// Adds another's counts.
    pub(crate) fn add(&mut self, other: &Self) {
        self.ready += other.ready;
        self.ended += other.ended;
        self.delivered += other.delivered;
        self.disordered += other.disordered;
        self.gaps += other.gaps;
        for (own, more) in self.latencies.iter_mut().zip(&other.latencies) {
            *own += more;
        }
    }

    /// The time that this share of the deliveries stayed below, in microseconds.
    pub(crate) fn percentile_us(&self, share: f64) -> f64 {
        let all: u64 = self.latencies.iter().sum();
        let mut below = 0;
        let bucket = self.latencies.iter().position(|count| {
            below += count;
            below as f64 >= all as f64 * share
        });
        ((bucket.unwrap_or(0) + 1) as f64 / PER_DOUBLING).exp2()
    }
}

/// Microseconds since 1970: all processes of a machine read the same clock.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
