//! One publication on its way to many connections, encoded at most once for each encoding.

use std::sync::OnceLock;

use domain::{position::Position, publication::Publication};
use websocket::Frame;

use super::encoder::Encoding;

/// A publication as this node hands it to its listeners.
#[derive(Debug)]
pub struct Outgoing {
    /// What was published.
    pub publication: Publication,
    /// The channel's position after it, in the order in which this node saw it.
    pub position: Position,
    frames: [OnceLock<Option<Frame>>; Encoding::COUNT],
}

impl Outgoing {
    /// Returns a publication after which the channel is at `position`.
    pub fn new(publication: Publication, position: Position) -> Self {
        Self { publication, position, frames: Default::default() }
    }

    /// Gives it the frame of an encoding that is not made of the publication alone.
    pub fn preset(&self, encoding: Encoding, frame: Option<Frame>) {
        let _made = self.frames[encoding.index()].set(frame);
    }

    /// Returns the frame for an encoding, made when the first listener of it comes; none when the
    /// dialect has no word for it.
    pub fn frame(&self, encoding: Encoding) -> Option<&Frame> {
        self.frames[encoding.index()]
            .get_or_init(|| encoding.event(&self.publication, &self.position))
            .as_ref()
    }

    /// Returns the frame for a listener that is at `position` after it, which may have seen the
    /// sources of the channel in another order than this node.
    pub fn frame_at(&self, encoding: Encoding, position: &Position) -> Option<Frame> {
        if *position == self.position {
            self.frame(encoding).cloned()
        } else {
            encoding.event(&self.publication, position)
        }
    }

    /// Returns what it occupies in a tail, roughly, in bytes.
    pub fn size_bytes(&self) -> usize {
        const OVERHEAD_BYTES: usize = 700;
        OVERHEAD_BYTES + 2 * self.publication.payload.len()
    }
}
