//! Pages of a channel's past, shared: of ten thousand listeners that come back at once to one channel
//! the first one reads, the others find what it read (`design.md` §3, gateway rule 1).

use std::sync::Arc;

use domain::{position::Position, source::Source};
use store::{Page, StoreError};

use super::{channel_state::ChannelState, hub::Hub, shared_page::SharedPage};

impl Hub {
    /// Returns a page of what follows `position` in a channel.
    pub(super) async fn read_page(
        &self,
        state: &ChannelState,
        position: &Position,
    ) -> Result<Arc<Page>, StoreError> {
        let mut shared = state.pages().lock().await;
        if let Some(page) = shared.as_ref().and_then(|shared| shared.after(position)) {
            return Ok(page);
        }
        let sources = self.sources_of(state);
        let trusted = self.is_redis_trusted();
        let page = self.history.page(&state.channel, position, &sources, trusted).await?;
        let page = Arc::new(page);
        *shared = SharedPage::new(position.clone(), &page);
        Ok(page)
    }

    /// Returns the sources that may feed a channel in this configuration, and those that did.
    pub(super) fn sources_of(&self, state: &ChannelState) -> Vec<Source> {
        let mut sources = self.history.possible_sources(&state.channel);
        for source in state.lock().sources() {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }
}
