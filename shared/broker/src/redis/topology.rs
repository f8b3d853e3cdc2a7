//! The servers of a cluster as they are now: asked for each second, and whenever one sends us to another.
//!
//! Any server of a cluster can be asked, and one that is cut off from the others tells how it was
//! before. So the first one counts that sees a working cluster and no older epoch than was seen
//! already.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use redis::{Pipeline, Value};
use runtime::lock::LockExt as _;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    link::{self, Link, field},
    seeds::Seeds,
    server::RedisServer,
    slot_map::{Shard, SlotMap},
};
use crate::BrokerError;

/// How often the cluster is asked for its servers, and each server for its replication id.
const INTERVAL: Duration = Duration::from_secs(1);

/// Not more often than this, however often we are sent elsewhere.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// How long one server may take to tell; another one is asked then.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// The servers of a cluster.
pub(super) struct Topology {
    seeds: Seeds,
    command_timeout: Duration,
    links: Mutex<HashMap<Arc<str>, Arc<Link>>>,
    map: watch::Sender<Arc<SlotMap>>,
    /// The newest epoch of the cluster that was seen.
    epoch: AtomicU64,
    stale: Notify,
}

/// What one server says of the cluster.
struct ClusterView {
    works: bool,
    epoch: u64,
    /// First and last slot, and the address of who holds them.
    held: Vec<(u16, u16, String)>,
}

impl Topology {
    /// Asks the seeds.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when none of them answers as a part of a cluster.
    pub(super) async fn connect(
        seeds: Seeds,
        command_timeout: Duration,
    ) -> Result<Self, BrokerError> {
        let topology = Self {
            seeds,
            command_timeout,
            links: Mutex::default(),
            map: watch::Sender::new(Arc::new(SlotMap::new(Vec::new()))),
            epoch: AtomicU64::new(0),
            stale: Notify::new(),
        };
        topology.refresh().await?;
        Ok(topology)
    }

    /// The map as it is now.
    pub(super) fn map(&self) -> Arc<SlotMap> {
        Arc::clone(&self.map.borrow())
    }

    /// Hears of each change of the map.
    pub(super) fn changes(&self) -> watch::Receiver<Arc<SlotMap>> {
        self.map.subscribe()
    }

    /// Asks for the map soon: a server has sent us elsewhere, or does not answer.
    pub(super) fn note_stale(&self) {
        self.stale.notify_one();
    }

    /// The connection for commands to the server at `HOST:PORT`.
    pub(super) fn link(&self, address: &str) -> Result<Arc<Link>, BrokerError> {
        let mut links = self.links.lock_unpoisoned();
        if let Some(link) = links.get(address) {
            return Ok(Arc::clone(link));
        }
        let server = RedisServer::Fixed(Box::new(self.seeds.info(address)?));
        let link = Arc::new(Link::new(server, self.command_timeout));
        links.insert(address.into(), Arc::clone(&link));
        Ok(link)
    }

    /// Keeps the map current, and what is known of each server; never returns.
    pub(super) async fn watch(&self) {
        tokio::join!(self.watch_map(), self.watch_servers());
    }

    async fn watch_map(&self) {
        let mut healthy = true;
        loop {
            tokio::time::sleep(INTERVAL_MIN).await;
            // Whether asked to or not, now and then.
            let _sooner = timeout(INTERVAL, self.stale.notified()).await;
            match self.refresh().await {
                Ok(()) => healthy = true,
                Err(error) if healthy => {
                    healthy = false;
                    tracing::warn!(%error, "redis: no server tells the cluster's slots, asked again each second");
                }
                Err(_) => {}
            }
        }
    }

