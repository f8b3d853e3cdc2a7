//! What a channel knows of its reader: what it asked for, and how it keeps up.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::{error::Error, item::Position};

/// What a subscription asks for.
#[derive(Clone, Debug)]
pub struct SubscribeOptions {
    /// Everything after this position, as far as the archive reaches back.
    pub since: Option<Position>,
    /// The last so many events first, marked `tail`; without effect beside `since`.
    pub tail: u32,
    /// A slow reader is skipped to the newest state.
    pub latest: bool,
    /// Items that wait for a slow reader. One that falls behind loses nothing: the channel is left,
    /// and asked for again from there when the reader has caught up.
    pub buffer: usize,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self { since: None, tail: 0, latest: false, buffer: 1000 }
    }
}

/// What a feed and its reader know of each other, beside the items.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The reader is too slow: the channel was left, and waits for it.
    behind: AtomicBool,
    /// Why no items follow.
    over: Mutex<Option<Error>>,
}

impl Shared {
    pub(crate) fn set_behind(&self, is_behind: bool) {
        self.behind.store(is_behind, Ordering::Release);
    }

    /// Whether the reader was too slow; asked once.
    pub(crate) fn take_behind(&self) -> bool {
        self.behind.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn end(&self, error: Error) {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(crate) fn error(&self) -> Option<Error> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
