//! Who listens on this node: the channels, each with its position, tail, state and listeners.
//!
//! There is one writer: publications from the subscriber, from fills and from reloads all go
//! through [`Hub::apply`], one batch at a time. Listeners are *live*, then the writer serves them,
//! or *behind*, then a catch-up reads pages for them until they meet the channel's position.

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
use broker::{Subscriber, Topic};
use domain::{
    channel::Channel,
    position::{Offsets, Position},
    publication::Publication,
};
use runtime::lifecycle::Lifecycle;
use tokio::time::Instant;
use websocket::WriteBatch;

use super::{
    cache_account::CacheAccount,
    channel_state::{Applied, ChannelState, Overflowed},
    history::History,
    listener::Listener,
};
use crate::metrics::GatewayMetrics;

/// Shards of the map of channels: looked up for every publication, locked for moments.
const SHARDS: usize = 64;

/// After so many failures in a row the subscriber counts as unhealthy.
const UNHEALTHY_FAILURES: u32 = 3;

/// How long a publication may wait for what the database knows of its entity.
const LOOK_UP_MAX: Duration = Duration::from_millis(250);

/// How long a channel without listeners stays subscribed: who comes back at once finds it warm.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The channels of this node.
pub struct Hub {
    shards: Vec<Mutex<HashMap<Channel, Arc<ChannelState>>>>,
    hasher: RandomState,
    /// Held by whoever applies. Nothing is awaited under it.
    writer: tokio::sync::Mutex<()>,
    /// Whether the subscriber is connected and all channels were compared since.
    redis_trusted: AtomicBool,
    /// Whether this node receives nothing while others do.
    unhealthy: AtomicBool,
    /// Since when the broker is trusted or not.
    trust_changed: ArcSwap<Instant>,
    pub(super) history: History,
    /// The most bytes of a folded state.
    state_bytes_max: usize,
    subscriber: OnceLock<Arc<dyn Subscriber>>,
    cache: CacheAccount,
    pub(super) life: Lifecycle,
    pub(super) metrics: Arc<GatewayMetrics>,
}

