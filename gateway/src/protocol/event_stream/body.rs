//! The body of an event stream: frames as `text/event-stream` (WHATWG HTML §9.2.6).
//!
//! A frame is the one that sockets get, encoded once for all of its channel; what is a client's own is the
//! lines around it.

use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt::Write as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Interval, MissedTickBehavior};

use super::{
    EventStream, NextFrame,
    last_event_id::{FrameHead, LastEventId},
};
use websocket::{Frame, Handler};

/// About the most bytes that are written at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// A frame from this size on is shared on its way out; a smaller one is copied into the lines around it,
/// which costs less than a chunk of its own.
const SHARED_BYTES_MIN: usize = 1024;

/// The lines of one client's stream. When it is dropped, the session ends.
pub struct EventLines {
    stream: Arc<EventStream>,
    session: Arc<dyn Handler>,
    id: LastEventId,
    /// What was begun and waits for its turn; empty at rest.
    chunks: VecDeque<Bytes>,
    /// A comment line shows both ends, and everything in between, that the stream lives.
    ping: Interval,
}

impl EventLines {
    /// Returns the lines of a session's stream, which resumes from `id`.
    pub fn new(
        stream: Arc<EventStream>,
        session: Arc<dyn Handler>,
        id: LastEventId,
        ping: Duration,
    ) -> Self {
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + ping, ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { stream, session, id, chunks: VecDeque::new(), ping }
    }

    /// Appends the lines of a frame; a large one ends the text and follows as it is.
    fn write(&mut self, frame: &Frame, lines: &mut String) {
        let json = frame.payload();
        let Some(head) = FrameHead::read(json) else { return };
        // Writing to a String does not fail.
        let _written = writeln!(lines, "event: {}", head.kind);
        if self.id.note(&head) {
            let _written = writeln!(lines, "id: {}", self.id);
        }
        if let Some(after_ms) = head.after_ms {
            let _written = writeln!(lines, "retry: {after_ms}");
        }
        lines.push_str("data: ");
        // A line break can only stand between the parts of a body, where a space is as good.
        let has_breaks = json.contains(&b'\n') || json.contains(&b'\r');
        if json.len() >= SHARED_BYTES_MIN && !has_breaks {
            self.chunks.push_back(std::mem::take(lines).into());
            self.chunks.push_back(frame.payload_bytes());
        } else {
            let json = String::from_utf8_lossy(json);
            lines.extend(json.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
        }
        lines.push_str("\n\n");
    }
}

impl Stream for EventLines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        let mut lines = String::new();
        while lines.len() < CHUNK_BYTES && self.chunks.is_empty() {
            match self.stream.poll_next(cx) {
                Poll::Ready(NextFrame::Frame(frame)) => self.write(&frame, &mut lines),
                Poll::Ready(NextFrame::Drained) => self.session.drained(),
                Poll::Ready(NextFrame::End) if lines.is_empty() => return Poll::Ready(None),
                Poll::Ready(NextFrame::End) | Poll::Pending => break,
            }
        }
        if !lines.is_empty() {
            self.chunks.push_back(lines.into());
        } else if self.chunks.is_empty() && self.ping.poll_tick(cx).is_ready() {
            self.chunks.push_back(Bytes::from_static(b": ping\n\n"));
        }
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        // A new deque, because an empty one keeps the memory of its longest day.
        self.chunks = VecDeque::new();
        Poll::Pending
    }
}

impl Drop for EventLines {
    fn drop(&mut self) {
        let code = self.stream.detach();
        self.session.closed(code);
    }
}
