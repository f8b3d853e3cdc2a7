//! Where a session's frames go: a WebSocket, or a stream of server-sent events.
//!
//! Everything above, from the hub to the catch-up, knows only this: a frame is taken, or the peer
//! is slow and will be told when there is room again.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::event_stream::EventStream;
use websocket::{Connection, Frame, Heartbeat, SendOutcome, WriteBatch, close};

/// The way to one client, and what went along it.
pub struct Transport {
    way: Way,
    /// The client's address, where it is known.
    pub address: Option<IpAddr>,
    frames: AtomicU32,
    gaps: AtomicU32,
}

enum Way {
    /// A WebSocket.
    Socket(Arc<Connection>),
    /// The body of an HTTP answer.
    Stream(Arc<EventStream>),
}

impl Transport {
    /// Returns the way over a socket.
    pub fn socket(connection: Arc<Connection>, address: Option<IpAddr>) -> Self {
        Self::new(Way::Socket(connection), address)
    }

    /// Returns the way over a stream of events.
    pub fn stream(stream: Arc<EventStream>, address: Option<IpAddr>) -> Self {
        Self::new(Way::Stream(stream), address)
    }

    fn new(way: Way, address: Option<IpAddr>) -> Self {
        Self { way, address, frames: AtomicU32::new(0), gaps: AtomicU32::new(0) }
    }

    /// Returns how many frames were handed over.
    pub fn frames(&self) -> u32 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Returns how many gaps the client was told of.
    pub fn gaps(&self) -> u32 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// Counts a gap that the client is told of.
    pub fn count_gap(&self) {
        self.gaps.fetch_add(1, Ordering::Relaxed);
    }

    fn counted(&self, outcome: SendOutcome) -> SendOutcome {
        if outcome.is_taken() {
            self.frames.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }

    /// Sends a frame after everything that was sent before. Never blocks.
    pub fn send(&self, frame: &Frame) -> SendOutcome {
        self.counted(match &self.way {
            Way::Socket(connection) => connection.send(frame),
            Way::Stream(stream) => stream.send(frame),
        })
    }

    /// Sends what may be left out when the peer is slow. Nothing is called back.
    pub(crate) fn send_if_room(&self, frame: &Frame) {
        match &self.way {
            Way::Socket(connection) => connection.send_if_room(frame),
            Way::Stream(stream) => stream.send_if_room(frame),
        }
    }

    /// Sends a frame together with the others of a batch. Answers as [`Transport::send`] does.
    pub fn stage(&self, frame: &Frame, batch: &mut WriteBatch) -> SendOutcome {
        self.counted(match &self.way {
            Way::Socket(connection) => batch.send(connection, frame),
            Way::Stream(stream) => stream.send(frame),
        })
    }

    /// Closes after what is queued. An event stream has no close codes: it ends.
    pub fn close(&self, code: u16, reason: &str) {
        match &self.way {
            Way::Socket(connection) => connection.close(code, reason),
            Way::Stream(stream) => stream.close(code),
        }
    }

    /// Ends at once, without a word.
    pub fn cut(&self) {
        match &self.way {
            Way::Socket(connection) => connection.abort(),
            Way::Stream(stream) => stream.close(close::GOING_AWAY),
        }
    }

    /// Whether a close has begun, or the client is gone.
    pub fn is_closed(&self) -> bool {
        match &self.way {
            Way::Socket(connection) => connection.is_closed(),
            Way::Stream(stream) => stream.is_closed(),
        }
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        match &self.way {
            Way::Socket(connection) => connection.queued_bytes(),
            Way::Stream(stream) => stream.queued_bytes(),
        }
    }

    /// A sign of life that only the session can see.
    pub fn alive(&self) {
        if let Way::Socket(connection) = &self.way {
            connection.alive();
        }
    }

    /// Changes how life is watched over. An event stream is not watched.
    pub fn set_heartbeat(&self, heartbeat: Arc<Heartbeat>) {
        if let Way::Socket(connection) = &self.way {
            connection.set_heartbeat(heartbeat);
        }
    }

    /// Bounds each message of the client from now on, in bytes.
    pub fn set_message_bytes_max(&self, bytes_max: usize) {
        if let Way::Socket(connection) = &self.way {
            connection.set_message_bytes_max(u32::try_from(bytes_max).unwrap_or(u32::MAX));
        }
    }

    /// Reads nothing for a while. Nothing is read from an event stream.
    pub fn pause_for(&self, pause: Duration) {
        if let Way::Socket(connection) = &self.way {
            connection.pause_for(pause);
        }
    }
}
