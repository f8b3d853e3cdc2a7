//! The figures of seed 003, summed over all nodes: each says its own in the registry.

use std::{sync::atomic::Ordering, time::Duration};

use serde::{Deserialize, Serialize};
use shared::broker::{BrokerError, Registration};

use crate::{dialect::Encoding, gateway::Gateway, registry::STATS};

/// How often a node says what it counted.
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
    fn here(gateway: &Gateway) -> Self {
        let metrics = &gateway.metrics;
        let dialect = Encoding::ZeroState.dialect();
        let current = metrics.connections.with_label_values(&[dialect]).get();
        let of = |counts: &[std::sync::atomic::AtomicU64]| {
            let encodings = [Encoding::ZeroState, Encoding::ZeroStateAnonymous];
            encodings.iter().map(|e| counts[*e as usize].load(Ordering::Relaxed)).sum()
        };
        Self {
            total_connections: of(&metrics.opened),
            current_connections: u64::try_from(current).unwrap_or(0),
            messages_sent: of(&metrics.publications_sent),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            total_connections: self.total_connections + other.total_connections,
            current_connections: self.current_connections + other.current_connections,
            messages_sent: self.messages_sent + other.messages_sent,
        }
    }
}

/// The sum over all nodes; this node's part is as new as can be.
pub(super) async fn everywhere(gateway: &Gateway) -> Result<Stats, BrokerError> {
    let members = gateway.registry.members(STATS).await?;
    let others = members.iter().filter(|member| member.node != gateway.node);
    let others = others.filter_map(|member| serde_json::from_str::<Stats>(&member.value).ok());
    Ok(others.fold(Stats::here(gateway), Stats::plus))
}

/// Says what this node counted whenever that has changed, for ever.
pub async fn run(gateway: &Gateway) {
    let mut said = Stats::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = Stats::here(gateway);
        if now != said {
            let key = gateway.node.to_string();
            let value = serde_json::to_string(&now).ok();
            gateway.registry.register(Registration { topic: STATS, key, value });
            said = now;
        }
    }
}
