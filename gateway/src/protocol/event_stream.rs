//! Frames on their way into a stream of server-sent events: a queue that is bounded in bytes, as a
//! socket's is, and emptied by the body of the HTTP answer.

pub mod body;
pub mod last_event_id;

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use websocket::{Frame, SendOutcome, close};

/// The queue of one event stream.
#[derive(Debug)]
pub struct EventStream {
    /// `SEND_QUEUE_BYTES`; a frame larger than that is taken when nothing else waits.
    bytes_max: usize,
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
    /// An empty queue.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, inner: Mutex::default() }
    }

    /// Queues a frame, if there is room.
    pub fn send(&self, frame: &Frame) -> SendOutcome {
        let mut inner = self.lock();
        let sent = inner.push(frame, self.bytes_max);
        inner.overflowed |= sent == SendOutcome::Full;
        sent
    }

    /// Queues a frame that may be left out.
    pub(crate) fn send_if_room(&self, frame: &Frame) {
        let _left_out = self.lock().push(frame, self.bytes_max);
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
        inner.bytes = 0;
        *inner.closed.get_or_insert(close::ABNORMAL)
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn push(&mut self, frame: &Frame, bytes_max: usize) -> SendOutcome {
        if self.closed.is_some() {
            return SendOutcome::Closed;
        }
        if !self.frames.is_empty() && self.bytes + frame.len() > bytes_max {
            return SendOutcome::Full;
        }
        self.bytes += frame.len();
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
        let stream = EventStream::new(10);
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
        let stream = EventStream::new(100);
        let bye = Frame::text("bye");
        assert_eq!(stream.send(&bye), SendOutcome::Queued);
        stream.close(close::RESTARTING);
        stream.close(close::GOING_AWAY);
        assert_eq!(stream.send(&bye), SendOutcome::Closed);
        assert_eq!(take(&stream), Poll::Ready(NextFrame::Frame(bye)));
        assert_eq!(take(&stream), Poll::Ready(NextFrame::End));
        assert_eq!(stream.detach(), close::RESTARTING);
    }
}
