//! What cockpit agents are told: new tasks, and nothing else.

use domain::{event::EventKind, position::Position, publication::Publication};
use websocket::Frame;

use super::task;
use crate::protocol::{Encoder, Encoding};

/// The encoding of cockpit agents.
pub const ENCODING: Encoding = Encoding::new(1, &CockpitEncoder);

struct CockpitEncoder;

impl Encoder for CockpitEncoder {
    fn dialect(&self) -> &'static str {
        "cockpit"
    }

    fn event(&self, publication: &Publication, _position: &Position) -> Option<Frame> {
        let event = &publication.recorded.event;
        let is_for_all = event.text("assign") != Some("one");
        (event.kind == EventKind::TaskCreated && is_for_all).then(|| task::frame(event)).flatten()
    }
}
