//! The listener for Redis clients: takes `XADD` into the broker in memory, so that a producer is
//! written once and runs alike against a laptop and against Redis.
//!
//! Bytes become requests in `request` (by a RESP library, within bounds), requests become commands in
//! `command` (pure), commands are carried out by `execute` for one client, on `streams`, and answered by `reply`.

mod command;
mod connection;
mod describe;
mod execute;
mod inline;
mod reply;
mod request;
mod server;
mod streams;

use std::sync::Arc;

pub use self::server::serve;

use auth::Authenticator;
use broker::Broker;
use runtime::config::EmbeddedRedis;

use super::partitions::PartitionCount;
use crate::http::address_limits::AddressLimits;

/// What Redis clients are served from.
pub struct RedisListener {
    /// Takes the entries; one in memory.
    pub broker: Arc<dyn Broker>,
    /// Checks what AUTH shows.
    pub auth: Arc<Authenticator>,
    /// How often an address may show a wrong credential.
    pub address_limits: Arc<AddressLimits>,
    /// `KEY_PREFIX`
    pub key_prefix: String,
    /// How many partitions each stream has.
    pub partitions: Arc<PartitionCount>,
    /// Whether a client that shows nothing may do everything, as in development.
    pub open: bool,
    /// `EMBEDDED_REDIS_…`: bounds of clients.
    pub limits: EmbeddedRedis,
}
