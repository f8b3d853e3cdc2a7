//! Names that the sockets of a dialect attend: who has to do with which, and how long it lasts.

use std::sync::Weak;

use domain::{channel::Channel, publication::Publication};
use websocket::Frame;

use super::{encoder::Encoding, recipient::Recipient};

/// Keeps the names of one topic of the registry that this node's sockets attend.
pub trait Attendance: Send + Sync {
    /// Returns the topic of the registry; the value of an entry begins with when the name was last
    /// active, ms since 1970.
    fn topic(&self) -> &'static str;

    /// Returns how many names there may be, over all nodes.
    fn names_max(&self) -> usize;

    /// Returns the frame for a socket whose name finds no room, and the reason of its close.
    fn no_room(&self, encoding: Encoding, name: &str) -> (Frame, &'static str);

    /// Whether a name with an entry of this value counts among those that there may be.
    fn counts(&self, value: &str) -> bool;

    /// Notes publications of a channel that are about to be delivered.
    fn note_publications(&self, channel: &Channel, publications: &[Publication]);

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

    /// Writes in the registry how a name is: when it was last active, ms since 1970, and what its
    /// dialect adds.
    fn keep_active(&self, topic: &'static str, name: &str, value: String);

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
