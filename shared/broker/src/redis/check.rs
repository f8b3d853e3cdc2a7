//! Who answers, and how it is set up.

use std::{collections::BTreeSet, sync::Arc};

use domain::{position::Epoch, source::Source};
use redis::{Cmd, Value};

use super::{
    keys::Keys,
    link::field,
    shards::{CommandFailure, KeyedCommand, RedisShards},
};
use crate::{BrokerError, BrokerMemory, PublishedUpTo, ServerIdentity};

/// The replication id and the marks of a source, read in one step on one connection: two servers
/// must not answer. What is no mark of ours counts as none, and is overwritten by the next one.
///
/// In a cluster the ids of the other servers, which hold heads of the source's channels, follow as
/// they were last told.
pub(super) async fn identity(
    shards: &RedisShards,
    keys: &Keys,
    source: Source,
) -> Result<ServerIdentity, BrokerError> {
    let mark = keys.mark(source);
    let own = shards.holder(&mark)?;
    let mut info = redis::cmd("INFO");
    info.arg("replication");
    let mut marks = redis::cmd("MGET");
    marks.arg(&mark).arg(keys.published(source));
    let requests = vec![KeyedCommand::new(&mark, info), KeyedCommand::new(&mark, marks)];
    let mut answers =
        shards.run(requests).await.into_iter().map(|a| a.map_err(CommandFailure::read));
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
    own.note_replid(&info);
    let map = shards.map();
    let others = map.shards().iter().filter(|shard| !Arc::ptr_eq(&shard.link, &own));
    let others = others.map(|shard| shard.link.replid().filter(|_| !shard.link.is_silent()));
    let others: Vec<Option<String>> = others.collect();
    Ok(ServerIdentity {
        replid: own.replid().unwrap_or_default(),
        is_whole: map.is_whole() && others.iter().all(Option::is_some),
        others: others.into_iter().flatten().collect(),
        generation,
        published,
    })
}

/// The most rounds of a search through all keys of a server: each is short, together they must end.
const SCAN_ROUNDS_MAX: usize = 1000;

/// The clock of a server, ms since 1970.
pub(super) async fn clock(shards: &RedisShards) -> Result<Option<i64>, BrokerError> {
    let map = shards.map();
    let Some(shard) = map.shards().first() else { return Ok(None) };
    let (seconds, micros): (i64, i64) = shard.link.query(redis::cmd("TIME")).await?;
    Ok(Some(seconds * 1000 + micros / 1000))
}

/// Keys under our prefix that nobody here knows.
pub(super) async fn unknown_keys(
    shards: &RedisShards,
    keys: &Keys,
    keys_max: usize,
) -> Result<Vec<String>, BrokerError> {
    let mut unknown = Vec::new();
    for shard in shards.map().shards() {
        let mut cursor = String::from("0");
        for _ in 0..SCAN_ROUNDS_MAX {
            let mut command = redis::cmd("SCAN");
            command.arg(&cursor).arg("MATCH").arg(format!("{}*", keys.all()));
            command.arg("COUNT").arg(1000);
            let (next, found): (String, Vec<String>) = shard.link.query(command).await?;
            unknown.extend(found.into_iter().filter(|key| !keys.knows(key)));
            cursor = next;
            if cursor == "0" || unknown.len() >= keys_max {
                break;
            }
        }
    }
    unknown.truncate(keys_max);
    Ok(unknown)
}

/// What the servers say of their memory, together; none where one says nothing.
pub(super) async fn memory(shards: &RedisShards) -> Result<Option<BrokerMemory>, BrokerError> {
    let mut all = BrokerMemory::default();
    for shard in shards.map().shards() {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let info: String = shard.link.query(command).await?;
        let bytes = |name| field(&info, name).and_then(|bytes| bytes.trim().parse::<u64>().ok());
        let Some(used) = bytes("used_memory") else { return Ok(None) };
        all.used_bytes += used;
        all.limit_bytes += bytes("maxmemory").unwrap_or(0);
    }
    Ok(Some(all))
}

/// What an operator should know of how the servers are set up, in sentences; each once.
///
/// # Errors
/// When no server answers.
pub(super) async fn warnings(shards: &RedisShards) -> Result<Vec<String>, BrokerError> {
    let map = shards.map();
    let mut warnings = Vec::new();
    let mut failure = None;
    for shard in map.shards() {
        match shard.link.query::<String>(redis::cmd("INFO")).await {
            Ok(info) => warnings.extend(of_server(&info, shards.is_cluster())),
            Err(error) if shards.is_cluster() => {
                warnings.push(format!("{} does not answer: {error}", shard.address));
                failure = Some(error);
            }
            Err(error) => return Err(error),
        }
        let mut command = Cmd::new();
        command.arg("CONFIG").arg("GET").arg("cluster-require-full-coverage");
        // Not every managed server tells its settings.
        let told: Result<Vec<String>, _> = shard.link.query(command).await;
        if shards.is_cluster() && told.is_ok_and(|told| told.iter().any(|value| value == "yes")) {
            warnings.push(
                "one shard that is away stops the whole cluster (cluster-require-full-coverage \
                 yes); with `no` the others go on"
                    .to_owned(),
            );
        }
    }
    if !map.is_whole() {
        warnings.push("the cluster has slots that no server holds".to_owned());
    }
    let mut said = BTreeSet::new();
    warnings.retain(|warning| said.insert(warning.clone()));
    match failure {
        Some(error) if map.shards().iter().all(|shard| shard.link.is_silent()) => Err(error),
        _ => Ok(warnings),
    }
}

fn of_server(info: &str, is_cluster: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(policy) = field(info, "maxmemory_policy").filter(|p| p.starts_with("allkeys")) {
        warnings.push(format!(
            "Redis may evict any key when its memory is full (maxmemory-policy {policy}), entries \
             that wait included; noeviction or a volatile policy makes it refuse instead"
        ));
    }
    if field(info, "aof_enabled") == Some("0") {
        warnings.push(
            "Redis keeps no append-only file (appendonly no): entries that it acknowledged and no \
             worker has recorded yet are lost when it restarts"
                .to_owned(),
        );
    }
    // Before 7.0 a cluster sends every message to all of its servers.
    let (oldest, named) = if is_cluster { ((7, 0), "7.0") } else { ((6, 2), "6.2") };
    if let Some(version) = field(info, "redis_version").filter(|v| version_of(v) < oldest) {
        let of = if is_cluster { " for a cluster" } else { "" };
        warnings.push(format!(
            "Redis {version} is older than {named}, the oldest that is supported{of}"
        ));
    }
    warnings
}

fn version_of(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0))
}
