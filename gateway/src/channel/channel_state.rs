//! One channel on this node: its position, a short tail, the folded state, and who is live.
//!
//! Everything in here happens under the channel's lock and never waits. Only the hub's single
//! writer advances a channel; a listener becomes live under the same lock at which its position
//! equals the channel's, so it can neither miss a publication nor get one twice.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use domain::{
    channel::Channel,
    event::{
        State,
        bound::{bound, growth_bound, json_bytes},
        entity::Entity,
        fold::fold,
    },
    position::{Epoch, Offsets, Position},
    publication::Publication,
    source::Source,
};
use serde_json::Value;
use store::Snapshot;
use tokio::{sync::Notify, time::Instant};
use websocket::{SendOutcome, WriteBatch};

use super::{
    channel_tail::ChannelTail, counted_channel::CountedChannel, listener::Listener,
    shared_page::SharedPage,
};
use crate::{
    metrics::GatewayMetrics,
    protocol::{ChannelMemo, Encoding, EncodingSet, Outgoing},
};

/// How many publications wait unfolded until somebody asks for the state.
const UNFOLDED_MAX: usize = 64;

/// A channel on this node.
#[derive(Debug)]
pub struct ChannelState {
    /// The channel.
    pub channel: Channel,
    inner: Mutex<ChannelData>,
    /// The page that was read last, shared by those who catch up; absent until somebody does.
    pages: OnceLock<Box<tokio::sync::Mutex<Option<Arc<SharedPage>>>>>,
    /// Notified when the channel's position is known, or known better.
    pub advanced: Notify,
}

/// What is known of a channel; everything under its lock.
#[derive(Debug, Default)]
pub struct ChannelData {
    /// Where the channel is; none until it was read.
    pub position: Option<Position>,
    /// The highest offsets that are known of, applied or not.
    pub known: Offsets,
    /// Whether a fill is on its way.
    pub filling: bool,
    /// The listeners that are live.
    pub live: Vec<Arc<Listener>>,
    /// How many listeners are behind.
    pub behind: usize,
    /// Since when nobody listens.
    pub idle_since: Option<Instant>,
    /// When something last came, or was compared.
    pub fresh_at: Option<Instant>,
    /// When SQL was last asked because no head was there.
    pub asked_store_at: Option<Instant>,
    /// The most bytes of the folded state (`STATE_BYTES`), as in the record.
    state_bytes_max: usize,
    /// At least as many bytes as the state has.
    state_bytes: usize,
    state: Option<Arc<State>>,
    /// What the state occupies, roughly, in bytes.
    state_weight: usize,
    /// Whether there may be a state, but it is not held: it has to be read.
    is_state_forgotten: bool,
    unfolded: Vec<Arc<Outgoing>>,
    /// What the page that was read last occupies, in bytes.
    pub(super) page_bytes: usize,
    /// What the hub has counted of all this.
    pub(super) counted: CountedChannel,
    /// Of which epoch the publications are that came before the position was known.
    heard_epoch: Option<Epoch>,
    /// None when it would be empty: then it begins at the position.
    tail: Option<Box<ChannelTail>>,
    /// What encoders remember; absent where none does, which is nearly everywhere.
    memos: Option<Box<ChannelMemos>>,
}

/// The memories of a channel's encoders, at most one for each encoding.
#[derive(Debug, Default)]
struct ChannelMemos {
    all: Vec<(Encoding, Box<dyn ChannelMemo>)>,
}

/// What a channel says to a publication.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one.
    Yes,
    /// It is here already, or the channel is not ready and will read it.
    Repeat,
    /// Something before it is missing.
    Hole,
    /// It is of another epoch: everything has to be read anew.
    OtherEpoch,
    /// Somebody is sent the whole state, which is not held.
    StateForgotten,
}

/// A listener that could not take a publication, and where it stands.
#[derive(Debug)]
pub struct Overflowed {
    /// The listener.
    pub listener: Arc<Listener>,
    /// The position before what it could not take.
    pub position: Position,
}

