//! One WebSocket: whoever sends a frame writes it; a small task reads, and writes the rest.
//!
//! There is no buffer per socket. A connection at rest is this struct, one
//! small task and the runtime's own record of the socket. [`Connection::send`] may be called from
//! any task: it writes directly when nothing waits, else it appends to a queue that is bounded in
//! bytes and that the connection's task empties as the client reads. All that is written
//! goes through one lock, so frames never interleave.
//!
//! The layers above know messages and frames, not the protocol: they implement [`Handler`] and
//! hold an [`Arc<Connection>`].

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};

use crate::clock::is_before;
use crate::close;
use crate::frame::Frame;
use crate::handler::Handler;
use crate::heartbeat::{Activity, Heartbeat};
use crate::liveness::{Due, Liveness};
use crate::lock::lock;
use crate::outbox::{ClosePhase, Outbox, SendOutcome};
use crate::rules::{MessageLimits, SenderTerms};
use crate::runtime::{ConnectionLimits, Runtime};
use crate::socket::RawSocket;
use crate::uploads::Uploader;

/// One open socket. Always behind an [`Arc`]; all methods may be called from any task.
pub struct Connection {
    id: u64,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) socket: RawSocket,
    outbox: Mutex<Outbox>,
    heartbeat: ArcSwap<Heartbeat>,
    pub(crate) liveness: Liveness,
    /// Until when nothing is read, on the clock of all connections; 0 while reading.
    pub(crate) paused_until: AtomicU32,
    message_bytes_max: AtomicU32,
    pub(crate) uploader: Uploader,
}

impl Connection {
    pub(crate) fn new(
        id: u64,
        runtime: Arc<Runtime>,
        socket: RawSocket,
        heartbeat: Arc<Heartbeat>,
        terms: Option<SenderTerms>,
    ) -> Self {
        let now = runtime.now();
        let message_bytes_max = terms.map_or(u32::MAX, |terms| terms.message_bytes_max);
        let liveness = Liveness::new(heartbeat.first_ping(id, now), now);
        Self {
            id,
            runtime,
            socket,
            outbox: Mutex::default(),
            heartbeat: ArcSwap::new(heartbeat),
            liveness,
            paused_until: AtomicU32::new(0),
            message_bytes_max: AtomicU32::new(message_bytes_max),
            uploader: terms.map_or(Uploader::NONE, Uploader::of),
        }
    }

    /// Sets who handles what arrives. Comes before the task's first turn.
    pub(crate) fn attach(&self, handler: Arc<dyn Handler>) {
        self.outbox().attach(handler);
    }

    /// Returns a number that no other connection of the same [`Connections`](crate::Connections) has
    /// had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Sends a frame after everything that was sent before. Never blocks: it writes what the kernel
    /// takes, and queues the rest.
    pub fn send(&self, frame: &Frame) -> SendOutcome {
        let bytes_max = self.runtime.send_budget.queue_bytes();
        self.wake_if_new(|outbox| outbox.send(frame, &self.socket, bytes_max))
    }

    /// Sends what may be left out when the client is slow: a ping or a pong. A frame that finds no
    /// room is dropped, and [`Handler::drained`] is not called for it.
    pub fn send_if_room(&self, frame: &Frame) {
        let bytes_max = self.runtime.send_budget.queue_bytes();
        self.wake_if_new(|outbox| {
            if outbox.has_room(frame, bytes_max) {
                let _taken = outbox.send(frame, &self.socket, bytes_max);
            }
        });
    }

    /// Queues a frame for [`Connection::write_staged`]. Returns true with the first one since then.
    pub(crate) fn stage(&self, frame: &Frame) -> (SendOutcome, bool) {
        let bytes_max = self.runtime.send_budget.queue_bytes();
        self.wake_if_new(|outbox| outbox.stage(frame, &self.socket, bytes_max))
    }

    /// Writes all that was staged.
    pub(crate) fn write_staged(&self) {
        self.wake_if_new(|outbox| outbox.write_staged(&self.socket));
    }

    /// Closes after what is queued, then waits for the client's close frame for [`ConnectionLimits::close_ms`].
    ///
    /// Frames that are sent later are refused; messages that come later are not handled. The
    /// first close decides the code.
    pub fn close(&self, code: u16, reason: &str) {
        let mut outbox = self.outbox();
        outbox.close(code, &Frame::close(code, reason), &self.socket);
        outbox.wake();
    }

    /// Ends the socket at once, without a close frame; the client sees 1006.
    pub fn abort(&self) {
        let mut outbox = self.outbox();
        outbox.abort();
        outbox.wake();
    }

