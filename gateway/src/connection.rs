//! One WebSocket: who delivers a frame writes it, a small task reads and writes the rest.
//!
//! There is no library object and no buffer per socket. A connection at rest is this struct, one
//! small task and the runtime's own record of the socket. [`Connection::send`] may be called from
//! any task: it writes directly when nothing waits, else it appends to a queue that is bounded in
//! bytes and that the connection's task empties as the peer reads. All that is written goes
//! through one lock, so frames never interleave.
//!
//! The layers above know messages and frames, not the protocol: they implement [`Handler`] and
//! hold an [`Arc<Connection>`].

mod assembly;
pub mod close;
pub mod codec;
mod header;
mod outbox;
mod pulse;
mod send_queue;
pub(crate) mod stream;
mod task;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use futures_util::future::BoxFuture;

use self::codec::MessageLimits;
use self::outbox::{Outbox, Phase};
use self::pulse::{Pulse, is_before};
use self::stream::Stream;
use crate::connections::Connections;
use crate::frame::Frame;
use crate::heartbeat::{Evidence, Heartbeat};

pub(crate) use self::task::ConnectionTask;

/// What bounds each connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What a client may send (`MAX_FRAME_BYTES`; beyond it: close 1009).
    pub message: MessageLimits,
    /// Memory in bytes for incomplete messages of all connections together. Beyond it whoever
    /// adds to it is closed with 1013, so that many half uploads cannot exhaust the node.
    pub uploads_bytes_max: usize,
    /// Bytes that may wait for a client (`SEND_QUEUE_BYTES`).
    pub send_queue_bytes: usize,
    /// How long a close may take: what is queued, our close frame, the peer's answer.
    pub close_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: MessageLimits { bytes_max: 4 << 20, fragments_max: 100_000 },
            uploads_bytes_max: 512 << 20,
            send_queue_bytes: 256 << 10,
            close_ms: 10_000,
        }
    }
}

