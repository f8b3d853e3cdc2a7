//! Ways in for events.

pub mod redis_listener;
