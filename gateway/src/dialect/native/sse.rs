//! Our own protocol one way: the frames of a session whose transport is a stream of server-sent
//! events. No upgrade is ever for it; `api/events.rs` opens its sessions.

use runtime::config::{Config, HeartbeatSettings};
use websocket::{Heartbeat, Message};

use super::Native;
use crate::protocol::{
    Command, Dialect, DrainNotice, Encoding, OpenContext, Opening, Refusal, Request, View,
};

/// The dialect of event streams.
pub struct Sse;

impl Dialect for Sse {
    fn name(&self) -> &'static str {
        "sse"
    }

    fn encodings(&self) -> &'static [Encoding] {
        Native.encodings()
    }

    fn recognizes(&self, _request: &Request, _config: &Config) -> bool {
        false
    }

    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal> {
        Native.open(request, context)
    }

    /// The stream writes comment lines by itself, and TCP tells when nobody takes them.
    fn heartbeat(&self, _settings: &HeartbeatSettings) -> Heartbeat {
        Heartbeat::NONE
    }

    fn decode(&self, _message: Message<'_>, _view: &View<'_>) -> Vec<Command> {
        Vec::new()
    }

    fn drain_notice(&self, after_ms: u64, is_known: bool) -> DrainNotice {
        Native.drain_notice(after_ms, is_known)
    }
}
