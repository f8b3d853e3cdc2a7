//! Publishing what was left out while a part of the broker was away.
//!
//! A shard of a cluster that is away holds up what lives there and nothing else: batches go on, and
//! what belongs to its channels is left out of them, in the order of recording. `published` stays
//! where the first of it is (rule 4), and once the shard answers everything since is published slice
//! by slice, which for the other channels is a repeat.

use broker::Lagging;
use tokio::time::Instant;

use super::{
    Consumer,
    error::Error,
    publish_backlog::{PublishBacklog, RETRY},
};
use crate::publisher::{self, Reached};

impl Consumer {
    /// Which channels lag.
    pub(super) fn lagging(&self) -> Lagging {
        self.backlog.as_ref().map(|it| it.lagging).unwrap_or_default()
    }

    /// Up to here everything was published but what belongs to channels that lag.
    pub(super) fn reached(&self) -> u64 {
        self.backlog.as_ref().map_or(self.row.published, |it| it.reached)
    }

    /// Notes how far publishing came.
    pub(super) fn note_reached(&mut self, reached: u64, lagging: Lagging) {
        let source = self.row.source;
        match &mut self.backlog {
            Some(backlog) => {
                backlog.reached = reached;
                backlog.lagging = lagging;
            }
            None if lagging.is_empty() => self.row.published = reached,
            None => {
                tracing::warn!(%source, "consumer: a part of the broker takes no publications, they follow when it does; all others go on");
                let next_try = Instant::now() + RETRY;
                self.backlog = Some(PublishBacklog { lagging, reached, next_try });
            }
        }
    }

    /// Publishes a slice of what lags, when it is time; new entries are read in between.
    pub(super) async fn catch_up(&mut self) -> Result<(), Error> {
        let Some(backlog) = &mut self.backlog else { return Ok(()) };
        if Instant::now() < backlog.next_try {
            return Ok(());
        }
        let end = backlog.reached;
        let published = self.row.published;
        let mut reached = Reached { published, seq: published, ..Reached::default() };
        publisher::publish_slice(&self.worker, &self.row, &mut reached).await?;
        if reached.lagging.is_empty() {
            self.row.published = reached.published.max(published);
        } else {
            backlog.lagging = backlog.lagging.and(reached.lagging);
            backlog.next_try = Instant::now() + RETRY;
        }
        if self.row.published >= end {
            self.backlog = None;
            tracing::info!(source = %self.row.source, "consumer: everything that lagged is published");
        }
        Ok(())
    }
}
