//! Where the sweep finds every connection.

use std::sync::{Arc, Mutex, Weak};

use crate::connection::Connection;
use crate::liveness::Due;
use crate::lock::lock;

/// All connections, in parts that are locked one at a time.
///
/// Connections are held weakly: a connection lives as long as its task, and one that is gone is
/// dropped from here in the next sweep.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    shards: [Mutex<Vec<Weak<Connection>>>; Self::COUNT],
}

impl Shards {
    /// A lock is held while a shard is looked through, so that is kept short.
    pub(crate) const COUNT: usize = 16;

    pub(crate) fn insert(&self, connection: &Arc<Connection>) {
        let index = usize::try_from(connection.id() % Self::COUNT as u64).unwrap_or_default();
        lock(&self.shards[index]).push(Arc::downgrade(connection));
    }

    /// Returns all connections that are open. Not a snapshot: shards are read one after another.
    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = lock(shard);
            all.reserve(shard.len());
            all.extend(shard.iter().filter_map(Weak::upgrade));
        }
        all.retain(|connection| !connection.is_closed());
        all
    }

    /// Returns the connections of a shard that need something now.
    pub(crate) fn due(&self, shard: usize, now: u32) -> Vec<(Arc<Connection>, Due)> {
        let mut due = Vec::new();
        lock(&self.shards[shard]).retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            if let Some(what) = connection.due(now) {
                due.push((connection, what));
            }
            true
        });
        due
    }
}
