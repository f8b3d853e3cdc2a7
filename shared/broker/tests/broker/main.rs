//! The broker: what every implementation promises, and what Redis may do to ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alike;
mod bench;
mod cluster;
mod cost;
mod events;
mod failover;
mod memory;
mod network;
mod publishing;
mod recorder;
mod registry;
mod samples;
mod server;
mod streams;
mod tls;
mod topics;
