//! The past of channels: their one port to the broker and the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use broker::{Broker, BrokerError, Head};
use domain::{
    channel::{Channel, ChannelKind},
    event::{
        State,
        entity::{Entity, EntityKind},
    },
    position::{Epoch, Offsets, Position},
    source::Source,
};
use runtime::health::{Demand, Health, Outage};
use store::{EntityFilter, Listed, Page, Snapshot, SourceRow, Store, StoreError};
use tokio::{sync::Semaphore, time::Instant};

use crate::{ingest::partitions::PartitionCount, metrics::GatewayMetrics};

/// The registry's topic of nodes whose subscriber is connected.
pub const SUBSCRIBED_NODES: &str = "hearing";

/// After so long without an answer the database counts as down; it is asked every second.
const STORE_SILENCE_MAX: Duration = Duration::from_secs(4);

/// How long this node may see another broker than the owner of a source: a fail-over takes its time.
const OTHER_SIDE_MAX: Duration = Duration::from_secs(3);

/// The most publications of a page.
pub const PAGE_LENGTH: usize = 500;

/// About the most bytes of a page.
pub const PAGE_BYTES: usize = 1024 * 1024;

/// About the most bytes of the last events that a subscription begins with.
pub const TAIL_BYTES: usize = 8 * 1024 * 1024;

/// How many reads of SQL and Redis this node does at once for its channels.
const READS_MAX: usize = 32;

/// Reads what was recorded and published.
pub struct History {
    broker: Arc<dyn Broker>,
    store: Arc<dyn Store>,
    metrics: Arc<GatewayMetrics>,
    health: Arc<Health>,
    partitions: Arc<PartitionCount>,
    /// Bounds the reads of all channels together.
    reads: Semaphore,
    /// When the database answered last.
    store_answered: ArcSwap<Instant>,
    /// Since when the broker is another one than that of the sources' owner.
    other_side: ArcSwapOption<Instant>,
    /// The sources' rows as last read: generations, and how far is published.
    rows: ArcSwap<HashMap<Source, SourceRow>>,
}

impl History {
    /// Returns a history that has read nothing yet.
    pub fn new(
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        metrics: Arc<GatewayMetrics>,
        health: Arc<Health>,
        partitions: Arc<PartitionCount>,
    ) -> Self {
        Self {
            broker,
            store,
            metrics,
            health,
            partitions,
            reads: Semaphore::new(READS_MAX),
            store_answered: ArcSwap::from_pointee(Instant::now()),
            other_side: ArcSwapOption::empty(),
            rows: ArcSwap::default(),
        }
    }

    /// Returns the epoch of the database as last seen.
    pub fn epoch(&self) -> Epoch {
        self.store.epoch()
    }

    /// Asks the database for its epoch; none when it does not answer.
    pub async fn ask_epoch(&self) -> Option<Epoch> {
        self.store.check().await.ok().map(|()| self.store.epoch())
    }

    /// Returns how long ago the database answered last.
    pub fn store_age(&self) -> Duration {
        self.store_answered.load().elapsed()
    }

    /// Returns the sources' rows as they were read a moment ago; none while the database is silent.
    pub fn source_rows(&self) -> Option<Vec<SourceRow>> {
        let is_known = self.store_age() < STORE_SILENCE_MAX && !self.rows.load().is_empty();
        is_known.then(|| self.rows.load().values().cloned().collect())
    }

    /// Reads generations from the sources' rows: a head of another generation proves nothing.
    pub(super) async fn read_sources(&self) {
        let wanted: Vec<Source> = Source::all(self.partitions.get()).collect();
        let read = self.store.sources(&wanted).await;
        self.health.store.note(Demand::Read, &read);
        match read {
            Ok(rows) => {
                let rows = rows.into_iter().map(|row| (row.source, row)).collect();
                self.rows.store(Arc::new(rows));
                self.metrics.store_up.set(1.0);
                self.store_answered.store(Arc::new(Instant::now()));
                self.compare_sides().await;
            }
            Err(error) => {
                self.metrics.store_up.set(0.0);
                tracing::debug!(%error, "hub: sources not read, asked again within a second");
            }
        }
    }

    /// Compares the primary that this node sees with the one that the owner of a source has entered:
    /// after a split this node may be on the side that nobody publishes to.
    async fn compare_sides(&self) {
        let rows = self.rows.load();
        let Some(row) = rows.values().find(|row| row.owner.is_some() && !row.replid.is_empty())
        else {
            return;
        };
        let Ok(identity) = self.broker.identity(row.source).await else { return };
        // Where a server does not tell its id, its address stands for it, and may have several names.
        let told = |replid: &str| replid.len() == 40;
        let remembered = &row.replid;
        let all_told = told(&identity.replid) && remembered.split_whitespace().all(told);
        if identity.is_known(remembered) || !all_told {
            self.other_side.store(None);
            self.health.broker.works(Demand::Read);
        } else if self.other_side.load().is_none() {
            self.other_side.store(Some(Arc::new(Instant::now())));
        } else if self.on_other_side() {
            let outage = Outage::Refuses("other_side");
            let reason = "another server than the one that the owner of a source writes to";
            self.health.broker.fails(Demand::Read, outage, reason);
        }
    }