    /// Reads nothing for a while, so that TCP slows the client down. Counts from now, and never
    /// shortens an earlier pause. A paused client is not timed out.
    pub fn pause_for(&self, pause: Duration) {
        let pause_ms = u32::try_from(pause.as_millis()).unwrap_or(u32::MAX / 4).min(u32::MAX / 4);
        // 0 means "reading", so the one millisecond in 49 days that would be 0 becomes the next.
        let until = self.runtime.now().wrapping_add(pause_ms).max(1);
        let earlier = self.paused_until.load(Ordering::Relaxed);
        if earlier == 0 || is_before(earlier, until) {
            self.paused_until.store(until, Ordering::Relaxed);
        }
        self.outbox().wake();
    }

    /// Bounds the payload of each message from now on, for example when a client has said who it is.
    pub fn set_message_bytes_max(&self, bytes_max: u32) {
        self.message_bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// Returns what its messages are bounded by.
    pub(crate) fn message_limits(&self) -> MessageLimits {
        let all = self.limits().message;
        let own = usize::try_from(self.message_bytes_max.load(Ordering::Relaxed));
        MessageLimits { bytes_max: all.bytes_max.min(own.unwrap_or(usize::MAX)), ..all }
    }

    /// Returns how many bytes wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.outbox().queued_bytes()
    }

    /// Tells whether a close has begun, from either side, or the socket is gone.
    pub fn is_closed(&self) -> bool {
        self.outbox().phase() != ClosePhase::Open
    }

    /// Records activity that only the application can see
    /// ([`AliveWhen::Reported`](crate::AliveWhen::Reported)).
    pub fn alive(&self) {
        self.liveness.alive(self.runtime.now());
    }

    /// Returns the milliseconds since the client was last seen alive.
    pub fn silent_ms(&self) -> u32 {
        self.liveness.silent_ms(self.runtime.now())
    }

    /// Replaces the heartbeat, for example when a client has registered. Counts as activity.
    pub fn set_heartbeat(&self, heartbeat: Arc<Heartbeat>) {
        let now = self.runtime.now();
        self.liveness.restart(heartbeat.first_ping(self.id, now), now);
        self.runtime.shorten_sweep_interval(&heartbeat);
        self.heartbeat.store(heartbeat);
    }

    /// Returns the heartbeat by which this connection is judged.
    pub(crate) fn heartbeat(&self) -> Guard<Arc<Heartbeat>> {
        self.heartbeat.load()
    }

    /// Returns what the connection needs at `now`.
    pub(crate) fn due(&self, now: u32) -> Option<Due> {
        self.liveness.due(&self.heartbeat.load(), now)
    }

    /// Records what came, if that proves that the client is alive.
    pub(crate) fn record(&self, activity: Activity) {
        if self.heartbeat.load().alive_when.counts(activity) {
            self.alive();
        }
    }

    /// Fails the connection (RFC 6455 §7.1.7): what the client goes on to send is thrown
    /// away.
    pub(crate) fn fail(&self, code: u16, reason: &str) {
        tracing::debug!(
            connection = self.id,
            code,
            reason,
            "connection: the client broke a rule, closing"
        );
        self.outbox().fail(code, &Frame::close(code, reason), &self.socket);
    }

    /// Answers the client's close frame.
    pub(crate) fn answer_close(&self, code: Option<u16>) {
        let frame = code.map_or_else(Frame::close_without_code, |code| Frame::close(code, ""));
        self.outbox().answer_close(code.unwrap_or(close::NO_CODE), &frame, &self.socket);
    }

    /// Writes what the kernel did not take before. Ready when nothing is left, with the handler if
    /// that ended a [`SendOutcome::Full`].
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Option<Arc<dyn Handler>>> {
        loop {
            if self.outbox().is_blocked() && ready!(self.socket.poll_write_ready(cx)).is_err() {
                self.outbox().abort();
            }
            let mut outbox = self.outbox();
            if outbox.flush(&self.socket) {
                // The kernel took something: the client reads, if slowly. Its pongs come behind
                // what is queued for it, so this is the only activity that it can show.
                self.alive();
            }
            if !outbox.is_blocked() {
                return Poll::Ready(outbox.take_overflow());
            }
        }
    }

    pub(crate) fn limits(&self) -> &ConnectionLimits {
        &self.runtime.limits
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

    pub(crate) fn outbox(&self) -> CountedOutbox<'_> {
        let outbox = lock(&self.outbox);
        CountedOutbox { runtime: &self.runtime, before: outbox.queued_bytes(), outbox }
    }
}

/// The outbox under its lock; what it holds more or less at the end is counted among all.
pub(crate) struct CountedOutbox<'a> {
    runtime: &'a Runtime,
    before: usize,
    outbox: MutexGuard<'a, Outbox>,
}

impl Deref for CountedOutbox<'_> {
    type Target = Outbox;

    fn deref(&self) -> &Outbox {
        &self.outbox
    }
}

impl DerefMut for CountedOutbox<'_> {
    fn deref_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }
}

impl Drop for CountedOutbox<'_> {
    fn drop(&mut self) {
        self.runtime.send_budget.count(self.before, self.outbox.queued_bytes());
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}
