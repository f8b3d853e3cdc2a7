//! What a session works with: the parts of its node that it may use.

use std::sync::{Arc, Mutex, PoisonError};

use auth::Authenticator;
use domain::node::NodeId;
use runtime::{config::Config, health::Health, lifecycle::Lifecycle};
use tokio_util::task::TaskTracker;

use super::{heartbeats::Heartbeats, token_expiry::TokenExpiry};
use crate::{
    channel::hub::Hub,
    cluster::{
        agent_health::AgentHealth, agent_roster::AgentRoster, disconnects::Disconnects,
        presence::Presence, registry::ClusterRegistry,
    },
    http::refusals::Refusals,
    ingest::publisher::EventPublisher,
    metrics::GatewayMetrics,
    protocol::Encoding,
};

/// The parts of a node that its sessions use.
pub struct SessionContext {
    /// The name of the node among all.
    pub node: NodeId,
    /// The settings.
    pub config: Arc<Config>,
    /// Checks credentials.
    pub auth: Arc<Authenticator>,
    /// The channels of this node.
    pub hub: Arc<Hub>,
    /// Publishes events.
    pub publisher: Arc<EventPublisher>,
    /// What the node announces to all others.
    pub registry: Arc<ClusterRegistry>,
    /// How users are there.
    pub presence: Arc<Presence>,
    /// How agents are.
    pub agent_health: Arc<AgentHealth>,
    /// The agents that take tasks.
    pub agents: Arc<AgentRoster>,
    /// Who is gone for good.
    pub disconnects: Arc<Disconnects>,
    /// When tokens expire.
    pub token_expiry: Arc<TokenExpiry>,
    /// The heartbeats that all sockets of a dialect share.
    pub heartbeats: Heartbeats,
    /// The table of all encodings, by their numbers.
    pub encodings: &'static [Encoding; Encoding::COUNT],
    /// Tasks that record what sockets handed in.
    pub unrecorded: TaskTracker,
    /// What clients were told is missing.
    pub degraded: Degraded,
    /// The health of broker and store.
    pub health: Arc<Health>,
    /// Notified when a session ends.
    pub list: Arc<dyn SessionEnd>,
    /// What is counted.
    pub metrics: Arc<GatewayMetrics>,
    /// What is refused.
    pub refusals: Arc<Refusals>,
    /// The life of the process.
    pub life: Lifecycle,
}

impl SessionContext {
    /// Returns the name of a connection, unlike any other's on any node.
    pub fn connection_name(&self, number: u64) -> String {
        format!("{}-{number:x}", self.node)
    }
}

/// The list that a session stands on and does not know.
pub trait SessionEnd: Send + Sync {
    /// Notes that a session of this number is a user's; returns whether there is room for one more of
    /// so many.
    fn joined(&self, number: u64, user: &Arc<str>, connections_max: usize) -> bool;

    /// Notes that an admitted session has ended.
    fn ended(&self, number: u64, dialect: &'static str, user: Option<&str>);
}

/// What is missing at the node: `broker`, `store`, `both`, or nothing.
#[derive(Debug, Default)]
pub struct Degraded(Mutex<Option<&'static str>>);

impl Degraded {
    /// Returns what is missing.
    pub fn reason(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets what is missing; returns whether that is news.
    pub fn set(&self, reason: Option<&'static str>) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, reason) != reason
    }
}
