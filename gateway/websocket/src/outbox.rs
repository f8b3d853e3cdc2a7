//! Everything about a connection that is behind its lock: the send queue and the close handshake.

use std::sync::Arc;
use std::task::Waker;

use crate::close;
use crate::frame::Frame;
use crate::handler::Handler;
use crate::send_queue::SendQueue;
use crate::socket::RawSocket;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a frame that was not taken has to be sent again or given up"]
pub enum SendOutcome {
    /// The kernel has all of it.
    Written,
    /// It waits for its turn and will be written.
    Queued,
    /// Not taken: the client is slow. [`Handler::drained`] is called when there is room.
    Full,
    /// Not taken: a close has begun, or the socket is gone.
    Closed,
}

impl SendOutcome {
    /// Tells whether the frame is on its way.
    pub fn is_taken(self) -> bool {
        matches!(self, Self::Written | Self::Queued)
    }
}

/// How far a connection's end has come. Only ever moves downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ClosePhase {
    #[default]
    Open,
    /// Our close frame is queued or sent; the client's is awaited, its messages are ignored.
    Closing,
    /// The client broke a rule: our close frame is on its way, and all further input is thrown away
    /// until the client ends the stream. Ending it first would reset it and lose the close frame.
    Failing,
    /// Both close frames are there: what is queued is written, then the stream ends.
    Ending,
    /// The socket is closed or of no more use.
    Over,
}

/// The sending side of a connection, and how it ends.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: SendQueue,
    /// Who handles what arrives. Dropped at the end, because it may hold this very
    /// connection.
    handler: Option<Arc<dyn Handler>>,
    /// The connection's task, to be woken when there is something for it to do.
    task: Option<Waker>,
    phase: ClosePhase,
    /// The first close code that was seen or sent, 0 before that.
    code: u16,
    /// A frame was refused for lack of room, and the handler does not know of room since.
    overflowed: bool,
    /// Frames were queued by a batch, which will write them.
    staged: bool,
    /// A write has failed. Reading goes on: what the client sent before its end still counts.
    broken: bool,
}

impl Outbox {
    pub(crate) fn send(
        &mut self,
        frame: &Frame,
        socket: &RawSocket,
        bytes_max: usize,
    ) -> SendOutcome {
        if let Err(refused) = self.admit(frame, socket, bytes_max) {
            return refused;
        }
        self.write_through(frame, socket);
        if self.queue.is_empty() { SendOutcome::Written } else { SendOutcome::Queued }
    }

    /// Queues a frame. Returns true when it is the first since [`Outbox::write_staged`].
    pub(crate) fn stage(
        &mut self,
        frame: &Frame,
        socket: &RawSocket,
        bytes_max: usize,
    ) -> (SendOutcome, bool) {
        if let Err(refused) = self.admit(frame, socket, bytes_max) {
            return (refused, false);
        }
        self.queue.push(frame);
        (SendOutcome::Queued, !std::mem::replace(&mut self.staged, true))
    }

    pub(crate) fn write_staged(&mut self, socket: &RawSocket) {
        self.staged = false;
        self.write(socket);
    }

    /// Writes again after the kernel took nothing more. Returns true when it took something now.
    ///
    /// A queue that is not blocked is left alone: it belongs to a batch, which will write all of
    /// it at once.
    pub(crate) fn flush(&mut self, socket: &RawSocket) -> bool {
        if !self.queue.is_blocked() {
            return false;
        }
        let before = self.queue.bytes();
        self.queue.unblock();
        self.write(socket);
        !self.broken && (self.queue.bytes() < before || !self.queue.is_blocked())
    }

    pub(crate) fn has_room(&self, frame: &Frame, bytes_max: usize) -> bool {
        self.phase == ClosePhase::Open && !self.broken && self.queue.has_room(frame, bytes_max)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.queue.is_blocked()
    }

    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    pub(crate) fn phase(&self) -> ClosePhase {
        self.phase
    }

