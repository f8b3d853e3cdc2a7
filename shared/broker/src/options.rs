//! How a broker is set up: settings and bounds.

use std::time::Duration;

/// How a broker is set up; the settings of contract §2, and limits that only tests change.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// `KEY_PREFIX`: the first part of every key and pub/sub name.
    pub key_prefix: String,
    /// `HISTORY_LENGTH`: publications per channel and source that are kept for reading again.
    pub history_length: usize,
    /// `HISTORY_TTL_MS`: how long they are kept after the last one.
    pub history_ttl: Duration,
    /// `HISTORY_BYTES`: the memory that they may take.
    pub history_bytes: usize,
    /// How long a node counts as alive after it renewed its lease in the registry.
    pub node_lease: Duration,
    /// `HEALTH_SAMPLES`: samples of an agent's health that are kept at most.
    pub health_samples_max: usize,
    /// How long a sample is kept.
    pub health_sample_life: Duration,
    /// How long a command may take.
    pub command_timeout: Duration,
    /// In memory: the bytes of entries that one stream holds; a full one refuses.
    pub memory_stream_bytes: usize,
    /// In memory: the bytes of the histories of all channels together.
    pub memory_history_bytes: usize,
    /// In memory: the bytes of messages that may wait for a subscriber.
    pub memory_queue_bytes: usize,
    /// `HEALTH_AGENTS`: in memory, the agents whose samples are kept.
    pub memory_health_agents: usize,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            key_prefix: "fanfare".to_owned(),
            history_length: 1000,
            history_ttl: Duration::from_hours(1),
            history_bytes: 1 << 20,
            node_lease: Duration::from_secs(10),
            health_samples_max: 3600,
            health_sample_life: Duration::from_hours(1),
            command_timeout: Duration::from_secs(2),
            memory_stream_bytes: 128 << 20,
            memory_history_bytes: 128 << 20,
            memory_queue_bytes: 64 << 20,
            memory_health_agents: 10_000,
        }
    }
}
