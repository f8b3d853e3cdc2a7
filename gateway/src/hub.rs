//! Who listens on this node: the channels, each with its position, tail, state and listeners.
//!
//! There is one writer: publications from the subscriber, from fills and from reloads all go
//! through [`Hub::apply`], one batch at a time. Listeners are *live*, then the writer serves them,
//! or *behind*, then a [`catch_up`] reads pages for them until they meet the room's position.

pub mod catch_up;
pub mod compare;
pub mod fill;
pub mod listener;
pub mod pages;
pub mod room;

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use shared::{
    broker::{Broker, Subscriber, Topic},
    channel::Channel,
    lifecycle::Lifecycle,
    position::Position,
    publication::Publication,
    source::Source,
    store::{SourceRow, Store},
};
use tokio::{sync::Semaphore, time::Instant};

use self::{
    listener::Listener,
    room::{Applied, Overflowed, Room},
};
use crate::{batch::Batch, metrics::Metrics};

/// Shards of the map of channels: looked up for every publication, locked for moments.
const SHARDS: usize = 64;

/// How many reads of SQL and Redis this node does at once for its channels.
const READS_MAX: usize = 32;

/// The registry's topic of nodes whose subscriber hears.
pub const HEARING: &str = "hearing";

/// After so many failures in a row the node counts as deaf.
const DEAF_FAILURES: u32 = 3;

/// How long a publication may wait for what the database knows of its task.
const LOOK_UP_MAX: Duration = Duration::from_millis(250);

/// How long a channel without listeners stays subscribed: who comes back at once finds it warm.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The channels of this node.
pub struct Hub {
    shards: Vec<Mutex<HashMap<Channel, Arc<Room>>>>,
    hasher: RandomState,
    writer: tokio::sync::Mutex<Batch>,
    /// Bounds the reads of all channels together.
    reads: Semaphore,
    /// Whether the subscriber is connected and all channels were compared since.
    trusted: AtomicBool,
    /// Whether this node hears nothing while others do.
    deaf: AtomicBool,
    /// When the database answered last, and since when the broker is trusted or not.
    store_answered: ArcSwap<Instant>,
    trust_changed: ArcSwap<Instant>,
    /// The sources' rows as last read: generations, and how far is published.
    sources: ArcSwap<HashMap<Source, SourceRow>>,
    subscriber: OnceLock<Arc<dyn Subscriber>>,
    partitions: u16,
    cache_bytes_max: usize,
    broker: Arc<dyn Broker>,
    store: Arc<dyn Store>,
    life: Lifecycle,
    metrics: Arc<Metrics>,
}

/// What a hub is made of.
pub struct HubParts {
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The life of the process.
    pub life: Lifecycle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// `INGEST_PARTITIONS`
    pub partitions: u16,
    /// `HUB_CACHE_BYTES`
    pub cache_bytes_max: usize,
}

