//! Who answers, and how it is set up.

use redis::{Pipeline, Value};

use super::link::{Link, RequestLost, field, refusal};
use crate::{BrokerError, ServerIdentity};

/// The replication id and a mark, read in one step on one connection: two servers must not answer.
pub(super) async fn identity(link: &Link, mark_key: &str) -> Result<ServerIdentity, BrokerError> {
    let mut pipeline = Pipeline::new();
    pipeline.ignore_errors();
    pipeline.cmd("INFO").arg("replication").cmd("GET").arg(mark_key);
    let answers = link.run(&pipeline).await.map_err(RequestLost::read)?;
    let mut answers = answers.into_iter().map(|a| a.map_err(|error| refusal(&error)));
    let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
    let parse = |error: redis::ParsingError| BrokerError::Refused(error.to_string());
    let info: String = redis::from_redis_value(next()?).map_err(parse)?;
    let generation: Option<u64> = redis::from_redis_value(next()?).map_err(parse)?;
    let replid = match field(&info, "master_replid") {
        Some(replid) => replid.to_owned(),
        // Some managed servers do not tell it; then the address has to do.
        None => link.primary().await?.address().to_string(),
    };
    Ok(ServerIdentity { replid, generation })
}

/// What an operator should know of the server's settings, in sentences.
pub(super) async fn warnings(link: &Link) -> Result<Vec<String>, BrokerError> {
    let _pong: String = link.query(redis::cmd("PING")).await?;
    let info: String = link.query(redis::cmd("INFO")).await?;
    let mut warnings = Vec::new();
    if let Some(policy) = field(&info, "maxmemory_policy").filter(|p| p.starts_with("allkeys")) {
        warnings.push(format!(
            "Redis may evict any key when its memory is full (maxmemory-policy {policy}), entries \
             that wait included; noeviction or a volatile policy makes it refuse instead"
        ));
    }
    if field(&info, "aof_enabled") == Some("0") {
        warnings.push(
            "Redis keeps no append-only file (appendonly no): entries that it acknowledged and no \
             worker has recorded yet are lost when it restarts"
                .to_owned(),
        );
    }
    if let Some(version) = field(&info, "redis_version").filter(|v| too_old(v)) {
        warnings.push(format!("Redis {version} is older than 6.2, the oldest that is supported"));
    }
    Ok(warnings)
}

fn too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0)) < (6, 2)
}
