//! The registry: what nodes say of themselves, visible while their lease lasts.
//!
//! A node renews one lease; nothing is written per idle connection. What a dead node said is
//! invisible at once and removed by whoever reaps.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::node::NodeId;
use redis::{Cmd, Pipeline, Value};

use super::{
    keys::Keys,
    link::{Link, RequestLost, refusal},
};
use crate::{BrokerError, ExpiredNode, Member, Registration};

/// The most changes in one pipeline, and fields in one command.
const CHANGES_MAX: usize = 1000;

fn operation(keys: &Keys, name: &str, node: &str, lease: Duration) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(include_str!("registry.lua")).arg(1).arg(keys.leases());
    command.arg(name).arg(keys.registry("")).arg(node);
    command.arg(u64::try_from(lease.as_millis()).unwrap_or(u64::MAX));
    command
}

/// Renews the lease, then applies the changes: a node that is alive is reaped by nobody.
pub(super) async fn register(
    link: &Link,
    keys: &Keys,
    node: &NodeId,
    lease: Duration,
    changes: &[Registration],
) -> Result<bool, BrokerError> {
    let known: bool = link.query(operation(keys, "renew", &node.0, lease)).await?;
    for part in changes.chunks(CHANGES_MAX) {
        let answers = link.run(&changing(keys, node, part)).await.map_err(RequestLost::written)?;
        for answer in answers {
            answer.map_err(|error| refusal(&error))?;
        }
    }
    Ok(known)
}

/// One HSET and one HDEL per topic; of several changes of one key the last one counts.
fn changing(keys: &Keys, node: &NodeId, changes: &[Registration]) -> Pipeline {
    let mut topics: BTreeMap<&str, HashMap<&str, Option<&str>>> = BTreeMap::new();
    for change in changes {
        let said = topics.entry(change.topic).or_default();
        said.insert(&change.key, change.value.as_deref());
    }
    let mut pipeline = Pipeline::new();
    pipeline.ignore_errors();
    for (topic, said) in topics {
        let members = keys.members(topic, &node.0);
        let (set, removed): (Vec<_>, Vec<_>) = said.into_iter().partition(|(_, v)| v.is_some());
        if !set.is_empty() {
            pipeline.cmd("SADD").arg(keys.topics_of(&node.0)).arg(topic);
            let set: Vec<_> = set.into_iter().filter_map(|(key, v)| Some((key, v?))).collect();
            pipeline.cmd("HSET").arg(&members).arg(set);
        }
        if !removed.is_empty() {
            let removed: Vec<_> = removed.into_iter().map(|(key, _)| key).collect();
            pipeline.cmd("HDEL").arg(&members).arg(removed);
        }
    }
    pipeline
}

/// What all live nodes say on a topic.
pub(super) async fn members(
    link: &Link,
    keys: &Keys,
    topic: &str,
) -> Result<Vec<Member>, BrokerError> {
    let nodes: Vec<String> = link.query(operation(keys, "live", "", Duration::ZERO)).await?;
    let mut members = Vec::new();
    for node in nodes {
        let mut command = redis::cmd("HGETALL");
        command.arg(keys.members(topic, &node));
        let answer: Value = link.page(&command).await?;
        let said: Vec<(String, String)> = redis::from_redis_value(answer)
            .map_err(|error| BrokerError::Refused(error.to_string()))?;
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
pub(super) async fn deregister(link: &Link, keys: &Keys, node: &NodeId) -> Result<(), BrokerError> {
    link.query(operation(keys, "forget", &node.0, Duration::ZERO)).await
}

/// Removes the nodes whose lease ran out.
pub(super) async fn reap(
    link: &Link,
    keys: &Keys,
    topics: &[&'static str],
) -> Result<Vec<ExpiredNode>, BrokerError> {
    let mut command = operation(keys, "reap", "", Duration::ZERO);
    command.arg(topics);
    let gone: Vec<(String, Vec<Vec<String>>)> = link.query(command).await?;
    let tell = |(node, said): (String, Vec<Vec<String>>)| ExpiredNode {
        node: NodeId(node.into()),
        said: topics
            .iter()
            .zip(said)
            .flat_map(|(topic, said)| said.into_iter().map(|key| (*topic, key)))
            .collect(),
    };
    Ok(gone.into_iter().map(tell).collect())
}
