//! Names that the sockets of a dialect attend: who has to do with which, and how long it lasts.

use std::sync::Weak;

use domain::channel::Channel;
use websocket::Frame;

use super::{encoder::Encoding, recipient::Recipient};

/// Keeps the names of one topic of the registry that this node's sockets attend.
pub trait Attendance: Send + Sync {
    /// Returns the topic of the registry; the value of an entry is when the name was last active, ms
    /// since 1970.
    fn topic(&self) -> &'static str;

    /// Returns how many names there may be, over all nodes.
    fn names_max(&self) -> usize;

    /// Returns the frame for a socket whose name finds no room, and the reason of its close.
    fn no_room(&self, encoding: Encoding, name: &str) -> (Frame, &'static str);

    /// Notes that publications of a channel are about to be delivered.
    fn note_publications(&self, channel: &Channel);

    /// Notes that a name is active. One that no socket attends here is none of this node's.
    fn touch(&self, name: &str);

    /// The socket of this number attends a name from now on.
    fn join(&self, name: &str, number: u64, socket: Weak<dyn Attendee>);

    /// The socket of this number has left a name.
    fn leave(&self, name: &str, number: u64);
}

/// A socket that attends names.
pub trait Attendee: Recipient {
    /// Whether it listens to a channel.
    fn listens(&self, channel: &Channel) -> bool;

    /// Writes in the registry when a name was last active, ms since 1970.
    fn keep_active(&self, topic: &'static str, name: &str, at: i64);

    /// Ends its attendance of a name and its subscription to the name's channel; with the last one
    /// the socket is closed with 1000 and this reason.
    fn end_attendance(
        &self,
        topic: &'static str,
        name: &str,
        channel: &Channel,
        reason: &'static str,
    );
}
