//! One gateway node: everything its parts share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use shared::{
    auth::Authenticator,
    broker::{Broker, BrokerError, NodeId, Registration},
    config::Config,
    control::Control,
    lifecycle::Lifecycle,
    store::Store,
};

use tokio_util::task::TaskTracker;

use crate::{
    address_limits::AddressLimits,
    appender::Appender,
    connection::close,
    connections::Connections,
    departures::Departures,
    dialect::{self, Dialect, TurnedAway, containers::sessions::Containers},
    enquiries::Enquiries,
    expiries::Expiries,
    fanout::Fanout,
    frame::Frame,
    heartbeat::Heartbeat,
    hub::{Hub, HubParts},
    metrics::Metrics,
    presence::Presence,
    publish_limits::PublishLimits,
    registry::Registry,
    session::Session,
};

/// The registry's topic of all connections.
pub const CONNECTIONS: &str = "connections";

/// Within how many ms after its farewell a client is asked to connect elsewhere.
pub(crate) const COME_ELSEWHERE_MS: u64 = 500;

/// How long after the farewells the closes begin: who connects elsewhere first misses nothing and
/// shows nothing.
const LEAVE_AFTER: Duration = Duration::from_millis(1200);

/// What every handler and session gets.
pub type GatewayState = Arc<Gateway>;

/// A gateway node.
pub struct Gateway {
    /// Its name among the nodes.
    pub node: NodeId,
    /// The settings.
    pub config: Config,
    /// Checks credentials.
    pub auth: Authenticator,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The channels of this node.
    pub hub: Arc<Hub>,
    /// The open sockets.
    pub connections: Arc<Connections>,
    /// Takes events in.
    pub appender: Appender,
    /// Who hears of presence.
    pub presence: Presence,
    /// What the node says of itself.
    pub registry: Registry,
    /// Who is gone for good.
    pub departures: Departures,
    /// The containers that this node's sockets have to do with.
    pub containers: Containers,
    /// What sockets handed in and is not recorded yet.
    pub intakes: TaskTracker,
    /// When tokens run out.
    pub expiries: Expiries,
    /// How much each may publish.
    pub publish_limits: PublishLimits,
    /// What this node asks of all others.
    pub enquiries: Enquiries,
    /// How often each address may come.
    pub address_limits: AddressLimits,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// All metrics of the process.
    pub prometheus: prometheus::Registry,
    /// The life of the process.
    pub life: Lifecycle,
    heartbeats: Vec<Heartbeats>,
    sessions: Sessions,
    connections_made: AtomicU64,
    degraded: Mutex<Option<&'static str>>,
}

/// What a gateway is made of.
pub struct Parts {
    /// Its name among the nodes.
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
    /// The life of the process.
    pub life: Lifecycle,
}

/// The heartbeats that all sockets of a dialect share.
struct Heartbeats {
    /// From the beginning.
    first: Arc<Heartbeat>,
    /// For sockets that said who they are.
    later: Arc<Heartbeat>,
}

/// The open sessions of this node, by connection and by user.
#[derive(Default)]
struct Sessions {
    by_connection: Mutex<HashMap<u64, Arc<Session>>>,
    by_user: Mutex<HashMap<Arc<str>, usize>>,
    count: AtomicUsize,
}

