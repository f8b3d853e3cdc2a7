//! The sessions of containers: which containers this node's sockets have to do with, when each was
//! last awake, and the HEARTBEAT to those who watch.
//!
//! A session lasts from the first socket or frame of its container to the last socket, or until
//! nobody on any node had a frame for it for `SESSION_TIMEOUT`. Each node says in the registry when
//! its sessions were last awake, so that a watcher's node knows of a producer on another one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use shared::channel::{Channel, ChannelKind};

use super::{Case, heartbeat};
use crate::{
    dialect::Encoding,
    frame::Frame,
    gateway::Gateway,
    registry::{self, CONTAINERS},
    session::Session,
};

/// How many frames are written before other tasks get their turn.
const WRITES_PER_TURN: usize = 128;

/// The shortest pause between two looks at who sleeps.
const LOOK_MIN: Duration = Duration::from_millis(50);

/// The containers that this node's sockets have to do with.
#[derive(Debug, Default)]
pub struct Containers {
    sessions: Mutex<HashMap<Box<str>, Awake>>,
}

#[derive(Debug, Default)]
struct Awake {
    /// When there was last a frame for it, ms since 1970.
    at: i64,
    /// What other nodes know of that.
    told_at: i64,
    sockets: Vec<Weak<Session>>,
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

impl Containers {
    /// There is a frame for a container. One that nobody here has to do with is none of this node's.
    pub fn touch(&self, container: &str) {
        if let Some(session) = self.lock().get_mut(container) {
            session.at = now();
        }
    }

    /// A socket has to do with a container.
    pub fn join(&self, container: &str, socket: &Arc<Session>) {
        let mut sessions = self.lock();
        let session = sessions.entry(container.into()).or_default();
        session.at = now();
        session.told_at = session.at;
        session.sockets.push(Arc::downgrade(socket));
    }

    /// A socket is gone.
    pub fn leave(&self, container: &str, socket: &Session) {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(container) else { return };
        session.sockets.retain(|other| !std::ptr::eq(other.as_ptr(), socket));
        if session.sockets.is_empty() {
            sessions.remove(container);
        }
    }

    /// Sends heartbeats and ends sessions that sleep, for ever.
    pub async fn run(&self, gateway: &Gateway) {
        let rhythm = &gateway.config.rhythm;
        let mut heartbeats = tokio::time::interval(rhythm.container_heartbeat.max(LOOK_MIN));
        let mut looks = tokio::time::interval((rhythm.container_timeout / 4).max(LOOK_MIN));
        loop {
            tokio::select! {
                _ = heartbeats.tick() => self.send_heartbeats(gateway).await,
                _ = looks.tick() => self.end_sleeping(gateway).await,
            }
        }
    }

    async fn send_heartbeats(&self, gateway: &Gateway) {
        let all: Vec<(Box<str>, Vec<Weak<Session>>)> = {
            let sessions = self.lock();
            sessions.iter().map(|(id, session)| (id.clone(), session.sockets.clone())).collect()
        };
        let mut writes = 0_usize;
        for (container, sockets) in all {
            let channel = Channel::entity(ChannelKind::Container, &container);
            let now = now();
            let upper = heartbeat(Case::Upper, &container, now);
            let lower = heartbeat(Case::Lower, &container, now);
            for socket in sockets.iter().filter_map(Weak::upgrade) {
                if !socket.listens(&channel) {
                    continue;
                }
                let frame: &Frame = match socket.encoding() {
                    Encoding::ContainersLower => &lower,
                    _ => &upper,
                };
                socket.connection.send_if_room(frame);
                gateway.metrics.sent(socket.encoding(), 1, frame.len());
                writes += 1;
                if writes.is_multiple_of(WRITES_PER_TURN) {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn end_sleeping(&self, gateway: &Gateway) {
        let timeout = gateway.config.rhythm.container_timeout;
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        self.tell_others(timeout_ms / 8);
        let oldest = now().saturating_sub(timeout_ms);
        let mut sleeping: Vec<Box<str>> = {
            let sessions = self.lock();
            let asleep = sessions.iter().filter(|(_, session)| session.at <= oldest);
            asleep.map(|(container, _)| container.clone()).collect()
        };
        if sleeping.is_empty() {
            return;
        }
        // Who cannot ask the other nodes ends nothing.
        let Ok(members) = gateway.registry.members(CONTAINERS).await else { return };
        let awake = members.iter().filter(|member| {
            member.node != gateway.node && member.value.parse().is_ok_and(|at: i64| at > oldest)
        });
        let awake: Vec<&str> = awake.map(|member| registry::name(&member.key)).collect();
        sleeping.retain(|container| !awake.contains(&&**container));
        for container in sleeping {
            let session = self.lock().remove(&container);
            for socket in session.iter().flat_map(|session| &session.sockets) {
                if let Some(socket) = socket.upgrade() {
                    socket.end_container(&container);
                }
            }
        }
    }

    /// Says of sessions when they were awake, if that is news of some worth.
    fn tell_others(&self, worth_ms: i64) {
        let mut news = Vec::new();
        for (container, session) in self.lock().iter_mut() {
            if session.at - session.told_at > worth_ms
                && let Some(socket) = session.sockets.iter().find_map(Weak::upgrade)
            {
                session.told_at = session.at;
                news.push((container.clone(), socket, session.at));
            }
        }
        for (container, socket, at) in news {
            socket.keep_awake(&container, at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Awake>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
