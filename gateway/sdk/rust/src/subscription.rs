//! The reader of one channel: its items, the position and the folded state.

use std::sync::Arc;

use tokio::sync::mpsc::Receiver;

use crate::{
    Json,
    channels::Command,
    error::Error,
    fold::fold,
    handler::Commands,
    item::{Item, Position},
    reader::{Shared, SubscribeOptions},
};

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
        wish: &SubscribeOptions,
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
        if self.items.is_empty() && self.shared.take_behind() {
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
