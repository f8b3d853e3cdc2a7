//! The sessions of containers: which containers this node's sockets attend, when each was last awake,
//! and the HEARTBEAT to those who watch.
//!
//! A session lasts from the first socket or frame of its container to the last socket, or until
//! nobody on any node had a frame for it for `SESSION_TIMEOUT`. Each node announces in the registry
//! when its sessions were last awake, so that a watcher's node knows of a producer on another one.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use domain::{
    channel::{Channel, ChannelKind},
    event::EventKind,
    node::NodeId,
    publication::Publication,
};
use runtime::config::Config;
use websocket::Frame;

use super::{
    encoder,
    frames::{self, Case},
};
use crate::{
    cluster::registry::{self, ClusterRegistry},
    metrics::GatewayMetrics,
    protocol::{Attendance, Attendee, Encoding},
};

/// The registry's topic of containers, by container and connection; the value is the time of the last
/// frame.
const CONTAINERS: &str = "containers";

/// What the entry of a container ends with that had its `complete`.
const COMPLETE: &str = " complete";

/// How many frames are written before other tasks get their turn.
const WRITES_PER_TURN: usize = 128;

/// The shortest pause between two looks at who sleeps.
const LOOK_MIN: Duration = Duration::from_millis(50);

/// A socket that has to do with a container, by the number of its connection.
type AttendingSocket = (u64, Weak<dyn Attendee>);

/// The containers that this node's sockets attend.
pub struct ContainerSessions {
    /// `MAX_SESSIONS`
    sessions_max: usize,
    heartbeat: Duration,
    timeout: Duration,
    sessions: Mutex<HashMap<Box<str>, ContainerSession>>,
}

#[derive(Default)]
struct ContainerSession {
    /// When there was last a frame for it, ms since 1970.
    awake_at: i64,
    /// What other nodes know of that.
    announced_at: i64,
    /// Whether the last frame for it was its `complete`.
    is_complete: bool,
    /// Its sockets, with their numbers.
    sockets: Vec<AttendingSocket>,
}

impl ContainerSession {
    /// Returns what the registry says of it.
    fn entry(&self) -> String {
        let complete = if self.is_complete { COMPLETE } else { "" };
        format!("{}{complete}", self.awake_at)
    }
}

