//! The reader of one channel: its items, the position and the folded state.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::mpsc::Receiver;

use crate::{
    Json,
    channels::Command,
    error::Error,
    fold::fold,
    item::{Item, Position},
    link::Commands,
};

/// What a subscription asks for.
#[derive(Clone, Debug)]
pub struct Wish {
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

impl Default for Wish {
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

    pub(crate) fn end(&self, error: Error) {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn error(&self) -> Option<Error> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads what happens on a channel; made by `Client::subscribe`. Dropped, it leaves the channel.
///
/// Position and state belong to the item that was read last: keep the position, give it back as
/// `since`, and nothing is lost or repeated.
pub struct Subscription {
    channel: String,
    position: Option<Position>,
    state: Option<Json>,
    is_known: bool,
    items: Receiver<Item>,
    shared: Arc<Shared>,
    commands: Commands<Command>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Subscription {
    pub(crate) fn new(
        channel: String,
        wish: &Wish,
        items: Receiver<Item>,
        shared: Arc<Shared>,
        commands: Commands<Command>,
    ) -> Self {
        let position = wish.since.clone();
        Self { channel, position, state: None, is_known: false, items, shared, commands }
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Where to go on later.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// The folded state; none while it is unknown, and on channels that have none.
    #[must_use]
    pub fn state(&self) -> Option<&Json> {
        self.state.as_ref()
    }

    /// Waits for the next item; none when the client was closed.
    ///
    /// # Errors
    /// The channel was refused for good, or the connection may not come back.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        if self.items.is_empty() && self.shared.behind.swap(false, Ordering::AcqRel) {
            self.commands.deliver(Command::CaughtUp(Arc::clone(&self.shared))).await;
        }
        match (self.items.recv().await, self.shared.error()) {
            (Some(item), _) => {
                self.follow(&item);
                Ok(Some(item))
            }
            (None, None | Some(Error::Gone)) => Ok(None),
            (None, Some(error)) => Err(error),
        }
    }

    /// Moves position and state along with what the reader sees.
    fn follow(&mut self, item: &Item) {
        match item {
            Item::Event(event) if !event.tail => {
                self.position = Some(event.position.clone());
                if self.is_known {
                    self.state = fold(&self.channel, self.state.take(), event);
                }
            }
            Item::Gap(gap) => self.position = Some(gap.to.clone()),
            Item::State(whole) => self.begin(whole.position.as_ref(), whole.state.as_ref()),
            Item::Subscribed(said) if said.anew => {
                self.begin(said.position.as_ref(), said.state.as_ref());
            }
            _ => {}
        }
    }

    fn begin(&mut self, position: Option<&Position>, state: Option<&Json>) {
        self.position = position.cloned();
        self.state = state.cloned();
        self.is_known = true;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.items.close();
        self.commands.send(Command::Sweep);
    }
}
