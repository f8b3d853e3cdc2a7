//! The gateway: terminates sockets, speaks the dialects, fans publications out.
//!
//! Inward and outward: [`accept`] takes TCP connections → [`api`] serves HTTP and sends upgrades to
//! [`upgrade`] → a [`dialect`] recognizes and opens a [`session`] on a [`connection`]. An event comes
//! by [`fanout`] → [`hub`] → [`publication`] → [`batch`] → [`connection`].

pub mod accept;
pub mod address;
pub mod address_limits;
pub mod api;
pub mod appender;
pub mod console;
pub mod cut_off;
pub mod departures;
pub mod dialect;
pub mod enquiries;
pub mod event_stream;
pub mod expiries;
pub mod fanout;
pub mod gateway;
pub mod hub;
pub mod metrics;
pub mod outlet;
pub mod presence;
pub mod publication;
pub mod publish_limits;
pub mod registry;
pub mod session;
pub mod traces;
pub mod upgrade;

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
