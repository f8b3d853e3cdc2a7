//! What is refused at the doors: counted each time, and said in the log as often as it can be read.

use std::{collections::HashMap, net::IpAddr, sync::Mutex, time::Duration};

use prometheus::IntCounterVec;
use runtime::lock::LockExt as _;
use tokio::time::Instant;

/// How often the same refusal is said.
const INTERVAL: Duration = Duration::from_secs(10);

/// Doors and reasons are words of this program: there are few of them.
type Said = HashMap<(&'static str, &'static str), (Instant, u64)>;

/// Counts refusals and says one of each kind now and then.
#[derive(Debug)]
pub struct Refusals {
    counted: IntCounterVec,
    said: Mutex<Said>,
}

impl Refusals {
    /// Returns refusals that are counted here, by door and reason.
    pub fn new(counted: IntCounterVec) -> Self {
        Self { counted, said: Mutex::default() }
    }

    /// Notes a refusal. Of what was shown nothing is said: it may be somebody's credential.
    pub fn note(&self, door: &'static str, reason: &'static str, address: Option<IpAddr>) {
        self.counted.with_label_values(&[door, reason]).inc();
        let now = Instant::now();
        let mut said = self.said.lock_unpoisoned();
        let unsaid = match said.get_mut(&(door, reason)) {
            Some((at, unsaid)) if now.duration_since(*at) < INTERVAL => {
                *unsaid += 1;
                return;
            }
            Some((_, unsaid)) => *unsaid,
            None => 0,
        };
        said.insert((door, reason), (now, 0));
        drop(said);
        let address = address.map(|address| address.to_string());
        tracing::info!(door, reason, address, unsaid, "refusals: a client was refused");
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn every_refusal_counts_and_few_are_said() {
        let counted = IntCounterVec::new(Opts::new("refusals", "."), &["door", "reason"]).unwrap();
        let refusals = Refusals::new(counted.clone());
        for _ in 0..5 {
            refusals.note("http", "credential", None);
        }
        assert_eq!(counted.with_label_values(&["http", "credential"]).get(), 5);
        assert_eq!(refusals.said.lock_unpoisoned()[&("http", "credential")].1, 4);
        tokio::time::advance(INTERVAL).await;
        refusals.note("http", "credential", None);
        assert_eq!(refusals.said.lock_unpoisoned()[&("http", "credential")].1, 0);
    }
}
