//! What the whole house speaks of: events and their states, channels, positions, publications.
//!
//! Pure: a function here knows its arguments and nothing else. Never in it: input or output, a clock,
//! a task, a setting, a word of SQL, Redis or HTTP, a client's protocol. Worker, gateway, commands
//! and tests depend on it, it depends on none of ours.

pub mod activity;
pub mod channel;
pub mod control;
pub mod entry;
pub mod event;
pub mod excerpt;
pub mod health;
pub mod id;
pub mod json;
pub mod node;
pub mod node_report;
pub mod position;
pub mod publication;
pub mod source;
pub mod time;
pub mod trace_context;
pub mod work;
