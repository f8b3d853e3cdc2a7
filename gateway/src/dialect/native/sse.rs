//! Our own protocol one way: the frames of a session whose outlet is a stream of server-sent
//! events. No upgrade is ever for it; `api/events.rs` opens its sessions.

use shared::config::Rhythms;

use super::Native;
use crate::{
    connection::Message,
    dialect::{Command, Dialect, Doors, Opening, Refusal, View},
    frame::Frame,
    heartbeat::Heartbeat,
    upgrade::Upgrade,
};

/// The dialect of event streams.
pub struct Sse;

impl Dialect for Sse {
    fn name(&self) -> &'static str {
        "sse"
    }

    fn recognizes(&self, _upgrade: &Upgrade) -> bool {
        false
    }

    fn open(&self, upgrade: &Upgrade, doors: &Doors<'_>) -> Result<Opening, Refusal> {
        Native.open(upgrade, doors)
    }

    /// The stream writes comment lines by itself, and TCP tells when nobody takes them.
    fn heartbeat(&self, _rhythms: &Rhythms) -> Heartbeat {
        Heartbeat::NONE
    }

    fn decode(&self, _message: Message<'_>, _view: &View<'_>) -> Vec<Command> {
        Vec::new()
    }

    fn drain(&self, after_ms: u64) -> (Option<Frame>, u16, &'static str) {
        Native.drain(after_ms)
    }
}