impl ChannelState {
    /// Returns a channel that knows nothing yet.
    pub fn new(channel: Channel, state_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            channel,
            inner: Mutex::new(ChannelData { state_bytes_max, ..ChannelData::default() }),
            pages: OnceLock::new(),
            advanced: Notify::new(),
        })
    }

    /// Locks the channel. Nothing waits while the lock is held.
    pub fn lock(&self) -> MutexGuard<'_, ChannelData> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the shared page, under the lock of the one who reads the next.
    pub(super) fn pages(&self) -> &tokio::sync::Mutex<Option<Arc<SharedPage>>> {
        self.pages.get_or_init(Box::default)
    }

    /// Forgets the shared page, unless somebody reads one at the moment.
    pub(super) fn forget_page(&self, inner: &mut ChannelData) {
        if let Some(mut page) = self.pages.get().and_then(|pages| pages.try_lock().ok()) {
            *page = None;
            inner.page_bytes = 0;
        }
    }

    /// Returns the position, once it is known.
    pub fn position(&self) -> Option<Position> {
        self.lock().position.clone()
    }

    /// Waits until the position is known.
    pub async fn ready(&self) -> Position {
        loop {
            let advanced = self.advanced.notified();
            if let Some(position) = self.position() {
                return position;
            }
            advanced.await;
        }
    }

    /// Takes a snapshot over: the first one, or one of another epoch. Listeners that were live are
    /// somewhere else now; they are handed back with the position they had.
    pub fn reset(&self, snapshot: Snapshot) -> Vec<Overflowed> {
        let mut inner = self.lock();
        let before = inner.position.take();
        inner.state = snapshot.state;
        inner.state_bytes = usize::MAX;
        inner.is_state_forgotten = false;
        inner.weigh_state();
        inner.unfolded = Vec::new();
        inner.tail = None;
        let heard = inner.heard_epoch.take().or(before.as_ref().map(|before| before.epoch));
        if heard != Some(snapshot.position.epoch) {
            inner.known = Offsets::default();
        }
        for (source, offset) in snapshot.position.offsets.iter() {
            let known = inner.known.get(source).max(offset);
            inner.known.set(source, known);
        }
        inner.position = Some(snapshot.position);
        inner.fresh_at = Some(Instant::now());
        let live = std::mem::take(&mut inner.live);
        inner.behind += live.len();
        drop(inner);
        self.advanced.notify_waiters();
        let Some(position) = before else { return Vec::new() };
        live.into_iter()
            .map(|listener| Overflowed { listener, position: position.clone() })
            .collect()
    }

    /// Whether a publication is news that cannot be encoded before an entity was read; it is noted.
    pub fn waits_for_look_up(&self, publication: &Publication) -> bool {
        let mut inner = self.lock();
        let is_next = inner.position.as_ref().is_some_and(|at| {
            at.epoch == publication.epoch && at.offsets.get(publication.source) < publication.offset
        });
        if !is_next || inner.lacks(publication).is_none() {
            return false;
        }
        let known = inner.known.get(publication.source).max(publication.offset);
        inner.known.set(publication.source, known);
        true
    }

    /// Applies a publication and stages it for everybody who is live.
    pub fn apply(
        &self,
        publication: Publication,
        batch: &mut WriteBatch,
        overflowed: &mut Vec<Overflowed>,
        metrics: &GatewayMetrics,
    ) -> Applied {
        let mut inner = self.lock();
        let source = publication.source;
        let known = inner.known.get(source).max(publication.offset);
        let Some(before) = inner.position.clone() else {
            inner.known.set(source, known);
            inner.heard_epoch = Some(publication.epoch);
            return Applied::Repeat;
        };
        if before.epoch != publication.epoch {
            return Applied::OtherEpoch;
        }
        inner.known.set(source, known);
        let next = before.offsets.get(source) + 1;
        if publication.offset < next {
            return Applied::Repeat;
        }
        if publication.offset > next {
            return Applied::Hole;
        }
        if inner.is_state_forgotten && inner.encodings().iter().any(|of| of.needs_state()) {
            return Applied::StateForgotten;
        }
        inner.advance(&self.channel, publication, &before, batch, overflowed, metrics);
        drop(inner);
        self.advanced.notify_waiters();
        Applied::Yes
    }
}

impl ChannelData {
    /// Returns the entity whose state has to be read before this publication can be encoded for
    /// everybody here.
    pub fn lacks(&mut self, publication: &Publication) -> Option<Entity> {
        for encoding in self.encodings().iter() {
            let memos = self.memos.as_ref();
            let has = memos.is_some_and(|memos| memos.all.iter().any(|(of, _)| *of == encoding));
            if let (false, Some(memo)) = (has, encoding.memo(&publication.channel)) {
                self.memos.get_or_insert_default().all.push((encoding, memo));
            }
        }
        let memos = self.memos.as_ref()?;
        memos.all.iter().find_map(|(_, memo)| memo.lacks(&publication.recorded.event))
    }

