//! How a socket is let go when its node drains.

use websocket::{Frame, close};

/// What a client is told before its node leaves, and how its socket ends.
pub struct DrainNotice {
    /// The last word: the client may connect elsewhere before it leaves here, and has the whole drain
    /// for it. Without one the socket just ends, in its turn.
    pub word: Option<Frame>,
    /// How the socket ends.
    pub ending: Ending,
}

/// The end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a close frame.
    Close {
        /// The close code.
        code: u16,
        /// The close reason.
        reason: &'static str,
    },
    /// Without one, for clients that come back only then.
    Cut,
}

impl Default for DrainNotice {
    fn default() -> Self {
        Self { word: None, ending: Ending::Close { code: close::GOING_AWAY, reason: "going away" } }
    }
}
