//! What this node says of itself to all others: who is connected here, and as what.
//!
//! Changes are collected and written together, with the node's lease; a node that is gone vanishes
//! with its lease.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use shared::broker::{Broker, BrokerError, Member, NodeId, Registration};
use tokio::sync::Notify;

use crate::dialect::Admit;

/// How long changes are collected before they are written.
const COLLECT: Duration = Duration::from_millis(50);

/// How often the lease is renewed when nothing changes.
const RENEWAL: Duration = Duration::from_secs(3);

/// The most changes in one write.
const CHANGES_AT_ONCE: usize = 5_000;

/// This node's part of the registry.
pub struct Registry {
    node: NodeId,
    broker: Arc<dyn Broker>,
    /// All that the node says, to be said again when the broker lost it.
    said: Mutex<Said>,
    changed: Notify,
}

#[derive(Default)]
struct Said {
    all: HashMap<(&'static str, String), String>,
    pending: HashMap<(&'static str, String), Option<String>>,
}

impl Registry {
    /// A registry that says nothing yet.
    pub fn new(node: NodeId, broker: Arc<dyn Broker>) -> Self {
        Self { node, broker, said: Mutex::default(), changed: Notify::new() }
    }

    /// Says something, or takes it back; written soon.
    pub fn register(&self, registration: Registration) {
        let key = (registration.topic, registration.key);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match &registration.value {
            Some(value) => said.all.insert(key.clone(), value.clone()),
            None => said.all.remove(&key),
        };
        said.pending.insert(key, registration.value);
        drop(said);
        self.changed.notify_one();
    }

    /// What all live nodes say on a topic; what this node has said counts already.
    pub async fn members(&self, topic: &'static str) -> Result<Vec<Member>, BrokerError> {
        let mut members = self.broker.members(topic).await?;
        members.retain(|member| member.node != self.node);
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let own = said.all.iter().filter(|((of, _), _)| *of == topic);
        members.extend(own.map(|((_, key), value)| Member {
            node: self.node.clone(),
            key: key.clone(),
            value: value.clone(),
        }));
        Ok(members)
    }

    /// Whether a topic has room for one more key, over all nodes. Who cannot be counted is let in:
    /// a limit must not keep containers out while the broker is away.
    pub async fn has_room(&self, admit: &Admit) -> bool {
        let Ok(members) = self.members(admit.topic).await else { return true };
        let mut keys: Vec<&str> = members.iter().map(|member| member.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.binary_search(&admit.key.as_str()).is_ok() || keys.len() < admit.keys_max
    }

    /// Writes changes and renews the lease, for ever.
    pub async fn run(&self) {
        let mut lost = true;
        loop {
            let changes = self.take(lost);
            let written = self.broker.register(&self.node, &changes).await;
            if written.is_err() {
                // Everything is said again: nobody knows what the broker still has.
                lost = true;
                tokio::time::sleep(RENEWAL / 3).await;
                continue;
            }
            lost = false;
            if changes.len() < CHANGES_AT_ONCE {
                let _renewal = tokio::time::timeout(RENEWAL, self.changed.notified()).await;
                tokio::time::sleep(COLLECT).await;
            }
        }
    }

    fn take(&self, everything: bool) -> Vec<Registration> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if everything {
            let all = said.all.clone();
            said.pending.extend(all.into_iter().map(|(key, value)| (key, Some(value))));
        }
        let keys: Vec<_> = said.pending.keys().take(CHANGES_AT_ONCE).cloned().collect();
        keys.into_iter()
            .filter_map(|key| {
                let value = said.pending.remove(&key)?;
                Some(Registration { topic: key.0, key: key.1, value })
            })
            .collect()
    }
}
