//! Bringing a listener that is behind to where its channel is.
//!
//! One task per listener, for as long as it is behind: it reads the tail, then shared pages, at
//! the pace of its socket. What was sent decides its position; nothing is held back for it.

use std::{sync::Arc, time::Duration};

use domain::{
    event::entity::Entity,
    position::{Offsets, Position},
};
use store::Page;
use websocket::{Frame, SendOutcome};

use super::{
    channel_state::{ChannelData, ChannelState},
    hub::Hub,
    listener::Listener,
};
use crate::protocol::{Cause, Mode, Outgoing};

/// How long a listener waits for its channel to move, at most, before it looks again.
const PATIENCE: Duration = Duration::from_millis(250);

/// What became of an attempt to meet the channel.
enum Met {
    /// The listener is live.
    Yes,
    /// Its socket is full.
    Full,
    /// The tail does not reach back so far.
    Far,
    /// The channel itself is behind the listener.
    Early,
    /// The channel is of another epoch.
    OtherEpoch,
    /// The state that is to be sent is not held.
    StateForgotten,
}

struct CatchUp {
    hub: Arc<Hub>,
    state: Arc<ChannelState>,
    listener: Arc<Listener>,
    position: Position,
    /// Whether what is missing is to be left out.
    skip: bool,
}

impl Hub {
    /// Starts a catch-up for a listener that the channel counts as behind.
    pub(super) fn catch_up(
        self: &Arc<Self>,
        state: &Arc<ChannelState>,
        listener: Arc<Listener>,
        position: Position,
    ) {
        let skip = listener.mode == Mode::Latest;
        self.start_catch_up(state, listener, position, skip, None);
    }

    /// Starts a catch-up from the position that a client came with; `lost` when what follows that
    /// position is known to be missing for good.
    pub fn resume(
        self: &Arc<Self>,
        state: &Arc<ChannelState>,
        listener: Arc<Listener>,
        position: Position,
        lost: Option<Cause>,
    ) {
        self.metrics.catchups.with_label_values(&["resume"]).inc();
        state.lock().behind += 1;
        self.start_catch_up(state, listener, position, false, lost);
    }

    fn start_catch_up(
        self: &Arc<Self>,
        state: &Arc<ChannelState>,
        listener: Arc<Listener>,
        position: Position,
        skip: bool,
        lost: Option<Cause>,
    ) {
        let (hub, state) = (Arc::clone(self), Arc::clone(state));
        self.life.spawn_until_stop(async move {
            let catch_up = CatchUp { hub, state, listener, position, skip };
            catch_up.run(lost).await;
        });
    }
}

impl CatchUp {
    async fn run(mut self, lost: Option<Cause>) {
        if let Some(cause) = lost {
            let from = self.position.clone();
            self.lose(cause, from).await;
        }
        while !self.listener.is_gone() {
            self.listener.note_reached(Some(self.position.offsets.total()));
            if self.skip {
                let from = self.after_position();
                self.lose(Cause::Latest, from).await;
                self.skip = false;
            }
            match self.meet() {
                Met::Yes => return,
                Met::Full => {
                    self.skip = self.listener.mode == Mode::Latest;
                    self.listener.recipient.drained().await;
                }
                Met::Early => self.wait().await,
                Met::StateForgotten => self.hub.ensure_state(&self.state).await,
                Met::OtherEpoch => {
                    let from = self.position.clone();
                    self.lose(Cause::Epoch, from).await;
                }
                Met::Far => self.read().await,
            }
        }
        let mut inner = self.state.lock();
        inner.behind -= 1;
        inner.remove(&self.listener);
    }

    /// Sends what the tail has and joins those who are live, in one step.
    fn meet(&mut self) -> Met {
        let mut inner = self.state.lock();
        let Some(at) = &inner.position else { return Met::Early };
        if at.epoch != self.position.epoch {
            return Met::OtherEpoch;
        }
        if !at.offsets.covers(&self.position.offsets) {
            return Met::Early;
        }
        let Some(missing) = inner.tail_after(&self.position.offsets) else { return Met::Far };
        let missing: Vec<Arc<Outgoing>> = missing.cloned().collect();
        let encoding = self.listener.recipient.encoding();
        if encoding.needs_state() && !missing.is_empty() {
            if inner.is_state_forgotten() {
                return Met::StateForgotten;
            }
            let at = at.clone();
            let state = inner.state(&self.state.channel);
            let frame = encoding.state(&self.state.channel, &at, state.as_deref());
            if frame.is_some_and(|frame| self.listener.send(&frame) == SendOutcome::Full) {
                return Met::Full;
            }
            self.position = at;
            return self.join(&mut inner);
        }
        for outgoing in missing {
            if !send(&self.listener, &mut self.position, &outgoing) {
                return Met::Full;
            }
        }
        self.join(&mut inner)
    }

