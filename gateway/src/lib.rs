//! gateway

pub mod accept;
pub mod batch;
pub mod connection;
pub mod connections;
pub mod frame;
pub mod handshake;
pub mod heartbeat;
