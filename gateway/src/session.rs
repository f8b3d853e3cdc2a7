//! What one client may do, and what it is doing: identity, subscriptions, limits.
//!
//! The connection below knows frames, the dialect beside translates; the session executes the
//! dialect's commands, in order and one message at a time.

pub mod context;
mod execute;
pub mod heartbeats;
mod ingest;
mod ingest_queue;
mod membership;
mod message_rate;
mod messages;
pub mod sessions;
mod subscribe;
pub mod token_expiry;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use auth::Identity;
use broker::Registration;
use domain::channel::Channel;
use tokio::sync::Notify;
use websocket::{Frame, SendOutcome, close};

use self::{
    context::SessionContext, ingest_queue::IngestQueue, message_rate::MessageRate,
    token_expiry::Expiring,
};
use crate::{
    channel::{channel_state::ChannelState, listener::Listener},
    cluster::registry::CONNECTIONS,
    protocol::{
        Command, Dialect, DrainNotice, Encoding, Ending, ErrorReport, Recipient, Refusal, Transport,
    },
};

/// Within how many ms after its `bye` a client is asked to connect elsewhere.
pub const COME_ELSEWHERE_MS: u64 = 500;

/// How long a wait for a send queue goes on before it looks again.
const PATIENCE: Duration = Duration::from_millis(100);

/// One client on one connection.
pub struct Session {
    /// The way to the client.
    pub transport: Transport,
    /// Its number on this node; [`SessionContext::connection_name`] makes a name of it.
    pub number: u64,
    /// When it came, seconds since 1970.
    connected_at: u32,
    context: Arc<SessionContext>,
    dialect: Arc<dyn Dialect>,
    /// The number of its encoding in the table of all.
    encoding: AtomicU8,
    /// Whether what the dialect does first is done: only then messages are handled.
    opened: AtomicBool,
    state: Mutex<SessionState>,
    /// Notified when a send queue that was full has drained, and when the opening is done.
    drained: Notify,
    /// What it handed in; absent until it does.
    ingest_queue: OnceLock<Box<IngestQueue>>,
}

struct SessionState {
    identity: Identity,
    memo: Option<Box<str>>,
    subscriptions: Vec<ListenedChannel>,
    message_rate: MessageRate,
    registered: Vec<(&'static str, String)>,
    /// Whether the session stands on the list of open ones.
    admitted: bool,
    /// Whether the socket is gone: nothing is registered any more.
    gone: bool,
}

/// A channel that the session listens to.
struct ListenedChannel {
    /// None for the channel `presence`, which has no state.
    channel: Option<Arc<ChannelState>>,
    listener: Arc<Listener>,
}

impl Session {
    fn new(
        context: Arc<SessionContext>,
        dialect: Arc<dyn Dialect>,
        number: u64,
        encoding: Encoding,
        identity: Identity,
        transport: Transport,
    ) -> Arc<Self> {
        let sender = dialect.sender(&identity, context.config.production());
        let per_second = sender.frames_per_second(&context.config.limits);
        let session = Self {
            transport,
            number,
            connected_at: u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX),
            dialect,
            encoding: AtomicU8::new(0),
            opened: AtomicBool::new(false),
            state: Mutex::new(SessionState {
                identity,
                memo: None,
                subscriptions: Vec::new(),
                message_rate: MessageRate::new(per_second),
                registered: Vec::new(),
                admitted: false,
                gone: false,
            }),
            drained: Notify::new(),
            ingest_queue: OnceLock::new(),
            context,
        };
        session.encode(encoding);
        Arc::new(session)
    }

    fn refuse(&self, refusal: Refusal) {
        if let Refusal::Socket { frames, code, reason } = refusal {
            for frame in &frames {
                let _closing = self.transport.send(frame);
            }
            self.close(code, reason);
        }
    }

