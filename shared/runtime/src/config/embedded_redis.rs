//! Where the process takes `XADD` itself, and the bounds of who connects there.

use std::time::Duration;

use super::layers::Layers;

/// The address when nothing is said, in development with the broker in memory.
const DEFAULT: &str = "127.0.0.1:6380";

/// What `EMBEDDED_REDIS_LISTEN` says when nobody is to listen.
const OFF: &str = "off";

/// The listener for Redis clients.
#[derive(Clone, Debug)]
pub struct EmbeddedRedis {
    /// `EMBEDDED_REDIS_LISTEN`; none: nowhere.
    pub listen: Option<String>,
    /// `EMBEDDED_REDIS_CONNECTIONS`: clients at the same time.
    pub connections: usize,
    /// `EMBEDDED_REDIS_REQUEST_BYTES`: one command with its arguments.
    pub request_bytes: usize,
    /// `EMBEDDED_REDIS_ARGUMENTS`: arguments of one command.
    pub arguments: usize,
    /// `EMBEDDED_REDIS_TRANSACTION_BYTES`: the commands between MULTI and EXEC.
    pub transaction_bytes: usize,
    /// `EMBEDDED_REDIS_REPLY_BYTES`: the answer to one command.
    pub reply_bytes: usize,
    /// `EMBEDDED_REDIS_IDLE_MS`: silence after which a client is let go.
    pub idle: Duration,
}

impl EmbeddedRedis {
    pub(super) fn build(layers: &mut Layers, production: bool) -> Self {
        let in_memory = layers.optional("redis_url").is_none();
        let default = || (in_memory && !production).then(|| DEFAULT.to_owned());
        let listen = layers.optional("embedded_redis_listen").or_else(default);
        Self {
            listen: listen.filter(|address| address != OFF),
            connections: layers.number("embedded_redis_connections", 1..=100_000),
            request_bytes: layers.number("embedded_redis_request_bytes", 1024..=1 << 30),
            arguments: layers.number("embedded_redis_arguments", 16..=1 << 20),
            transaction_bytes: layers.number("embedded_redis_transaction_bytes", 1024..=1 << 30),
            reply_bytes: layers.number("embedded_redis_reply_bytes", 1024..=1 << 30),
            idle: layers.duration("embedded_redis_idle_ms"),
        }
    }
}
