//! What those who watch a container are told, in the case of who reads it.

use domain::{event::EventKind, position::Position, publication::Publication};
use websocket::Frame;

use super::frames::{self, Case};
use crate::protocol::{Encoder, Encoding, Subscribed};

/// The encoding in upper case.
pub const UPPER: Encoding = Encoding::new(5, &ContainersEncoder(Case::Upper));

/// The encoding in lower case.
pub const LOWER: Encoding = Encoding::new(6, &ContainersEncoder(Case::Lower));

struct ContainersEncoder(Case);

impl Encoder for ContainersEncoder {
    fn dialect(&self) -> &'static str {
        "containers"
    }

    fn event(&self, publication: &Publication, _position: &Position) -> Option<Frame> {
        let event = &publication.recorded.event;
        matches!(
            event.kind,
            EventKind::ContainerLog
                | EventKind::ContainerStatus
                | EventKind::ContainerError
                | EventKind::ContainerComplete
        )
        .then(|| frames::event(event, self.0))
    }

    fn subscribed(&self, subscribed: &Subscribed<'_>) -> Option<Frame> {
        frames::greeting(subscribed, self.0)
    }
}

/// Returns the case of an encoding.
pub(super) fn case(encoding: Encoding) -> Case {
    if encoding == LOWER { Case::Lower } else { Case::Upper }
}

/// Returns the encoding of a case.
pub(super) fn of(case: Case) -> Encoding {
    match case {
        Case::Upper => UPPER,
        Case::Lower => LOWER,
    }
}
