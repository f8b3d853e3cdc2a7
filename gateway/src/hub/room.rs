//! One channel on this node: its position, a short tail, the folded state, and who is live.
//!
//! Everything in here happens under the channel's lock and never waits. Only the hub's single
//! writer advances a room; a listener becomes live under the same lock at which its position
//! equals the room's, so it can neither miss a publication nor get one twice.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use shared::{
    channel::{Channel, ChannelKind},
    event::{
        State,
        state::{Entity, EntityKind, fold},
    },
    position::{Offsets, Position},
    publication::Publication,
    source::Source,
    store::Snapshot,
};
use tokio::{sync::Notify, time::Instant};

use super::{listener::Listener, pages::SharedPage};
use crate::{
    batch::Batch,
    connection::Sent,
    dialect::{
        self, Encoding,
        zerostate::{
            self,
            tasks::{Summaries, Summary},
        },
    },
    metrics::Metrics,
    publication::Outgoing,
};

/// The most publications that a tail keeps.
pub const TAIL_LENGTH_MAX: usize = 1000;

/// The most bytes that a tail keeps.
pub const TAIL_BYTES_MAX: usize = 1024 * 1024;

/// How many publications wait unfolded until somebody asks for the state.
const UNFOLDED_MAX: usize = 64;

/// A channel on this node.
#[derive(Debug)]
pub struct Room {
    /// Which.
    pub channel: Channel,
    inner: Mutex<Inner>,
    /// The page that was read last, shared by those who catch up; absent until somebody does.
    pages: OnceLock<Box<tokio::sync::Mutex<Option<SharedPage>>>>,
    /// Told when the room's position is known, or known better.
    pub advanced: Notify,
}

/// What a room knows.
#[derive(Debug, Default)]
pub struct Inner {
    /// Where the channel is; none until it was read.
    pub position: Option<Position>,
    /// The highest offsets that were heard of, applied or not.
    pub heard: Offsets,
    /// Whether a fill is on its way.
    pub filling: bool,
    /// Who is live.
    pub live: Vec<Arc<Listener>>,
    /// How many are behind.
    pub behind: usize,
    /// Since when nobody listens.
    pub idle_since: Option<Instant>,
    /// When something last came, or was compared.
    pub fresh_at: Option<Instant>,
    /// When SQL was last asked because no head was there.
    pub asked_store_at: Option<Instant>,
    state: Option<Arc<State>>,
    unfolded: Vec<Arc<Outgoing>>,
    /// None when it would be empty: then it begins at the position.
    tail: Option<Box<Tail>>,
    /// What seed 003 tells of tasks beyond what their events say, on the feed of tasks.
    tasks: Option<Box<Summaries>>,
}

/// The last publications of a channel. Most channels of a node are silent most of the time.
#[derive(Debug)]
struct Tail {
    all: VecDeque<Arc<Outgoing>>,
    /// Where it begins: everything after this is in it.
    start: Offsets,
    bytes: usize,
}

/// What a room says to a publication.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was the next one.
    Yes,
    /// It is here already, or the room is not ready and will read it.
    Repeat,
    /// Something before it is missing.
    Hole,
    /// It is of another epoch: everything has to be read anew.
    OtherEpoch,
}

/// A listener that could not take a publication, and where it stands.
#[derive(Debug)]
pub struct Overflowed {
    /// Who.
    pub listener: Arc<Listener>,
    /// The position before what it could not take.
    pub position: Position,
}

impl Room {
    /// A room that knows nothing yet.
    pub fn new(channel: Channel) -> Arc<Self> {
        Arc::new(Self {
            channel,
            inner: Mutex::default(),
            pages: OnceLock::new(),
            advanced: Notify::new(),
        })
    }

    /// The room's lock. Nothing waits while it is held.
    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shared page, and the lock of the one who reads the next.
    pub(super) fn pages(&self) -> &tokio::sync::Mutex<Option<SharedPage>> {
        self.pages.get_or_init(Box::default)
    }

    /// The position, once it is known.
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
        inner.unfolded.clear();
        inner.forget_tail();
        inner.heard = snapshot.position.offsets.clone();
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

    /// Applies a publication and stages it for everybody who is live.
    pub fn apply(
        &self,
        publication: Publication,
        batch: &mut Batch,
        overflowed: &mut Vec<Overflowed>,
        metrics: &Metrics,
    ) -> Applied {
        let mut inner = self.lock();
        let source = publication.source;
        let heard = inner.heard.get(source).max(publication.offset);
        let Some(before) = inner.position.clone() else {
            inner.heard.set(source, heard);
            return Applied::Repeat;
        };
        if before.epoch != publication.epoch {
            return Applied::OtherEpoch;
        }
        inner.heard.set(source, heard);
        let next = before.offsets.get(source) + 1;
        if publication.offset < next {
            return Applied::Repeat;
        }
        if publication.offset > next {
            return Applied::Hole;
        }
        inner.advance(&self.channel, publication, &before, batch, overflowed, metrics);
        drop(inner);
        self.advanced.notify_waiters();
        Applied::Yes
    }
}

impl Inner {
    /// The task whose state has to be read before this publication can be told to everybody here.
    pub fn lacks_task(&mut self, publication: &Publication) -> Option<Entity> {
        let told = self.live.iter().any(|l| l.session.encoding() == Encoding::ZeroState);
        if publication.channel.kind() != ChannelKind::Tasks || !told && self.tasks.is_none() {
            return None;
        }
        let event = &publication.recorded.event;
        let id = event.id.as_deref()?;
        let lacks = self.tasks.get_or_insert_default().lacks(id, &event.kind);
        lacks.then(|| Entity { kind: EntityKind::Task, id: id.into() })
    }

