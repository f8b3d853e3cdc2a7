//! What one client may do, and what it is doing: identity, subscriptions, limits.
//!
//! The connection below knows frames, the dialect beside translates; the session carries the
//! dialect's commands out, in order and one message at a time.

mod allowance;
mod intake;
mod places;
mod subscribe;

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use futures_util::future::BoxFuture;
use shared::{
    auth::Identity,
    broker::Registration,
    channel::{Channel, ChannelKind},
};
use tokio::sync::Notify;

use self::{
    allowance::{Allowance, Verdict},
    intake::Intake,
};
use crate::{
    connection::{Handler, Message, Sent, close},
    dialect::{Command, Dialect, Encoding, Opening, Refusal, View, native},
    frame::Frame,
    gateway::{COME_ELSEWHERE_MS, CONNECTIONS, GatewayState},
    hub::{listener::Listener, room::Room},
    outlet::Outlet,
};

/// One client on one connection.
pub struct Session {
    /// The way to the client.
    pub connection: Outlet,
    /// Its number on this node; [`crate::gateway::Gateway::connection_name`] makes a name of it.
    pub number: u64,
    /// When it came, seconds since 1970.
    connected_at: u32,
    gateway: GatewayState,
    dialect: &'static dyn Dialect,
    encoding: AtomicU8,
    /// Whether what the dialect does first is done: only then messages are handled.
    opened: AtomicBool,
    inner: Mutex<Inner>,
    /// Told when a send queue that was full has drained, and when the opening is done.
    drained: Notify,
    /// What it handed in; absent until it does.
    intake: OnceLock<Box<Intake>>,
}

