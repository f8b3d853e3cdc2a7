//! How users are there: announced by pub/sub alone, lost with a lost connection, never recorded.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use broker::{Broker, Topic};
use domain::{
    channel::{Channel, ChannelKind},
    node::NodeId,
};
use serde::{Deserialize, Serialize};
use store::Store;
use tokio::{sync::Notify, time::Instant};

use crate::{
    channel::listener::Listener,
    metrics::GatewayMetrics,
    protocol::{Encoding, PresenceChange},
};

/// The status of who is gone.
pub const OFFLINE: &str = "offline";

/// Two nodes that lose the last connections of a user at the same moment both say so. The second
/// word within this time is not passed on.
const ECHO: Duration = Duration::from_secs(2);

/// How long changes are collected before they are sent.
const COLLECT: Duration = Duration::from_millis(100);

/// How many changes travel in one message.
const CHANGES_AT_ONCE: usize = 1000;

/// How many users are remembered as just gone.
const GONE_MAX: usize = 100_000;

/// Announces how users are there, and delivers what others announce to this node's listeners.
pub struct Presence {
    node: NodeId,
    broker: Arc<dyn Broker>,
    store: Arc<dyn Store>,
    metrics: Arc<GatewayMetrics>,
    listeners: Mutex<Vec<Arc<Listener>>>,
    /// Who was announced to be offline a moment ago, and by which node.
    gone: Mutex<HashMap<String, (String, Instant)>>,
    /// What was announced and is not sent: the status of each user, and since when.
    waiting: Mutex<HashMap<Option<String>, (String, i64)>>,
    announced: Notify,
}

/// Changes on their way between nodes.
#[derive(Debug, Serialize, Deserialize)]
struct PresenceMessage {
    /// The epoch of the installation; earlier releases do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u32>,
    node: String,
    at: i64,
    status: String,
    /// One is null when nobody vouched for the socket.
    users: Vec<Option<String>>,
}

impl Presence {
    /// Returns the presence of a node without listeners.
    pub fn new(
        node: NodeId,
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        metrics: Arc<GatewayMetrics>,
    ) -> Self {
        Self {
            node,
            broker,
            store,
            metrics,
            listeners: Mutex::default(),
            gone: Mutex::default(),
            waiting: Mutex::default(),
            announced: Notify::new(),
        }
    }

    /// Returns the topic by which changes travel.
    pub fn topic() -> Topic {
        Topic::Channel(Channel::feed(ChannelKind::Presence))
    }

    /// Announces to all nodes how users are there; of what is said about one user within
    /// `COLLECT` the last counts.
    pub fn announce(&self, users: impl IntoIterator<Item = Option<String>>, status: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let at = jiff::Timestamp::now().as_millisecond();
        waiting.extend(users.into_iter().map(|user| (user, (status.to_owned(), at))));
        drop(waiting);
        self.announced.notify_one();
    }

    /// Sends what is announced, until the process stops.
    pub async fn run(&self) {
        loop {
            self.announced.notified().await;
            tokio::time::sleep(COLLECT).await;
            let waiting = {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *waiting)
            };
            let mut by_status: BTreeMap<String, (i64, Vec<Option<String>>)> = BTreeMap::new();
            for (user, (status, at)) in waiting {
                let (last, users) = by_status.entry(status).or_default();
                *last = at.max(*last);
                users.push(user);
            }
            for (status, (at, users)) in by_status {
                self.send(users, status, at).await;
            }
        }
    }

    async fn send(&self, users: Vec<Option<String>>, status: String, at: i64) {
        for users in users.chunks(CHANGES_AT_ONCE) {
            let node = self.node.to_string();
            let (status, users) = (status.clone(), users.to_vec());
            let epoch = Some(self.store.epoch().0);
            let message = PresenceMessage { epoch, node, at, status, users };
            let payload = serde_json::to_vec(&message).unwrap_or_default();
            if let Err(error) = self.broker.send(&Self::topic(), payload.into()).await {
                tracing::debug!(%error, "presence: a change was not sent, nobody is told of it");
            }
        }
    }

    /// Delivers changes that a node announced.
    pub fn received(&self, payload: &[u8]) {
        let Ok(message) = serde_json::from_slice::<PresenceMessage>(payload) else { return };
        if message.epoch.is_some_and(|epoch| epoch != self.store.epoch().0) {
            self.metrics.foreign.inc();
            return;
        }
        for user in &message.users {
            let user = user.as_deref();
            if !user.is_some_and(|user| self.is_echo(user, &message)) {
                let change = PresenceChange { user, status: &message.status, at: message.at };
                self.deliver(&change);
            }
        }
    }

    fn deliver(&self, change: &PresenceChange<'_>) {
        let mut frames = [const { None }; Encoding::COUNT];
        for listener in self.lock().iter() {
            let encoding = listener.recipient.encoding();
            let frame = frames[encoding.index()].get_or_insert_with(|| encoding.presence(change));
            if let Some(frame) = frame {
                // Presence is never worth waiting for: a slow socket hears the next change.
                let sent = listener.recipient.transport().send(frame);
                self.metrics.sent(encoding.index(), u64::from(sent.is_taken()), frame.len());
            }
        }
    }

    fn is_echo(&self, user: &str, message: &PresenceMessage) -> bool {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if message.status != OFFLINE {
            gone.remove(user);
            return false;
        }
        let now = Instant::now();
        if gone.len() >= GONE_MAX {
            gone.retain(|_, (_, at)| now.duration_since(*at) < ECHO);
        }
        let before = gone.insert(user.to_owned(), (message.node.clone(), now));
        before.is_some_and(|(node, at)| node != message.node && now.duration_since(at) < ECHO)
    }

    /// Listens from now on.
    pub fn join(&self, listener: Arc<Listener>) {
        self.lock().push(listener);
    }

    /// Listens no longer.
    pub fn leave(&self, listener: &Arc<Listener>) {
        listener.leave();
        let mut listeners = self.lock();
        if let Some(at) = listeners.iter().position(|other| Arc::ptr_eq(other, listener)) {
            listeners.swap_remove(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
