//! The composition root: builds the parts of a node and starts its background work.

use std::sync::{Arc, OnceLock};

use auth::Authenticator;
use broker::{Broker, BrokerError, Topic};
use domain::node::NodeId;
use runtime::{config::Config, health::Health, lifecycle::Lifecycle};
use store::Store;
use tokio_util::task::TaskTracker;
use websocket::{ConnectionLimits, Connections, MessageLimits, UploadLimits};

use crate::{
    channel::{history::History, hub::Hub},
    cluster::{
        agent_health::AgentHealth, agent_roster::AgentRoster, cluster_query::ClusterQuery,
        disconnects::Disconnects, installation_figures::InstallationFigures,
        node_directory::NodeDirectory, presence::Presence, registry::ClusterRegistry,
    },
    dialect::{self, Built, ENCODINGS},
    http::{
        address_limits::AddressLimits, bodies::BodyLimits, read_limits::ReadLimits,
        refusals::Refusals,
    },
    ingest::{
        partitions::PartitionCount, publish_limits::PublishLimits, publisher::EventPublisher,
    },
    metrics::GatewayMetrics,
    node::{
        audit::Audit,
        denylist::Denylist,
        fanout::Fanout,
        reminders::remind,
        services::{Parts, Services},
        status_announcer, status_reporter,
    },
    protocol::Sender,
    session::{
        context::{Degraded, SessionContext},
        heartbeats::Heartbeats,
        sessions::Sessions,
        token_expiry::TokenExpiry,
    },
};

