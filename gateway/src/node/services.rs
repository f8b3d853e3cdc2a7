//! The parts of a node: what its sessions use, and what only HTTP needs.
//!
//! A handler takes the parts that it touches out of the router's state, so its signature names them.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock, Weak},
};

use auth::Authenticator;
use axum::extract::FromRef;
use broker::Broker;
use domain::node::NodeId;
use runtime::{config::Config, lifecycle::Lifecycle};
use store::Store;
use websocket::Connections;

use super::audit::Audit;
use crate::{
    channel::hub::Hub,
    cluster::{
        agent_health::AgentHealth, cluster_query::ClusterQuery,
        installation_figures::InstallationFigures, node_directory::NodeDirectory,
        registry::ClusterRegistry,
    },
    http::{address_limits::AddressLimits, bodies::BodyLimits, read_limits::ReadLimits},
    ingest::{publish_limits::PublishLimits, publisher::EventPublisher},
    metrics::GatewayMetrics,
    protocol::Dialect,
    session::{context::SessionContext, sessions::Sessions},
};

/// All dialects of upgrade requests, in the order in which they are asked whether a request is theirs.
pub type Dialects = Arc<[Arc<dyn Dialect>]>;

/// A gateway node; clones are handles to the same one.
#[derive(Clone)]
pub struct Services(Arc<Parts>);

/// The parts of a node.
pub struct Parts {
    /// What sessions use.
    pub context: Arc<SessionContext>,
    /// The open sessions.
    pub sessions: Arc<Sessions>,
    /// The open sockets.
    pub connections: Arc<Connections>,
    /// The dialects of upgrade requests.
    pub dialects: Dialects,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Asks all other nodes.
    pub cluster_query: Arc<ClusterQuery>,
    /// Keeps what operators do.
    pub audit: Audit,
    /// What every process says of itself.
    pub node_directory: Arc<NodeDirectory>,
    /// How much the record holds, and what was done in the last hour.
    pub figures: Arc<InstallationFigures>,
    /// How much each may publish over HTTP.
    pub publish_limits: Arc<PublishLimits>,
    /// How often each address may come.
    pub address_limits: Arc<AddressLimits>,
    /// How much each may read over HTTP at the same time.
    pub read_limits: Arc<ReadLimits>,
    /// What bodies of requests may take together.
    pub body_limits: Arc<BodyLimits>,
    /// All metrics of the process.
    pub prometheus: prometheus::Registry,
    /// The port where Redis clients are served by this process, once they are.
    pub redis_port: OnceLock<u16>,
}

impl Services {
    /// Returns the node of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Returns the parts for somebody who must not keep the node alive.
    pub fn downgrade(&self) -> Weak<Parts> {
        Arc::downgrade(&self.0)
    }
}

impl Deref for Services {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Lets handlers take a part out of the state.
macro_rules! part {
    ($part:ty, $services:ident, $value:expr) => {
        impl FromRef<Services> for $part {
            fn from_ref($services: &Services) -> Self {
                $value.clone()
            }
        }
    };
}

part!(Arc<SessionContext>, services, services.context);
part!(Arc<Config>, services, services.context.config);
part!(Arc<Authenticator>, services, services.context.auth);
part!(Arc<Hub>, services, services.context.hub);
part!(Arc<EventPublisher>, services, services.context.publisher);
part!(Arc<ClusterRegistry>, services, services.context.registry);
part!(Arc<AgentHealth>, services, services.context.agent_health);
part!(Arc<GatewayMetrics>, services, services.context.metrics);
part!(Lifecycle, services, services.context.life);
part!(NodeId, services, services.context.node);
part!(Arc<Sessions>, services, services.sessions);
part!(Arc<Connections>, services, services.connections);
part!(Dialects, services, services.dialects);
part!(Arc<dyn Broker>, services, services.broker);
part!(Arc<dyn Store>, services, services.store);
part!(Arc<ClusterQuery>, services, services.cluster_query);
part!(Audit, services, services.audit);
part!(Arc<NodeDirectory>, services, services.node_directory);
part!(Arc<InstallationFigures>, services, services.figures);
part!(Arc<PublishLimits>, services, services.publish_limits);
part!(Arc<AddressLimits>, services, services.address_limits);
part!(prometheus::Registry, services, services.prometheus);
