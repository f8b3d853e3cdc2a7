//! Which connection serves a name: that to the server which holds its slot.
//!
//! When slots move, names move with them; who waits for a confirmation meanwhile hears that none
//! comes, and everything that moved is compared once it is subscribed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use runtime::{lifecycle::Lifecycle, lock::LockExt as _};
use tokio::sync::oneshot;

use super::{
    super::{slot, slot_map::SlotMap},
    subscription_set::{SubscribeOutcome, SubscriptionSet},
    supervisor::{Shared, Supervisor},
};
use crate::{Topic, tags};

/// The connections to all servers.
pub(super) struct SubscriptionRoutes {
    shared: Arc<Shared>,
    lifecycle: Lifecycle,
    servers: Mutex<ServerConnections>,
}

struct ServerConnections {
    map: Arc<SlotMap>,
    connections: BTreeMap<Arc<str>, ServerConnection>,
    /// Names that nobody serves at the moment.
    homeless: SubscriptionSet,
}

struct ServerConnection {
    subscriptions: Arc<SubscriptionSet>,
    failures: Arc<AtomicU32>,
    /// Dropped, it ends the connection.
    _alive: oneshot::Sender<()>,
}

impl SubscriptionRoutes {
    /// Connects to all servers of the map.
    pub(super) fn new(shared: Shared, lifecycle: &Lifecycle) -> Arc<Self> {
        let map = shared.shards.map();
        let homeless = SubscriptionSet::new(shared.shards.is_cluster());
        let servers =
            ServerConnections { map: Arc::clone(&map), connections: BTreeMap::new(), homeless };
        let routes = Arc::new(Self {
            shared: Arc::new(shared),
            lifecycle: lifecycle.clone(),
            servers: Mutex::new(servers),
        });
        routes.apply(map);
        routes
    }

    /// Follows the map; returns at once where it never changes.
    pub(super) async fn follow(&self) {
        let Some(mut changes) = self.shared.shards.changes() else { return };
        while changes.changed().await.is_ok() {
            let map = Arc::clone(&changes.borrow_and_update());
            self.apply(map);
        }
    }

    /// Wants a name from now on.
    pub(super) fn want(&self, name: String, topic: Topic) -> SubscribeOutcome {
        let servers = self.servers.lock_unpoisoned();
        servers.set(&name).want(name, topic)
    }

    /// Wants a name no longer.
    pub(super) fn unwant(&self, name: &str) {
        let servers = self.servers.lock_unpoisoned();
        servers.set(name).unwant(name);
    }

    /// Notes that a caller stopped waiting for a confirmation that may still come.
    pub(super) fn note_late(&self, name: &str) {
        self.servers.lock_unpoisoned().set(name).note_late();
    }

    /// Whether what is published under a name arrives.
    pub(super) fn hears(&self, name: &str) -> bool {
        let servers = self.servers.lock_unpoisoned();
        let server = servers.map.shard(slot::of(name));
        server.is_some_and(|shard| self.shared.coverage.hears(&shard.address))
    }

    /// The most failures in a row of any connection.
    pub(super) fn failures(&self) -> u32 {
        let servers = self.servers.lock_unpoisoned();
        let failures = servers.connections.values().map(|it| it.failures.load(Ordering::Relaxed));
        failures.max().unwrap_or(0)
    }

    fn apply(&self, map: Arc<SlotMap>) {
        let mut servers = self.servers.lock_unpoisoned();
        let addresses = addresses(&map, self.shared.shards.is_cluster());
        self.shared.coverage.expect(&addresses, !map.is_whole());
        servers.map = map;
        let mut moved = servers.homeless.take_out(|_| true);
        let ServerConnections { map, connections, .. } = &mut *servers;
        for (address, connection) in &*connections {
            let stays = |name: &str| {
                map.shard(slot::of(name)).is_some_and(|shard| shard.address == *address)
            };
            moved.extend(connection.subscriptions.take_out(|name| !stays(name)));
        }
        connections.retain(|address, _| addresses.contains(address));
        for address in addresses {
            connections.entry(address).or_insert_with_key(|address| self.connect(address));
        }
        for (name, topic) in moved {
            // Nobody waits for the confirmation.
            let _outcome = servers.set(&name).want(name.to_string(), topic);
        }
        for connection in servers.connections.values() {
            connection.subscriptions.note_late();
        }
    }

    fn connect(&self, address: &Arc<str>) -> ServerConnection {
        let subscriptions = Arc::new(SubscriptionSet::new(self.shared.shards.is_cluster()));
        let failures = Arc::new(AtomicU32::new(0));
        let supervisor = Supervisor {
            shared: Arc::clone(&self.shared),
            address: Arc::clone(address),
            subscriptions: Arc::clone(&subscriptions),
            failures: Arc::clone(&failures),
        };
        let (alive, ended) = oneshot::channel();
        self.lifecycle.spawn_until_stop(supervisor.run(ended));
        ServerConnection { subscriptions, failures, _alive: alive }
    }
}

impl ServerConnections {
    fn set(&self, name: &str) -> &SubscriptionSet {
        let address = self.map.shard(slot::of(name)).map(|shard| &shard.address);
        let connection = address.and_then(|address| self.connections.get(address));
        connection.map_or(&self.homeless, |connection| &connection.subscriptions)
    }
}

/// The servers at which any of our names may live.
fn addresses(map: &SlotMap, is_cluster: bool) -> Vec<Arc<str>> {
    let all = map.shards().iter().map(|shard| &shard.address);
    let holds_ours = |address: &&Arc<str>| {
        let here = |tag: &str| map.shard(slot::of(tag)).is_some_and(|it| it.address == **address);
        !is_cluster || tags::last_where(here).is_some()
    };
    all.filter(holds_ours).cloned().collect()
}