impl Gateway {
    /// Builds a node and starts its background work; it serves when its listeners are.
    ///
    /// # Errors
    /// When the subscriber cannot be started or a metric's name is taken.
    pub async fn start(parts: Parts) -> Result<GatewayState, StartError> {
        let Parts { node, config, auth, broker, store, prometheus, life } = parts;
        let metrics = Arc::new(Metrics::new(&prometheus)?);
        let limits = crate::connection::Limits {
            message: crate::connection::codec::MessageLimits {
                bytes_max: config.limits.frame_bytes,
                ..crate::connection::Limits::default().message
            },
            send_queue_bytes: config.limits.send_queue_bytes,
            ..crate::connection::Limits::default()
        };
        let hub = Hub::new(HubParts {
            broker: Arc::clone(&broker),
            store: Arc::clone(&store),
            life: life.clone(),
            metrics: Arc::clone(&metrics),
            partitions: config.record.partitions,
            cache_bytes_max: config.record.hub_cache_bytes,
        });
        let heartbeats = dialect::ALL.iter().map(|dialect| {
            let first = Arc::new(dialect.heartbeat(&config.rhythm));
            let later = dialect.heartbeat_of_known(&config.rhythm).map(Arc::new);
            Heartbeats { later: later.unwrap_or_else(|| Arc::clone(&first)), first }
        });
        let heartbeats = heartbeats.collect();
        let gateway = Arc::new(Self {
            connections: Connections::new(limits, life.tasks(), life.stopping_token()),
            appender: Appender::new(node.clone(), Arc::clone(&broker), config.record.partitions),
            presence: Presence::default(),
            registry: Registry::new(node.clone(), Arc::clone(&broker)),
            departures: Departures::default(),
            containers: Containers::default(),
            intakes: TaskTracker::new(),
            expiries: Expiries::default(),
            publish_limits: PublishLimits::new(config.limits.publish_per_second),
            enquiries: Enquiries::default(),
            address_limits: AddressLimits::new(&config.limits),
            hub,
            metrics,
            heartbeats,
            sessions: Sessions::default(),
            connections_made: AtomicU64::new(0),
            degraded: Mutex::new(None),
            node,
            config,
            auth,
            broker,
            store,
            prometheus,
            life,
        });
        gateway.read_denials().await;
        gateway.subscribe().await?;
        gateway.run_in_background();
        Ok(gateway)
    }

    async fn subscribe(self: &Arc<Self>) -> Result<(), BrokerError> {
        use shared::broker::Topic;
        let sink = Fanout::new(self);
        let subscriber = self.broker.subscriber(&self.node, sink).await?;
        for topic in [Topic::Node(self.node.clone()), Topic::Nodes, Presence::topic()] {
            // Without a connection they stay wanted.
            let _unavailable = subscriber.subscribe(topic).await;
        }
        self.hub.attach(subscriber);
        Ok(())
    }

    fn run_in_background(self: &Arc<Self>) {
        let hub = Arc::clone(&self.hub);
        self.life.spawn_until_stop(async move { hub.run().await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.registry.run().await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.auth.keep_keys().await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.keep_denials().await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.address_limits.run().await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.expiries.run().await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.departures.run(&gateway).await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.departures.reap(&gateway).await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { gateway.containers.run(&gateway).await });
        let gateway = Arc::clone(self);
        self.life.spawn_until_stop(async move { dialect::zerostate::stats::run(&gateway).await });
    }

    /// The heartbeat of a dialect's sockets, from the beginning or once they are known.
    pub fn heartbeat(&self, dialect: &dyn Dialect, known: bool) -> Arc<Heartbeat> {
        let at = dialect::ALL.iter().position(|other| other.name() == dialect.name());
        let heartbeats = &self.heartbeats[at.unwrap_or_default()];
        Arc::clone(if known { &heartbeats.later } else { &heartbeats.first })
    }

    /// A number that no connection of this node has had.
    pub fn next_connection(&self) -> u64 {
        self.connections_made.fetch_add(1, Ordering::Relaxed)
    }

    /// The name of a connection, unlike any other's on any node.
    pub fn connection_name(&self, number: u64) -> String {
        format!("{}-{number:x}", self.node)
    }

    /// Lets a session in, or says with which code and frame it is turned away.
    pub fn admit(&self, session: &Arc<Session>) -> Result<(), (u16, Option<Frame>)> {
        let dialect = session.dialect().name();
        let limits = &self.config.limits;
        let frame = |code, message| session.dialect().turned_away(code, message);
        // Containers end for good when they are turned away: they get a reserve.
        let reserve = if dialect == "containers" { limits.connections.div_ceil(20) } else { 0 };
        if self.sessions.count.load(Ordering::Relaxed) >= limits.connections + reserve {
            let error = frame(TurnedAway::NodeFull, "this node is full");
            return Err((close::OVER_CAPACITY, error));
        }
        let identity = session.identity();
        if let Some(user) = &identity.user {
            let mut users = self.sessions.by_user.lock().unwrap_or_else(PoisonError::into_inner);
            let count = users.entry(Arc::clone(user)).or_default();
            if *count >= limits.connections_per_user {
                let error = frame(TurnedAway::UserFull, "this user has too many connections");
                return Err((close::TOO_MANY_CONNECTIONS, error));
            }
            *count += 1;
        }
        session.count(true);
        self.sessions.count.fetch_add(1, Ordering::Relaxed);
        self.metrics.connections.with_label_values(&[dialect]).inc();
        self.metrics.opened[session.encoding() as usize].fetch_add(1, Ordering::Relaxed);
        let mut sessions =
            self.sessions.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(session.number, Arc::clone(session));
        drop(sessions);
        self.expiries.watch(session);
        session.announce();
        // Who was denied after their token was looked at is found by one of the two.
        if self.is_denied(session) {
            session.close(close::FORBIDDEN, "disconnected by an operator");
        }
        Ok(())
    }

    /// A session's socket is gone.
    pub fn dismiss(&self, session: &Session) {
        if !session.count(false) {
            return;
        }
        let mut sessions =
            self.sessions.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&session.number);
        drop(sessions);
        self.sessions.count.fetch_sub(1, Ordering::Relaxed);
        self.metrics.connections.with_label_values(&[session.dialect().name()]).dec();
        if let Some(user) = session.identity().user {
            let mut users = self.sessions.by_user.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = users.get_mut(&user) {
                *count -= 1;
                if *count == 0 {
                    users.remove(&user);
                }
            }
        }
        let key = self.connection_name(session.number);
        self.registry.register(Registration { topic: CONNECTIONS, key, value: None });
        self.expiries.forget(session);
    }