/// A whole message of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, checked to be UTF-8.
    Text(&'a str),
    /// Anything.
    Binary(&'a [u8]),
}

/// What a session does with what arrives. Calls come in order, one at a time per connection.
///
/// A connection lets go of its handler at the end, so a handler may hold its connection.
pub trait Handler: Send + Sync + 'static {
    /// A message has arrived.
    ///
    /// What cannot be answered at once returns a future. Until that is done nothing more is read
    /// from this socket, so order holds and TCP slows the peer down, while writes go on. When the
    /// socket breaks or a close runs out of time, the future is dropped where it stands.
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>>;

    /// A frame was refused as [`Sent::Full`], and by now everything queued has been written:
    /// catch-up may go on.
    fn drained(&self);

    /// The last call: the socket is gone, with the close code that was seen or sent first
    /// ([`close::NO_CODE`] and [`close::ABNORMAL`] when there was none).
    fn closed(&self, code: u16);
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that was not taken has to be caught up with"]
pub enum Sent {
    /// The kernel has all of it.
    Written,
    /// It will be written in its turn.
    Queued,
    /// Not taken: the peer is slow. [`Handler::drained`] says when to go on.
    Full,
    /// Not taken: a close has begun, or the socket is gone.
    Closed,
}

impl Sent {
    /// Whether the frame is on its way.
    pub fn is_taken(self) -> bool {
        matches!(self, Self::Written | Self::Queued)
    }
}

/// One open socket. Always behind an [`Arc`]; all methods may be called from any task.
pub struct Connection {
    id: u64,
    node: Arc<Connections>,
    stream: Stream,
    outbox: Mutex<Outbox>,
    heartbeat: ArcSwap<Heartbeat>,
    pulse: Pulse,
    /// Until when nothing is read, on the node's clock; 0 when reading.
    paused_until: AtomicU32,
}

impl Connection {
    pub(crate) fn new(
        id: u64,
        node: Arc<Connections>,
        stream: Stream,
        heartbeat: Arc<Heartbeat>,
    ) -> Self {
        let now = node.now();
        let pulse = Pulse::new(heartbeat.first_ping(id, now), now);
        Self {
            id,
            node,
            stream,
            outbox: Mutex::default(),
            heartbeat: ArcSwap::new(heartbeat),
            pulse,
            paused_until: AtomicU32::new(0),
        }
    }

    /// Sets what happens with what arrives. Comes before the task's first turn.
    pub(crate) fn attach(&self, handler: Arc<dyn Handler>) {
        self.outbox().attach(handler);
    }

    /// A number that no other connection of this node has had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Sends a frame after everything that was sent before. Never blocks.
    pub fn send(&self, frame: &Frame) -> Sent {
        self.wake_if_new(|outbox| outbox.send(frame, &self.stream, self.limits().send_queue_bytes))
    }

    /// Sends what may be left out when the peer is slow: a ping or a pong. Nothing is called back.
    pub(crate) fn send_if_room(&self, frame: &Frame) {
        self.wake_if_new(|outbox| {
            if outbox.has_room(frame, self.limits().send_queue_bytes) {
                let _taken = outbox.send(frame, &self.stream, self.limits().send_queue_bytes);
            }
        });
    }

    /// Queues a frame for [`Connection::write_staged`]; true with the first one since then.
    pub(crate) fn stage(&self, frame: &Frame) -> (Sent, bool) {
        self.wake_if_new(|outbox| outbox.stage(frame, &self.stream, self.limits().send_queue_bytes))
    }

    /// Writes all that was staged.
    pub(crate) fn write_staged(&self) {
        self.wake_if_new(|outbox| outbox.write_staged(&self.stream));
    }

    /// Closes after what is queued, then waits for the peer's close for [`Limits::close_ms`].
    ///
    /// Frames that are sent later are refused; messages that come later are not handled. The
    /// first close decides about the code.
    pub fn close(&self, code: u16, reason: &str) {
        let mut outbox = self.outbox();
        outbox.close(code, &Frame::close(code, reason), &self.stream);
        outbox.wake();
    }

    /// Ends the socket at once, without a close frame; the client sees 1006.
    pub fn abort(&self) {
        let mut outbox = self.outbox();
        outbox.abort();
        outbox.wake();
    }

    /// Reads nothing for a while, so that TCP slows the peer down. Counts from now, and never
    /// shortens an earlier pause. Silence of a paused peer is not taken for death.
    pub fn pause_for(&self, pause: Duration) {
        let pause_ms = u32::try_from(pause.as_millis()).unwrap_or(u32::MAX / 4).min(u32::MAX / 4);
        // 0 means "reading", so the one millisecond in 49 days that would be 0 becomes the next.
        let until = self.node.now().wrapping_add(pause_ms).max(1);
        let earlier = self.paused_until.load(Ordering::Relaxed);
        if earlier == 0 || is_before(earlier, until) {
            self.paused_until.store(until, Ordering::Relaxed);
        }
        self.outbox().wake();
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.outbox().queued_bytes()
    }

    /// Whether a close has begun, from either side, or the socket is gone.
    pub fn is_closed(&self) -> bool {
        self.outbox().phase() != Phase::Open
    }

    /// A sign of life that only the session can see ([`crate::heartbeat::Life::Reported`]).
    pub fn alive(&self) {
        self.pulse.alive(self.node.now());
    }

    /// Milliseconds since the last sign of life.
    pub fn silent_ms(&self) -> u32 {
        self.pulse.silent_ms(self.node.now())
    }

    /// Changes how life is watched over, for example when a client has registered. Counts as life.
    pub fn set_heartbeat(&self, heartbeat: Arc<Heartbeat>) {
        let now = self.node.now();
        self.pulse.restart(heartbeat.first_ping(self.id, now), now);
        self.node.quicken(&heartbeat);
        self.heartbeat.store(heartbeat);
    }

    /// How life is watched over.
    pub(crate) fn heartbeat(&self) -> Guard<Arc<Heartbeat>> {
        self.heartbeat.load()
    }

    /// What is known about its life.
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Something came that may count as life.
    fn note(&self, evidence: Evidence) {
        if self.heartbeat.load().life.counts(evidence) {
            self.alive();
        }
    }

    /// Fails the connection (RFC 6455 §7.1.7): what it goes on to send is thrown away.
    fn fail(&self, code: u16, reason: &str) {
        tracing::debug!(connection = self.id, code, reason, "failing a connection");
        self.outbox().fail(code, &Frame::close(code, reason), &self.stream);
    }

    /// The peer's close frame came.
    fn answer_close(&self, code: Option<u16>) {
        let frame = code.map_or_else(Frame::close_without_code, |code| Frame::close(code, ""));
        self.outbox().answer_close(code.unwrap_or(close::NO_CODE), &frame, &self.stream);
    }

    /// Writes what the kernel did not take before. Ready when nothing is left, with the handler if
    /// that ended a [`Sent::Full`].
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Option<Arc<dyn Handler>>> {
        loop {
            if self.outbox().is_blocked() && ready!(self.stream.poll_write_ready(cx)).is_err() {
                self.outbox().abort();
            }
            let mut outbox = self.outbox();
            if outbox.flush(&self.stream) {
                // The kernel took something: the peer reads, if slowly. Its pongs come behind
                // what is queued for it, so this is the sign of life that it can give.
                self.alive();
            }
            if !outbox.is_blocked() {
                return Poll::Ready(outbox.take_overflow());
            }
        }
    }

    fn limits(&self) -> &Limits {
        self.node.limits()
    }

    /// Runs `act` on the outbox and wakes the task if that has left something for it to do.
    fn wake_if_new<T>(&self, act: impl FnOnce(&mut Outbox) -> T) -> T {
        let mut outbox = self.outbox();
        let had_work = outbox.has_work();
        let result = act(&mut outbox);
        if !had_work && outbox.has_work() {
            outbox.wake();
        }
        result
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // Nothing below panics amid a change that others could not live with.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}
