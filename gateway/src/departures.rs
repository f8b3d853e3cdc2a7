//! Who is gone for good: the last connection of a user or an agent, over all nodes.
//!
//! Departures are collected and judged together against what all nodes say, so ten thousand of them
//! cost one look. A node first writes that it lost a connection and then looks: of two nodes that
//! lose the last two at the same moment, the one that writes later sees that nobody is left.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use shared::{entry::Fields, event::submission::field, source::Stream};
use tokio::{sync::Notify, time::Instant};

use crate::{
    gateway::Gateway,
    presence::OFFLINE,
    registry::{self, AGENTS, USERS},
};

/// The topics whose names are watched.
const WATCHED: [&str; 2] = [USERS, AGENTS];

/// How long departures are collected; who comes back within it was never gone.
const COLLECT: Duration = Duration::from_millis(100);

/// How often nodes that are gone are looked for.
const REAPING: Duration = Duration::from_secs(1);

/// How long a node whose lease ran out may take to come back: it says everything again within a
/// second after the broker answers.
const GRACE: Duration = Duration::from_millis(1500);

/// How long a departure may wait to be recorded.
const RECORD_MAX: Duration = Duration::from_secs(5);

/// Those who may be gone.
#[derive(Debug, Default)]
pub struct Departures {
    left: Mutex<BTreeSet<(&'static str, String)>>,
    noted: Notify,
}

impl Departures {
    /// A connection that stood for a name is gone.
    pub fn note(&self, topic: &'static str, key: &str) {
        if WATCHED.contains(&topic) {
            self.lock().insert((topic, registry::name(key).to_owned()));
            self.noted.notify_one();
        }
    }

    /// Judges departures, for ever.
    pub async fn run(&self, gateway: &Gateway) {
        loop {
            self.noted.notified().await;
            tokio::time::sleep(COLLECT).await;
            self.judge(gateway).await;
        }
    }

    /// Takes nodes that are gone out of the registry, for ever.
    pub async fn reap(&self, gateway: &Gateway) {
        loop {
            tokio::time::sleep(REAPING).await;
            let gone = match gateway.broker.reap(&WATCHED).await {
                Ok(gone) if gone.is_empty() => continue,
                Ok(gone) => gone,
                Err(error) => {
                    tracing::debug!(%error, "nobody was reaped");
                    continue;
                }
            };
            tokio::time::sleep(GRACE).await;
            for node in gone {
                tracing::warn!(node = %node.node, "a node is gone");
                node.said.iter().for_each(|(topic, key)| self.note(topic, key));
            }
        }
    }

    /// Tells the world of those who are left nowhere.
    pub async fn judge(&self, gateway: &Gateway) {
        let left = std::mem::take(&mut *self.lock());
        if left.is_empty() {
            return;
        }
        gateway.registry.settled().await;
        for topic in WATCHED {
            let names: Vec<&str> =
                left.iter().filter(|(of, _)| *of == topic).map(|(_, name)| name.as_str()).collect();
            if names.is_empty() {
                continue;
            }
            match gateway.registry.members(topic).await {
                Ok(members) => {
                    let there: HashSet<&str> =
                        members.iter().map(|member| registry::name(&member.key)).collect();
                    let gone: Vec<&str> =
                        names.into_iter().filter(|name| !there.contains(name)).collect();
                    tell(gateway, topic, &gone).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "departures wait for the broker");
                    self.lock().extend(names.into_iter().map(|name| (topic, name.to_owned())));
                    self.noted.notify_one();
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(&'static str, String)>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn tell(gateway: &Gateway, topic: &'static str, gone: &[&str]) {
    if topic == USERS {
        let users = gone.iter().map(|user| Some((*user).to_owned())).collect();
        return gateway.presence.say(gateway, users, OFFLINE).await;
    }
    let entry = |agent: &&str| {
        let mut fields = Fields::default();
        fields.push(field::TYPE, "agent_status");
        fields.push(field::ID, *agent);
        fields.push(field::DATA, r#"{"status":"offline"}"#);
        (Stream::Agents, fields)
    };
    let entries: Vec<_> = gone.iter().map(entry).collect();
    if !entries.is_empty() {
        let _taken = gateway.appender.append(entries, Instant::now() + RECORD_MAX).await;
    }
}
