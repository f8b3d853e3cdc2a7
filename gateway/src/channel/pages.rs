//! Pages of a channel's past, shared: of ten thousand listeners that come back at once to one channel
//! the first one reads, the others find what it read (`design.md` §3, gateway rule 1).

use std::sync::Arc;

use domain::{position::Position, source::Source};
use store::StoreError;

use super::{channel_state::ChannelState, hub::Hub, shared_page::SharedPage};

impl Hub {
    /// Returns a page of what follows `position` in a channel.
    pub(super) async fn read_page(
        &self,
        state: &Arc<ChannelState>,
        position: &Position,
    ) -> Result<Arc<SharedPage>, StoreError> {
        let mut shared = state.pages().lock().await;
        if let Some(page) = shared.as_ref().filter(|page| page.follows(position)) {
            return Ok(Arc::clone(page));
        }
        let sources = self.sources_of(state);
        let trusted = self.is_trusted(&state.channel);
        let page = self.history.page(&state.channel, position, &sources, trusted).await?;
        let page = SharedPage::new(position.clone(), page);
        if !page.publications().is_empty() {
            state.lock().page_bytes = page.size_bytes();
            *shared = Some(Arc::clone(&page));
            drop(shared);
            self.settle(state);
        }
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
