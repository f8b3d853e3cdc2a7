//! The contract between gateway and worker: events, channels, positions, the two ports and the
//! process kit.

pub mod auth;
pub mod broker;
pub mod channel;
pub mod config;
pub mod control;
pub mod entry;
pub mod event;
pub mod failpoint;
pub mod id;
pub mod lifecycle;
pub mod position;
pub mod publication;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod trace;
