//! One channel on the wire: which connection it is heard on, and how far it was heard.
//!
//! No position is compared with another but for equality: a channel has one home, the connection
//! whose server confirmed it last, and only what comes from there counts. While another connection
//! is asked, what the old home says is held back; at the new one's `subscribed` it is discarded,
//! because the server sends it again, and it counts after all where the new connection fails.

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::{Sender, error::TrySendError};

use crate::{
    error::Error,
    frame::Frame,
    item::{Interrupted, Item, Position, Subscribed},
    reader::{Shared, SubscribeOptions},
    wire::Id,
};

/// The channels that have a state.
const ENTITIES: [&str; 4] = ["deployment:", "task:", "agent:", "container:"];

/// Takes the frames of one channel and hands the reader what counts.
pub(crate) struct Feed {
    pub channel: String,
    pub wish: SubscribeOptions,
    pub position: Option<Position>,
    pub home: Option<Id>,
    pub asked: Option<Id>,
    /// The reader is too slow: the channel waits for it.
    pub behind: bool,
    /// The reader knows that there is no place for the channel.
    pub told: bool,
    pub retry_at: Option<Instant>,
    pub failures: u32,
    since: Option<Position>,
    held: Vec<Frame>,
    reader: Sender<Item>,
    shared: Arc<Shared>,
}

impl Feed {
    pub(crate) fn new(
        channel: String,
        wish: SubscribeOptions,
        reader: Sender<Item>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            channel,
            position: wish.since.clone(),
            wish,
            home: None,
            asked: None,
            behind: false,
            told: false,
            retry_at: None,
            failures: 0,
            since: None,
            held: Vec::new(),
            reader,
            shared,
        }
    }

    pub(crate) fn is_read_by(&self, reader: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, reader)
    }

    /// Whether the reader is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.reader.is_closed()
    }

    /// Returns the frame that starts or resumes the channel; from here on this connection counts.
    pub(crate) fn ask(&mut self, session: Id) -> Value {
        self.asked = Some(session);
        self.since.clone_from(&self.position);
        let mut frame = json!({ "type": "subscribe", "channel": self.channel });
        if let Some(position) = &self.position {
            frame["since"] = position.as_str().into();
        } else if self.wish.tail > 0 {
            frame["tail"] = self.wish.tail.into();
        }
        if self.wish.latest {
            frame["mode"] = "latest".into();
        }
        frame
    }

    /// Takes a frame of the channel that came by a connection.
    pub(crate) fn take(&mut self, session: Id, frame: Frame) {
        if self.asked == Some(session) && frame.kind() == "subscribed" {
            self.confirmed(session, &frame);
        } else if self.home != Some(session) {
            // Of an earlier home, or before the answer.
        } else if self.asked.is_none() {
            self.deliver(&frame);
        } else if self.held.len() < self.wish.buffer {
            self.held.push(frame);
        } else {
            self.home = None; // The rest comes again, whoever answers next.
        }
    }

    /// A connection is gone, or refused the channel for now.
    pub(crate) fn lost(&mut self, session: Id) {
        if self.home == Some(session) {
            self.home = None;
        }
        if self.asked == Some(session) {
            self.asked = None;
            for frame in std::mem::take(&mut self.held) {
                if !self.behind {
                    self.deliver(&frame);
                }
            }
        }
    }

    /// Hears nothing any more until it is asked for again.
    pub(crate) fn leave(&mut self) {
        self.home = None;
        self.asked = None;
        self.held.clear();
    }

    /// Tells the reader that the channel waits, and why.
    pub(crate) fn fail(&mut self, code: &str, message: &str) {
        self.put(Item::Interrupted(Interrupted {
            channel: self.channel.clone(),
            code: code.to_owned(),
            message: message.to_owned(),
        }));
    }

    /// Tells the reader that the channel is over, as soon as it has read what waits.
    pub(crate) fn end(&mut self, error: Error) {
        self.leave();
        self.shared.end(error);
    }

    fn confirmed(&mut self, session: Id, frame: &Frame) {
        let Some(mut subscribed) = frame.read::<Subscribed>() else { return };
        self.home = Some(session);
        self.asked = None;
        self.held.clear();
        self.failures = 0;
        subscribed.anew = self.since.is_none();
        subscribed.resumed = !subscribed.anew && subscribed.position == self.since;
        if subscribed.anew {
            self.position.clone_from(&subscribed.position);
        } else {
            subscribed.state = None;
        } // Where it was not resumed: a gap follows, which moves the position.
        self.put(Item::Subscribed(subscribed));
    }

    fn deliver(&mut self, frame: &Frame) {
        let Some(item) = Item::read(frame) else { return };
        let has_state = ENTITIES.iter().any(|kind| self.channel.starts_with(kind));
        let moved = match &item {
            Item::Event(event) if !event.tail => Some(event.position.clone()),
            Item::State(state) => state.position.clone(),
            // Else the state that follows moves it, so that a cut between the two loses neither.
            Item::Gap(gap) if !has_state => Some(gap.to.clone()),
            _ => None,
        };
        if self.put(item) && moved.is_some() {
            self.position = moved;
        }
    }

    /// Hands an item to the reader; where it has no room the channel is left, and waits for it.
    fn put(&mut self, item: Item) -> bool {
        match self.reader.try_send(item) {
            Ok(()) => return true,
            Err(TrySendError::Full(_)) => {
                self.behind = true;
                self.shared.set_behind(true);
            }
            Err(TrySendError::Closed(_)) => {}
        }
        self.leave();
        false
    }
}
