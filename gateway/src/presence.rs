//! How users are there: said by pub/sub alone, lost with a lost connection, never recorded.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use shared::{
    broker::Topic,
    channel::{Channel, ChannelKind},
};

use crate::{
    dialect::{self, PresenceChange},
    gateway::Gateway,
    hub::listener::Listener,
};

/// Who on this node wants to hear of presence.
#[derive(Debug, Default)]
pub struct Presence {
    listeners: Mutex<Vec<Arc<Listener>>>,
}

/// A change on its way between nodes.
#[derive(Debug, Serialize, Deserialize)]
struct Change {
    user: Option<String>,
    status: String,
    at: i64,
}

impl Presence {
    /// The topic by which changes travel.
    pub fn topic() -> Topic {
        Topic::Channel(Channel::feed(ChannelKind::Presence))
    }

    /// Tells all nodes how a user is there.
    pub async fn say(&self, gateway: &Gateway, user: Option<&str>, status: &str) {
        let at = jiff::Timestamp::now().as_millisecond();
        let change = Change { user: user.map(str::to_owned), status: status.to_owned(), at };
        let payload = serde_json::to_vec(&change).unwrap_or_default();
        if let Err(error) = gateway.broker.send(&Self::topic(), payload.into()).await {
            tracing::debug!(%error, "nobody heard of a change of presence");
        }
    }

    /// Hands a change to those who listen.
    pub fn heard(&self, _gateway: &Gateway, payload: &[u8]) {
        let Ok(change) = serde_json::from_slice::<Change>(payload) else { return };
        let change =
            PresenceChange { user: change.user.as_deref(), status: &change.status, at: change.at };
        let mut frames = [const { None }; dialect::Encoding::ALL.len()];
        for listener in self.lock().iter() {
            let encoding = listener.session.encoding();
            let frame = frames[encoding as usize]
                .get_or_insert_with(|| dialect::presence(encoding, &change));
            if let Some(frame) = frame {
                // Presence is never worth waiting for: a slow socket hears the next change.
                let _lost = listener.session.connection.send(frame);
            }
        }
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