    async fn watch_servers(&self) {
        loop {
            let map = self.map();
            join_all(map.shards().iter().map(|shard| observe(&shard.link))).await;
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn refresh(&self) -> Result<(), BrokerError> {
        let view = self.view().await?;
        self.epoch.fetch_max(view.epoch, Ordering::Relaxed);
        let mut held = Vec::with_capacity(view.held.len());
        for (first, last, address) in view.held {
            let link = self.link(&address)?;
            held.push((first, last, Shard { address: address.into(), link }));
        }
        let new = Arc::new(SlotMap::new(held));
        let known: Vec<_> = new.shards().iter().map(|shard| Arc::clone(&shard.address)).collect();
        let fresh = new.shards().iter().filter(|shard| shard.link.replid().is_none());
        join_all(fresh.map(|shard| observe(&shard.link))).await;
        let is_news = |old: &mut Arc<SlotMap>| {
            let news = !old.equals(&new);
            if news {
                *old = Arc::clone(&new);
            }
            news
        };
        if self.map.send_if_modified(is_news) {
            self.links.lock_unpoisoned().retain(|address, _| known.contains(address));
            tracing::info!(servers = ?known, whole = new.is_whole(), "redis: slots of the cluster");
        }
        Ok(())
    }

    /// The first view of a working cluster that is not older than what was seen; else the newest.
    async fn view(&self) -> Result<ClusterView, BrokerError> {
        let mut newest: Option<ClusterView> = None;
        let mut failure = BrokerError::Unavailable("no server of the cluster answers".to_owned());
        let map = self.map();
        let (silent, answering): (Vec<_>, Vec<_>) =
            map.shards().iter().partition(|shard| shard.link.is_silent());
        let known = answering.into_iter().chain(silent);
        let known = known.map(|shard| (&*shard.address, Some(&shard.link)));
        let entrances = self.seeds.entrances.iter().map(|(address, _)| (&**address, None));
        for (address, link) in known.chain(entrances) {
            match timeout(ANSWER_TIMEOUT, Box::pin(self.ask(address, link))).await {
                Ok(Ok(view)) if view.epoch < self.epoch.load(Ordering::Relaxed) => {}
                Ok(Ok(view)) if view.works => return Ok(view),
                Ok(Ok(view)) if newest.as_ref().is_none_or(|it| it.epoch < view.epoch) => {
                    newest = Some(view);
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => failure = error,
                Err(_) => {
                    failure = BrokerError::Unavailable(format!("{address} does not answer"));
                }
            }
        }
        newest.ok_or(failure)
    }

    async fn ask(
        &self,
        address: &str,
        link: Option<&Arc<Link>>,
    ) -> Result<ClusterView, BrokerError> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("CLUSTER").arg("INFO").cmd("CLUSTER").arg("SLOTS");
        let answers = match link {
            Some(link) => {
                pipeline.ignore_errors();
                let answers = link.run(&pipeline).await.map_err(link::RequestLost::read)?;
                let answers = answers.into_iter().map(|it| it.map_err(|e| link::refusal(&e)));
                answers.collect::<Result<Vec<_>, _>>()?
            }
            None => link::ask_any(&self.seeds.info(address)?, &pipeline).await?,
        };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let view = ClusterView::read(answers, host);
        view.ok_or_else(|| BrokerError::Unavailable(format!("{address} tells no slots")))
    }
}

impl ClusterView {
    /// From the answers to CLUSTER INFO and CLUSTER SLOTS; `host` is the name of who does not tell
    /// its own.
    fn read(answers: Vec<Value>, host: &str) -> Option<Self> {
        let [info, Value::Array(ranges)] = <[Value; 2]>::try_from(answers).ok()? else {
            return None;
        };
        let info: String = redis::from_redis_value(info).ok()?;
        let held = ranges.into_iter().filter_map(|range| held(range, host)).collect();
        Some(Self {
            works: field(&info, "cluster_state") == Some("ok"),
            epoch: field(&info, "cluster_current_epoch")?.parse().ok()?,
            held,
        })
    }
}

/// `[first, last, [host, port, …], …]`: who holds a range stands first, then its replicas.
fn held(range: Value, host: &str) -> Option<(u16, u16, String)> {
    let Value::Array(parts) = range else { return None };
    let mut parts = parts.into_iter();
    let first = redis::from_redis_value(parts.next()?).ok()?;
    let last = redis::from_redis_value(parts.next()?).ok()?;
    let Value::Array(server) = parts.next()? else { return None };
    let mut server = server.into_iter();
    let told: Option<String> = redis::from_redis_value(server.next()?).ok()?;
    let port: u16 = redis::from_redis_value(server.next()?).ok()?;
    let host =
        told.filter(|told| !told.is_empty() && told != "?").unwrap_or_else(|| host.to_owned());
    let bare = host.contains(':') && !host.starts_with('[');
    let host = if bare { format!("[{host}]") } else { host };
    Some((first, last, format!("{host}:{port}")))
}

/// Asks a server whether it answers, and under which replication id.
async fn observe(link: &Link) {
    let mut pipeline = Pipeline::with_capacity(1);
    pipeline.ignore_errors().cmd("INFO").arg("replication");
    if let Ok(answers) = link.run(&pipeline).await
        && let Some(Ok(info)) = answers.into_iter().next()
        && let Ok(info) = redis::from_redis_value::<String>(info)
    {
        link.note_replid(&info);
    }
}
