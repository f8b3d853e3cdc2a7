//! Messages of other installations: pub/sub names are shared by all databases of a Redis.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use domain::position::Epoch;
use runtime::lock::LockExt as _;

use super::services::Parts;

/// How many epochs of others are remembered.
const REMEMBERED_MAX: usize = 16;

/// Knows the epochs that belong to others.
#[derive(Debug, Default)]
pub(super) struct ForeignEpochs {
    known: Arc<Mutex<VecDeque<Epoch>>>,
    warned: AtomicBool,
}

impl ForeignEpochs {
    /// Whether a publication of this epoch comes from another installation. One that is merely new is
    /// taken for ours until the database was asked: it may have begun a new epoch a moment ago.
    pub(super) fn is_foreign(&self, parts: &Arc<Parts>, epoch: Epoch) -> bool {
        if epoch == parts.store.epoch() {
            return false;
        }
        if self.known.lock_unpoisoned().contains(&epoch) {
            self.warn();
            return true;
        }
        let (known, hub) = (Arc::clone(&self.known), Arc::clone(&parts.context.hub));
        parts.context.life.spawn_until_stop(async move {
            let ours = hub.history().ask_epoch().await;
            let mut known = known.lock_unpoisoned();
            if ours.is_some_and(|ours| ours != epoch) && !known.contains(&epoch) {
                known.truncate(REMEMBERED_MAX - 1);
                known.push_front(epoch);
            }
        });
        false
    }

    /// Says once that there are others.
    pub(super) fn warn(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "fanout: another installation uses the same Redis and KEY_PREFIX, its messages are dropped"
            );
        }
    }
}
