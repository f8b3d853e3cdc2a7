//! One session's interest in one channel.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use websocket::{Frame, SendOutcome};

use crate::protocol::{Mode, Recipient};

/// Stands for a listener that is live.
const LIVE: u64 = u64::MAX;

/// A listener: *live* while it stands in its channel's list, *behind* while a catch-up has it.
pub struct Listener {
    /// The client that listens.
    pub recipient: Arc<dyn Recipient>,
    /// What it wants when it cannot keep up.
    pub mode: Mode,
    /// Held while a frame is sent: nothing is sent after the end.
    left: Mutex<bool>,
    /// How many events of its channel it has had, by its position; [`LIVE`] while it has all.
    reached: AtomicU64,
}

impl Listener {
    /// Returns a listener that is neither live nor behind yet.
    pub fn new(recipient: Arc<dyn Recipient>, mode: Mode) -> Arc<Self> {
        let reached = AtomicU64::new(LIVE);
        Arc::new(Self { recipient, mode, left: Mutex::new(false), reached })
    }

    /// Notes how far a catch-up has brought it; none: it is live.
    pub(super) fn note_reached(&self, total: Option<u64>) {
        self.reached.store(total.unwrap_or(LIVE), Ordering::Relaxed);
    }

    /// Returns how many events it still has to get of a channel that has had so many.
    pub fn behind(&self, total: u64) -> u64 {
        match self.reached.load(Ordering::Relaxed) {
            LIVE => 0,
            reached => total.saturating_sub(reached),
        }
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
