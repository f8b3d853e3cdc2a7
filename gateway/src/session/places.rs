//! What a session is entered as, over all nodes: an agent, a user who is present, a container's.

use std::sync::Arc;

use shared::{
    broker::Registration,
    channel::{Channel, ChannelKind},
};

use super::Session;
use crate::{
    connection::close,
    dialect::containers,
    registry::{self, CONTAINERS, USERS},
};

impl Session {
    /// The key by which this session stands for a name.
    fn key(&self, name: &str) -> String {
        registry::key(name, &self.gateway.connection_name(self.number))
    }

    /// Enters or leaves the registry; nothing is entered once the socket is gone.
    pub(super) fn register(&self, registration: Registration) {
        let key = (registration.topic, registration.key.clone());
        {
            let mut inner = self.lock();
            if inner.gone {
                return;
            }
            inner.registered.retain(|registered| *registered != key);
            if registration.value.is_some() {
                inner.registered.push(key);
            }
        }
        self.gateway.registry.register(registration);
    }

    /// Tells everybody how the user is there; the end of the last connection tells it as well.
    pub(super) async fn be_present(self: &Arc<Self>, status: &str) {
        let user = self.identity().user.map(|user| user.to_string());
        if let Some(user) = &user {
            let value = Some(serde_json::Value::from(status).to_string());
            self.register(Registration { topic: USERS, key: self.key(user), value });
        }
        self.gateway.presence.say(&self.gateway, vec![user], status).await;
    }

    /// Has to do with a container from now on, and keeps its session awake. False when there are
    /// `MAX_SESSIONS` others: the client was told and is closed.
    pub(super) async fn attend(self: &Arc<Self>, container: &str) -> bool {
        let key = (CONTAINERS, self.key(container));
        if self.lock().registered.contains(&key) {
            self.gateway.containers.touch(container);
            return true;
        }
        let value = Some(jiff::Timestamp::now().as_millisecond().to_string());
        let registration = Registration { topic: CONTAINERS, key: key.1.clone(), value };
        let sessions_max = self.gateway.config.limits.container_sessions;
        if !self.gateway.registry.enter(registration, sessions_max).await {
            self.send_all(&[containers::too_many(self.encoding(), container)]).await;
            self.close(close::OVER_CAPACITY, "too many container sessions");
            return false;
        }
        {
            let mut inner = self.lock();
            if !inner.gone {
                inner.registered.push(key);
                self.gateway.containers.join(container, self);
                return true;
            }
        }
        self.gateway.registry.register(Registration { topic: key.0, key: key.1, value: None });
        true
    }

    /// A container's session has ended: who has to do with no other one is closed.
    pub(crate) fn end_container(&self, container: &str) {
        let key = (CONTAINERS, self.key(container));
        let is_last = {
            let mut inner = self.lock();
            inner.registered.retain(|registered| *registered != key);
            !inner.registered.iter().any(|(topic, _)| *topic == CONTAINERS)
        };
        self.gateway.registry.register(Registration { topic: key.0, key: key.1, value: None });
        self.unsubscribe(&Channel::entity(ChannelKind::Container, container));
        if is_last {
            self.close(close::DONE, "Container session ended");
        }
    }

    /// Says again when a container's session was last awake.
    pub(crate) fn keep_awake(&self, container: &str, at: i64) {
        let value = Some(at.to_string());
        self.register(Registration { topic: CONTAINERS, key: self.key(container), value });
    }

    /// Whether it listens to a channel.
    pub(crate) fn listens(&self, channel: &Channel) -> bool {
        let inner = self.lock();
        inner.subscriptions.iter().any(|subscription| {
            subscription.room.as_ref().is_some_and(|room| room.channel == *channel)
        })
    }

    /// Leaves everything that it was entered as.
    pub(super) fn give_up_places(&self) {
        let registered = {
            let mut inner = self.lock();
            inner.gone = true;
            std::mem::take(&mut inner.registered)
        };
        for (topic, key) in registered {
            if topic == CONTAINERS {
                self.gateway.containers.leave(registry::name(&key), self);
            }
            self.gateway.departures.note(topic, &key);
            self.gateway.registry.register(Registration { topic, key, value: None });
        }
    }
}
