//! The gateway: terminates sockets, speaks the dialects, fans publications out.
//!
//! Floors, from the top; each looks only down: [`start`] composes everything; [`api`] serves HTTP and
//! turns upgrade requests into sessions; [`dialect`] holds the wire protocols; [`node`] carries what the
//! broker brings; [`session`] is what one client does; [`cluster`] is what the nodes know of each other;
//! [`channel`] holds positions, tails and listeners; [`protocol`] is the vocabulary between these and the
//! dialects. At the bottom the WebSocket transport, [`http`], [`ingest`], [`metrics`] and [`console`].
//!
//! An event comes by [`node::fanout`] → [`channel::hub`] → [`protocol::outgoing`] → [`websocket::WriteBatch`] →
//! [`websocket::Connection`].

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