/// What a gateway is made of.
pub struct Foundation {
    /// The name of the node among all.
    pub node: NodeId,
    /// The settings.
    pub config: Config,
    /// Checks credentials.
    pub auth: Authenticator,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// All metrics of the process.
    pub prometheus: prometheus::Registry,
    /// The health of broker and store.
    pub health: Arc<Health>,
    /// The life of the process.
    pub life: Lifecycle,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The subscriber was not started.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A metric's name is taken.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// Builds a node and starts its background work; it serves when its listeners are.
///
/// # Errors
/// When the subscriber cannot be started or a metric's name is taken.
pub async fn start(foundation: Foundation) -> Result<Services, StartError> {
    let dialects = dialect::build(&foundation.config);
    let services = build(foundation, &dialects)?;
    let context = &services.context;
    let (auth, sessions) = (Arc::clone(&context.auth), Arc::clone(&services.sessions));
    let denylist = Denylist::new(Arc::clone(&services.store), auth, sessions);
    denylist.read().await;
    subscribe(&services).await?;
    spawn_background(&services, denylist);
    dialect::spawn_background(dialects, &services);
    Ok(services)
}

fn build(foundation: Foundation, dialects: &Built) -> Result<Services, StartError> {
    let Foundation { node, config, auth, broker, store, prometheus, health, life } = foundation;
    let labels = ENCODINGS.each_ref().map(|encoding| encoding.dialect());
    let metrics = Arc::new(GatewayMetrics::new(&prometheus, &labels)?);
    let partitions = Arc::new(PartitionCount::new(config.record.partitions));
    let hub = hub(&config, (&broker, &store), &metrics, &health, &life, &partitions);
    let publisher = publisher(&node, &broker, &store, &metrics, partitions);
    let registry =
        Arc::new(ClusterRegistry::new(node.clone(), Arc::clone(&broker), Arc::clone(&health)));
    let presence =
        Presence::new(node.clone(), Arc::clone(&broker), Arc::clone(&store), Arc::clone(&metrics));
    let presence = Arc::new(presence);
    let agents = agents(&node, &config, &store, &publisher, &life);
    let topics = dialects.all.iter().flat_map(|dialect| dialect.topics()).copied().collect();
    let disconnects = Disconnects::new(
        Arc::clone(&broker),
        Arc::clone(&registry),
        Arc::clone(&presence),
        Arc::clone(&publisher),
        topics,
    );
    let sessions = Arc::new(Sessions::new(Arc::clone(&metrics)));
    let query =
        ClusterQuery::new(node.clone(), Arc::clone(&broker), Arc::clone(&hub), life.clone());
    let connections =
        Connections::new(connection_limits(&config), life.tasks(), life.stopping_token());
    let context = SessionContext {
        agent_health: agent_health(&config, &broker, &store, &publisher),
        heartbeats: Heartbeats::new(&*dialects.all, &config.rhythm),
        node,
        config: Arc::new(config),
        auth: Arc::new(auth),
        hub,
        publisher,
        registry,
        presence,
        agents: Arc::new(agents),
        disconnects: Arc::new(disconnects),
        token_expiry: Arc::new(TokenExpiry::default()),
        encodings: &ENCODINGS,
        unrecorded: TaskTracker::new(),
        degraded: Degraded::default(),
        health,
        list: Arc::clone(&sessions) as _,
        refusals: Arc::new(Refusals::new(metrics.refused.clone())),
        metrics,
        life,
    };
    let (limits, registry) = (&context.config.limits, Arc::clone(&context.registry));
    Ok(Services::new(Parts {
        sessions,
        connections,
        dialects: Arc::clone(&dialects.all),
        broker,
        cluster_query: Arc::new(query),
        audit: Audit::new(context.node.clone(), Arc::clone(&store)),
        node_directory: Arc::new(NodeDirectory::new(registry, Arc::clone(&store))),
        figures: Arc::new(InstallationFigures::new(Arc::clone(&store))),
        publish_limits: Arc::new(PublishLimits::new(limits.publish_per_second)),
        address_limits: Arc::new(AddressLimits::new(limits)),
        read_limits: Arc::new(ReadLimits::new(limits)),
        body_limits: Arc::new(BodyLimits::new(limits)),
        store,
        context: Arc::new(context),
        prometheus,
        redis_port: OnceLock::new(),
    }))
}

fn publisher(
    node: &NodeId,
    broker: &Arc<dyn Broker>,
    store: &Arc<dyn Store>,
    metrics: &Arc<GatewayMetrics>,
    partitions: Arc<PartitionCount>,
) -> Arc<EventPublisher> {
    let (broker, store) = (Arc::clone(broker), Arc::clone(store));
    Arc::new(EventPublisher::new(node.clone(), broker, store, Arc::clone(metrics), partitions))
}

fn agent_health(
    config: &Config,
    broker: &Arc<dyn Broker>,
    store: &Arc<dyn Store>,
    publisher: &Arc<EventPublisher>,
) -> Arc<AgentHealth> {
    let (broker, store) = (Arc::clone(broker), Arc::clone(store));
    let settings = config.health.clone();
    Arc::new(AgentHealth::new(settings, broker, store, Arc::clone(publisher)))
}

fn agents(
    node: &NodeId,
    config: &Config,
    store: &Arc<dyn Store>,
    publisher: &Arc<EventPublisher>,
    life: &Lifecycle,
) -> AgentRoster {
    let (store, publisher) = (Arc::clone(store), Arc::clone(publisher));
    AgentRoster::new(node.clone(), store, publisher, config.work.clone(), life.clone())
}

fn hub(
    config: &Config,
    (broker, store): (&Arc<dyn Broker>, &Arc<dyn Store>),
    metrics: &Arc<GatewayMetrics>,
    health: &Arc<Health>,
    life: &Lifecycle,
    partitions: &Arc<PartitionCount>,
) -> Arc<Hub> {
    let record = &config.record;
    let (broker, store) = (Arc::clone(broker), Arc::clone(store));
    let (counted, health) = (Arc::clone(metrics), Arc::clone(health));
    let history = History::new(broker, store, counted, health, Arc::clone(partitions));
    let (cache_bytes, state_bytes) = (record.hub_cache_bytes, record.state_bytes);
    Hub::new(history, life.clone(), Arc::clone(metrics), cache_bytes, state_bytes)
}

fn connection_limits(config: &Config) -> ConnectionLimits {
    let limits = &config.limits;
    let all = [Sender::Anonymous, Sender::Client, Sender::Agent, Sender::Container];
    let bytes_max = all.map(|sender| sender.frame_bytes(limits)).into_iter().max();
    let defaults = ConnectionLimits::default();
    ConnectionLimits {
        message: MessageLimits { bytes_max: bytes_max.unwrap_or_default(), ..defaults.message },
        uploads: UploadLimits {
            all_bytes_max: limits.upload_bytes,
            strangers_bytes_max: limits.anonymous_upload_bytes,
            group_bytes_max: limits.address_upload_bytes,
            message_ms: u32::try_from(limits.message_timeout.as_millis()).unwrap_or(u32::MAX),
        },
        send_queue_bytes: limits.send_queue_bytes,
        send_queues_bytes: limits.send_queues_bytes,
        ..defaults
    }
}

async fn subscribe(services: &Services) -> Result<(), BrokerError> {
    let node = &services.context.node;
    let subscriber = services.broker.subscriber(node, Fanout::new(services)).await?;
    for topic in [Topic::Node(node.clone()), Topic::Nodes, Presence::topic()] {
        // Without a connection they stay wanted.
        let _unavailable = subscriber.subscribe(topic).await;
    }
    services.context.hub.attach(subscriber);
    Ok(())
}

fn spawn_background(services: &Services, denylist: Denylist) {
    let context = &services.context;
    let life = &context.life;
    let hub = Arc::clone(&context.hub);
    life.spawn_until_stop(async move { hub.run().await });
    let publisher = Arc::clone(&context.publisher);
    life.spawn_until_stop(async move { publisher.follow_partitions().await });
    let registry = Arc::clone(&context.registry);
    life.spawn_until_stop(async move { registry.run().await });
    let directory = Arc::clone(&services.node_directory);
    life.spawn_until_stop(async move { directory.run().await });
    life.spawn_until_stop(status_announcer::run(services.clone()));
    let reporting = services.clone();
    life.spawn_until_stop(status_reporter::run(reporting));
    let agents = Arc::clone(&context.agents);
    life.spawn_until_stop(async move { agents.run().await });
    let auth = Arc::clone(&context.auth);
    life.spawn_until_stop(async move { auth.keep_keys().await });
    life.spawn_until_stop(async move { denylist.run().await });
    let address_limits = Arc::clone(&services.address_limits);
    life.spawn_until_stop(async move { address_limits.run().await });
    let token_expiry = Arc::clone(&context.token_expiry);
    life.spawn_until_stop(async move { token_expiry.run().await });
    let presence = Arc::clone(&context.presence);
    life.spawn_until_stop(async move { presence.run().await });
    for dialect in &*services.dialects {
        if let Some(reminder) = dialect.reminder(&context.config.rhythm) {
            let (dialect, sessions) = (Arc::clone(dialect), Arc::clone(&services.sessions));
            life.spawn_until_stop(remind(dialect, sessions, reminder));
        }
    }
    let agent_health = Arc::clone(&context.agent_health);
    life.spawn_until_stop(async move { agent_health.run().await });
    let disconnects = Arc::clone(&context.disconnects);
    life.spawn_until_stop(async move { disconnects.run().await });
    let disconnects = Arc::clone(&context.disconnects);
    life.spawn_until_stop(async move { disconnects.expire_nodes().await });
    let disconnects = Arc::clone(&context.disconnects);
    life.spawn_until_stop(async move { disconnects.announce_again().await });
}
