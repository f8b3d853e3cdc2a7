//! One session's interest in one channel.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::session::Session;

/// What a listener wants when it cannot keep up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Every publication.
    #[default]
    All,
    /// The newest state; what lies between is left out.
    Latest,
}

/// A listener: *live* while it stands in its channel's list, *behind* while a catch-up has it.
#[derive(Debug)]
pub struct Listener {
    /// Who listens.
    pub session: Arc<Session>,
    /// What it wants when it cannot keep up.
    pub mode: Mode,
    left: AtomicBool,
}

impl Listener {
    /// A listener that is neither live nor behind yet.
    pub fn new(session: Arc<Session>, mode: Mode) -> Arc<Self> {
        Arc::new(Self { session, mode, left: AtomicBool::new(false) })
    }

    /// Ends it: a catch-up stops at the next frame.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }

    /// Whether it ended, or its connection did.
    pub fn is_gone(&self) -> bool {
        self.left.load(Ordering::Relaxed) || self.session.connection.is_closed()
    }
}