impl Hub {
    /// A hub without channels.
    pub fn new(parts: HubParts) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            writer: tokio::sync::Mutex::default(),
            reads: Semaphore::new(READS_MAX),
            trusted: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            store_answered: ArcSwap::from_pointee(Instant::now()),
            trust_changed: ArcSwap::from_pointee(Instant::now()),
            sources: ArcSwap::default(),
            subscriber: OnceLock::new(),
            partitions: parts.partitions,
            cache_bytes_max: parts.cache_bytes_max,
            broker: parts.broker,
            store: parts.store,
            life: parts.life,
            metrics: parts.metrics,
        })
    }

    /// Gives the hub its subscriber; called once, before the first listener comes.
    pub fn attach(&self, subscriber: Arc<dyn Subscriber>) {
        let _already = self.subscriber.set(subscriber);
    }

    /// Says whether what arrives can be relied on to be complete.
    pub fn trust(&self, trusted: bool) {
        if self.trusted.swap(trusted, Ordering::AcqRel) != trusted {
            self.trust_changed.store(Arc::new(Instant::now()));
        }
    }

    /// How long ago the database answered last.
    pub fn store_age(&self) -> Duration {
        self.store_answered.load().elapsed()
    }

    /// How long the subscriber has been connected, or gone.
    pub fn trust_age(&self) -> Duration {
        self.trust_changed.load().elapsed()
    }

    /// Takes a newer position of a channel over, as the database said it.
    pub fn learn(self: &Arc<Self>, room: &Arc<Room>, head: &Position) {
        let same_epoch = room.position().is_none_or(|at| at.epoch == head.epoch);
        if same_epoch {
            self.hear(room, &head.offsets, "resume");
        } else {
            self.change_epoch(room);
        }
    }

    /// Whether what arrives can be relied on to be complete.
    pub fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    /// Whether this node hears nothing, though others do and it has tried several times.
    pub fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Relaxed)
    }

    /// Finds out whether this node is deaf: others hear while it does not. A broker that nobody
    /// hears makes no node deaf: all unready at once would turn every client away.
    async fn listen_to_itself(&self) {
        let failures = self.subscriber.get().map_or(0, |subscriber| subscriber.failures());
        let deaf = failures >= DEAF_FAILURES
            && self.broker.members(HEARING).await.is_ok_and(|others| !others.is_empty());
        self.deaf.store(deaf, Ordering::Relaxed);
    }

    /// The room of a channel; a new one subscribes and reads itself in the background.
    pub fn room(self: &Arc<Self>, channel: &Channel) -> Arc<Room> {
        let mut shard = self.shard(channel);
        if let Some(room) = shard.get(channel) {
            room.lock().idle_since = None;
            return Arc::clone(room);
        }
        let room = Room::new(channel.clone());
        shard.insert(channel.clone(), Arc::clone(&room));
        drop(shard);
        self.metrics.channels.inc();
        self.load(&room);
        room
    }

    /// Reads a room from the store, in the background, until it succeeds.
    fn load(self: &Arc<Self>, room: &Arc<Room>) {
        let (hub, room) = (Arc::clone(self), Arc::clone(room));
        self.life.spawn_until_stop(async move {
            if let Some(subscriber) = hub.subscriber.get() {
                // Without a connection the topic stays wanted, and everything is compared when the
                // connection is there; until then SQL answers.
                let _unavailable = subscriber.subscribe(Topic::Channel(room.channel.clone())).await;
            }
            hub.reload(&room).await;
        });
    }

    /// Replaces what a room knows by what the store says, and sends its listeners on from there.
    pub(crate) async fn reload(self: &Arc<Self>, room: &Arc<Room>) {
        let mut pause = Duration::from_millis(50);
        let snapshot = loop {
            let read = {
                let _permit = self.reads.acquire().await;
                self.store.snapshot(&room.channel).await
            };
            match read {
                Ok(snapshot) => break snapshot,
                Err(error) => tracing::debug!(channel = %room.channel, %error, "not read yet"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        };
        let overflowed = {
            let _writer = self.writer.lock().await;
            room.reset(snapshot)
        };
        self.catch_up_all(room, overflowed, "reload");
    }

    /// Applies publications in order and writes every connection that they concern once.
    pub async fn apply(self: &Arc<Self>, publications: impl IntoIterator<Item = Publication>) {
        let mut batch = self.writer.lock().await;
        let mut overflowed = Vec::new();
        for publication in publications {
            let Some(room) = self.known(&publication.channel) else { continue };
            self.look_up_task(&room, &publication).await;
            match room.apply(publication, &mut batch, &mut overflowed, &self.metrics) {
                Applied::Yes | Applied::Repeat => {}
                Applied::Hole => self.fill(&room, "hole"),
                Applied::OtherEpoch => self.change_epoch(&room),
            }
            if !overflowed.is_empty() {
                self.catch_up_all(&room, std::mem::take(&mut overflowed), "slow");
            }
        }
        batch.write().await;
    }

    /// Reads a task that this node has not heard of yet and that somebody here is told about whole.
    async fn look_up_task(&self, room: &Room, publication: &Publication) {
        let lacks = room.lock().lacks_task(publication);
        let Some(task) = lacks else { return };
        let read = tokio::time::timeout(LOOK_UP_MAX, self.store.entity(&task)).await;
        if let Ok(Ok(Some(state))) = read {
            room.lock().learn_task(&task.id, &state);
        }
    }

    fn change_epoch(self: &Arc<Self>, room: &Arc<Room>) {
        let mut inner = room.lock();
        if !std::mem::replace(&mut inner.filling, true) {
            drop(inner);
            let (hub, room) = (Arc::clone(self), Arc::clone(room));
            self.life.spawn_until_stop(async move {
                hub.reload(&room).await;
                room.lock().filling = false;
            });
        }
    }

    fn catch_up_all(self: &Arc<Self>, room: &Arc<Room>, all: Vec<Overflowed>, cause: &str) {
        for Overflowed { listener, position } in all {
            self.metrics.catchups.with_label_values(&[cause]).inc();
            catch_up::spawn(self, room, listener, position);
        }
    }

    /// Ends a listener.
    pub fn leave(&self, room: &Arc<Room>, listener: &Arc<Listener>) {
        listener.leave();
        let _was_live = room.lock().remove(listener);
        self.metrics.subscriptions.dec();
    }

    /// The room of a channel, if this node has it.
    pub(crate) fn known(&self, channel: &Channel) -> Option<Arc<Room>> {
        self.shard(channel).get(channel).cloned()
    }

    /// Every room of this node.
    fn rooms(&self) -> Vec<Arc<Room>> {
        let lock = |shard: &Mutex<HashMap<Channel, Arc<Room>>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(lock).collect()
    }

    fn shard(&self, channel: &Channel) -> MutexGuard<'_, HashMap<Channel, Arc<Room>>> {
        let hash = usize::try_from(self.hasher.hash_one(channel) % SHARDS as u64).unwrap_or(0);
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops channels that nobody has listened to for a while, and tails when the cache is full.
    pub(crate) fn sweep(&self) {
        let mut cached = 0;
        for room in self.rooms() {
            let mut shard = self.shard(&room.channel);
            let mut inner = room.lock();
            let idle = inner.live.is_empty() && inner.behind == 0;
            match inner.idle_since {
                // The map and this sweep hold it; a third hand is about to listen.
                Some(since) if idle && since.elapsed() > IDLE_MAX => {
                    if Arc::strong_count(&room) <= 2 {
                        // First out of the map, then unsubscribed: nobody can take an entry for
                        // current that no longer hears anything.
                        shard.remove(&room.channel);
                        drop(shard);
                        self.metrics.channels.dec();
                        if let Some(subscriber) = self.subscriber.get() {
                            subscriber.unsubscribe(&Topic::Channel(room.channel.clone()));
                        }
                    }
                    continue;
                }
                None if idle => inner.idle_since = Some(Instant::now()),
                _ => {}
            }
            cached += inner.tail_bytes();
            if cached > self.cache_bytes_max {
                cached -= inner.tail_bytes();
                inner.forget_tail();
            }
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}
