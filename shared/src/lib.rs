//! The contract between gateway and worker: events, channels, positions, the two ports and the
//! process kit.

pub mod channel;
pub mod id;
pub mod position;
pub mod source;
