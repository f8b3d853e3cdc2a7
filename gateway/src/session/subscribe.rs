//! Beginning to listen: the check, the answer, and the way to live.

use std::{sync::Arc, time::Duration};

use shared::{
    channel::{Channel, ChannelKind},
    position::Position,
};

use super::{Session, Subscription};
use crate::{
    connection::Sent,
    dialect::{self, Encoding, Subscribe, Subscribed, native},
    hub::{
        catch_up::{self, Cause},
        listener::Listener,
        pages::PAGE_BYTES,
        room::Room,
    },
    publication::Outgoing,
};

/// How long a subscription may wait in silence; then its client hears that the node is degraded.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// The most of the last events that a client may ask for at once.
const TAIL_MAX: usize = 1000;

/// What is wrong with a wish.
struct Wrong {
    code: &'static str,
    message: String,
    path: &'static str,
}

impl Session {
    /// Listens to a channel: `subscribed`, then the tail or what was missed, then live.
    pub(super) async fn subscribe(self: &Arc<Self>, wish: Subscribe) {
        match self.check(&wish) {
            Ok(channel) if channel.kind() == ChannelKind::Presence => {
                self.subscribe_presence(&channel, &wish).await;
            }
            Ok(channel) => self.subscribe_channel(channel, wish).await,
            Err(wrong) => self.complain(&wish.channel, wrong).await,
        }
    }

    /// Waits until the channels are there, at most as long as a client may be left in silence.
    pub(super) async fn prepare(self: &Arc<Self>, channels: &[Channel]) {
        let ready = async {
            for channel in channels {
                self.gateway.hub.room(channel).ready().await;
            }
        };
        let _degraded = tokio::time::timeout(SILENCE_MAX, ready).await;
    }

    async fn complain(&self, channel: &str, wrong: Wrong) {
        if self.encoding() == Encoding::Native {
            let details = [(wrong.path.to_owned(), wrong.message.clone())];
            let error = native::error(wrong.code, &wrong.message, &details, Some(channel));
            self.send_all(&[error]).await;
        }
    }

    fn check(&self, wish: &Subscribe) -> Result<Channel, Wrong> {
        let channel = Channel::parse(&wish.channel).map_err(|error| Wrong {
            code: "unknown_channel",
            message: error.to_string(),
            path: "channel",
        })?;
        if !wish.granted && !self.identity().may_read(&channel) {
            let message = format!("you may not read {channel}");
            return Err(Wrong { code: "forbidden", message, path: "channel" });
        }
        let subscriptions_max = self.gateway.config.limits.subscriptions;
        // A second subscription to the same channel replaces the first.
        self.unsubscribe(&channel);
        if self.lock().subscriptions.len() >= subscriptions_max {
            let message = format!("at most {subscriptions_max} subscriptions per connection");
            return Err(Wrong { code: "too_many_subscriptions", message, path: "channel" });
        }
        Ok(channel)
    }

    fn add(&self, room: Option<&Arc<Room>>, listener: &Arc<Listener>) {
        self.gateway.metrics.subscriptions.inc();
        let subscription = Subscription { room: room.cloned(), listener: Arc::clone(listener) };
        let mut inner = self.lock();
        // Most sockets listen to one channel or to few: no room is kept for more.
        inner.subscriptions.reserve_exact(1);
        inner.subscriptions.push(subscription);
        drop(inner);
        self.announce();
    }

    async fn subscribe_presence(self: &Arc<Self>, channel: &Channel, wish: &Subscribe) {
        let listener = Listener::new(Arc::clone(self), wish.mode);
        self.add(None, &listener);
        if self.encoding() == Encoding::Native {
            self.send_all(&[native::subscribed_without_position(channel)]).await;
        }
        self.gateway.presence.join(Arc::clone(&listener));
        // A session that was closed meanwhile has left everything it knew of, but not this.
        if self.connection.is_closed() {
            self.gateway.presence.leave(&listener);
        }
    }

    async fn subscribe_channel(self: &Arc<Self>, channel: Channel, wish: Subscribe) {
        let since = match wish.since.as_deref().map(|since| Position::parse(&channel, since)) {
            None => None,
            Some(Ok(position)) => Some(position),
            Some(Err(error)) => {
                let wrong =
                    Wrong { code: "bad_position", message: error.to_string(), path: "since" };
                return self.complain(channel.as_str(), wrong).await;
            }
        };
        let room = self.gateway.hub.room(&channel);
        self.wait_for(&room).await;
        if self.connection.is_closed() {
            return;
        }
        let listener = Listener::new(Arc::clone(self), wish.mode);
        self.add(Some(&room), &listener);
        match since {
            Some(since) => self.resume(&room, listener, since).await,
            None if wish.tail > 0 => self.begin_with_tail(&room, listener, wish.tail).await,
            None => {
                self.begin_at_head(&room, Some(listener)).await;
            }
        }
        // A session that was closed meanwhile has left everything it knew of, but not this.
        if self.connection.is_closed() {
            self.unsubscribe(&channel);
        }
    }

