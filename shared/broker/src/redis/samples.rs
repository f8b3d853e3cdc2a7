//! Samples of agents' health: a list for each agent that is gone with its last sample's hour.

use std::time::Duration;

use super::{keys::Keys, shards::RedisShards};
use crate::BrokerError;

/// The newest samples, oldest first.
pub(super) async fn newest(
    shards: &RedisShards,
    keys: &Keys,
    agent: &str,
    limit: usize,
) -> Result<Vec<String>, BrokerError> {
    let key = keys.samples(agent);
    let mut command = redis::cmd("LRANGE");
    command.arg(&key).arg(-i64::try_from(limit).unwrap_or(i64::MAX)).arg(-1);
    let answer = shards.page(&key, &command).await?;
    redis::from_redis_value(answer).map_err(|error| BrokerError::Refused(error.to_string()))
}

/// Adds a sample; whether the last one was still `last`.
pub(super) async fn add(
    shards: &RedisShards,
    keys: &Keys,
    agent: &str,
    last: Option<&str>,
    sample: &str,
    (samples_max, life): (usize, Duration),
) -> Result<bool, BrokerError> {
    let key = keys.samples(agent);
    let mut command = redis::cmd("EVAL");
    command.arg(include_str!("samples.lua")).arg(1).arg(&key);
    command.arg(last.unwrap_or_default()).arg(sample).arg(samples_max);
    command.arg(u64::try_from(life.as_millis()).unwrap_or(u64::MAX));
    shards.query(&key, command).await
}
