//! What a part of the broker did not take yet.

use broker::Lagging;
use tokio::time::{Duration, Instant};

/// How often a part of the broker that does not take publications is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(500);

/// Channels that lag behind the record, and how far all others are.
#[derive(Debug)]
pub(super) struct PublishBacklog {
    /// The channels.
    pub(super) lagging: Lagging,
    /// Up to here all others were published.
    pub(super) reached: u64,
    /// When it is tried again.
    pub(super) next_try: Instant,
}
