//! Filling a hole, once per channel and node: reading what pub/sub did not bring.

use std::{sync::Arc, time::Duration};

use shared::position::{Offsets, Position};

use super::{Hub, room::Room};

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Hub {
    /// Brings a room to everything that was heard of, in the background. One fill at a time.
    pub(super) fn fill(self: &Arc<Self>, room: &Arc<Room>, cause: &str) {
        {
            let mut inner = room.lock();
            if inner.position.is_none() || std::mem::replace(&mut inner.filling, true) {
                return;
            }
        }
        self.metrics.catchups.with_label_values(&[cause]).inc();
        let (hub, room) = (Arc::clone(self), Arc::clone(room));
        self.life.spawn_until_stop(async move { hub.fill_until_heard(&room).await });
    }

    /// Raises what a room has heard of, and fills it if that is news.
    pub(super) fn hear(self: &Arc<Self>, room: &Arc<Room>, heads: &Offsets, cause: &str) {
        let behind = {
            let mut inner = room.lock();
            for (source, offset) in heads.iter() {
                let heard = inner.heard.get(source).max(offset);
                inner.heard.set(source, heard);
            }
            inner.position.as_ref().is_some_and(|at| !at.offsets.covers(&inner.heard))
        };
        if behind {
            self.fill(room, cause);
        }
    }

    async fn fill_until_heard(self: &Arc<Self>, room: &Arc<Room>) {
        let mut pause = Duration::from_millis(10);
        while let Some(position) = Self::still_behind(room) {
            if !self.fill_once(room, &position).await {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// The position, while something is missing; else the fill is over, under the same lock.
    fn still_behind(room: &Room) -> Option<Position> {
        let mut inner = room.lock();
        let position = inner.position.clone()?;
        if position.offsets.covers(&inner.heard) {
            inner.filling = false;
            return None;
        }
        Some(position)
    }

    /// Reads one page and applies it. Whether the room got on.
    async fn fill_once(self: &Arc<Self>, room: &Arc<Room>, position: &Position) -> bool {
        let Ok(page) = self.read_page(room, position).await else { return false };
        if page.head.epoch != position.epoch || !position.offsets.covers(&page.floor) {
            // What is missing can no longer be had: listeners are told by their catch-ups.
            self.reload(room).await;
            return true;
        }
        self.apply(page.publications.iter().cloned()).await;
        room.position().is_some_and(|now| now != *position)
    }
}