impl Hub {
    /// Returns a hub without channels, which may keep `cache_bytes_max` (`HUB_CACHE_BYTES`).
    pub fn new(
        history: History,
        life: Lifecycle,
        metrics: Arc<GatewayMetrics>,
        cache_bytes_max: usize,
        state_bytes_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            writer: tokio::sync::Mutex::default(),
            redis_trusted: AtomicBool::new(false),
            unhealthy: AtomicBool::new(false),
            trust_changed: ArcSwap::from_pointee(Instant::now()),
            history,
            state_bytes_max,
            subscriber: OnceLock::new(),
            cache: CacheAccount::new(cache_bytes_max),
            life,
            metrics,
        })
    }

    /// Returns the past of this hub's channels.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Gives the hub its subscriber; called once, before the first listener comes.
    pub fn attach(&self, subscriber: Arc<dyn Subscriber>) {
        let _already = self.subscriber.set(subscriber);
    }

    /// Says whether what arrives can be relied on to be complete.
    pub fn set_redis_trusted(&self, trusted: bool) {
        if trusted {
            self.unhealthy.store(false, Ordering::Relaxed);
        }
        if self.redis_trusted.swap(trusted, Ordering::AcqRel) != trusted {
            self.trust_changed.store(Arc::new(Instant::now()));
        }
    }

    /// Returns how long the subscriber has been connected, or gone.
    pub fn trust_age(&self) -> Duration {
        self.trust_changed.load().elapsed()
    }

    /// Takes a newer position of a channel over, as the database said it.
    pub fn observe_head(self: &Arc<Self>, state: &Arc<ChannelState>, head: &Position) {
        let same_epoch = state.position().is_none_or(|at| at.epoch == head.epoch);
        if same_epoch {
            self.note_heads(state, &head.offsets, "resume");
        } else {
            self.change_epoch(state);
        }
    }

    /// Whether what arrives can be relied on to be complete, on all channels.
    pub fn is_redis_trusted(&self) -> bool {
        self.redis_trusted.load(Ordering::Acquire) && !self.history.on_other_side()
    }

    /// Whether what arrives on a channel can be relied on to be complete: while a part of the broker
    /// is away the other parts are heard as ever.
    pub(super) fn is_trusted(&self, channel: &Channel) -> bool {
        let hears = || {
            let subscriber = self.subscriber.get();
            subscriber.is_some_and(|it| it.hears(&Topic::Channel(channel.clone())))
        };
        (self.redis_trusted.load(Ordering::Acquire) || hears()) && !self.history.on_other_side()
    }

    /// Whether this node receives nothing, though others do and it has tried several times.
    pub fn subscriber_unhealthy(&self) -> bool {
        self.unhealthy.load(Ordering::Relaxed)
    }

    /// Finds out whether the subscriber is unhealthy: others are subscribed while it is not. A broker
    /// that serves nobody makes no node unhealthy: all unready at once would turn every client away.
    pub(super) async fn check_subscriber(&self) {
        let failures = self.subscriber.get().map_or(0, |subscriber| subscriber.failures());
        let unhealthy = failures >= UNHEALTHY_FAILURES && self.history.has_subscribed_nodes().await;
        self.unhealthy.store(unhealthy, Ordering::Relaxed);
    }

    /// Returns the state of a channel; a new one subscribes and reads itself in the background.
    pub fn state(self: &Arc<Self>, channel: &Channel) -> Arc<ChannelState> {
        let mut shard = self.shard(channel);
        if let Some(state) = shard.get(channel) {
            state.lock().idle_since = None;
            return Arc::clone(state);
        }
        let state = ChannelState::new(channel.clone(), self.state_bytes_max);
        shard.insert(channel.clone(), Arc::clone(&state));
        drop(shard);
        self.metrics.channels.inc();
        self.load(&state);
        state
    }

    /// Reads a channel from the store, in the background, until it succeeds.
    fn load(self: &Arc<Self>, state: &Arc<ChannelState>) {
        let (hub, state) = (Arc::clone(self), Arc::clone(state));
        self.life.spawn_until_stop(async move {
            if let Some(subscriber) = hub.subscriber.get() {
                // Without a connection the topic stays wanted, and everything is compared when the
                // connection is there; until then SQL answers.
                let _unavailable =
                    subscriber.subscribe(Topic::Channel(state.channel.clone())).await;
            }
            hub.reload(&state).await;
        });
    }

    /// Replaces what is known of a channel by what the store says, and sends its listeners on from there.
    pub(super) async fn reload(self: &Arc<Self>, state: &Arc<ChannelState>) {
        let mut pause = Duration::from_millis(50);
        let snapshot = loop {
            match self.history.snapshot(&state.channel).await {
                Ok(snapshot) => break snapshot,
                Err(error) => {
                    tracing::debug!(channel = %state.channel, %error, "hub: channel not read, tried again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        };
        let overflowed = {
            let _writer = self.writer.lock().await;
            state.reset(snapshot)
        };
        self.settle(state);
        self.catch_up_all(state, overflowed, "reload");
        self.note_heads(state, &Offsets::default(), "reload");
    }

    /// Applies publications in order and writes every connection that they concern once. What cannot
    /// be encoded before something was read is read and applied by a fill.
    pub async fn apply(self: &Arc<Self>, publications: impl IntoIterator<Item = Publication>) {
        self.apply_all(publications, true).await;
    }

    /// Applies publications for which everything was read that could be.
    pub(super) async fn apply_prepared(
        self: &Arc<Self>,
        publications: impl IntoIterator<Item = Publication>,
    ) {
        self.apply_all(publications, false).await;
    }

    async fn apply_all(
        self: &Arc<Self>,
        publications: impl IntoIterator<Item = Publication>,
        may_wait: bool,
    ) {
        let mut batch = WriteBatch::new();
        let writer = self.writer.lock().await;
        let mut overflowed = Vec::new();
        for publication in publications {
            let Some(state) = self.known(&publication.channel) else { continue };
            if may_wait && state.waits_for_look_up(&publication) {
                self.fill(&state, "look_up");
                continue;
            }
            match state.apply(publication, &mut batch, &mut overflowed, &self.metrics) {
                Applied::Yes => self.settle(&state),
                Applied::Repeat => {}
                Applied::Hole => self.fill(&state, "hole"),
                Applied::OtherEpoch | Applied::StateForgotten => self.change_epoch(&state),
            }
            if !overflowed.is_empty() {
                self.catch_up_all(&state, std::mem::take(&mut overflowed), "slow");
            }
        }
        drop(writer);
        // What is staged keeps its order, whoever writes it.
        batch.write().await;
    }

    /// Reads what this node does not know yet of the entities of publications and somebody here is
    /// sent.
    pub(super) async fn look_up(&self, state: &ChannelState, publications: &[Publication]) {
        for publication in publications {
            let lacks = state.lock().lacks(publication);
            let Some(entity) = lacks else { continue };
            let read = tokio::time::timeout(LOOK_UP_MAX, self.history.entity(&entity)).await;
            if let Ok(Ok(Some(found))) = read {
                state.lock().remember(&entity, &found);
            }
        }
    }

    /// Counts what a channel holds that was used.
    pub(super) fn settle(&self, state: &Arc<ChannelState>) {
        self.metrics.cache_bytes.set(i64::try_from(self.cache.settle(state)).unwrap_or(i64::MAX));
    }

    /// Waits until a channel's state is held, which may have been forgotten.
    pub async fn ensure_state(self: &Arc<Self>, state: &Arc<ChannelState>) {
        while state.lock().is_state_forgotten() {
            // One reads for all who wait.
            let _turn = state.pages().lock().await;
            if state.lock().is_state_forgotten() {
                self.reload(state).await;
            }
        }
        self.settle(state);
    }

    pub(super) fn change_epoch(self: &Arc<Self>, state: &Arc<ChannelState>) {
        let mut inner = state.lock();
        if !std::mem::replace(&mut inner.filling, true) {
            drop(inner);
            let (hub, state) = (Arc::clone(self), Arc::clone(state));
            self.life.spawn_until_stop(async move {
                hub.reload(&state).await;
                state.lock().filling = false;
                // What was heard of meanwhile.
                hub.note_heads(&state, &Offsets::default(), "reload");
            });
        }
    }

    fn catch_up_all(
        self: &Arc<Self>,
        state: &Arc<ChannelState>,
        all: Vec<Overflowed>,
        cause: &str,
    ) {
        for Overflowed { listener, position } in all {
            self.metrics.catchups.with_label_values(&[cause]).inc();
            self.catch_up(state, listener, position);
        }
    }

    /// Ends a listener.
    pub fn leave(&self, state: &Arc<ChannelState>, listener: &Arc<Listener>) {
        listener.leave();
        let _was_live = state.lock().remove(listener);
    }

    /// Returns the state of a channel, if this node has it.
    pub fn known(&self, channel: &Channel) -> Option<Arc<ChannelState>> {
        self.shard(channel).get(channel).cloned()
    }

    /// Returns every channel of this node.
    pub(super) fn states(&self) -> Vec<Arc<ChannelState>> {
        let lock = |shard: &Mutex<HashMap<Channel, Arc<ChannelState>>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(lock).collect()
    }

    /// Reads a channel again, if this node has it: its past is another than what was sent.
    pub fn read_again(self: &Arc<Self>, channel: &Channel) {
        if let Some(state) = self.known(channel) {
            self.change_epoch(&state);
        }
    }

    /// Returns how many listeners are behind their channels.
    pub fn slow_listeners(&self) -> u64 {
        self.states().iter().map(|state| state.lock().behind as u64).sum()
    }

    fn shard(&self, channel: &Channel) -> MutexGuard<'_, HashMap<Channel, Arc<ChannelState>>> {
        let hash = usize::try_from(self.hasher.hash_one(channel) % SHARDS as u64).unwrap_or(0);
        self.shards[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops channels without listeners for a while.
    pub(super) fn sweep(&self) {
        for state in self.states() {
            let mut shard = self.shard(&state.channel);
            let mut inner = state.lock();
            let idle = inner.live.is_empty() && inner.behind == 0;
            match inner.idle_since {
                // The map and this sweep hold it; a third hand is about to listen.
                Some(since)
                    if idle && since.elapsed() > IDLE_MAX && Arc::strong_count(&state) <= 2 =>
                {
                    // First out of the map, then unsubscribed: nobody can take an entry for current
                    // that no longer receives anything. Both under the lock: whoever comes next
                    // subscribes after it.
                    shard.remove(&state.channel);
                    if let Some(subscriber) = self.subscriber.get() {
                        subscriber.unsubscribe(&Topic::Channel(state.channel.clone()));
                    }
                    drop(shard);
                    self.cache.forget(&mut inner.counted);
                    self.metrics.channels.dec();
                }
                None if idle => inner.idle_since = Some(Instant::now()),
                _ => {}
            }
        }
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("history", &self.history).finish_non_exhaustive()
    }
}
