//! What every process has: settings, a lifecycle, logs, metrics, traces.
//!
//! The only crate that reads the environment ([`config`]) and the only one that spawns
//! ([`lifecycle`]). Never in it: a connection to a broker, a database or a client, or what an event
//! means.

pub mod config;
pub mod error_gate;
pub mod failpoint;
pub mod health;
pub mod lifecycle;
pub mod lock;
pub mod telemetry;
pub mod trace;