    /// Becomes live. The position is the channel's.
    fn join(&self, inner: &mut ChannelData) -> Met {
        inner.behind -= 1;
        self.listener.note_reached(None);
        inner.join(Arc::clone(&self.listener));
        // Who left in between was not in the list then, and would never leave it.
        if self.listener.is_gone() {
            inner.remove(&self.listener);
        }
        Met::Yes
    }

    /// Reads a page and sends it.
    async fn read(&mut self) {
        let page = match self.hub.read_page(&self.state, &self.position).await {
            Ok(page) => page,
            Err(error) => {
                tracing::debug!(channel = %self.state.channel, %error, "catch-up: page not read, tried again when the channel moves");
                return self.wait().await;
            }
        };
        if page.page.head.epoch != self.position.epoch {
            let from = self.position.clone();
            return self.lose(Cause::Epoch, from).await;
        }
        if !self.position.offsets.covers(&page.page.floor) {
            return self.lose_to_floor(&page.page).await;
        }
        let before = self.position.clone();
        for outgoing in &page.outgoing {
            let publication = &outgoing.publication;
            if publication.offset != self.position.offsets.get(publication.source) + 1 {
                continue;
            }
            while !send(&self.listener, &mut self.position, outgoing) {
                self.skip = self.listener.mode == Mode::Latest;
                if self.skip || self.listener.is_gone() {
                    return;
                }
                self.listener.recipient.drained().await;
            }
        }
        if self.position == before {
            self.wait().await;
        }
    }

    async fn wait(&self) {
        let _moved = tokio::time::timeout(PATIENCE, self.state.advanced.notified()).await;
    }

    /// Says that everything from `from` to the newest position is lost, and shows the state there.
    async fn lose(&mut self, cause: Cause, from: Position) {
        let encoding = self.listener.recipient.encoding();
        let channel = &self.state.channel;
        let (frames, to) = loop {
            self.state.ready().await;
            self.hub.ensure_state(&self.state).await;
            let mut inner = self.state.lock();
            let to = inner.position.clone().filter(|_| !inner.is_state_forgotten());
            // Forgotten again meanwhile.
            let Some(to) = to else { continue };
            if cause == Cause::Latest && to == self.position {
                return;
            }
            let folded = inner.state(channel);
            let mut frames: Vec<Frame> = Vec::with_capacity(2);
            frames.extend(encoding.gap(channel, &from, &to, cause));
            if Entity::of(channel).is_some() {
                frames.extend(encoding.state(channel, &to, folded.as_deref()));
            }
            break (frames, to);
        };
        self.hub.metrics.gaps.with_label_values(&[cause.name()]).inc();
        self.listener.recipient.transport().count_gap();
        self.listener.send_all(&frames).await;
        self.position = to;
    }

    /// Says what retention removed. A channel with a state goes on from its newest state, because
    /// the state at the floor is as gone as the events before it.
    async fn lose_to_floor(&mut self, page: &Page) {
        let from = self.after_position();
        if Entity::of(&self.state.channel).is_some() {
            return self.lose(Cause::Retention, from).await;
        }
        let mut to = self.position.clone();
        for (source, floor) in page.floor.iter() {
            to.offsets.set(source, floor.max(to.offsets.get(source)));
        }
        let encoding = self.listener.recipient.encoding();
        let gap = encoding.gap(&self.state.channel, &from, &to, Cause::Retention);
        self.hub.metrics.gaps.with_label_values(&[Cause::Retention.name()]).inc();
        self.listener.recipient.transport().count_gap();
        self.listener.send_all(gap.as_slice()).await;
        self.position = to;
    }

    /// The first position that is missing.
    fn after_position(&self) -> Position {
        let known = self.state.lock().known.clone();
        let mut from = self.position.clone();
        let behind = known.iter().filter(|(source, head)| from.offsets.get(*source) < *head);
        let next: Offsets =
            behind.map(|(source, _)| (source, from.offsets.get(source) + 1)).collect();
        for (source, offset) in next.iter() {
            from.offsets.set(source, offset);
        }
        from
    }
}

/// Sends one publication and moves the position; false when the socket is full.
fn send(listener: &Listener, position: &mut Position, outgoing: &Outgoing) -> bool {
    let mut after = position.clone();
    after.offsets.set(outgoing.publication.source, outgoing.publication.offset);
    if let Some(frame) = outgoing.frame_at(listener.recipient.encoding(), &after)
        && listener.send(&frame) == SendOutcome::Full
    {
        return false;
    }
    *position = after;
    true
}
