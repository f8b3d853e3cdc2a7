//! What a session is entered as, over all nodes: an agent, a user who is present, an attended name.

use std::sync::{Arc, Weak};

use broker::Registration;
use domain::channel::Channel;
use websocket::close;

use super::Session;
use crate::{
    cluster::registry::{self, USERS},
    protocol::{AgentOffer, Attendee},
};

impl Session {
    /// Returns the key by which this session stands for a name.
    fn key(&self, name: &str) -> String {
        registry::key(name, &self.context.connection_name(self.number))
    }

    /// Enters or leaves the registry; nothing is entered once the socket is gone.
    pub(super) fn register(&self, registration: Registration) {
        let key = (registration.topic, registration.key.clone());
        {
            let mut state = self.lock();
            if state.gone {
                return;
            }
            state.registered.retain(|registered| *registered != key);
            if registration.value.is_some() {
                state.registered.push(key);
            }
        }
        self.context.registry.register(registration);
    }

    /// Offers the agent on this socket to the queue of tasks.
    pub(super) fn offer(self: &Arc<Self>, offer: AgentOffer) {
        // Under the lock: nothing is offered once the socket is gone.
        let state = self.lock();
        if !state.gone {
            let recipient: Weak<Self> = Arc::downgrade(self);
            self.context.agents.offer(offer, recipient);
        }
    }

    /// Announces how the user is there; the end of the last connection announces it as well.
    pub(super) fn announce_presence(self: &Arc<Self>, status: &str) {
        let user = self.identity().user.map(|user| user.to_string());
        if let Some(user) = &user {
            let value = Some(serde_json::Value::from(status).to_string());
            self.register(Registration { topic: USERS, key: self.key(user), value });
        }
        self.context.presence.announce([user], status);
    }

    /// Attends a name of the dialect from now on, and keeps it active. Returns false when there is
    /// no room for another name: the client was told and is closed.
    pub(super) async fn attend(self: &Arc<Self>, name: &str) -> bool {
        let Some(attendance) = self.dialect.attendance() else { return true };
        let key = (attendance.topic(), self.key(name));
        if self.lock().registered.contains(&key) {
            attendance.touch(name);
            return true;
        }
        let value = Some(jiff::Timestamp::now().as_millisecond().to_string());
        let registration = Registration { topic: key.0, key: key.1.clone(), value };
        if !self
            .context
            .registry
            .enter(registration, attendance.names_max(), |v| attendance.counts(v))
            .await
        {
            let (frame, reason) = attendance.no_room(self.encoding(), name);
            self.send_all(&[frame]).await;
            self.close(close::OVER_CAPACITY, reason);
            return false;
        }
        {
            let mut state = self.lock();
            if !state.gone {
                state.registered.push(key);
                let socket: Weak<Self> = Arc::downgrade(self);
                attendance.join(name, self.number, socket);
                return true;
            }
        }
        self.context.registry.register(Registration { topic: key.0, key: key.1, value: None });
        true
    }

    /// Leaves everything that it was entered as.
    pub(super) fn leave_memberships(&self) {
        let registered = {
            let mut state = self.lock();
            state.gone = true;
            std::mem::take(&mut state.registered)
        };
        self.context.agents.leave(&self.context.connection_name(self.number));
        let attendance = self.dialect.attendance();
        for (topic, key) in registered {
            if let Some(attendance) = attendance.as_ref().filter(|of| of.topic() == topic) {
                attendance.leave(registry::name(&key), self.number);
            }
            self.context.disconnects.note(topic, &key);
            self.context.registry.register(Registration { topic, key, value: None });
        }
    }
}

impl Attendee for Session {
    fn listens(&self, channel: &Channel) -> bool {
        let state = self.lock();
        let mut listened = state.subscriptions.iter().filter_map(|one| one.channel.as_ref());
        listened.any(|listened| listened.channel == *channel)
    }

    fn keep_active(&self, topic: &'static str, name: &str, value: String) {
        self.register(Registration { topic, key: self.key(name), value: Some(value) });
    }

    fn end_attendance(
        &self,
        topic: &'static str,
        name: &str,
        channel: &Channel,
        reason: &'static str,
    ) {
        let key = (topic, self.key(name));
        let is_last = {
            let mut state = self.lock();
            state.registered.retain(|registered| *registered != key);
            !state.registered.iter().any(|(of, _)| *of == topic)
        };
        self.context.registry.register(Registration { topic, key: key.1, value: None });
        self.unsubscribe(channel);
        if is_last {
            self.close(close::DONE, reason);
        }
    }
}
