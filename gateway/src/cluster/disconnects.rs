//! Who is gone for good: the last connection of a user or an agent, over all nodes.
//!
//! Disconnects are collected and evaluated together against what all nodes announced, so ten thousand
//! of them cost one look. A node first writes that it lost a connection and then looks: of two nodes
//! that lose the last two at the same moment, the one that writes later sees that nobody is left.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use broker::{Broker, Member};
use tokio::{sync::Notify, time::Instant};

use super::{
    presence::{OFFLINE, Presence},
    registry::{self, ClusterRegistry, USERS},
};
use crate::{ingest::publisher::EventPublisher, protocol::WatchedTopic};

/// How long disconnects are collected; who comes back within it was never gone.
const COLLECT: Duration = Duration::from_millis(100);

/// How often nodes whose lease ran out are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long a node whose lease ran out may take to come back: it says everything again within a
/// second after the broker answers.
const GRACE: Duration = Duration::from_millis(1500);

/// The status of a user who has a connection and has said no other.
const ONLINE: &str = "online";

/// How long the event of a disconnect may wait to be recorded.
const RECORD_MAX: Duration = Duration::from_secs(5);

/// Watches the users and the topics of the dialects.
pub struct Disconnects {
    broker: Arc<dyn Broker>,
    registry: Arc<ClusterRegistry>,
    presence: Arc<Presence>,
    publisher: Arc<EventPublisher>,
    /// The topics of the dialects.
    topics: Vec<WatchedTopic>,
    /// Names that may be gone, by topic.
    left: Mutex<BTreeSet<(&'static str, String)>>,
    noted: Notify,
}

impl Disconnects {
    /// Returns a watch over the users and these topics.
    pub fn new(
        broker: Arc<dyn Broker>,
        registry: Arc<ClusterRegistry>,
        presence: Arc<Presence>,
        publisher: Arc<EventPublisher>,
        topics: Vec<WatchedTopic>,
    ) -> Self {
        let (left, noted) = (Mutex::default(), Notify::new());
        Self { broker, registry, presence, publisher, topics, left, noted }
    }

    /// Returns the topics whose names are watched.
    fn watched(&self) -> Vec<&'static str> {
        std::iter::once(USERS).chain(self.topics.iter().map(|watched| watched.topic)).collect()
    }

    /// Notes that a connection that stood for a name is gone.
    pub fn note(&self, topic: &'static str, key: &str) {
        if topic == USERS || self.topics.iter().any(|watched| watched.topic == topic) {
            self.lock().insert((topic, registry::name(key).to_owned()));
            self.noted.notify_one();
        }
    }

    /// Evaluates disconnects, until the process stops.
    pub async fn run(&self) {
        loop {
            self.noted.notified().await;
            tokio::time::sleep(COLLECT).await;
            self.evaluate().await;
        }
    }

    /// Takes nodes whose lease ran out out of the registry, until the process stops.
    pub async fn expire_nodes(&self) {
        let watched = self.watched();
        loop {
            tokio::time::sleep(EXPIRY_INTERVAL).await;
            if !self.registry.is_renewed() {
                continue;
            }
            let gone = match self.broker.reap(&watched).await {
                Ok(gone) if gone.is_empty() => continue,
                Ok(gone) => gone,
                Err(error) => {
                    tracing::debug!(%error, "disconnects: nodes not checked, again in a second");
                    continue;
                }
            };
            tokio::time::sleep(GRACE).await;
            for node in gone {
                tracing::warn!(node = %node.node, "disconnects: a node is gone, its names are checked");
                node.said.iter().for_each(|(topic, key)| self.note(topic, key));
            }
        }
    }

    /// Says again how everybody is who is here, whenever the broker has forgotten this node: another
    /// may have said that they are gone. Until the process stops.
    pub async fn announce_again(&self) {
        loop {
            self.registry.forgotten().await;
            self.registry.settled().await;
            // Whoever still takes this node for gone has said so by then.
            tokio::time::sleep(2 * GRACE).await;
            for member in self.registry.own(USERS) {
                // Who has said nothing of themselves is there.
                let said = serde_json::from_str::<Option<String>>(&member.value).ok().flatten();
                let user = Some(registry::name(&member.key).to_owned());
                self.presence.announce([user], said.as_deref().unwrap_or(ONLINE));
            }
            let mut entries = Vec::new();
            for watched in &self.topics {
                let own = self.registry.own(watched.topic);
                let said = |member: &Member| {
                    (watched.returned)(registry::name(&member.key), &member.value)
                };
                entries.extend(own.iter().filter_map(said));
            }
            if !entries.is_empty() {
                let count = entries.len();
                tracing::warn!(
                    count,
                    "disconnects: the broker had forgotten this node, its names are announced again"
                );
                self.publisher.publish_until_recorded(entries).await;
            }
        }
    }

    /// Publishes that those are gone who have no connection left on any node.
    pub async fn evaluate(&self) {
        let left = std::mem::take(&mut *self.lock());
        if left.is_empty() {
            return;
        }
        self.registry.settled().await;
        for topic in self.watched() {
            let names: Vec<&str> =
                left.iter().filter(|(of, _)| *of == topic).map(|(_, name)| name.as_str()).collect();
            if names.is_empty() {
                continue;
            }
            match self.registry.members(topic).await {
                Ok(members) => {
                    let there: HashSet<&str> =
                        members.iter().map(|member| registry::name(&member.key)).collect();
                    let gone: Vec<&str> =
                        names.into_iter().filter(|name| !there.contains(name)).collect();
                    self.publish(topic, &gone).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "disconnects: not evaluated, again when the broker answers");
                    self.lock().extend(names.into_iter().map(|name| (topic, name.to_owned())));
                    self.noted.notify_one();
                }
            }
        }
    }

    async fn publish(&self, topic: &'static str, gone: &[&str]) {
        if topic == USERS {
            let users = gone.iter().map(|user| Some((*user).to_owned()));
            return self.presence.announce(users, OFFLINE);
        }
        let watched = self.topics.iter().filter(|watched| watched.topic == topic);
        let entries: Vec<_> =
            watched.flat_map(|watched| gone.iter().map(|name| (watched.gone)(name))).collect();
        if !entries.is_empty() {
            let _outcomes =
                self.publisher.publish("disconnects", entries, Instant::now() + RECORD_MAX).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(&'static str, String)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