    /// All open sessions.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        let sessions = self.sessions.by_connection.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.values().cloned().collect()
    }

    /// How many sessions are open.
    pub fn session_count(&self) -> usize {
        self.sessions.count.load(Ordering::Relaxed)
    }

    /// Follows an order of another process.
    pub fn control(self: &Arc<Self>, control: Control) {
        match control {
            Control::Outcome { request, result } => self.appender.answer(request, result),
            Control::Disconnect { user, until } => {
                // First the door, then the room: nobody slips in between.
                if let Some(until) = until {
                    self.auth.denials().deny(&user, until);
                }
                self.cut_off(|session| session.identity().user.as_deref() == Some(user.as_str()));
            }
            Control::Enquire { request, node, channels } => self.answer(request, node, &channels),
            Control::Standings { request, standings } => {
                self.enquiries.answered(request, standings);
            }
            Control::Admit { user } => self.auth.denials().admit(&user),
        }
    }

    /// What is missing at the moment: `broker`, `database`, or nothing.
    pub fn degraded(&self) -> Option<&'static str> {
        *self.degraded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the clients of our own protocol what is missing, when that changed.
    pub fn say_degraded(&self, reason: Option<&'static str>) {
        {
            let mut degraded = self.degraded.lock().unwrap_or_else(PoisonError::into_inner);
            if *degraded == reason {
                return;
            }
            *degraded = reason;
        }
        for session in self.sessions() {
            if let Some(frame) = dialect::status(session.encoding(), reason) {
                // Who is too slow to hear it is not waiting for anything new either.
                let _full = session.connection.send(&frame);
            }
        }
    }

    /// Lets every client go: first the dialect's farewell, by which a client may connect elsewhere
    /// before it leaves here, then the close; both spread over the drain.
    pub async fn drain(&self) {
        let sessions = self.sessions();
        let window = self.config.limits.drain.mul_f32(0.4).min(Duration::from_secs(12));
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
        // A few clients go at once; many are spread, so that the other nodes are not stormed.
        let step = (window / count).min(Duration::from_millis(2));
        let mut told = false;
        for session in &sessions {
            let (frame, _, _) = session.dialect().drain(rand::random_range(0..COME_ELSEWHERE_MS));
            if let Some(frame) = frame {
                let _full = session.connection.send(&frame);
                told = true;
                tokio::time::sleep(step).await;
            }
        }
        if told {
            tokio::time::sleep(LEAVE_AFTER.min(window)).await;
        }
        for session in &sessions {
            let (_, code, reason) = session.dialect().drain(0);
            session.connection.close(code, reason);
            tokio::time::sleep(step).await;
        }
        self.take_leave().await;
    }
}

impl Gateway {
    /// What is left to do when all clients were told to go: what they handed in is recorded, who is
    /// nowhere else is gone, and the node is out of the registry.
    async fn take_leave(&self) {
        while self.session_count() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.intakes.close();
        self.intakes.wait().await;
        self.departures.judge(self).await;
        self.registry.leave().await;
    }
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A metric's name is taken.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}
