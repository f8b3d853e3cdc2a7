//! Filling a hole, once per channel and node: reading what pub/sub did not bring.

use std::{sync::Arc, time::Duration};

use domain::position::{Offsets, Position};

use super::{channel_state::ChannelState, hub::Hub};

/// The longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl Hub {
    /// Brings a channel to everything that is known of, in the background. One fill at a time.
    pub(super) fn fill(self: &Arc<Self>, state: &Arc<ChannelState>, cause: &str) {
        {
            let mut inner = state.lock();
            if inner.position.is_none() || std::mem::replace(&mut inner.filling, true) {
                return;
            }
        }
        self.metrics.catchups.with_label_values(&[cause]).inc();
        let (hub, state) = (Arc::clone(self), Arc::clone(state));
        self.life.spawn_until_stop(async move { hub.fill_until_known(&state).await });
    }

    /// Raises what a channel knows of, and fills it if that is news.
    pub(super) fn note_heads(
        self: &Arc<Self>,
        state: &Arc<ChannelState>,
        heads: &Offsets,
        cause: &str,
    ) {
        let behind = {
            let mut inner = state.lock();
            for (source, offset) in heads.iter() {
                let known = inner.known.get(source).max(offset);
                inner.known.set(source, known);
            }
            inner.position.as_ref().is_some_and(|at| !at.offsets.covers(&inner.known))
        };
        if behind {
            self.fill(state, cause);
        }
    }

    async fn fill_until_known(self: &Arc<Self>, state: &Arc<ChannelState>) {
        let mut pause = Duration::from_millis(10);
        while let Some(position) = Self::still_behind(state) {
            if !self.fill_once(state, &position).await {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Returns the position, while something is missing; else the fill is over, under the same lock.
    fn still_behind(state: &ChannelState) -> Option<Position> {
        let mut inner = state.lock();
        let position = inner.position.clone()?;
        if position.offsets.covers(&inner.known) {
            inner.filling = false;
            return None;
        }
        Some(position)
    }

    /// Reads one page and applies it. Returns whether the channel got on.
    async fn fill_once(self: &Arc<Self>, state: &Arc<ChannelState>, position: &Position) -> bool {
        let Ok(page) = self.read_page(state, position).await else { return false };
        let floor = &page.page.floor;
        if page.page.head.epoch != position.epoch || !position.offsets.covers(floor) {
            // What is missing can no longer be had: listeners are told by their catch-ups.
            self.reload(state).await;
            return true;
        }
        let publications = || page.publications().iter().cloned();
        self.look_up(state, page.publications()).await;
        self.apply_prepared(publications()).await;
        state.position().is_some_and(|now| now != *position)
    }
}