    /// Remembers what the database says of an entity that was lacking.
    pub fn remember(&mut self, entity: &Entity, state: &State) {
        for (_, memo) in self.memos.iter_mut().flat_map(|memos| &mut memos.all) {
            memo.remember(entity, state);
        }
    }

    /// Returns the encodings of those who are live.
    fn encodings(&self) -> EncodingSet {
        self.live.iter().map(|listener| listener.recipient.encoding()).collect()
    }

    fn advance(
        &mut self,
        channel: &Channel,
        publication: Publication,
        before: &Position,
        batch: &mut WriteBatch,
        overflowed: &mut Vec<Overflowed>,
        metrics: &GatewayMetrics,
    ) {
        let mut position = before.clone();
        position.offsets.set(publication.source, publication.offset);
        let mut states = self.encodings();
        states.retain(|encoding| encoding.needs_state());
        let outgoing = if !states.is_empty() {
            self.whole(channel, &publication, &position, &states)
        } else {
            let outgoing = Outgoing::new(publication, position.clone());
            for (encoding, memo) in self.memos.iter_mut().flat_map(|memos| &mut memos.all) {
                outgoing.preset(*encoding, memo.encode(&outgoing.publication));
            }
            let outgoing = Arc::new(outgoing);
            if !self.is_state_forgotten && Entity::of(channel).is_some() {
                self.unfolded.push(Arc::clone(&outgoing));
            }
            if self.unfolded.len() >= UNFOLDED_MAX {
                self.state(channel);
            }
            self.push_tail(Arc::clone(&outgoing));
            outgoing
        };
        self.position = Some(position);
        self.fresh_at = Some(Instant::now());
        self.deliver(&outgoing, before, batch, overflowed, metrics);
    }

    /// A publication with the frame of the whole state after it. The tail keeps one without that
    /// frame: who reads the tail is sent the newest state instead.
    fn whole(
        &mut self,
        channel: &Channel,
        publication: &Publication,
        position: &Position,
        states: &EncodingSet,
    ) -> Arc<Outgoing> {
        self.state(channel);
        self.fold(channel, publication);
        self.weigh_state();
        let outgoing = Outgoing::new(publication.clone(), position.clone());
        for encoding in states.iter() {
            outgoing.preset(encoding, encoding.state(channel, position, self.state.as_deref()));
        }
        self.push_tail(Arc::new(Outgoing::new(publication.clone(), position.clone())));
        Arc::new(outgoing)
    }

    fn deliver(
        &mut self,
        outgoing: &Outgoing,
        before: &Position,
        batch: &mut WriteBatch,
        overflowed: &mut Vec<Overflowed>,
        metrics: &GatewayMetrics,
    ) {
        let mut delivered = [0; Encoding::COUNT];
        let mut encodings = EncodingSet::default();
        let mut index = 0;
        while let Some(listener) = self.live.get(index) {
            let encoding = listener.recipient.encoding();
            let full = outgoing.frame(encoding).is_some_and(|frame| {
                let sent = listener.recipient.transport().stage(frame, batch);
                encodings.insert(encoding);
                delivered[encoding.index()] += u64::from(sent.is_taken());
                sent == SendOutcome::Full
            });
            if full {
                let listener = self.live.swap_remove(index);
                overflowed.push(Overflowed { listener, position: before.clone() });
                self.behind += 1;
            } else {
                index += 1;
            }
        }
        for encoding in encodings.iter() {
            let frames = delivered[encoding.index()];
            if frames > 0
                && let Some(frame) = outgoing.frame(encoding)
            {
                let bytes = frame.len() * usize::try_from(frames).unwrap_or(usize::MAX);
                metrics.sent(encoding.index(), frames, bytes);
                metrics.published(encoding.index(), frames);
                metrics.delivered(encoding.index(), outgoing.publication.recorded.event.at);
            }
        }
    }

    /// Returns the folded state at the position, unless it is forgotten.
    pub fn state(&mut self, channel: &Channel) -> Option<Arc<State>> {
        let unfolded = std::mem::take(&mut self.unfolded);
        for outgoing in &unfolded {
            self.fold(channel, &outgoing.publication);
        }
        if !unfolded.is_empty() {
            self.weigh_state();
        }
        self.state.clone()
    }

