//! Beginning to listen: the check, the answer, and the way to live.

use std::{sync::Arc, time::Duration};

use domain::{
    channel::{Channel, ChannelKind},
    position::Position,
    publication::Publication,
};
use store::Page;
use websocket::SendOutcome;

use super::{ListenedChannel, Session};
use crate::{
    channel::{
        channel_state::{ChannelData, ChannelState},
        history::TAIL_BYTES,
        listener::Listener,
    },
    protocol::{Cause, ErrorReport, Subscribe, Subscribed},
};

/// How long a subscription may wait in silence; then its client hears that the node is degraded.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// What is wrong with a request to listen.
struct SubscribeError {
    code: &'static str,
    message: String,
    path: &'static str,
}

impl Session {
    /// Listens to a channel: `subscribed`, then the tail or what was missed, then live.
    pub(super) async fn subscribe(self: &Arc<Self>, request: Subscribe) {
        match self.check(&request) {
            Ok(channel) if channel.kind() == ChannelKind::Presence => {
                self.subscribe_presence(&channel, &request).await;
            }
            Ok(channel) => self.subscribe_channel(channel, request).await,
            Err(error) => self.report(&request.channel, error).await,
        }
    }

    /// Waits until the channels are there, at most as long as a client may be left in silence.
    pub(super) async fn prepare(self: &Arc<Self>, channels: &[Channel]) {
        let ready = async {
            for channel in channels {
                self.context.hub.state(channel).ready().await;
            }
        };
        let _degraded = tokio::time::timeout(SILENCE_MAX, ready).await;
    }

    async fn report(&self, channel: &str, error: SubscribeError) {
        let SubscribeError { code, message, path } = error;
        let report =
            ErrorReport { code, message: &message, path: Some(path), channel: Some(channel) };
        self.send_all(self.encoding().error(&report).as_slice()).await;
    }

    fn check(&self, request: &Subscribe) -> Result<Channel, SubscribeError> {
        let channel = Channel::parse(&request.channel).map_err(|error| SubscribeError {
            code: "unknown_channel",
            message: error.to_string(),
            path: "channel",
        })?;
        if !request.granted && !self.identity().may_read(&channel) {
            let message = format!("you may not read {channel}");
            return Err(SubscribeError { code: "forbidden", message, path: "channel" });
        }
        let subscriptions_max = self.context.config.limits.subscriptions;
        // A second subscription to the same channel replaces the first.
        self.unsubscribe(&channel);
        if self.lock().subscriptions.len() >= subscriptions_max {
            let message = format!("at most {subscriptions_max} subscriptions per connection");
            return Err(SubscribeError {
                code: "too_many_subscriptions",
                message,
                path: "channel",
            });
        }
        Ok(channel)
    }

    fn add(&self, channel: Option<&Arc<ChannelState>>, listener: &Arc<Listener>) {
        self.context.metrics.subscriptions.inc();
        let subscription =
            ListenedChannel { channel: channel.cloned(), listener: Arc::clone(listener) };
        let mut state = self.lock();
        // Most sockets listen to one channel or to few: no channel is kept for more.
        state.subscriptions.reserve_exact(1);
        state.subscriptions.push(subscription);
        drop(state);
        self.announce();
    }

    async fn subscribe_presence(self: &Arc<Self>, channel: &Channel, request: &Subscribe) {
        let listener = Listener::new(Arc::clone(self) as _, request.mode);
        self.add(None, &listener);
        let frame = self.encoding().subscribed_without_position(channel);
        self.send_all(frame.as_slice()).await;
        self.context.presence.join(Arc::clone(&listener));
        // A session that was closed meanwhile has left everything it knew of, but not this.
        if self.transport.is_closed() {
            self.context.presence.leave(&listener);
        }
    }