    /// Waits until the room knows where it is; the client hears when that takes long.
    async fn wait_for(&self, room: &Room) {
        if tokio::time::timeout(SILENCE_MAX, room.ready()).await.is_ok() {
            return;
        }
        let status = |reason| dialect::status(self.encoding(), reason);
        self.send_all(status(Some("database")).as_slice()).await;
        while room.position().is_none() && !self.connection.is_closed() {
            let _patience = tokio::time::timeout(SILENCE_MAX, room.ready()).await;
        }
        if self.gateway.degraded().is_none() {
            self.send_all(status(None).as_slice()).await;
        }
    }

    /// Begins at the newest position with the state there; joins those who are live, when there is
    /// a listener to join. The position.
    async fn begin_at_head(
        self: &Arc<Self>,
        room: &Arc<Room>,
        listener: Option<Arc<Listener>>,
    ) -> Position {
        loop {
            {
                let mut inner = room.lock();
                if let Some(position) = inner.position.clone() {
                    let state = inner.state(&room.channel);
                    let frame = dialect::subscribed(
                        self.encoding(),
                        &Subscribed {
                            channel: &room.channel,
                            position: &position,
                            head: &position,
                            state: state.as_deref(),
                        },
                    );
                    let sent = frame.map_or(Sent::Queued, |frame| self.send(&frame));
                    if sent != Sent::Full {
                        if let (Some(listener), true) = (listener, sent.is_taken()) {
                            inner.join(listener);
                        }
                        return position;
                    }
                }
            }
            self.drained().await;
        }
    }

    /// Begins with the last events, which move no position.
    async fn begin_with_tail(
        self: &Arc<Self>,
        room: &Arc<Room>,
        listener: Arc<Listener>,
        tail: usize,
    ) {
        let position = self.begin_at_head(room, None).await;
        let tail = tail.min(TAIL_MAX);
        let store = &self.gateway.store;
        let page = loop {
            let before = Some(&position.offsets);
            match store.page_back(&room.channel, before, tail, PAGE_BYTES).await {
                Ok(page) => break page,
                Err(error) => {
                    tracing::debug!(channel = %room.channel, %error, "no tail yet");
                    self.drained().await;
                }
            }
            if self.connection.is_closed() {
                return;
            }
        };
        // The positions of tail events are those that the channel had after them, as far as they
        // are known: each source counts for itself.
        let mut at = position.clone();
        for publication in page.publications.iter().rev() {
            at.offsets.set(publication.source, publication.offset.saturating_sub(1));
        }
        for publication in page.publications {
            at.offsets.set(publication.source, publication.offset);
            let outgoing = Outgoing::new(publication, at.clone());
            self.send_all(dialect::tail(self.encoding(), &outgoing).as_slice()).await;
        }
        catch_up::resume(&self.gateway.hub, room, listener, position, None);
    }

    /// Goes on where the client was.
    async fn resume(self: &Arc<Self>, room: &Arc<Room>, listener: Arc<Listener>, since: Position) {
        let head = self.head(room, &since).await;
        let lost = if since.epoch != head.epoch {
            Some(Cause::Epoch)
        } else if !head.offsets.covers(&since.offsets) {
            Some(Cause::Ahead)
        } else {
            None
        };
        let position = if lost.is_some() { &head } else { &since };
        let subscribed = Subscribed { channel: &room.channel, position, head: &head, state: None };
        let frame = dialect::subscribed(self.encoding(), &subscribed);
        self.send_all(frame.as_slice()).await;
        catch_up::resume(&self.gateway.hub, room, listener, since, lost);
    }

    /// The newest position; where this node is behind the client's, the database's word.
    async fn head(&self, room: &Arc<Room>, since: &Position) -> Position {
        let known = room.ready().await;
        if known.epoch == since.epoch && known.offsets.covers(&since.offsets) {
            return known;
        }
        let channels = std::slice::from_ref(&room.channel);
        loop {
            if let Ok(positions) = self.gateway.store.positions(channels).await
                && let Some(head) = positions.into_iter().next()
            {
                self.gateway.hub.learn(room, &head);
                return head;
            }
            if self.connection.is_closed() {
                return known;
            }
            self.drained().await;
        }
    }
}
