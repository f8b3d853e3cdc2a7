//! One session's interest in one channel.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::protocol::{Mode, Recipient};

/// A listener: *live* while it stands in its channel's list, *behind* while a catch-up has it.
pub struct Listener {
    /// The client that listens.
    pub recipient: Arc<dyn Recipient>,
    /// What it wants when it cannot keep up.
    pub mode: Mode,
    left: AtomicBool,
}

impl Listener {
    /// Returns a listener that is neither live nor behind yet.
    pub fn new(recipient: Arc<dyn Recipient>, mode: Mode) -> Arc<Self> {
        Arc::new(Self { recipient, mode, left: AtomicBool::new(false) })
    }

    /// Ends it: a catch-up stops at the next frame.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether it ended, or its connection did.
    pub fn is_gone(&self) -> bool {
        self.left.load(Ordering::Relaxed) || self.recipient.transport().is_closed()
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("mode", &self.mode).finish_non_exhaustive()
    }
}