    async fn subscribe_channel(self: &Arc<Self>, channel: Channel, request: Subscribe) {
        let since = match request.since.as_deref().map(|since| Position::parse(&channel, since)) {
            None => None,
            Some(Ok(position)) => Some(position),
            Some(Err(error)) => {
                let (code, message) = ("bad_position", error.to_string());
                let error = SubscribeError { code, message, path: "since" };
                return self.report(channel.as_str(), error).await;
            }
        };
        let channel = self.context.hub.state(&channel);
        self.wait_for(&channel).await;
        if self.transport.is_closed() {
            return;
        }
        let listener = Listener::new(Arc::clone(self) as _, request.mode);
        self.add(Some(&channel), &listener);
        match since {
            Some(since) => self.resume(&channel, listener, since).await,
            None if request.tail > 0 => {
                self.begin_with_tail(&channel, listener, request.tail).await;
            }
            None => {
                self.begin_at_head(&channel, listener).await;
            }
        }
        // A session that was closed meanwhile has left everything it knew of, but not this.
        if self.transport.is_closed() {
            self.unsubscribe(&channel.channel);
        }
    }

    /// Waits until the channel's position and state are known.
    async fn known(&self, channel: &Arc<ChannelState>) {
        channel.ready().await;
        self.context.hub.ensure_state(channel).await;
    }

    /// Waits until the channel knows where it is; the client hears when that takes long.
    async fn wait_for(&self, channel: &Arc<ChannelState>) {
        if tokio::time::timeout(SILENCE_MAX, self.known(channel)).await.is_ok() {
            return;
        }
        let status = |reason| self.encoding().status(reason);
        self.send_all(status(Some("store")).as_slice()).await;
        while !self.transport.is_closed() {
            if tokio::time::timeout(SILENCE_MAX, self.known(channel)).await.is_ok() {
                break;
            }
        }
        if self.context.degraded.reason().is_none() {
            self.send_all(status(None).as_slice()).await;
        }
    }

    /// Begins at the newest position with the state there, and joins those who are live.
    async fn begin_at_head(self: &Arc<Self>, channel: &Arc<ChannelState>, listener: Arc<Listener>) {
        loop {
            self.context.hub.ensure_state(channel).await;
            {
                let mut inner = channel.lock();
                match self.greet(&mut inner, &channel.channel, None) {
                    Some(sent) if sent.is_taken() => return inner.join(listener),
                    Some(SendOutcome::Closed) => return,
                    _ => {}
                }
            }
            self.drained().await;
        }
    }

    /// Sends `subscribed` at the newest position with the state there. Returns none while one of the
    /// two is not known.
    fn greet(
        &self,
        inner: &mut ChannelData,
        channel: &Channel,
        tail: Option<usize>,
    ) -> Option<SendOutcome> {
        let position = inner.position.clone().filter(|_| !inner.is_state_forgotten())?;
        let state = inner.state(channel);
        let frame = self.encoding().subscribed(&Subscribed {
            channel,
            position: &position,
            head: &position,
            state: state.as_deref(),
            tail,
        });
        Some(frame.map_or(SendOutcome::Queued, |frame| self.send(&frame)))
    }

    /// Begins with the last events, which move no position: as many as there are, up to `tail`.
    async fn begin_with_tail(
        self: &Arc<Self>,
        channel: &Arc<ChannelState>,
        listener: Arc<Listener>,
        tail: usize,
    ) {
        let (position, publications) = loop {
            self.context.hub.ensure_state(channel).await;
            let at = channel.ready().await;
            let page = self.context.hub.history().page_back(&channel.channel, &at.offsets, tail);
            match page.await {
                Ok(page) => {
                    if let Some(begun) = self.greet_with_tail(channel, &at, page, tail) {
                        break begun;
                    }
                }
                Err(error) => {
                    tracing::debug!(channel = %channel.channel, %error, "session: tail not read, tried again");
                }
            }
            if listener.is_gone() {
                return;
            }
            self.drained().await;
        };
        // The positions of tail events are those that the channel had after them, as far as they
        // are known: each source counts for itself.
        let mut at = position.clone();
        for publication in publications.iter().rev() {
            at.offsets.set(publication.source, publication.offset.saturating_sub(1));
        }
        for publication in publications {
            at.offsets.set(publication.source, publication.offset);
            let frame = self.encoding().tail(&publication, &at);
            listener.send_all(frame.as_slice()).await;
        }
        self.context.hub.resume(channel, listener, position, None);
    }

