//! The last publications of a channel, as long as they are few and small.

use std::{collections::VecDeque, sync::Arc};

use domain::position::Offsets;

use crate::protocol::Outgoing;

/// The most publications that a tail keeps.
const TAIL_LENGTH_MAX: usize = 1000;

/// The most bytes that a tail keeps.
const TAIL_BYTES_MAX: usize = 1024 * 1024;

/// The last publications of a channel. Most channels of a node are silent most of the time.
#[derive(Debug)]
pub(super) struct ChannelTail {
    all: VecDeque<Arc<Outgoing>>,
    /// Where it begins: everything after this is in it.
    start: Offsets,
    bytes: usize,
}

impl ChannelTail {
    /// Returns a tail that begins here.
    pub(super) const fn new(start: Offsets) -> Self {
        Self { all: VecDeque::new(), start, bytes: 0 }
    }

    /// Adds the next publication; the oldest make room for it.
    pub(super) fn push(&mut self, outgoing: Arc<Outgoing>) {
        self.bytes += outgoing.size_bytes();
        self.all.push_back(outgoing);
        while self.all.len() > TAIL_LENGTH_MAX || self.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = self.all.pop_front() else { break };
            self.bytes -= oldest.size_bytes();
            self.start.set(oldest.publication.source, oldest.publication.offset);
        }
    }

    /// Returns where it begins: everything after this is in it.
    pub(super) const fn start(&self) -> &Offsets {
        &self.start
    }

    /// Returns the publications, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Outgoing>> {
        self.all.iter()
    }

    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns what they occupy, roughly, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
