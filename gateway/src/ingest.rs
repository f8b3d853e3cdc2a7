//! Events on their way into the record: published through the broker, within limits; or appended by
//! Redis clients.

mod publish_trace;

pub mod partitions;
pub mod publish_limits;
pub mod publisher;
pub mod redis_listener;
