//! The registry in memory: what nodes say of themselves, for as long as their lease lasts.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::node::NodeId;
use tokio::time::Instant;

use crate::{ExpiredNode, Member, Registration};

/// Holds every node with its lease and what it registered.
#[derive(Debug)]
pub(super) struct MemoryRegistry {
    nodes: HashMap<NodeId, Node>,
    lease: Duration,
}

#[derive(Debug)]
struct Node {
    until: Instant,
    /// Topic and key → value.
    says: BTreeMap<(&'static str, String), String>,
}

impl MemoryRegistry {
    pub(super) fn new(lease: Duration) -> Self {
        Self { nodes: HashMap::new(), lease }
    }

    /// Whether the node was known.
    pub(super) fn register(&mut self, node: &NodeId, changes: &[Registration]) -> bool {
        let until = Instant::now() + self.lease;
        let known = self.nodes.contains_key(node);
        let begin = || Node { until, says: BTreeMap::new() };
        let entry = self.nodes.entry(node.clone()).or_insert_with(begin);
        entry.until = until;
        for change in changes {
            let key = (change.topic, change.key.clone());
            match &change.value {
                Some(value) => entry.says.insert(key, value.clone()),
                None => entry.says.remove(&key),
            };
        }
        known
    }

    pub(super) fn members(&self, topic: &str) -> Vec<Member> {
        let now = Instant::now();
        let live = self.nodes.iter().filter(|(_, node)| node.until > now);
        live.flat_map(|(id, node)| {
            let said = node.says.iter().filter(|((of, _), _)| *of == topic);
            said.map(|((_, key), value)| Member {
                node: id.clone(),
                key: key.clone(),
                value: value.clone(),
            })
        })
        .collect()
    }

    pub(super) fn deregister(&mut self, node: &NodeId) {
        self.nodes.remove(node);
    }

    pub(super) fn reap(&mut self, topics: &[&'static str]) -> Vec<ExpiredNode> {
        let now = Instant::now();
        let gone = self.nodes.extract_if(|_, node| node.until <= now);
        let said = |node: Node| {
            let all = node.says.into_keys();
            all.filter(|(topic, _)| topics.contains(topic)).collect()
        };
        gone.map(|(id, node)| ExpiredNode { node: id, said: said(node) }).collect()
    }
}
