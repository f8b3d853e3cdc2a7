//! What this node announces to all others: who is connected here, and as what.
//!
//! Changes are collected and written together, with the node's lease; a node that is gone vanishes
//! with its lease. Where several connections may stand for one name (an agent, a user, a
//! container), the key is `NAME CONNECTION`, so that none overwrites another.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use broker::{Broker, BrokerError, Member, Registration};
use domain::node::NodeId;
use runtime::{
    health::{Demand, Health},
    lock::LockExt as _,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// The topic of all connections, by connection.
pub const CONNECTIONS: &str = "connections";

/// The topic of the users who are present, by user and connection.
pub const USERS: &str = "users";

/// How long changes are collected before they are written.
const COLLECT: Duration = Duration::from_millis(50);

/// How often the lease is renewed when nothing changes.
const RENEWAL: Duration = Duration::from_secs(3);

/// The most changes in one write.
const CHANGES_AT_ONCE: usize = 5_000;

/// The key of one of several connections that stand for a name.
pub fn key(name: &str, connection: &str) -> String {
    format!("{name} {connection}")
}

/// The name in a key.
pub fn name(key: &str) -> &str {
    key.rsplit_once(' ').map_or(key, |(name, _)| name)
}

/// This node's part of the registry.
pub struct ClusterRegistry {
    node: NodeId,
    broker: Arc<dyn Broker>,
    health: Arc<Health>,
    /// When the broker last took what the node announced.
    renewed_at: Mutex<Option<Instant>>,
    announced: Mutex<Announced>,
    changed: Notify,
    /// Notified when the broker did not know this node any more.
    forgotten: Notify,
    /// How many changes were written.
    written: watch::Sender<u64>,
}

type Key = (&'static str, String);

#[derive(Default)]
struct Announced {
    /// All that the node has announced, to be announced again when the broker lost it.
    all: HashMap<Key, String>,
    /// What is not written yet.
    pending: HashMap<Key, Option<String>>,
    /// How many changes were made.
    changes: u64,
    /// Whether the node was deregistered: nothing is announced any more.
    left: bool,
}

impl Announced {
    fn announce(&mut self, key: Key, value: Option<String>) {
        match &value {
            Some(value) => self.all.insert(key.clone(), value.clone()),
            None => self.all.remove(&key),
        };
        self.pending.insert(key, value);
        self.changes += 1;
    }

    fn on(&self, topic: &'static str) -> impl Iterator<Item = (&String, &String)> {
        let own = self.all.iter().filter(move |((of, _), _)| *of == topic);
        own.map(|((_, key), value)| (key, value))
    }
}

impl ClusterRegistry {
    /// Returns a registry that has announced nothing yet.
    pub fn new(node: NodeId, broker: Arc<dyn Broker>, health: Arc<Health>) -> Self {
        let (written, changed) = (watch::Sender::new(0), Notify::new());
        let (announced, renewed_at) = (Mutex::default(), Mutex::default());
        let forgotten = Notify::new();
        Self { node, broker, health, renewed_at, announced, changed, forgotten, written }
    }

    /// Says something, or takes it back; written soon.
    pub fn register(&self, registration: Registration) {
        self.lock().announce((registration.topic, registration.key), registration.value);
        self.changed.notify_one();
    }

    /// Returns what all live nodes announced on a topic; what this node has announced counts already.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn members(&self, topic: &'static str) -> Result<Vec<Member>, BrokerError> {
        let mut members = self.broker.members(topic).await?;
        members.retain(|member| member.node != self.node);
        members.extend(self.own(topic));
        Ok(members)
    }

    /// Returns what this node has announced on a topic.
    pub fn own(&self, topic: &'static str) -> Vec<Member> {
        let announced = self.lock();
        let own = announced.on(topic).map(|(key, value)| Member {
            node: self.node.clone(),
            key: key.clone(),
            value: value.clone(),
        });
        own.collect()
    }

    /// Announces `NAME CONNECTION` unless the topic holds `names_max` other names whose value counts, over
    /// all nodes; whether it was announced. While the broker does not answer every name is let in: a limit must not keep
    /// names out then.
    pub async fn enter(
        &self,
        registration: Registration,
        names_max: usize,
        counts: impl Fn(&str) -> bool,
    ) -> bool {
        let topic = registration.topic;
        let entering = name(&registration.key).to_owned();
        let knows =
            |announced: &Announced| announced.on(topic).any(|(key, _)| name(key) == entering);
        let known = knows(&self.lock());
        let others = if known { Vec::new() } else { self.others(topic).await };
        let mut announced = self.lock();
        let others = others.iter().map(|member| (&member.key, &member.value));
        let all = others.chain(announced.on(topic)).filter(|(_, value)| counts(value));
        let names: HashSet<&str> = all.map(|(key, _)| name(key)).collect();
        let has_room = known || names.contains(entering.as_str()) || names.len() < names_max;
        if has_room {
            announced.announce((topic, registration.key), registration.value);
            drop(announced);
            self.changed.notify_one();
        }
        has_room
    }

    async fn others(&self, topic: &'static str) -> Vec<Member> {
        let mut members = self.broker.members(topic).await.unwrap_or_default();
        members.retain(|member| member.node != self.node);
        members
    }

    /// Waits until the broker has forgotten this node: others may have taken it for gone.
    pub async fn forgotten(&self) {
        self.forgotten.notified().await;
    }

    /// Waits until everything that was announced so far is written.
    pub async fn settled(&self) {
        let changes = self.lock().changes;
        let mut written = self.written.subscribe();
        // The sender lives as long as this registry.
        let _closed = written.wait_for(|written| *written >= changes).await;
    }

    /// Writes changes and renews the lease, until the node leaves.
    pub async fn run(&self) {
        let (mut everything, mut is_registered) = (true, false);
        loop {
            let Some((changes, upto)) = self.take(everything) else { return };
            let registered = self.broker.register(&self.node, &changes).await;
            self.health.broker.note(Demand::Write, &registered);
            match registered {
                // A registry that did not know the node has nothing of what it announced before.
                Ok(known) => {
                    if is_registered && !known {
                        self.forgotten.notify_one();
                    }
                    is_registered = true;
                    everything = !known && !everything;
                    *self.renewed_at.lock_unpoisoned() = Some(Instant::now());
                }
                Err(error) => {
                    tracing::debug!(%error, "registry: changes not written, written again within a second");
                    self.put_back(changes);
                    everything = true;
                    tokio::time::sleep(RENEWAL / 3).await;
                    continue;
                }
            }
            if let Some(upto) = upto {
                self.written.send_replace(upto);
                let _renewal = tokio::time::timeout(RENEWAL, self.changed.notified()).await;
                tokio::time::sleep(COLLECT).await;
            }
        }
    }

    /// Whether the broker took this node's own lease a moment ago: who cannot renew itself knows
    /// nothing about who else could not.
    pub fn is_renewed(&self) -> bool {
        self.renewed_at.lock_unpoisoned().is_some_and(|at| at.elapsed() < 2 * RENEWAL)
    }

    /// Takes the node out of the registry with everything that it announced.
    pub async fn deregister(&self) {
        self.lock().left = true;
        if let Err(error) = self.broker.deregister(&self.node).await {
            tracing::debug!(%error, "registry: node not deregistered, its lease runs out");
        }
    }

    /// Changes to write, with the number of the last one when they are all; none when the node left.
    fn take(&self, everything: bool) -> Option<(Vec<Registration>, Option<u64>)> {
        let mut announced = self.lock();
        if announced.left {
            return None;
        }
        if everything {
            let all = announced.all.clone();
            announced.pending.extend(all.into_iter().map(|(key, value)| (key, Some(value))));
        }
        let keys: Vec<Key> = announced.pending.keys().take(CHANGES_AT_ONCE).cloned().collect();
        let changes = keys.into_iter().filter_map(|key| {
            let value = announced.pending.remove(&key)?;
            Some(Registration { topic: key.0, key: key.1, value })
        });
        let changes = changes.collect();
        if announced.pending.is_empty() {
            // A new map, because an empty one keeps the memory of its longest day.
            announced.pending = HashMap::new();
        }
        let upto = announced.pending.is_empty().then_some(announced.changes);
        Some((changes, upto))
    }

    /// Keeps changes that were not written, unless there are newer ones.
    fn put_back(&self, changes: Vec<Registration>) {
        let mut announced = self.lock();
        for Registration { topic, key, value } in changes {
            announced.pending.entry((topic, key)).or_insert(value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Announced> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
