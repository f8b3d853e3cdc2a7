//! What the owner of a source of tasks keeps in mind between two looks.

use std::time::Duration;

use domain::entry::EntryId;
use tokio::time::Instant;

use crate::work::{proposal::Proposals, timings::Timings};

/// What the owner of a source of tasks keeps in mind.
pub(super) struct WorkWatch {
    pub(super) proposals: Proposals,
    pub(super) timings: Timings,
    pub(super) next_look: Instant,
    pub(super) next_count: Instant,
    pub(super) next_reap: Instant,
    /// Whether there are tasks that did not end.
    pub(super) has_open: bool,
    /// When it last looked at everything.
    pub(super) looked: Instant,
    /// Since when it looks without a break.
    pub(super) steady_since: Instant,
    /// A time by the database's clock and the stream's newest entry then: once that is read, nothing
    /// that was said before that time is unread.
    pub(super) asked: Option<(i64, EntryId)>,
}

impl WorkWatch {
    pub(super) fn new(source: domain::source::Source, now: Instant) -> Self {
        Self {
            proposals: Proposals::new(source),
            timings: Timings::default(),
            next_look: now,
            next_count: now,
            next_reap: now,
            has_open: true,
            looked: now,
            steady_since: now,
            asked: None,
        }
    }

    /// Something was recorded: looks at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.next_look = now;
        self.has_open = true;
    }

    /// How long a read may wait for the first entry.
    pub(super) fn read_wait(&self, wait_max: Duration) -> Duration {
        let until = self.next_look.saturating_duration_since(Instant::now());
        until.clamp(Duration::from_millis(1), wait_max)
    }
}