    /// Greets with what was read up to `at` and what came since: `subscribed` names a number, so both
    /// are put together before it is sent. Returns none when that has to be tried again.
    fn greet_with_tail(
        &self,
        channel: &ChannelState,
        at: &Position,
        page: Page,
        tail: usize,
    ) -> Option<(Position, Vec<Publication>)> {
        let mut publications = page.publications;
        let mut inner = channel.lock();
        let position = inner.position.clone().filter(|now| now.epoch == at.epoch)?;
        if position != *at {
            let since = inner.tail_after(&at.offsets)?;
            publications.extend(since.map(|outgoing| outgoing.publication.clone()));
        }
        let mut bytes = 0;
        let fits = |publication: &&Publication| {
            bytes += publication.payload.len();
            bytes <= TAIL_BYTES
        };
        let count = publications.iter().rev().take(tail).take_while(fits).count();
        publications.drain(..publications.len() - count);
        let sent = self.greet(&mut inner, &channel.channel, Some(count))?;
        sent.is_taken().then_some((position, publications))
    }

    /// Goes on where the client was.
    async fn resume(
        self: &Arc<Self>,
        channel: &Arc<ChannelState>,
        listener: Arc<Listener>,
        since: Position,
    ) {
        let head = self.head(channel, &since).await;
        let lost = if since.epoch != head.epoch {
            Some(Cause::Epoch)
        } else if !head.offsets.covers(&since.offsets) {
            Some(Cause::Ahead)
        } else {
            None
        };
        let position = if lost.is_some() { &head } else { &since };
        let subscribed = Subscribed {
            channel: &channel.channel,
            position,
            head: &head,
            state: None,
            tail: None,
        };
        let frame = self.encoding().subscribed(&subscribed);
        self.send_all(frame.as_slice()).await;
        self.context.hub.resume(channel, listener, since, lost);
    }

    /// The newest position; where this node is behind the client's, the database's word.
    async fn head(&self, channel: &Arc<ChannelState>, since: &Position) -> Position {
        let known = channel.ready().await;
        if known.epoch == since.epoch && known.offsets.covers(&since.offsets) {
            return known;
        }
        let channels = std::slice::from_ref(&channel.channel);
        loop {
            if let Ok(positions) = self.context.hub.history().positions(channels).await
                && let Some(head) = positions.into_iter().next()
            {
                self.context.hub.observe_head(channel, &head);
                return head;
            }
            if self.transport.is_closed() {
                return known;
            }
            self.drained().await;
        }
    }
}

impl Session {
    /// Listens to a channel no longer.
    pub(super) fn unsubscribe(&self, channel: &Channel) {
        let taken = {
            let mut state = self.lock();
            let at = state.subscriptions.iter().position(|listened| match &listened.channel {
                Some(listened) => listened.channel == *channel,
                None => channel.kind() == ChannelKind::Presence,
            });
            at.map(|at| state.subscriptions.swap_remove(at))
        };
        if let Some(listened) = taken {
            self.leave(&listened);
            self.announce();
        }
    }

    /// Returns what it listens to.
    pub(super) fn listened(&self) -> Vec<Channel> {
        let presence = || Channel::feed(ChannelKind::Presence);
        let of = |listened: &ListenedChannel| match &listened.channel {
            Some(channel) => channel.channel.clone(),
            None => presence(),
        };
        self.lock().subscriptions.iter().map(of).collect()
    }

    /// Listens to nothing any more.
    pub(super) fn leave_channels(&self) {
        let all = std::mem::take(&mut self.lock().subscriptions);
        for listened in &all {
            self.leave(listened);
        }
    }

    fn leave(&self, listened: &ListenedChannel) {
        self.context.metrics.subscriptions.dec();
        match &listened.channel {
            Some(channel) => self.context.hub.leave(channel, &listened.listener),
            None => self.context.presence.leave(&listened.listener),
        }
    }
}
