//! What the hub's account knows of one channel; kept with it, under its lock.

/// What is counted of a channel.
#[derive(Debug, Default)]
pub(super) struct CountedChannel {
    /// What it held when it was last used, in bytes.
    pub(super) bytes: usize,
    /// The number of its last use.
    pub(super) used: u64,
    /// Whether it stands in the account's order.
    pub(super) is_listed: bool,
}
