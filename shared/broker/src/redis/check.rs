//! Who answers, and how it is set up.

use domain::{position::Epoch, source::Source};
use redis::{Pipeline, Value};

use super::{
    keys::Keys,
    link::{Link, RequestLost, field, refusal},
};
use crate::{BrokerError, PublishedUpTo, ServerIdentity};

/// The replication id and the marks of a source, read in one step on one connection: two servers
/// must not answer. What is no mark of ours counts as none, and is overwritten by the next one.
pub(super) async fn identity(
    link: &Link,
    keys: &Keys,
    source: Source,
) -> Result<ServerIdentity, BrokerError> {
    let mut pipeline = Pipeline::new();
    pipeline.ignore_errors();
    pipeline.cmd("INFO").arg("replication");
    pipeline.cmd("MGET").arg(keys.mark(source)).arg(keys.published(source));
    let answers = link.run(&pipeline).await.map_err(RequestLost::read)?;
    let mut answers = answers.into_iter().map(|a| a.map_err(|error| refusal(&error)));
    let mut next = || answers.next().unwrap_or(Ok(Value::Nil));
    let parse = |error: redis::ParsingError| BrokerError::Refused(error.to_string());
    let info: String = redis::from_redis_value(next()?).map_err(parse)?;
    let marks: [Option<String>; 2] = redis::from_redis_value(next()?).map_err(parse)?;
    let [generation, published] = marks;
    let generation = generation.and_then(|generation| generation.parse().ok());
    let published = published.and_then(|published| {
        let (epoch, seq) = published.split_once(':')?;
        Some(PublishedUpTo { epoch: Epoch(epoch.parse().ok()?), seq: seq.parse().ok()? })
    });
    let replid = match field(&info, "master_replid") {
        Some(replid) => replid.to_owned(),
        // Some managed servers do not tell it; then the address has to do.
        None => link.primary().await?.address().to_string(),
    };
    Ok(ServerIdentity { replid, generation, published })
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
