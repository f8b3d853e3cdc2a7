//! The connection to one server, which is rebuilt until the process stops or the server holds nothing
//! of ours any more.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use domain::node::NodeId;
use tokio::sync::oneshot;

use super::{
    super::{keys::Keys, shards::RedisShards, slot},
    connection::{ServerContext, SubscriberConnection},
    coverage::Coverage,
    probe::Probe,
    socket::SubscriberSocket,
    subscription_set::SubscriptionSet,
};
use crate::{Sink, tags};

/// The longest pause before the first attempt to connect anew; it doubles with every failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause before any attempt.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What the connections to all servers share.
pub(super) struct Shared {
    pub(super) shards: Arc<RedisShards>,
    pub(super) keys: Keys,
    pub(super) node: NodeId,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) coverage: Coverage,
}

/// Serves one server.
pub(super) struct Supervisor {
    pub(super) shared: Arc<Shared>,
    pub(super) address: Arc<str>,
    pub(super) subscriptions: Arc<SubscriptionSet>,
    pub(super) failures: Arc<AtomicU32>,
}

impl Supervisor {
    /// Runs until the sender of `ended` is dropped.
    pub(super) async fn run(self, ended: oneshot::Receiver<()>) {
        tokio::select! {
            () = self.serve_always() => {}
            _ = ended => {}
        }
    }

    async fn serve_always(&self) {
        loop {
            let error = match self.connect().await {
                Ok((connection, probe)) => self.serve(connection, probe).await,
                Err(error) => error,
            };
            self.shared.shards.note_stale();
            let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::warn!(%error, failures, server = %self.address, "subscriber: connecting anew");
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// To the server that commands go to: the two must not be different ones.
    async fn connect(&self) -> io::Result<(SubscriberSocket, Probe)> {
        let Shared { shards, keys, node, .. } = &*self.shared;
        let link = shards.link(&self.address).map_err(io::Error::other)?;
        let primary = link.primary().await.map_err(io::Error::other)?;
        let name = format!("fanfare-subscriber-{node}");
        let socket = SubscriberSocket::open(primary.info(), &name).await?;
        let probe = keys.probe(node, self.tag()?);
        Ok((socket, Probe::new(probe, shards.publish_command(), link)))
    }

    /// A tag that lives at this server, in a cluster. The last one: slots are moved away from the
    /// first on, and a probe that moves costs the connection.
    fn tag(&self) -> io::Result<Option<&'static str>> {
        let shards = &self.shared.shards;
        if !shards.is_cluster() {
            return Ok(None);
        }
        let map = shards.map();
        let is_here =
            |tag: &str| map.shard(slot::of(tag)).is_some_and(|shard| shard.address == self.address);
        let tag = tags::last_where(is_here);
        tag.map(Some).ok_or_else(|| io::Error::other("it holds no slot of ours any more"))
    }

    async fn serve(&self, connection: SubscriberSocket, probe: Probe) -> io::Error {
        let Shared { shards, sink, coverage, .. } = &*self.shared;
        let context = ServerContext {
            address: &self.address,
            shards,
            coverage,
            subscriptions: &self.subscriptions,
            sink: &**sink,
            failures: &self.failures,
        };
        SubscriberConnection::new(connection, probe, context).serve().await
    }
}

/// Full jitter: all nodes lose their connections at once, and must not come back at once.
fn pause(failures: u32) -> Duration {
    let longest = PAUSE_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(PAUSE_MAX);
    longest.mul_f64(rand::random())
}