    /// Tells whether all that was queued has been written, or never will be.
    pub(crate) fn is_flushed(&self) -> bool {
        self.queue.is_empty() && !self.queue.is_blocked()
    }

    pub(crate) fn attach(&mut self, handler: Arc<dyn Handler>) {
        self.handler = Some(handler);
    }

    /// Returns who handles messages; `None` once a close has begun.
    pub(crate) fn handler(&self) -> Option<Arc<dyn Handler>> {
        self.handler.clone().filter(|_handler| self.phase == ClosePhase::Open)
    }

    /// Returns the handler whose frame was refused for lack of room, the first time after that.
    pub(crate) fn take_overflow(&mut self) -> Option<Arc<dyn Handler>> {
        std::mem::take(&mut self.overflowed).then(|| self.handler()).flatten()
    }

    pub(crate) fn close(&mut self, code: u16, frame: &Frame, socket: &RawSocket) {
        if self.phase == ClosePhase::Open {
            self.enter(ClosePhase::Closing, code);
            self.write_through(frame, socket);
        }
    }

    pub(crate) fn answer_close(&mut self, code: u16, frame: &Frame, socket: &RawSocket) {
        if self.phase == ClosePhase::Open {
            self.write_through(frame, socket);
        }
        self.enter(ClosePhase::Ending, code);
    }

    pub(crate) fn fail(&mut self, code: u16, frame: &Frame, socket: &RawSocket) {
        if self.phase == ClosePhase::Open {
            self.write_through(frame, socket);
        }
        self.enter(ClosePhase::Failing, code);
    }

    pub(crate) fn abort(&mut self) {
        self.enter(ClosePhase::Over, close::ABNORMAL);
        self.queue.clear();
    }

    /// Ends: the socket is gone and the task will never run again. Returns the handler, for its
    /// last call, and the close code that was seen or sent first.
    pub(crate) fn close_now(&mut self) -> (Option<Arc<dyn Handler>>, u16) {
        self.abort();
        self.task = None;
        (self.handler.take(), self.code)
    }

    /// Remembers the task to be woken.
    pub(crate) fn register(&mut self, waker: &Waker) {
        if self.task.as_ref().is_none_or(|task| !task.will_wake(waker)) {
            self.task = Some(waker.clone());
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Tells whether there is something that only the task can do.
    pub(crate) fn has_work(&self) -> bool {
        self.queue.is_blocked() || self.broken
    }

    /// Makes sure that the queue takes the frame, or returns why not.
    fn admit(
        &mut self,
        frame: &Frame,
        socket: &RawSocket,
        bytes_max: usize,
    ) -> Result<(), SendOutcome> {
        if self.phase == ClosePhase::Open && !self.queue.has_room(frame, bytes_max) {
            // A batch may have filled the queue of a client that reads as fast as anyone.
            self.write(socket);
        }
        if self.phase != ClosePhase::Open || self.broken {
            return Err(SendOutcome::Closed);
        }
        if !self.queue.has_room(frame, bytes_max) {
            self.overflowed = true;
            return Err(SendOutcome::Full);
        }
        Ok(())
    }

    fn write_through(&mut self, frame: &Frame, socket: &RawSocket) {
        if self.broken {
            return;
        }
        if let Err(error) = self.queue.write_through(frame, socket) {
            self.stop_writing(&error);
        }
    }

    fn write(&mut self, socket: &RawSocket) {
        if let Err(error) = self.queue.write(socket) {
            self.stop_writing(&error);
        }
    }

    fn stop_writing(&mut self, error: &std::io::Error) {
        tracing::debug!(%error, "connection: a write failed, nothing more is written");
        self.broken = true;
        self.queue.clear();
    }

    fn enter(&mut self, phase: ClosePhase, code: u16) {
        self.phase = self.phase.max(phase);
        if self.code == 0 {
            self.code = code;
        }
    }
}