/// Returns when a container was awake, as the registry says.
fn awake_at(entry: &str) -> Option<i64> {
    entry.strip_suffix(COMPLETE).unwrap_or(entry).parse().ok()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

impl ContainerSessions {
    /// Returns a node's sessions; there are none yet.
    pub fn new(config: &Config) -> Self {
        Self {
            sessions_max: config.limits.container_sessions,
            heartbeat: config.rhythm.container_heartbeat,
            timeout: config.rhythm.container_timeout,
            sessions: Mutex::default(),
        }
    }

    /// Sends heartbeats and ends sessions that sleep, until the process stops.
    pub async fn run(&self, node: &NodeId, registry: &ClusterRegistry, metrics: &GatewayMetrics) {
        let mut heartbeats = tokio::time::interval(self.heartbeat.max(LOOK_MIN));
        let mut looks = tokio::time::interval((self.timeout / 4).max(LOOK_MIN));
        loop {
            tokio::select! {
                _ = heartbeats.tick() => self.send_heartbeats(metrics).await,
                _ = looks.tick() => self.end_sleeping(node, registry).await,
            }
        }
    }

    async fn send_heartbeats(&self, metrics: &GatewayMetrics) {
        let all: Vec<(Box<str>, Vec<AttendingSocket>)> = {
            let sessions = self.lock();
            sessions.iter().map(|(id, session)| (id.clone(), session.sockets.clone())).collect()
        };
        let mut writes = 0_usize;
        for (container, sockets) in all {
            let channel = Channel::entity(ChannelKind::Container, &container);
            let now = now();
            let upper = frames::heartbeat(Case::Upper, &container, now);
            let lower = frames::heartbeat(Case::Lower, &container, now);
            for socket in sockets.iter().filter_map(|(_, socket)| socket.upgrade()) {
                if !socket.listens(&channel) {
                    continue;
                }
                let encoding = socket.encoding();
                let frame: &Frame = match encoder::case(encoding) {
                    Case::Lower => &lower,
                    Case::Upper => &upper,
                };
                socket.transport().send_if_room(frame);
                metrics.sent(encoding.index(), 1, frame.len());
                writes += 1;
                if writes.is_multiple_of(WRITES_PER_TURN) {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn end_sleeping(&self, node: &NodeId, registry: &ClusterRegistry) {
        let timeout_ms = i64::try_from(self.timeout.as_millis()).unwrap_or(i64::MAX);
        self.announce(timeout_ms / 8);
        let oldest = now().saturating_sub(timeout_ms);
        let mut sleeping: Vec<Box<str>> = {
            let sessions = self.lock();
            let asleep = sessions.iter().filter(|(_, session)| session.awake_at <= oldest);
            asleep.map(|(container, _)| container.clone()).collect()
        };
        if sleeping.is_empty() {
            return;
        }
        // Who cannot ask the other nodes ends nothing.
        let Ok(members) = registry.members(CONTAINERS).await else { return };
        let awake = members.iter().filter(|member| {
            member.node != *node && awake_at(&member.value).is_some_and(|at| at > oldest)
        });
        let awake: Vec<&str> = awake.map(|member| registry::name(&member.key)).collect();
        sleeping.retain(|container| !awake.contains(&&**container));
        for container in sleeping {
            let session = self.lock().remove(&container);
            let channel = Channel::entity(ChannelKind::Container, &container);
            for (_, socket) in session.iter().flat_map(|session| &session.sockets) {
                if let Some(socket) = socket.upgrade() {
                    let reason = "Container session ended";
                    socket.end_attendance(CONTAINERS, &container, &channel, reason);
                }
            }
        }
    }

    /// Announces when sessions were awake, if that is news of some worth.
    fn announce(&self, worth_ms: i64) {
        let mut news = Vec::new();
        for (container, session) in self.lock().iter_mut() {
            if session.awake_at - session.announced_at > worth_ms
                && let Some(socket) = session.sockets.iter().find_map(|(_, of)| of.upgrade())
            {
                session.announced_at = session.awake_at;
                news.push((container.clone(), socket, session.entry()));
            }
        }
        for (container, socket, entry) in news {
            socket.keep_active(CONTAINERS, &container, entry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, ContainerSession>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attendance for ContainerSessions {
    fn topic(&self) -> &'static str {
        CONTAINERS
    }

    fn names_max(&self) -> usize {
        self.sessions_max
    }

    fn no_room(&self, encoding: Encoding, name: &str) -> (Frame, &'static str) {
        (frames::too_many(encoder::case(encoding), name), "too many container sessions")
    }

    /// A container that is complete takes no room from others, however long its watchers stay.
    fn counts(&self, value: &str) -> bool {
        !value.ends_with(COMPLETE)
    }

    fn note_publications(&self, channel: &Channel, publications: &[Publication]) {
        let (ChannelKind::Container, Some(container)) = (channel.kind(), channel.id()) else {
            return;
        };
        let Some(last) = publications.last() else { return };
        let is_complete = last.recorded.event.kind == EventKind::ContainerComplete;
        let (entry, sockets) = {
            let mut sessions = self.lock();
            let Some(session) = sessions.get_mut(container) else { return };
            session.awake_at = now();
            if std::mem::replace(&mut session.is_complete, is_complete) == is_complete {
                return;
            }
            (session.entry(), session.sockets.clone())
        };
        for socket in sockets.iter().filter_map(|(_, socket)| socket.upgrade()) {
            socket.keep_active(CONTAINERS, container, entry.clone());
        }
    }

    fn touch(&self, name: &str) {
        if let Some(session) = self.lock().get_mut(name) {
            session.awake_at = now();
        }
    }

    fn join(&self, name: &str, number: u64, socket: Weak<dyn Attendee>) {
        let mut sessions = self.lock();
        let session = sessions.entry(name.into()).or_default();
        session.awake_at = now();
        session.announced_at = session.awake_at;
        session.sockets.push((number, socket));
    }

    fn leave(&self, name: &str, number: u64) {
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(name) else { return };
        session.sockets.retain(|(other, _)| *other != number);
        if session.sockets.is_empty() {
            sessions.remove(name);
        }
    }
}
