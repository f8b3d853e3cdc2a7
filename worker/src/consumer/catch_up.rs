//! Publishing what was left out while a part of the broker was away.
//!
//! A shard of a cluster that is away holds up what lives there and nothing else: batches go on, and
//! what belongs to its channels is left out of them, in the order of recording. `published` stays
//! where the first of it is (rule 4), and once the shard answers everything since is published slice
//! by slice, which for the other channels is a repeat.

use broker::Lagging;
use tokio::time::{Duration, Instant};

use super::{Consumer, error::Error};
use crate::publisher::{self, Reached};

/// How often a part of the broker that does not take publications is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Channels that lag behind the record, and how far all others are.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// The channels.
    pub(super) lagging: Lagging,
    /// Up to here all others were published.
    pub(super) reached: u64,
    next_try: Instant,
}

impl Consumer {
    /// Which channels lag.
    pub(super) fn lagging(&self) -> Lagging {
        self.catch_up.as_ref().map(|it| it.lagging).unwrap_or_default()
    }

    /// Up to here everything was published but what belongs to channels that lag.
    pub(super) fn reached(&self) -> u64 {
        self.catch_up.as_ref().map_or(self.row.published, |it| it.reached)
    }

    /// Notes how far publishing came.
    pub(super) fn note_reached(&mut self, reached: u64, lagging: Lagging) {
        let source = self.row.source;
        match &mut self.catch_up {
            Some(catch_up) => {
                catch_up.reached = reached;
                catch_up.lagging = lagging;
            }
            None if lagging.is_empty() => self.row.published = reached,
            None => {
                tracing::warn!(%source, "consumer: a part of the broker takes no publications, they follow when it does; all others go on");
                let next_try = Instant::now() + RETRY;
                self.catch_up = Some(CatchUp { lagging, reached, next_try });
            }
        }
    }

    /// Publishes a slice of what lags, when it is time; new entries are read in between.
    pub(super) async fn catch_up(&mut self) -> Result<(), Error> {
        let Some(catch_up) = &mut self.catch_up else { return Ok(()) };
        if Instant::now() < catch_up.next_try {
            return Ok(());
        }
        let end = catch_up.reached;
        let published = self.row.published;
        let mut reached = Reached { published, seq: published, ..Reached::default() };
        publisher::publish_slice(&self.worker, &self.row, &mut reached).await?;
        if reached.lagging.is_empty() {
            self.row.published = reached.published.max(published);
        } else {
            catch_up.lagging = catch_up.lagging.and(reached.lagging);
            catch_up.next_try = Instant::now() + RETRY;
        }
        if self.row.published >= end {
            self.catch_up = None;
            tracing::info!(source = %self.row.source, "consumer: everything that lagged is published");
        }
        Ok(())
    }
}
