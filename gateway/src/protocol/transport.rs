//! Where a session's frames go: a WebSocket, or a stream of server-sent events.
//!
//! Everything above, from the hub to the catch-up, knows only this: a frame is taken, or the peer
//! is slow and will be told when there is room again.

use std::{sync::Arc, time::Duration};

use super::event_stream::EventStream;
use websocket::{Connection, Frame, Heartbeat, SendOutcome, WriteBatch, close};

/// The way to one client.
pub enum Transport {
    /// A WebSocket.
    Socket(Arc<Connection>),
    /// The body of an HTTP answer.
    Stream(Arc<EventStream>),
}

impl Transport {
    /// Sends a frame after everything that was sent before. Never blocks.
    pub fn send(&self, frame: &Frame) -> SendOutcome {
        match self {
            Self::Socket(connection) => connection.send(frame),
            Self::Stream(stream) => stream.send(frame),
        }
    }

    /// Sends what may be left out when the peer is slow. Nothing is called back.
    pub(crate) fn send_if_room(&self, frame: &Frame) {
        match self {
            Self::Socket(connection) => connection.send_if_room(frame),
            Self::Stream(stream) => stream.send_if_room(frame),
        }
    }

    /// Sends a frame together with the others of a batch. Answers as [`Transport::send`] does.
    pub fn stage(&self, frame: &Frame, batch: &mut WriteBatch) -> SendOutcome {
        match self {
            Self::Socket(connection) => batch.send(connection, frame),
            Self::Stream(stream) => stream.send(frame),
        }
    }

    /// Closes after what is queued. An event stream has no close codes: it ends.
    pub fn close(&self, code: u16, reason: &str) {
        match self {
            Self::Socket(connection) => connection.close(code, reason),
            Self::Stream(stream) => stream.close(code),
        }
    }

    /// Ends at once, without a word.
    pub fn cut(&self) {
        match self {
            Self::Socket(connection) => connection.abort(),
            Self::Stream(stream) => stream.close(close::GOING_AWAY),
        }
    }

    /// Whether a close has begun, or the client is gone.
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Socket(connection) => connection.is_closed(),
            Self::Stream(stream) => stream.is_closed(),
        }
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        match self {
            Self::Socket(connection) => connection.queued_bytes(),
            Self::Stream(stream) => stream.queued_bytes(),
        }
    }

    /// A sign of life that only the session can see.
    pub fn alive(&self) {
        if let Self::Socket(connection) = self {
            connection.alive();
        }
    }

    /// Changes how life is watched over. An event stream is not watched.
    pub fn set_heartbeat(&self, heartbeat: Arc<Heartbeat>) {
        if let Self::Socket(connection) = self {
            connection.set_heartbeat(heartbeat);
        }
    }

    /// Bounds each message of the client from now on, in bytes.
    pub fn set_message_bytes_max(&self, bytes_max: usize) {
        if let Self::Socket(connection) = self {
            connection.set_message_bytes_max(u32::try_from(bytes_max).unwrap_or(u32::MAX));
        }
    }

    /// Reads nothing for a while. Nothing is read from an event stream.
    pub fn pause_for(&self, pause: Duration) {
        if let Self::Socket(connection) = self {
            connection.pause_for(pause);
        }
    }
}
