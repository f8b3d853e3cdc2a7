//! What a process counts, written to its row of the present minute again and again.

use std::sync::Arc;

use domain::{activity::ActivityTotals, node::NodeId};

use crate::{error::StoreError, port::Store};

/// Writes what a process did to the record, minute by minute.
pub struct ActivityLog {
    store: Arc<dyn Store>,
    node: NodeId,
    /// The counters as they were last time.
    before: Option<ActivityTotals>,
    /// The minute that the row of which is written, by the database's clock.
    minute: i64,
    /// What was counted in it.
    counted: ActivityTotals,
}

impl ActivityLog {
    /// Returns a log of a process that has counted nothing yet.
    pub fn new(store: Arc<dyn Store>, node: NodeId) -> Self {
        let counted = ActivityTotals::default();
        Self { store, node, before: None, minute: 0, counted }
    }

    /// Writes what was counted in this minute; a new one begins with what was counted since last
    /// time.
    ///
    /// # Errors
    /// [`StoreError`]; what was counted goes into the next write of the same minute.
    pub async fn write(
        &mut self,
        totals: &ActivityTotals,
        connections: Option<u64>,
    ) -> Result<(), StoreError> {
        let before = self.before.replace(totals.clone());
        let fresh = before.map_or_else(|| totals.clone(), |before| totals.since(&before));
        self.counted.add(&fresh);
        let minute = self.store.write_activity(&self.node, &self.counted, connections).await?;
        if minute != self.minute {
            self.minute = minute;
            self.counted = fresh;
            self.store.write_activity(&self.node, &self.counted, connections).await?;
        }
        Ok(())
    }
}
