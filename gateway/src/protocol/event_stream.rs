//! Frames on their way into a stream of server-sent events: a queue that is bounded in bytes, as a
//! socket's is, and emptied by the body of the HTTP answer.

pub mod body;
pub mod last_event_id;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use runtime::lock::LockExt as _;
use websocket::{Frame, SendBudget, SendOutcome, close};

/// The queue of one event stream.
#[derive(Debug)]
pub struct EventStream {
    /// What waits is counted with that of sockets; a frame larger than the bound is taken when nothing
    /// else waits.
    budget: Arc<SendBudget>,
    inner: Mutex<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Whether a frame was refused since the queue was empty.
    overflowed: bool,
    /// With which code it was closed.
    closed: Option<u16>,
    reader: Option<Waker>,
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NextFrame {
    /// The next frame.
    Frame(Frame),
    /// Everything was read, and frames were refused meanwhile: catch-up may go on.
    Drained,
    /// Everything was read, and there will be no more.
    End,
}

impl EventStream {
    /// Returns an empty queue.
    pub fn new(budget: Arc<SendBudget>) -> Self {
        Self { budget, inner: Mutex::default() }
    }

    /// Queues a frame, if there is room.
    pub fn send(&self, frame: &Frame) -> SendOutcome {
        let mut inner = self.lock();
        let sent = inner.push(frame, &self.budget);
        inner.overflowed |= sent == SendOutcome::Full;
        sent
    }

    /// Queues a frame that may be left out.
    pub(crate) fn send_if_room(&self, frame: &Frame) {
        let _left_out = self.lock().push(frame, &self.budget);
    }

    /// Ends the stream after what is queued. The first close decides about the code.
    pub fn close(&self, code: u16) {
        let mut inner = self.lock();
        inner.closed.get_or_insert(code);
        inner.wake();
    }

    /// Whether it was closed, or nobody reads it any more.
    pub fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    /// The code with which it was closed.
    pub fn code(&self) -> Option<u16> {
        self.lock().closed
    }

    /// Bytes that wait to be read.
    pub fn queued_bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Takes the next frame out.
    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<NextFrame> {
        let mut inner = self.lock();
        if let Some(frame) = inner.frames.pop_front() {
            inner.bytes -= frame.len();
            self.budget.count(frame.len(), 0);
            return Poll::Ready(NextFrame::Frame(frame));
        }
        if inner.closed.is_some() {
            return Poll::Ready(NextFrame::End);
        }
        if std::mem::take(&mut inner.overflowed) {
            return Poll::Ready(NextFrame::Drained);
        }
        inner.frames = VecDeque::new();
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Notes that the reader is gone; returns the code that counts.
    pub(super) fn detach(&self) -> u16 {
        let mut inner = self.lock();
        inner.frames = VecDeque::new();
        self.budget.count(std::mem::take(&mut inner.bytes), 0);
        *inner.closed.get_or_insert(close::ABNORMAL)
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.inner.lock_unpoisoned()
    }
}

impl QueueState {
    fn push(&mut self, frame: &Frame, budget: &SendBudget) -> SendOutcome {
        if self.closed.is_some() {
            return SendOutcome::Closed;
        }
        if !self.frames.is_empty() && self.bytes + frame.len() > budget.queue_bytes() {
            return SendOutcome::Full;
        }
        self.bytes += frame.len();
        budget.count(0, frame.len());
        self.frames.push_back(frame.clone());
        self.wake();
        SendOutcome::Queued
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(stream: &EventStream) -> Poll<NextFrame> {
        stream.poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_full_queue_refuses_and_says_when_it_has_drained() {
        let stream = EventStream::new(Arc::new(SendBudget::new(10, 1000)));
        let large = Frame::text("a frame that is larger than the whole queue");
        assert_eq!(stream.send(&large), SendOutcome::Queued);
        assert_eq!(stream.send(&Frame::text("b")), SendOutcome::Full);
        assert_eq!(take(&stream), Poll::Ready(NextFrame::Frame(large)));
        assert_eq!(take(&stream), Poll::Ready(NextFrame::Drained));
        assert_eq!(take(&stream), Poll::Pending);
        assert_eq!(stream.queued_bytes(), 0);
    }

    #[test]
    fn what_was_queued_before_a_close_is_still_read() {
        let stream = EventStream::new(Arc::new(SendBudget::new(100, 1000)));
        let bye = Frame::text("bye");
        assert_eq!(stream.send(&bye), SendOutcome::Queued);
        stream.close(close::RESTARTING);
        stream.close(close::GOING_AWAY);
        assert_eq!(stream.send(&bye), SendOutcome::Closed);
        assert_eq!(take(&stream), Poll::Ready(NextFrame::Frame(bye)));
        assert_eq!(take(&stream), Poll::Ready(NextFrame::End));
        assert_eq!(stream.detach(), close::RESTARTING);
    }

    #[test]
    fn what_waits_for_all_streams_is_bounded_and_freed_when_one_is_read_or_gone() {
        let budget = Arc::new(SendBudget::new(100, 20));
        let (first, second) =
            (EventStream::new(Arc::clone(&budget)), EventStream::new(Arc::clone(&budget)));
        let frame = Frame::text("fifteen or more");
        for _ in 0..2 {
            assert_eq!(first.send(&frame), SendOutcome::Queued);
        }
        // Each has one frame in any case.
        assert_eq!(second.send(&frame), SendOutcome::Queued);
        assert_eq!(second.send(&frame), SendOutcome::Full);
        assert_eq!(budget.held(), 3 * frame.len());
        assert_eq!(take(&second), Poll::Ready(NextFrame::Frame(frame)));
        first.detach();
        assert_eq!(budget.held(), 0);
    }
}
