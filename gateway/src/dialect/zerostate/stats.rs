//! The figures of seed 003, summed over all nodes: each announces its own in the registry.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use broker::{BrokerError, Registration};
use domain::node::NodeId;
use serde::{Deserialize, Serialize};

use super::encoder::{ANONYMOUS, KNOWN};
use crate::{cluster::registry::ClusterRegistry, metrics::GatewayMetrics};

/// The registry's topic of what the nodes counted, one key per node.
const STATS: &str = "zerostate";

/// How often a node announces what it counted.
const INTERVAL: Duration = Duration::from_secs(1);

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stats {
    /// Sockets since the node started.
    total_connections: u64,
    /// Open sockets.
    current_connections: u64,
    /// Messages delivered, once for each recipient; greetings and answers do not count.
    messages_sent: u64,
}

impl Stats {
    fn plus(self, other: Self) -> Self {
        Self {
            total_connections: self.total_connections + other.total_connections,
            current_connections: self.current_connections + other.current_connections,
            messages_sent: self.messages_sent + other.messages_sent,
        }
    }
}

/// Reads what this node counted, and what the others did.
pub struct Statistics {
    node: NodeId,
    registry: Arc<ClusterRegistry>,
    metrics: Arc<GatewayMetrics>,
}

impl Statistics {
    /// Returns the statistics of a node.
    pub fn new(node: NodeId, registry: Arc<ClusterRegistry>, metrics: Arc<GatewayMetrics>) -> Self {
        Self { node, registry, metrics }
    }

    fn here(&self) -> Stats {
        let connections = &self.metrics.connections;
        let current = connections.with_label_values(&[KNOWN.dialect()]).get();
        let of = |counts: &[AtomicU64]| {
            [KNOWN, ANONYMOUS].iter().map(|of| counts[of.index()].load(Ordering::Relaxed)).sum()
        };
        Stats {
            total_connections: of(&self.metrics.opened),
            current_connections: u64::try_from(current).unwrap_or(0),
            messages_sent: of(&self.metrics.publications_sent),
        }
    }

    /// Returns the sum over all nodes; this node's part is as new as can be.
    pub(super) async fn everywhere(&self) -> Result<Stats, BrokerError> {
        let members = self.registry.members(STATS).await?;
        let others = members.iter().filter(|member| member.node != self.node);
        let others = others.filter_map(|member| serde_json::from_str::<Stats>(&member.value).ok());
        Ok(others.fold(self.here(), Stats::plus))
    }

    /// Announces what this node counted whenever that has changed, until the process stops.
    pub async fn run(&self) {
        let mut announced = Stats::default();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = self.here();
            if now != announced {
                let key = self.node.to_string();
                let value = serde_json::to_string(&now).ok();
                self.registry.register(Registration { topic: STATS, key, value });
                announced = now;
            }
        }
    }
}