    /// What the database says of a task.
    pub fn learn_task(&mut self, task: &str, state: &State) {
        self.tasks.get_or_insert_default().learn(task, Summary::of(state));
    }

    fn advance(
        &mut self,
        channel: &Channel,
        publication: Publication,
        before: &Position,
        batch: &mut Batch,
        overflowed: &mut Vec<Overflowed>,
        metrics: &Metrics,
    ) {
        let mut position = before.clone();
        position.offsets.set(publication.source, publication.offset);
        let whole = self.live.iter().any(|l| dialect::needs_state(l.session.encoding()));
        let outgoing = if whole {
            self.whole(channel, &publication, &position)
        } else {
            let outgoing = Outgoing::new(publication, position.clone());
            if let Some(tasks) = &mut self.tasks {
                outgoing.preset(Encoding::ZeroState, zerostate::tell(&outgoing, tasks));
            }
            let outgoing = Arc::new(outgoing);
            self.unfolded.push(Arc::clone(&outgoing));
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
    ) -> Arc<Outgoing> {
        self.state(channel);
        self.state = fold_one(channel, self.state.take(), publication);
        let outgoing = Outgoing::new(publication.clone(), position.clone());
        for encoding in Encoding::ALL.into_iter().filter(|e| dialect::needs_state(*e)) {
            let frame = dialect::state(encoding, channel, position, self.state.as_deref());
            outgoing.preset(encoding, frame);
        }
        self.push_tail(Arc::new(Outgoing::new(publication.clone(), position.clone())));
        Arc::new(outgoing)
    }

    fn deliver(
        &mut self,
        outgoing: &Outgoing,
        before: &Position,
        batch: &mut Batch,
        overflowed: &mut Vec<Overflowed>,
        metrics: &Metrics,
    ) {
        let mut delivered = [0; Encoding::ALL.len()];
        let mut index = 0;
        while let Some(listener) = self.live.get(index) {
            let encoding = listener.session.encoding();
            let full = outgoing.frame(encoding).is_some_and(|frame| {
                let sent = listener.session.connection.stage(frame, batch);
                delivered[encoding as usize] += u64::from(sent.is_taken());
                sent == Sent::Full
            });
            if full {
                let listener = self.live.swap_remove(index);
                overflowed.push(Overflowed { listener, position: before.clone() });
                self.behind += 1;
            } else {
                index += 1;
            }
        }
        for encoding in Encoding::ALL {
            let frames = delivered[encoding as usize];
            if frames > 0
                && let Some(frame) = outgoing.frame(encoding)
            {
                let bytes = frame.len() * usize::try_from(frames).unwrap_or(usize::MAX);
                metrics.sent(encoding, frames, bytes);
                metrics.published(encoding, frames);
                metrics.delivered(encoding, outgoing.publication.recorded.event.at);
            }
        }
    }

    /// The folded state at the position.
    pub fn state(&mut self, channel: &Channel) -> Option<Arc<State>> {
        for outgoing in std::mem::take(&mut self.unfolded) {
            self.state = fold_one(channel, self.state.take(), &outgoing.publication);
        }
        self.state.clone()
    }

    /// Everything after `offsets`, when the tail reaches back so far.
    pub fn tail_after(&self, offsets: &Offsets) -> Option<impl Iterator<Item = &Arc<Outgoing>>> {
        let start = self.tail.as_ref().map_or_else(|| self.at(), |tail| tail.start.clone());
        offsets.covers(&start).then(|| {
            let offsets = offsets.clone();
            self.tail.iter().flat_map(|tail| &tail.all).filter(move |outgoing| {
                outgoing.publication.offset > offsets.get(outgoing.publication.source)
            })
        })
    }

    /// What the tail occupies.
    pub fn tail_bytes(&self) -> usize {
        self.tail.as_ref().map_or(0, |tail| tail.bytes)
    }

    /// Forgets the tail; the position stays.
    pub fn forget_tail(&mut self) {
        self.tail = None;
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

    /// Puts a listener into the list of those who are live. It must be at the room's position.
    pub fn join(&mut self, listener: Arc<Listener>) {
        self.idle_since = None;
        if self.live.capacity() == 0 {
            self.live.reserve_exact(1);
        }
        self.live.push(listener);
    }

    /// The sources that are known to feed the channel, beside those that may.
    pub fn sources(&self) -> impl Iterator<Item = Source> + '_ {
        self.heard.iter().map(|(source, _)| source)
    }

    /// Called before the position moves past the publication.
    fn push_tail(&mut self, outgoing: Arc<Outgoing>) {
        let start = &self.position;
        let tail = self.tail.get_or_insert_with(|| {
            let start = start.as_ref().map(|position| position.offsets.clone());
            Box::new(Tail { start: start.unwrap_or_default(), all: VecDeque::new(), bytes: 0 })
        });
        tail.bytes += outgoing.size_bytes();
        tail.all.push_back(outgoing);
        while tail.all.len() > TAIL_LENGTH_MAX || tail.bytes > TAIL_BYTES_MAX {
            let Some(oldest) = tail.all.pop_front() else { break };
            tail.bytes -= oldest.size_bytes();
            tail.start.set(oldest.publication.source, oldest.publication.offset);
        }
    }

    /// The offsets of the position.
    fn at(&self) -> Offsets {
        self.position.as_ref().map(|position| position.offsets.clone()).unwrap_or_default()
    }
}

fn fold_one(
    channel: &Channel,
    state: Option<Arc<State>>,
    publication: &Publication,
) -> Option<Arc<State>> {
    let entity = Entity::of(channel)?;
    let state = state.map(Arc::unwrap_or_clone);
    let recorded = &publication.recorded;
    fold(&entity, state, &recorded.event, recorded.recorded).map(Arc::new)
}
