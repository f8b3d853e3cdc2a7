//! Pages of a channel's past: from the broker's history, else from the archive.
//!
//! A page is shared: of ten thousand listeners that come back at once to one channel the first one
//! reads, the others find what it read (`design.md` §3, gateway rule 1).

use std::sync::Arc;

use shared::{
    position::{Offsets, Position},
    source::Source,
    store::{Page, StoreError},
};

use super::{Hub, room::Room};

/// The most publications of a page.
pub const PAGE_LENGTH: usize = 500;

/// About the most bytes of a page.
pub const PAGE_BYTES: usize = 1024 * 1024;

impl Hub {
    /// A page of what follows `position` in a room.
    pub(super) async fn read_page(
        &self,
        room: &Room,
        position: &Position,
    ) -> Result<Arc<Page>, StoreError> {
        let mut shared = room.pages().lock().await;
        if let Some(page) = shared.as_ref().and_then(|shared| shared.after(position)) {
            return Ok(page);
        }
        let page = Arc::new(self.read_page_anew(room, position).await?);
        let start = position.clone();
        *shared =
            (!page.publications.is_empty()).then(|| SharedPage { start, page: Arc::clone(&page) });
        Ok(page)
    }

    async fn read_page_anew(&self, room: &Room, position: &Position) -> Result<Page, StoreError> {
        let _permit = self.reads.acquire().await;
        let sources = self.sources_of(room);
        if let ([source], true) = (sources.as_slice(), self.is_trusted())
            && let Some(page) = self.history_page(room, position, *source).await
        {
            return Ok(page);
        }
        self.store.page(&room.channel, &position.offsets, PAGE_LENGTH, PAGE_BYTES).await
    }

    /// A page from the broker's history; none when that does not reach back so far.
    ///
    /// What stands there was recorded before, so it is true whichever owner left it there, as long
    /// as it is of the same epoch.
    async fn history_page(&self, room: &Room, position: &Position, source: Source) -> Option<Page> {
        let after = position.offsets.get(source);
        let read = self.broker.history(&room.channel, source, after, PAGE_LENGTH).await;
        let publications = read.ok()?;
        let last = publications.last()?.offset;
        if publications.iter().any(|publication| publication.epoch != position.epoch) {
            return None;
        }
        let mut head = position.clone();
        head.offsets.set(source, last);
        Some(Page { publications, floor: Offsets::default(), head })
    }

    /// The sources that may feed a channel of this configuration, and those that did.
    pub(super) fn sources_of(&self, room: &Room) -> Vec<Source> {
        use shared::channel::ChannelKind as Kind;
        let channel = &room.channel;
        let stream = channel.home().stream;
        let all = (0..self.partitions).map(|partition| Source { stream, partition });
        let mut sources: Vec<Source> = match channel.kind() {
            Kind::User => Source::all(self.partitions).collect(),
            Kind::Broadcast => vec![channel.home()],
            _ if channel.is_entity() => {
                vec![Source::of(stream, channel.id(), self.partitions)]
            }
            _ => all.collect(),
        };
        for source in room.lock().sources() {
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
        sources
    }
}

/// The page that was read last for a room.
#[derive(Debug)]
pub struct SharedPage {
    start: Position,
    page: Arc<Page>,
}

impl SharedPage {
    /// The page, if it goes on after `position`.
    fn after(&self, position: &Position) -> Option<Arc<Page>> {
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
