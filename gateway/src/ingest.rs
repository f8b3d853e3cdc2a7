//! Events on their way into the record: published through the broker, within limits.

mod publish_trace;

pub mod publish_limits;
pub mod publisher;