    /// Whether this node has seen another broker than the owner for too long to trust it.
    pub(super) fn on_other_side(&self) -> bool {
        self.other_side.load().as_ref().is_some_and(|since| since.elapsed() > OTHER_SIDE_MAX)
    }

    /// Returns the broker's heads of channels; none for a head of another generation than that of
    /// the source's row.
    pub(super) async fn heads(
        &self,
        wanted: &[(Channel, Source)],
    ) -> Result<Vec<Option<Head>>, BrokerError> {
        let heads = self.broker.heads(wanted).await?;
        let rows = self.rows.load();
        let certain = |((_, source), head): (&(Channel, Source), Option<Head>)| {
            let generation = rows.get(source).map(|row| row.generation);
            head.filter(|head| Some(head.generation) == generation)
        };
        Ok(wanted.iter().zip(heads).map(certain).collect())
    }

    /// Returns where channels are, as the database says.
    pub async fn positions(&self, channels: &[Channel]) -> Result<Vec<Position>, StoreError> {
        self.store.positions(channels).await
    }

    /// Returns a channel's position and state, read in one step.
    pub(super) async fn snapshot(&self, channel: &Channel) -> Result<Snapshot, StoreError> {
        let _permit = self.reads.acquire().await;
        self.store.snapshot(channel).await
    }

    /// Returns the state of an entity; none when it is not known.
    pub async fn entity(&self, entity: &Entity) -> Result<Option<State>, StoreError> {
        let _permit = self.reads.acquire().await;
        self.store.entity(entity).await
    }

    /// Returns entities of a kind, newest first.
    pub async fn entities(
        &self,
        kind: EntityKind,
        filter: &EntityFilter,
    ) -> Result<Vec<Listed>, StoreError> {
        self.store.entities(kind, filter).await
    }

    /// Returns the last events of a channel before a position, from the archive.
    pub async fn page_back(
        &self,
        channel: &Channel,
        before: &Offsets,
        length: usize,
    ) -> Result<Page, StoreError> {
        let _permit = self.reads.acquire().await;
        self.store.page_back(channel, Some(before), length, TAIL_BYTES).await
    }

    /// Returns a page of what follows `position`: from the broker while that is trusted and one
    /// source feeds the channel, else from the archive.
    pub(super) async fn page(
        &self,
        channel: &Channel,
        position: &Position,
        sources: &[Source],
        is_broker_trusted: bool,
    ) -> Result<Page, StoreError> {
        let _permit = self.reads.acquire().await;
        if let ([source], true) = (sources, is_broker_trusted)
            && let Some(page) = self.broker_page(channel, position, *source).await
        {
            return Ok(page);
        }
        self.store.page(channel, &position.offsets, PAGE_LENGTH, PAGE_BYTES).await
    }

    /// Returns a page from the broker's history; none when that does not reach back so far.
    ///
    /// What stands there was recorded before, so it is true whichever owner left it there, as long
    /// as it is of the same epoch.
    async fn broker_page(
        &self,
        channel: &Channel,
        position: &Position,
        source: Source,
    ) -> Option<Page> {
        let after = position.offsets.get(source);
        let read = self.broker.history(channel, source, after, PAGE_LENGTH).await;
        let publications = read.ok()?;
        let last = publications.last()?.offset;
        if publications.iter().any(|publication| publication.epoch != position.epoch) {
            return None;
        }
        let mut head = position.clone();
        head.offsets.set(source, last);
        Some(Page { publications, floor: Offsets::default(), head })
    }

    /// Whether another node's subscriber is connected. When the broker does not answer, none is.
    pub(super) async fn has_subscribed_nodes(&self) -> bool {
        self.broker.members(SUBSCRIBED_NODES).await.is_ok_and(|others| !others.is_empty())
    }

    /// Returns the sources that may feed a channel in this configuration.
    pub(super) fn possible_sources(&self, channel: &Channel) -> Vec<Source> {
        use ChannelKind as Kind;
        let stream = channel.home().stream;
        let partitions = self.partitions.get();
        let all = (0..partitions).map(|partition| Source { stream, partition });
        match channel.kind() {
            Kind::User => Source::all(partitions).collect(),
            _ if channel.is_entity() => {
                vec![Source::of(stream, channel.id(), partitions)]
            }
            Kind::Broadcast => vec![channel.home()],
            _ => all.collect(),
        }
    }
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}