    /// Executes the dialect's first commands, before any message is handled.
    fn begin(self: &Arc<Self>, commands: Vec<Command>) {
        let rest = self.execute_ready(commands);
        self.announce_drain();
        if rest.is_empty() {
            self.opened.store(true, Ordering::Release);
            return;
        }
        let session = Arc::clone(self);
        self.context.life.spawn_until_stop(async move {
            session.execute(rest).await;
            session.opened.store(true, Ordering::Release);
            session.drained.notify_waiters();
        });
    }

    /// Tells a client that comes during a drain to look elsewhere, as those were told who were here
    /// before: a balancer may have led it back to this node. It is served until the drain ends.
    fn announce_drain(&self) {
        if self.context.life.is_draining() {
            let after_ms = rand::random_range(0..COME_ELSEWHERE_MS);
            if let Some(word) = self.drain_notice(after_ms).word {
                let _full = self.send(&word);
            }
        }
    }

    /// Returns how it is let go at a drain.
    pub fn drain_notice(&self, after_ms: u64) -> DrainNotice {
        self.dialect.drain_notice(after_ms, self.is_known())
    }

    /// Whether its dialect remembers anything about the client, such as who it is.
    pub fn is_known(&self) -> bool {
        self.lock().memo.is_some()
    }

    /// Ends it as its dialect lets clients go.
    pub fn end(&self, ending: Ending) {
        match ending {
            Ending::Close { code, reason } => self.transport.close(code, reason),
            Ending::Cut => self.transport.cut(),
        }
    }

    /// Returns how its frames are written.
    pub fn encoding(&self) -> Encoding {
        self.context.encodings[usize::from(self.encoding.load(Ordering::Relaxed))]
    }

    fn encode(&self, encoding: Encoding) {
        let index = u8::try_from(encoding.index()).unwrap_or_default();
        self.encoding.store(index, Ordering::Relaxed);
    }

    /// Returns who it is.
    pub fn identity(&self) -> Identity {
        self.lock().identity.clone()
    }

    /// Returns the dialect that it speaks.
    pub fn dialect(&self) -> &dyn Dialect {
        &*self.dialect
    }

    /// Returns how many channels it listens to.
    pub fn subscriptions(&self) -> usize {
        self.lock().subscriptions.len()
    }

    /// Returns how many events it still has to get, of this channel or of all that it listens to; none
    /// when it does not listen.
    pub fn behind(&self, channel: Option<&Channel>) -> Option<u64> {
        let state = self.lock();
        let mut behind = if channel.is_some() { None } else { Some(0) };
        for listened in &state.subscriptions {
            let Some(of) = &listened.channel else { continue };
            if channel.is_none_or(|channel| of.channel == *channel) {
                let total = of.position().map_or(0, |position| position.offsets.total());
                behind = Some(behind.unwrap_or(0) + listened.listener.behind(total));
            }
        }
        behind
    }

    fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a frame, if there is room for it.
    pub fn send(&self, frame: &Frame) -> SendOutcome {
        let sent = self.transport.send(frame);
        if sent.is_taken() {
            self.context.metrics.sent(self.encoding().index(), 1, frame.len());
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
                    SendOutcome::Full => drained.await,
                    SendOutcome::Written | SendOutcome::Queued | SendOutcome::Closed => break,
                }
            }
        }
    }

    /// Waits until a full send queue has drained, or for a moment when it is not full any more.
    pub async fn drained(&self) {
        let _moment = tokio::time::timeout(PATIENCE, self.drained.notified()).await;
        while self.transport.queued_bytes() > 0 && !self.transport.is_closed() {
            let _moment = tokio::time::timeout(PATIENCE, self.drained.notified()).await;
        }
    }

    /// Closes; first the client is told whether it may come back, if its protocol has a word for it.
    pub fn close(&self, code: u16, reason: &str) {
        if let Some(frame) = self.encoding().close_frame(code, reason) {
            let _full = self.transport.send(&frame);
        }
        self.transport.close(code, reason);
    }

    /// Closes for good, by order of an operator.
    pub fn disconnect(&self) {
        self.close(close::FORBIDDEN, "disconnected by an operator");
    }

    /// Whether an operator keeps its user out.
    pub fn is_denied(&self) -> bool {
        let now = jiff::Timestamp::now().as_millisecond();
        let user = self.identity().user;
        user.is_some_and(|user| self.context.auth.denials().hold(&user, now))
    }

    /// Does what follows from standing on the list.
    fn admitted(self: &Arc<Self>) {
        let expiring: Arc<dyn Expiring> = Arc::clone(self) as _;
        self.context.token_expiry.watch(&expiring);
        self.announce();
        // Who was denied after their token was looked at is found by one of the two.
        if self.is_denied() {
            self.disconnect();
        }
    }

    /// Announces in the registry who is here; again when the number of channels has changed.
    fn announce(&self) {
        let state = self.lock();
        // Under the lock: nobody is announced again after the end.
        if !state.admitted {
            return;
        }
        let connection = self.context.connection_name(self.number);
        let value = serde_json::json!({
            "connection": connection,
            "node": &*self.context.node.0,
            "dialect": self.dialect.name(),
            "user": state.identity.user.as_deref(),
            "channels": state.subscriptions.len(),
            "connected_at": u64::from(self.connected_at) * 1000,
        });
        let value = Some(value.to_string());
        self.context.registry.register(Registration { topic: CONNECTIONS, key: connection, value });
    }

    /// Says in the log how it went: what an operator is asked for afterwards.
    fn log_end(&self, code: u16) {
        let user = {
            let state = self.lock();
            if !state.admitted {
                return;
            }
            state.identity.user.clone()
        };
        let now = u32::try_from(jiff::Timestamp::now().as_second()).unwrap_or(u32::MAX);
        tracing::info!(
            connection = self.context.connection_name(self.number),
            user = user.as_deref(),
            dialect = self.dialect.name(),
            address = self.transport.address.map(|address| address.to_string()),
            code,
            seconds = now.saturating_sub(self.connected_at),
            frames = self.transport.frames(),
            gaps = self.transport.gaps(),
            "session: ended"
        );
    }

    /// Notes whether the session stands on the list; returns whether it did before.
    fn set_admitted(&self, admitted: bool) -> bool {
        std::mem::replace(&mut self.lock().admitted, admitted)
    }

    /// Leaves the list, the registry and the watch over tokens, once.
    fn leave_node(&self) {
        if !self.set_admitted(false) {
            return;
        }
        let user = self.identity().user;
        self.context.list.ended(self.number, self.dialect.name(), user.as_deref());
        let key = self.context.connection_name(self.number);
        self.context.registry.register(Registration { topic: CONNECTIONS, key, value: None });
        self.context.token_expiry.forget(self);
    }
}

#[async_trait]
impl Recipient for Session {
    fn transport(&self) -> &Transport {
        &self.transport
    }

    fn encoding(&self) -> Encoding {
        Self::encoding(self)
    }

    fn send(&self, frame: &Frame) -> SendOutcome {
        Self::send(self, frame)
    }

    async fn send_all(&self, frames: &[Frame]) {
        Self::send_all(self, frames).await;
    }

    async fn drained(&self) {
        Self::drained(self).await;
    }
}

impl Expiring for Session {
    fn number(&self) -> u64 {
        self.number
    }

    fn expires_at(&self) -> Option<i64> {
        self.identity().expires_at
    }

    fn expire(&self) {
        let message = "the token has expired";
        let error = ErrorReport { code: "unauthorized", message, path: None, channel: None };
        if let Some(frame) = self.encoding().error(&error) {
            let _full = self.transport.send(&frame);
        }
        self.close(close::UNAUTHORIZED, "token expired");
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dialect = self.dialect.name();
        f.debug_struct("Session").field("dialect", &dialect).finish_non_exhaustive()
    }
}
