//! What a connection is for, and how it is told what is wanted.

use std::{fmt, ops::ControlFlow};

use serde_json::Value;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::{
    error::Error,
    frame::Frame,
    session::{Session, Sessions},
    wire::Id,
};

/// What one program may want at once.
const COMMANDS_MAX: usize = 10_000;

/// What a handler cannot mend on the connection that it has.
pub(crate) enum Need {
    AnotherConnection,
}

/// What a connection is for.
pub(crate) trait Handler: Send + 'static {
    type Command: Send;

    /// Asks as an event stream does, in its address; empty where there is nothing to ask.
    fn query(&mut self, session: &mut Session) -> Vec<(String, String)>;
    /// A connection was welcomed, and is the one to use.
    fn ready(&mut self, session: &mut Session);
    /// Does what is wanted; breaks where that is the end.
    fn command(&mut self, sessions: &mut Sessions, command: Self::Command) -> ControlFlow<()>;
    /// Makes a question at the moment of writing.
    fn question(&mut self, session: &mut Session, channel: &str) -> Option<Value>;
    fn hear(&mut self, sessions: &mut Sessions, id: Id, frame: Frame);
    /// A connection has ended; it is none of the sessions any more.
    fn lost(&mut self, sessions: &mut Sessions, id: Id);
    /// Whether the connections before this one are not needed any more.
    fn settled(&self, id: Id) -> bool;
    /// A moment has passed.
    fn tick(&mut self, session: Option<&mut Session>) -> Option<Need>;
    /// There will be no connection any more.
    fn end(&mut self, error: &Error);
}

/// Tells a link what is wanted; it ends when the last of these is dropped.
pub(crate) struct Commands<C>(Sender<C>);

impl<C> fmt::Debug for Commands<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commands")
    }
}

impl<C> Clone for Commands<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C> Commands<C> {
    pub(crate) fn channel() -> (Self, Receiver<C>) {
        let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
        (Self(sender), receiver)
    }

    /// Hands a command over; false where the link has ended, or too much waits.
    pub(crate) fn send(&self, command: C) -> bool {
        self.0.try_send(command).is_ok()
    }

    /// Hands a command over, waiting for room.
    pub(crate) async fn deliver(&self, command: C) {
        let _ended = self.0.send(command).await;
    }
}