struct Inner {
    identity: Identity,
    memo: Option<Box<str>>,
    subscriptions: Vec<Subscription>,
    allowance: Allowance,
    registered: Vec<(&'static str, String)>,
    /// Whether the session was counted among those of its user.
    counted: bool,
    /// Whether the socket is gone: nothing is registered any more.
    gone: bool,
}

/// A channel that the session listens to.
struct Subscription {
    /// None for the channel `presence`, which has no room.
    room: Option<Arc<Room>>,
    listener: Arc<Listener>,
}

impl Session {
    /// Begins a session: the dialect's first commands run before any message is handled.
    pub fn open(
        gateway: GatewayState,
        dialect: &'static dyn Dialect,
        number: u64,
        opening: Result<Opening, Refusal>,
        connection: Outlet,
    ) -> Arc<Self> {
        let (encoding, identity, outcome) = match opening {
            Ok(opening) => (opening.encoding, opening.identity, Ok(opening.commands)),
            Err(refusal) => (Encoding::Native, gateway.auth.anonymous(), Err(refusal)),
        };
        let session = Arc::new(Self {
            connection,
            number,
            connected_at: u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX),
            dialect,
            encoding: AtomicU8::new(encoding as u8),
            opened: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                identity,
                memo: None,
                subscriptions: Vec::new(),
                allowance: Allowance::new(gateway.config.limits.frames_per_second),
                registered: Vec::new(),
                counted: false,
                gone: false,
            }),
            drained: Notify::new(),
            intake: OnceLock::new(),
            gateway,
        });
        match outcome {
            Ok(commands) => session.begin(commands),
            Err(refusal) => session.refuse(refusal),
        }
        session
    }

    fn refuse(&self, refusal: Refusal) {
        if let Refusal::Socket { frames, code, reason } = refusal {
            for frame in &frames {
                let _closing = self.connection.send(frame);
            }
            self.close(code, reason);
        }
    }

    fn begin(self: &Arc<Self>, commands: Vec<Command>) {
        if let Err((code, frame)) = self.gateway.admit(self) {
            return self.refuse(Refusal::Socket {
                frames: frame.into_iter().collect(),
                code,
                reason: "over capacity",
            });
        }
        let rest = self.carry_out_at_once(commands);
        self.send_on_while_draining();
        if rest.is_empty() {
            self.opened.store(true, Ordering::Release);
            return;
        }
        let session = Arc::clone(self);
        self.gateway.life.spawn_until_stop(async move {
            session.carry_out(rest).await;
            session.opened.store(true, Ordering::Release);
            session.drained.notify_waiters();
        });
    }

    /// Who comes during a drain is served until its end, and told to look elsewhere as those are
    /// who were here before: a balancer may have led it back to this node.
    fn send_on_while_draining(&self) {
        if self.gateway.life.is_draining() {
            let after_ms = rand::random_range(0..COME_ELSEWHERE_MS);
            if let (Some(frame), _, _) = self.dialect.drain(after_ms) {
                let _full = self.send(&frame);
            }
        }
    }

    /// How its frames are written.
    pub fn encoding(&self) -> Encoding {
        Encoding::ALL[usize::from(self.encoding.load(Ordering::Relaxed))]
    }

    /// Who it is.
    pub fn identity(&self) -> Identity {
        self.lock().identity.clone()
    }

    /// The dialect that it speaks.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// How many channels it listens to.
    pub fn subscriptions(&self) -> usize {
        self.lock().subscriptions.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out what needs no waiting; what is left, from the first command that does.
    fn carry_out_at_once(self: &Arc<Self>, commands: Vec<Command>) -> Vec<Command> {
        let mut commands = commands.into_iter();
        while let Some(command) = commands.next() {
            match command {
                Command::Send(frame) => {
                    if self.send(&frame) == Sent::Full {
                        return std::iter::once(Command::Send(frame)).chain(commands).collect();
                    }
                }
                Command::Alive => self.connection.alive(),
                Command::Encode(encoding) => self.encode(encoding),
                Command::Remember(memo) => self.lock().memo = Some(memo),
                Command::Append(append) => self.take_in(append),
                Command::Register(registration) => self.register(registration),
                Command::Watch => self.watch(),
                Command::Close { code, reason } => self.close(code, reason),
                other => return std::iter::once(other).chain(commands).collect(),
            }
        }
        Vec::new()
    }

    async fn carry_out(self: &Arc<Self>, commands: Vec<Command>) {
        for command in commands {
            if self.connection.is_closed() && !matches!(command, Command::Append(_)) {
                continue;
            }
            match command {
                Command::Send(frame) => self.send_all(&[frame]).await,
                Command::Subscribe(wish) => self.subscribe(wish).await,
                Command::Unsubscribe(channel) => self.unsubscribe(&channel),
                Command::Append(append) => self.take_in(append),
                Command::Prepare(channels) => self.prepare(&channels).await,
                Command::Token(token) => self.refresh(&token).await,
                Command::Presence(status) => self.be_present(&status).await,
                Command::Register(registration) => self.register(registration),
                Command::Attend(container) => {
                    if !self.attend(&container).await {
                        return;
                    }
                }
                Command::Watch => self.watch(),
                Command::Remember(memo) => self.lock().memo = Some(memo),
                Command::Encode(encoding) => self.encode(encoding),
                Command::Alive => self.connection.alive(),
                Command::Close { code, reason } => self.close(code, reason),
            }
        }
    }

    fn encode(&self, encoding: Encoding) {
        self.encoding.store(encoding as u8, Ordering::Relaxed);
    }

    /// Sends a frame, if there is room for it.
    pub fn send(&self, frame: &Frame) -> Sent {
        let sent = self.connection.send(frame);
        if sent.is_taken() {
            self.gateway.metrics.sent(self.encoding(), 1, frame.len());
        }
        sent
    }

    /// Sends frames that must not be lost, waiting while the socket is full.
    pub async fn send_all(&self, frames: &[Frame]) {
        for frame in frames {
            loop {
                let drained = self.drained.notified();
                tokio::pin!(drained);
                drained.as_mut().enable();
                match self.send(frame) {
                    Sent::Full => drained.await,
                    Sent::Written | Sent::Queued | Sent::Closed => break,
                }
            }
        }
    }

    /// Waits until a full send queue has drained, or for a moment when it is not full any more.
    pub async fn drained(&self) {
        let patience = std::time::Duration::from_millis(100);
        let _moment = tokio::time::timeout(patience, self.drained.notified()).await;
        while self.connection.queued_bytes() > 0 && !self.connection.is_closed() {
            let _moment = tokio::time::timeout(patience, self.drained.notified()).await;
        }
    }

    /// From now on its silence is judged as that of a client that said who it is.
    fn watch(&self) {
        self.connection.set_heartbeat(self.gateway.heartbeat(self.dialect, true));
    }

    /// A new token on the open socket: a bad one leaves the old one in force.
    async fn refresh(self: &Arc<Self>, token: &str) {
        self.gateway.auth.prepare(token).await;
        let frame = match self.gateway.auth.credential(token) {
            Ok(identity) if identity.user == self.identity().user => {
                let frame = native::token(identity.expires_at);
                self.gateway.expiries.forget(self);
                self.lock().identity = identity;
                self.gateway.expiries.watch(self);
                frame
            }
            Ok(_) => native::error("forbidden", "the token is another user's", &[], None),
            Err(error) => native::error("token", &error.to_string(), &[], None),
        };
        self.send_all(&[frame]).await;
    }

    /// Closes; a client of our own protocol hears first whether it may come back.
    pub fn close(&self, code: u16, reason: &str) {
        if self.encoding() == Encoding::Native {
            let _full = self.connection.send(&native::farewell(code, reason));
        }
        self.connection.close(code, reason);
    }

    fn unsubscribe(&self, channel: &Channel) {
        let taken = {
            let mut inner = self.lock();
            let at = inner.subscriptions.iter().position(|subscription| match &subscription.room {
                Some(room) => room.channel == *channel,
                None => channel.kind() == ChannelKind::Presence,
            });
            at.map(|at| inner.subscriptions.swap_remove(at))
        };
        if let Some(subscription) = taken {
            self.leave(&subscription);
            self.announce();
        }
    }

    fn leave(&self, subscription: &Subscription) {
        match &subscription.room {
            Some(room) => self.gateway.hub.leave(room, &subscription.listener),
            None => self.gateway.presence.leave(&subscription.listener),
        }
    }

    fn view<R>(&self, look: impl FnOnce(&View<'_>) -> R) -> R {
        let (identity, memo) = {
            let inner = self.lock();
            (inner.identity.clone(), inner.memo.clone())
        };
        look(&View {
            connection: &self.gateway.connection_name(self.number),
            identity: &identity,
            encoding: self.encoding(),
            memo: memo.as_deref(),
            production: self.gateway.config.production(),
            now: jiff::Timestamp::now().as_millisecond(),
            config: &self.gateway.config,
        })
    }

    /// Whether the message may be handled; a client that sends too much is told, slowed or closed.
    fn allows(&self) -> bool {
        let verdict = self.lock().allowance.take();
        if verdict == Verdict::Good {
            return true;
        }
        match (verdict, self.dialect.too_fast()) {
            (Verdict::Good, _) => true,
            (Verdict::Over(pause), None) | (Verdict::Abuse(pause), None) => {
                self.connection.pause_for(pause);
                true
            }
            (Verdict::Over(_), Some(frame)) => {
                let _slow = self.connection.send(&frame);
                false
            }
            (Verdict::Abuse(_), Some(_)) => {
                self.close(close::POLICY, "too many messages");
                false
            }
        }
    }
}

impl Handler for Session {
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        if !self.allows() {
            self.gateway.metrics.received(self.dialect.name(), "refused");
            return None;
        }
        self.gateway.metrics.received(self.dialect.name(), "handled");
        let commands = self.view(|view| self.dialect.decode(message, view));
        // First what must not be lost: a future ends with the socket.
        let (appends, commands): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| matches!(command, Command::Append(_)));
        let _none_waits = self.carry_out_at_once(appends);
        let is_open = self.opened.load(Ordering::Acquire);
        let rest = if is_open { self.carry_out_at_once(commands) } else { commands };
        let is_full = self.intake.get().is_some_and(|intake| intake.is_full());
        if is_open && rest.is_empty() && !is_full {
            return None;
        }
        Some(Box::pin(async move {
            while !self.opened.load(Ordering::Acquire) && !self.connection.is_closed() {
                let patience = std::time::Duration::from_millis(100);
                let _opened = tokio::time::timeout(patience, self.drained.notified()).await;
            }
            self.carry_out(rest).await;
            if let Some(intake) = self.intake.get() {
                intake.room().await;
            }
        }))
    }

    fn drained(&self) {
        self.drained.notify_waiters();
    }

    fn closed(&self, code: u16) {
        self.drained.notify_waiters();
        self.gateway.metrics.closed(self.dialect.name(), code);
        let subscriptions = std::mem::take(&mut self.lock().subscriptions);
        for subscription in &subscriptions {
            self.leave(subscription);
        }
        self.give_up_places();
        self.gateway.dismiss(self);
    }
}

impl Session {
    /// Says in the registry who is here; again when the number of channels has changed.
    pub(crate) fn announce(&self) {
        let inner = self.lock();
        // Under the lock: nobody is announced again after the farewell.
        if !inner.counted {
            return;
        }
        let connection = self.gateway.connection_name(self.number);
        let value = serde_json::json!({
            "connection": connection,
            "node": &*self.gateway.node.0,
            "dialect": self.dialect.name(),
            "user": inner.identity.user.as_deref(),
            "channels": inner.subscriptions.len(),
            "connected_at": u64::from(self.connected_at) * 1000,
        });
        let value = Some(value.to_string());
        self.gateway.registry.register(Registration { topic: CONNECTIONS, key: connection, value });
    }

    /// Marks the session as counted among its user's; whether it was before.
    pub(crate) fn count(&self, counted: bool) -> bool {
        std::mem::replace(&mut self.lock().counted, counted)
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dialect = self.dialect.name();
        f.debug_struct("Session").field("dialect", &dialect).finish_non_exhaustive()
    }
}
