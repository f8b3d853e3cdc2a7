//! Everything about a connection that is behind its lock: the send queue and the close handshake.

use std::sync::Arc;
use std::task::Waker;

use super::close;
use super::send_queue::SendQueue;
use super::stream::Stream;
use super::{Handler, Sent};
use crate::frame::Frame;

/// How far a connection's end has come. Only ever moves downwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    #[default]
    Open,
    /// Our close frame is queued or sent; the peer's is awaited, its messages are ignored.
    Closing,
    /// The peer broke a rule: our close frame is on its way, and all further input is thrown away
    /// until the peer ends the stream. Ending it first would reset it and lose the close frame.
    Failing,
    /// Both close frames are there: what is queued is written, then the stream ends.
    Ending,
    /// The socket is of no more use.
    Over,
}

/// The sending side of a connection, and how it ends.
#[derive(Default)]
pub(super) struct Outbox {
    queue: SendQueue,
    /// What the session does with what arrives. Let go at the end, because it may hold this very
    /// connection.
    handler: Option<Arc<dyn Handler>>,
    /// The connection's task, to be woken when there is something for it to do.
    task: Option<Waker>,
    phase: Phase,
    /// The first close code that was seen or sent, 0 before that.
    code: u16,
    /// A frame was refused for lack of room, and the handler has not been told of room since.
    overflowed: bool,
    /// Frames were queued by a batch, which will write them.
    staged: bool,
    /// A write has failed. Reading goes on: what the peer sent before its end still counts.
    broken: bool,
}

impl Outbox {
    pub(super) fn send(&mut self, frame: &Frame, stream: &Stream, bytes_max: usize) -> Sent {
        if let Err(refused) = self.admit(frame, stream, bytes_max) {
            return refused;
        }
        self.write_through(frame, stream);
        if self.queue.is_empty() { Sent::Written } else { Sent::Queued }
    }

    /// Queues a frame; true when it is the first since [`Outbox::write_staged`].
    pub(super) fn stage(
        &mut self,
        frame: &Frame,
        stream: &Stream,
        bytes_max: usize,
    ) -> (Sent, bool) {
        if let Err(refused) = self.admit(frame, stream, bytes_max) {
            return (refused, false);
        }
        self.queue.push(frame);
        (Sent::Queued, !std::mem::replace(&mut self.staged, true))
    }

    pub(super) fn write_staged(&mut self, stream: &Stream) {
        self.staged = false;
        self.write(stream);
    }

    /// Writes again after the kernel took nothing more; true when it took something now.
    ///
    /// A queue that is not blocked is left alone: it belongs to a batch, which will write all of
    /// it at once.
    pub(super) fn flush(&mut self, stream: &Stream) -> bool {
        if !self.queue.is_blocked() {
            return false;
        }
        let before = self.queue.bytes();
        self.queue.unblock();
        self.write(stream);
        !self.broken && self.queue.bytes() < before
    }

    pub(super) fn has_room(&self, frame: &Frame, bytes_max: usize) -> bool {
        self.phase == Phase::Open && !self.broken && self.queue.has_room(frame, bytes_max)
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.queue.is_blocked()
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether all that was queued has been written, or never will be.
    pub(super) fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn attach(&mut self, handler: Arc<dyn Handler>) {
        self.handler = Some(handler);
    }

    /// Who handles messages; nobody once a close has begun.
    pub(super) fn handler(&self) -> Option<Arc<dyn Handler>> {
        self.handler.clone().filter(|_handler| self.phase == Phase::Open)
    }

    /// Who is to be told that the queue has drained, if that is news.
    pub(super) fn take_overflow(&mut self) -> Option<Arc<dyn Handler>> {
        std::mem::take(&mut self.overflowed).then(|| self.handler()).flatten()
    }

    pub(super) fn close(&mut self, code: u16, frame: &Frame, stream: &Stream) {
        if self.phase == Phase::Open {
            self.enter(Phase::Closing, code);
            self.write_through(frame, stream);
        }
    }

    pub(super) fn answer_close(&mut self, code: u16, frame: &Frame, stream: &Stream) {
        if self.phase == Phase::Open {
            self.write_through(frame, stream);
        }
        self.enter(Phase::Ending, code);
    }

    pub(super) fn fail(&mut self, code: u16, frame: &Frame, stream: &Stream) {
        if self.phase == Phase::Open {
            self.write_through(frame, stream);
        }
        self.enter(Phase::Failing, code);
    }

    pub(super) fn abort(&mut self) {
        self.enter(Phase::Over, close::ABNORMAL);
        self.queue.clear();
    }

    /// The socket is gone, the task will never run again. Who is to be told, and the close code
    /// that was seen or sent first.
    pub(super) fn bury(&mut self) -> (Option<Arc<dyn Handler>>, u16) {
        self.abort();
        self.task = None;
        (self.handler.take(), self.code)
    }

    /// Remembers the task to be woken.
    pub(super) fn register(&mut self, waker: &Waker) {
        if self.task.as_ref().is_none_or(|task| !task.will_wake(waker)) {
            self.task = Some(waker.clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Whether there is something that only the task can do.
    pub(super) fn has_work(&self) -> bool {
        self.queue.is_blocked() || self.broken
    }

    /// Makes sure that the queue takes the frame, or says why not.
    fn admit(&mut self, frame: &Frame, stream: &Stream, bytes_max: usize) -> Result<(), Sent> {
        if self.phase == Phase::Open && !self.queue.has_room(frame, bytes_max) {
            // A batch may have filled the queue of a peer that reads as fast as anyone.
            self.write(stream);
        }
        if self.phase != Phase::Open || self.broken {
            return Err(Sent::Closed);
        }
        if !self.queue.has_room(frame, bytes_max) {
            self.overflowed = true;
            return Err(Sent::Full);
        }
        Ok(())
    }

    fn write_through(&mut self, frame: &Frame, stream: &Stream) {
        if self.broken {
            return;
        }
        if let Err(error) = self.queue.write_through(frame, stream) {
            self.give_up(&error);
        }
    }

    fn write(&mut self, stream: &Stream) {
        if let Err(error) = self.queue.write(stream) {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &std::io::Error) {
        tracing::debug!(%error, "the peer takes nothing more");
        self.broken = true;
        self.queue.clear();
    }

    fn enter(&mut self, phase: Phase, code: u16) {
        self.phase = self.phase.max(phase);
        if self.code == 0 {
            self.code = code;
        }
    }
}
