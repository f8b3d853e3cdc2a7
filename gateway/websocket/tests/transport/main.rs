//! The socket transport against independent clients, on real sockets.

#![expect(clippy::disallowed_methods, reason = "a test awaits the clients that it spawns")]

#[path = "../../examples/support/accept.rs"]
mod accept;
mod closing;
mod differential;
mod fuzz;
mod handshakes;
mod heartbeats;
mod messages;
mod node;
mod slow_clients;
mod wire;
