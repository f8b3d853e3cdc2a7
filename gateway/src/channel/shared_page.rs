//! The page that was read last for a channel, shared by all who catch up.

use std::sync::Arc;

use domain::position::Position;
use store::Page;

/// The page that was read last for a channel.
#[derive(Debug)]
pub(super) struct SharedPage {
    start: Position,
    page: Arc<Page>,
}

impl SharedPage {
    /// Returns a page that begins after `start`; none for an empty one, which says nothing.
    pub(super) fn new(start: Position, page: &Arc<Page>) -> Option<Self> {
        (!page.publications.is_empty()).then(|| Self { start, page: Arc::clone(page) })
    }

    /// Returns the page, if it goes on after `position`.
    pub(super) fn after(&self, position: &Position) -> Option<Arc<Page>> {
        if self.start == *position {
            return Some(Arc::clone(&self.page));
        }
        // Pages of one source are contiguous: any position inside will do, the reader skips.
        let first = self.page.publications.first()?;
        let last = self.page.publications.last()?;
        let one_source = self.page.publications.iter().all(|p| p.source == first.source);
        let at = position.offsets.get(first.source);
        let alone = position.offsets.iter().all(|(source, _)| source == first.source);
        (one_source
            && alone
            && position.epoch == self.start.epoch
            && at + 1 >= first.offset
            && at < last.offset)
            .then(|| Arc::clone(&self.page))
    }
}
