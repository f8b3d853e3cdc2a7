//! The barrier of a change of partitions: a source is read up to where its stream ended then, and waits
//! there until the other partitions have come so far. So what an id had in its old partition is
//! recorded before what it has in its new one.

use domain::entry::Entry;
use tokio::time::{Duration, Instant};

use super::{Consumer, error::Error};

/// How often a source that waits looks whether it may go on.
const LOOK: Duration = Duration::from_millis(100);

impl Consumer {
    /// Whether the source was read up to its barrier.
    pub(super) fn is_at_barrier(&self) -> bool {
        self.row.barrier.is_some_and(|barrier| self.row.cursor >= barrier)
    }

    /// Leaves out what lies beyond the barrier; where nothing is left, waits for the others.
    pub(super) async fn hold_back(&mut self, entries: &mut Vec<Entry>) -> Result<(), Error> {
        let Some(barrier) = self.row.barrier else { return Ok(()) };
        entries.retain(|entry| entry.id <= barrier);
        // Read up to there, or what was there is gone.
        if entries.is_empty() {
            let (source, fence) = (self.row.source, self.row.fence);
            if self.worker.store.drained(source, fence).await? {
                self.row.barrier = None;
            } else {
                tokio::time::sleep(LOOK).await;
                // The row says whether another owner was the last to come.
                self.next_renewal = Instant::now();
            }
        }
        Ok(())
    }
}
