//! One session's interest in one channel.

use std::sync::{Arc, Mutex, PoisonError};

use websocket::{Frame, SendOutcome};

use crate::protocol::{Mode, Recipient};

/// A listener: *live* while it stands in its channel's list, *behind* while a catch-up has it.
pub struct Listener {
    /// The client that listens.
    pub recipient: Arc<dyn Recipient>,
    /// What it wants when it cannot keep up.
    pub mode: Mode,
    /// Held while a frame is sent: nothing is sent after the end.
    left: Mutex<bool>,
}

impl Listener {
    /// Returns a listener that is neither live nor behind yet.
    pub fn new(recipient: Arc<dyn Recipient>, mode: Mode) -> Arc<Self> {
        Arc::new(Self { recipient, mode, left: Mutex::new(false) })
    }

    /// Ends it: when this returns, a catch-up sends nothing more.
    pub fn leave(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    /// Whether it ended, or its connection did.
    pub fn is_gone(&self) -> bool {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left || self.recipient.transport().is_closed()
    }

    /// Sends a frame of its subscription, unless that has ended.
    pub fn send(&self, frame: &Frame) -> SendOutcome {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if *left { SendOutcome::Closed } else { self.recipient.send(frame) }
    }

    /// Sends frames that must not be lost, waiting while the socket is full, unless it has ended.
    pub async fn send_all(&self, frames: &[Frame]) {
        for frame in frames {
            while self.send(frame) == SendOutcome::Full {
                self.recipient.drained().await;
            }
        }
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("mode", &self.mode).finish_non_exhaustive()
    }
}
