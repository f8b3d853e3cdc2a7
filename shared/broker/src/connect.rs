//! From a URL to a broker: Redis, or memory without one.

use std::sync::Arc;

use runtime::lifecycle::Lifecycle;

use crate::{error::BrokerError, memory, options::BrokerOptions, port::Broker, redis};

/// Connects to the broker behind `url`; without one it is in memory.
///
/// `redis://`, `rediss://`, `valkey://` and `valkeys://` `[user[:password]@]host[:port][/db]` lead to
/// one server; `redis+sentinel://[user[:password]@]host:port,host:port/[db]?master=NAME` (or
/// `rediss+sentinel://`) leads to the primary that the Sentinels name, asked anew on every connect;
/// `redis+cluster://[user[:password]@]host:port,host:port` (or `rediss+cluster://`) to a cluster.
///
/// # Errors
/// [`BrokerError::Address`] when the URL is wrong; [`BrokerError::Unavailable`] when nobody answers
/// there yet, or none but a replica: call again.
pub async fn connect(
    url: Option<&str>,
    options: BrokerOptions,
    lifecycle: &Lifecycle,
) -> Result<Arc<dyn Broker>, BrokerError> {
    Ok(match url {
        Some(url) => Arc::new(redis::RedisBroker::connect(url, options, lifecycle).await?),
        None => Arc::new(memory::MemoryBroker::new(options, lifecycle)),
    })
}
