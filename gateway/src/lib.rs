//! The gateway: terminates sockets, speaks the dialects, fans publications out.
//!
//! Floors, from the top; each looks only down: [`start`] composes everything; [`api`] serves HTTP and
//! turns upgrade requests into sessions; [`dialect`] holds the wire protocols; [`node`] carries what the
//! broker brings; [`session`] is what one client does; [`cluster`] is what the nodes know of each other;
//! [`channel`] holds positions, tails and listeners; [`protocol`] is the vocabulary between these and the
//! dialects. At the bottom the WebSocket transport, [`http`], [`ingest`], [`metrics`] and [`console`].
//!
//! An event comes by [`node::fanout`] → [`channel::hub`] → [`protocol::outgoing`] → [`batch`] →
//! [`connection`].

pub mod api;
pub mod channel;
pub mod cluster;
pub mod console;
pub mod dialect;
pub mod http;
pub mod ingest;
pub mod metrics;
pub mod node;
pub mod protocol;
pub mod session;
pub mod start;

// The names that the WebSocket transport had before it became the crate `websocket`.
/// Many frames, one write for each connection.
pub mod batch {
    pub use websocket::WriteBatch as Batch;
}
/// One open socket and who handles its messages.
pub mod connection {
    pub use websocket::{
        Connection, ConnectionLimits as Limits, Handler, Message, SendOutcome as Sent, close,
    };
    /// What a client may send.
    pub mod codec {
        pub use websocket::{Decoder, MessageLimits, Received as Event, Violation};
    }
}
/// All sockets of a node.
pub mod connections {
    pub use websocket::Connections;
}
/// Encoded frames.
pub mod frame {
    pub use websocket::Frame;
}
/// From an HTTP request to a socket.
pub mod handshake {
    pub use websocket::handshake::{check, offered_protocols};
    pub use websocket::{
        Handshake as Accepted, HandshakeError as Refusal, UpgradedSocket as Socket,
    };
}
/// Pings and timeouts.
pub mod heartbeat {
    pub use websocket::{
        AliveWhen as Life, Heartbeat, OnTimeout as Death, Ping, PingSchedule as Rhythm,
    };
}
