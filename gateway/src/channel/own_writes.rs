//! Reading one's own writes: an answer to a publisher waits for the channels of this node.

use std::{sync::Arc, time::Duration};

use domain::{channel::Channel, position::Position};
use tokio::time::timeout;

use super::{channel_state::ChannelState, hub::Hub};

/// How long what was published may be on its way until it is read from the record.
const ARRIVAL_MAX: Duration = Duration::from_millis(100);

/// How long an answer waits for that.
const READ_MAX: Duration = Duration::from_millis(500);

impl Hub {
    /// Returns those channels of this node that do not show yet what was written: channels and
    /// positions as the answer tells them.
    pub fn behind(&self, written: &[(String, String)]) -> Vec<(Arc<ChannelState>, Position)> {
        let behind = |(channel, position): &(String, String)| {
            let channel = Channel::parse(channel).ok()?;
            let position = Position::parse(&channel, position).ok()?;
            let state = self.known(&channel)?;
            // One that was not read yet will be read with the write in it.
            let at = state.position().filter(|at| at.epoch == position.epoch)?;
            (!at.offsets.covers(&position.offsets)).then_some((state, position))
        };
        written.iter().filter_map(behind).collect()
    }

    /// Waits until channels are where they are known to be, for a short time.
    pub async fn meet(self: &Arc<Self>, behind: Vec<(Arc<ChannelState>, Position)>) {
        for (state, position) in behind {
            if timeout(ARRIVAL_MAX, state.reach(&position)).await.is_err() {
                self.observe_head(&state, &position);
                let _late = timeout(READ_MAX, state.reach(&position)).await;
            }
        }
    }
}

impl ChannelState {
    /// Waits until the channel is at a position, or past it.
    async fn reach(&self, position: &Position) {
        loop {
            let advanced = self.advanced.notified();
            let at = self.position();
            let there =
                |at: Position| at.epoch != position.epoch || at.offsets.covers(&position.offsets);
            if at.is_some_and(there) {
                return;
            }
            advanced.await;
        }
    }
}
