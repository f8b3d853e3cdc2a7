//! The registry: what nodes say of themselves, visible while their lease lasts.
//!
//! A node renews one lease; nothing is written per idle connection. What a dead node said is
//! invisible at once and removed by whoever reaps. All of it lives at one server; while that is
//! away nobody is taken for dead.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use domain::node::NodeId;
use redis::{Cmd, Value};

use super::{
    keys::Keys,
    shards::{CommandFailure, KeyedCommand, RedisShards},
};
use crate::{BrokerError, ExpiredNode, Member, Registration};

/// The most changes in one pipeline, and fields in one command.
const CHANGES_MAX: usize = 1000;

fn operation(keys: &[String], name: &str, node: &str, lease: Duration) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(include_str!("registry.lua")).arg(keys.len()).arg(keys).arg(name);
    command.arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX)).arg(node);
    command
}

/// Renews the lease, then applies the changes: a node that is alive is reaped by nobody.
pub(super) async fn register(
    shards: &RedisShards,
    keys: &Keys,
    node: &NodeId,
    lease: Duration,
    changes: &[Registration],
) -> Result<bool, BrokerError> {
    let leases = keys.leases();
    let renewing = operation(std::slice::from_ref(&leases), "renew", &node.0, lease);
    let known: bool = shards.query(&leases, renewing).await?;
    for part in changes.chunks(CHANGES_MAX) {
        for answer in shards.run(changing(keys, node, part)).await {
            answer.map_err(CommandFailure::written)?;
        }
    }
    Ok(known)
}

/// One HSET and one HDEL per topic; of several changes of one key the last one counts.
fn changing(keys: &Keys, node: &NodeId, changes: &[Registration]) -> Vec<KeyedCommand> {
    let mut topics: BTreeMap<&str, HashMap<&str, Option<&str>>> = BTreeMap::new();
    for change in changes {
        let said = topics.entry(change.topic).or_default();
        said.insert(&change.key, change.value.as_deref());
    }
    let mut requests = Vec::new();
    for (topic, said) in topics {
        let members = keys.members(topic, &node.0);
        let mut change = |name: &str, key: &str, build: &dyn Fn(&mut Cmd)| {
            let mut command = redis::cmd(name);
            build(command.arg(key));
            requests.push(KeyedCommand::new(key, command));
        };
        let (set, removed): (Vec<_>, Vec<_>) = said.into_iter().partition(|(_, v)| v.is_some());
        if !set.is_empty() {
            change("SADD", &keys.topics_of(&node.0), &|command| {
                command.arg(topic);
            });
            let set: Vec<_> = set.into_iter().filter_map(|(key, v)| Some((key, v?))).collect();
            change("HSET", &members, &|command| {
                command.arg(&set);
            });
        }
        if !removed.is_empty() {
            let removed: Vec<_> = removed.into_iter().map(|(key, _)| key).collect();
            change("HDEL", &members, &|command| {
                command.arg(&removed);
            });
        }
    }
    requests
}

/// What all live nodes say on a topic.
pub(super) async fn members(
    shards: &RedisShards,
    keys: &Keys,
    topic: &str,
) -> Result<Vec<Member>, BrokerError> {
    let mut members = Vec::new();
    for node in nodes(shards, keys, "live").await? {
        let key = keys.members(topic, &node);
        let mut command = redis::cmd("HGETALL");
        command.arg(&key);
        let answer = shards.page(&key, &command).await?;
        let said: Vec<(String, String)> = read(answer)?;
        let node = NodeId(node.into());
        members.extend(said.into_iter().map(|(key, value)| Member {
            node: node.clone(),
            key,
            value,
        }));
    }
    Ok(members)
}

/// Takes a node out.
pub(super) async fn deregister(
    shards: &RedisShards,
    keys: &Keys,
    node: &NodeId,
) -> Result<(), BrokerError> {
    remove(shards, keys, &node.0, &[], true).await.map(drop)
}

/// Removes the nodes whose lease ran out.
pub(super) async fn reap(
    shards: &RedisShards,
    keys: &Keys,
    topics: &[&'static str],
) -> Result<Vec<ExpiredNode>, BrokerError> {
    let mut gone = Vec::new();
    for node in nodes(shards, keys, "expired").await? {
        let Some(said) = remove(shards, keys, &node, topics, false).await? else { continue };
        let said = topics.iter().zip(said);
        let said = said.flat_map(|(topic, said)| said.into_iter().map(|key| (*topic, key)));
        gone.push(ExpiredNode { node: NodeId(node.into()), said: said.collect() });
    }
    Ok(gone)
}

/// Nodes that live, or whose lease ran out.
async fn nodes(shards: &RedisShards, keys: &Keys, which: &str) -> Result<Vec<String>, BrokerError> {
    let leases = keys.leases();
    let asking = operation(std::slice::from_ref(&leases), which, "", Duration::ZERO);
    shards.query(&leases, asking).await
}

/// Removes a node and all that it said, unless it lives after all; answers what it said on `topics`.
///
/// Every key is named, as a cluster wants it: while the registry is moved to another server, a
/// script that does not see all of them is refused instead of taking them for empty.
async fn remove(
    shards: &RedisShards,
    keys: &Keys,
    node: &str,
    topics: &[&'static str],
    is_gone: bool,
) -> Result<Option<Vec<Vec<String>>>, BrokerError> {
    let spoken = keys.topics_of(node);
    let mut command = redis::cmd("SMEMBERS");
    command.arg(&spoken);
    let others: BTreeSet<String> = shards.query(&spoken, command).await?;
    let others = others.iter().map(String::as_str).filter(|topic| !topics.contains(topic));
    let said = topics.iter().copied().chain(others).map(|topic| keys.members(topic, node));
    let named: Vec<String> = [keys.leases(), spoken.clone()].into_iter().chain(said).collect();
    let mut command = operation(&named, "remove", node, Duration::ZERO);
    command.arg(u8::from(is_gone)).arg(topics.len());
    read(shards.query(&spoken, command).await?)
}

fn read<T: redis::FromRedisValue>(answer: Value) -> Result<T, BrokerError> {
    redis::from_redis_value(answer).map_err(|error| BrokerError::Refused(error.to_string()))
}