    /// Notes what the state occupies.
    fn weigh_state(&mut self) {
        let weigh =
            |state: &Arc<State>| state.iter().map(|(key, one)| key.len() + weight(one)).sum();
        self.state_weight = self.state.as_ref().map_or(0, weigh);
    }

    /// Whether the state has to be read before anybody can be told.
    pub fn is_state_forgotten(&self) -> bool {
        self.is_state_forgotten
    }

    /// Returns what is held beside the position, roughly, in bytes.
    pub(super) fn cached_bytes(&self) -> usize {
        let in_tail = self.tail.as_ref().map_or(0, |tail| tail.len());
        let beside = self.unfolded.len().saturating_sub(in_tail);
        let unfolded: usize = self.unfolded[..beside].iter().map(|one| one.size_bytes()).sum();
        self.tail.as_ref().map_or(0, |tail| tail.bytes())
            + unfolded
            + self.state_weight
            + self.page_bytes
    }

    /// Forgets what can be read again; the position stays. A state stays where somebody is sent it
    /// with each publication, or is about to be.
    pub(super) fn forget_cache(&mut self, channel: &Channel) {
        self.tail = None;
        if Entity::of(channel).is_none() || self.position.is_none() {
            return;
        }
        if self.behind > 0 || self.encodings().iter().any(|encoding| encoding.needs_state()) {
            self.state(channel);
            return;
        }
        self.state = None;
        self.state_weight = 0;
        self.unfolded = Vec::new();
        self.is_state_forgotten = true;
    }

    /// Folds a publication into the state, as the record did.
    fn fold(&mut self, channel: &Channel, publication: &Publication) {
        let Some(entity) = Entity::of(channel) else { return };
        let state = self.state.take().map(Arc::unwrap_or_clone);
        let recorded = &publication.recorded;
        let mut state = fold(&entity, state, &recorded.event, recorded.recorded);
        self.state_bytes = self.state_bytes.saturating_add(growth_bound(&recorded.event));
        if let Some(state) = &mut state
            && self.state_bytes > self.state_bytes_max
        {
            bound(state, self.state_bytes_max);
            self.state_bytes = json_bytes(state);
        }
        self.state = state.map(Arc::new);
    }

    /// Returns everything after `offsets`, when the tail reaches back so far.
    pub fn tail_after(&self, offsets: &Offsets) -> Option<impl Iterator<Item = &Arc<Outgoing>>> {
        let start = self.tail.as_ref().map_or_else(|| self.at(), |tail| tail.start().clone());
        offsets.covers(&start).then(|| {
            let offsets = offsets.clone();
            self.tail.iter().flat_map(|tail| tail.iter()).filter(move |outgoing| {
                outgoing.publication.offset > offsets.get(outgoing.publication.source)
            })
        })
    }

    /// Takes a listener out of the list of those who are live; whether it stood there.
    pub fn remove(&mut self, listener: &Arc<Listener>) -> bool {
        let at = self.live.iter().position(|other| Arc::ptr_eq(other, listener));
        if let Some(at) = at {
            self.live.swap_remove(at);
        }
        if self.live.is_empty() && self.behind == 0 {
            self.idle_since = Some(Instant::now());
            self.live = Vec::new();
        }
        at.is_some()
    }

    /// Puts a listener into the list of those who are live. It must be at the channel's position.
    pub fn join(&mut self, listener: Arc<Listener>) {
        self.idle_since = None;
        if self.live.capacity() == 0 {
            self.live.reserve_exact(1);
        }
        self.live.push(listener);
    }

    /// Returns the sources that are known to feed the channel, beside those that may.
    pub fn sources(&self) -> impl Iterator<Item = Source> + '_ {
        self.known.iter().map(|(source, _)| source)
    }

    /// Called before the position moves past the publication.
    fn push_tail(&mut self, outgoing: Arc<Outgoing>) {
        let start = &self.position;
        let tail = self.tail.get_or_insert_with(|| {
            let start = start.as_ref().map(|position| position.offsets.clone());
            Box::new(ChannelTail::new(start.unwrap_or_default()))
        });
        tail.push(outgoing);
    }

    /// Returns the offsets of the position.
    fn at(&self) -> Offsets {
        self.position.as_ref().map(|position| position.offsets.clone()).unwrap_or_default()
    }
}

/// Returns what a value occupies, roughly, in bytes.
fn weight(value: &Value) -> usize {
    const VALUE_BYTES: usize = 72;
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(object) => {
                object.iter().map(|(key, value)| key.len() + weight(value)).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}
