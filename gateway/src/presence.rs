//! How users are there: said by pub/sub alone, lost with a lost connection, never recorded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use shared::{
    broker::Topic,
    channel::{Channel, ChannelKind},
};
use tokio::time::Instant;

use crate::{
    dialect::{self, PresenceChange},
    gateway::Gateway,
    hub::listener::Listener,
};

/// The status of who is gone.
pub const OFFLINE: &str = "offline";

/// Two nodes that lose the last connections of a user at the same moment both say so. The second
/// word within this time is not passed on.
const ECHO: Duration = Duration::from_secs(2);

/// How many changes travel in one message.
const CHANGES_AT_ONCE: usize = 1000;

/// How many users are remembered as just gone.
const GONE_MAX: usize = 100_000;

/// Who on this node wants to hear of presence.
#[derive(Debug, Default)]
pub struct Presence {
    listeners: Mutex<Vec<Arc<Listener>>>,
    /// Who was said to be offline a moment ago, and by which node.
    gone: Mutex<HashMap<String, (String, Instant)>>,
}

/// Changes on their way between nodes.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    node: String,
    at: i64,
    status: String,
    /// One is null when nobody vouched for the socket.
    users: Vec<Option<String>>,
}

impl Presence {
    /// The topic by which changes travel.
    pub fn topic() -> Topic {
        Topic::Channel(Channel::feed(ChannelKind::Presence))
    }

    /// Tells all nodes how users are there.
    pub async fn say(&self, gateway: &Gateway, users: Vec<Option<String>>, status: &str) {
        for users in users.chunks(CHANGES_AT_ONCE) {
            let said = Said {
                node: gateway.node.to_string(),
                at: jiff::Timestamp::now().as_millisecond(),
                status: status.to_owned(),
                users: users.to_vec(),
            };
            let payload = serde_json::to_vec(&said).unwrap_or_default();
            if let Err(error) = gateway.broker.send(&Self::topic(), payload.into()).await {
                tracing::debug!(%error, "nobody heard of a change of presence");
            }
        }
    }

    /// Hands changes to those who listen.
    pub fn heard(&self, gateway: &Gateway, payload: &[u8]) {
        let Ok(said) = serde_json::from_slice::<Said>(payload) else { return };
        for user in &said.users {
            let user = user.as_deref();
            if !user.is_some_and(|user| self.is_echo(user, &said)) {
                let change = PresenceChange { user, status: &said.status, at: said.at };
                self.hand_out(gateway, &change);
            }
        }
    }

    fn hand_out(&self, gateway: &Gateway, change: &PresenceChange<'_>) {
        let mut frames = [const { None }; dialect::Encoding::ALL.len()];
        for listener in self.lock().iter() {
            let encoding = listener.session.encoding();
            let frame = frames[encoding as usize]
                .get_or_insert_with(|| dialect::presence(encoding, change));
            if let Some(frame) = frame {
                // Presence is never worth waiting for: a slow socket hears the next change.
                let sent = listener.session.connection.send(frame);
                gateway.metrics.sent(encoding, u64::from(sent.is_taken()), frame.len());
            }
        }
    }

    fn is_echo(&self, user: &str, said: &Said) -> bool {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if said.status != OFFLINE {
            gone.remove(user);
            return false;
        }
        let now = Instant::now();
        if gone.len() >= GONE_MAX {
            gone.retain(|_, (_, at)| now.duration_since(*at) < ECHO);
        }
        let before = gone.insert(user.to_owned(), (said.node.clone(), now));
        before.is_some_and(|(node, at)| node != said.node && now.duration_since(at) < ECHO)
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
