//! Messages to people: notifications, chat, system and free types.

use super::{
    EventKind,
    rejection::{Rejection, require_text},
    state::State,
};

/// What a message's body must look like.
pub(super) fn validate(kind: &EventKind, body: &State) -> Result<(), Rejection> {
    match kind {
        EventKind::Notification | EventKind::System => require_text(body, "message"),
        EventKind::ChatMessage => require_text(body, "content"),
        _ => Ok(()),
    }
}
