//! The page that was read last for a channel, shared by all who catch up: the events and their frames.

use std::sync::Arc;

use domain::{position::Position, publication::Publication};
use store::Page;

use crate::protocol::Outgoing;

/// A page of a channel's past, whose frames are encoded once for all who stand where it was read from.
#[derive(Debug)]
pub(super) struct SharedPage {
    start: Position,
    /// The page as it was read.
    pub(super) page: Page,
    /// Its publications with the positions of who has read all before.
    pub(super) outgoing: Vec<Outgoing>,
}

impl SharedPage {
    /// Returns a page that begins after `start`.
    pub(super) fn new(start: Position, page: Page) -> Arc<Self> {
        let mut at = start.clone();
        let outgoing = page.publications.iter().map(|publication| {
            at.offsets.set(publication.source, publication.offset);
            Outgoing::new(publication.clone(), at.clone())
        });
        let outgoing = outgoing.collect();
        Arc::new(Self { start, page, outgoing })
    }

    /// Returns the publications.
    pub(super) fn publications(&self) -> &[Publication] {
        &self.page.publications
    }

    /// Returns what it occupies, roughly, in bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.outgoing.iter().map(Outgoing::size_bytes).sum()
    }

    /// Whether it goes on after `position`. An empty one says nothing.
    pub(super) fn follows(&self, position: &Position) -> bool {
        let publications = self.publications();
        let (Some(first), Some(last)) = (publications.first(), publications.last()) else {
            return false;
        };
        if self.start == *position {
            return true;
        }
        // Pages of one source are contiguous: any position inside will do, the reader skips.
        let one_source = publications.iter().all(|p| p.source == first.source);
        let at = position.offsets.get(first.source);
        let alone = position.offsets.iter().all(|(source, _)| source == first.source);
        one_source
            && alone
            && position.epoch == self.start.epoch
            && at + 1 >= first.offset
            && at < last.offset
    }
}
