//! The body of an event stream: frames as `text/event-stream` (WHATWG HTML §9.2.6).

use std::{
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

/// The lines of one client's stream. When it is dropped, the session ends.
pub struct EventLines {
    stream: Arc<EventStream>,
    session: Arc<dyn Handler>,
    id: LastEventId,
    /// A comment line shows both ends, and everything in between, that the stream lives.
    ping: Interval,
}

impl EventLines {
    /// The lines of a session's stream, which resumes from `id`.
    pub fn new(
        stream: Arc<EventStream>,
        session: Arc<dyn Handler>,
        id: LastEventId,
        ping: Duration,
    ) -> Self {
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + ping, ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { stream, session, id, ping }
    }

    fn write(&mut self, frame: &Frame, lines: &mut String) {
        let json = String::from_utf8_lossy(frame.payload());
        let Ok(head) = serde_json::from_str::<FrameHead>(&json) else { return };
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
        lines.extend(json.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c }));
        lines.push_str("\n\n");
    }
}

impl Stream for EventLines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut lines = String::new();
        while lines.len() < CHUNK_BYTES {
            match self.stream.poll_next(cx) {
                Poll::Ready(NextFrame::Frame(frame)) => self.write(&frame, &mut lines),
                Poll::Ready(NextFrame::Drained) => self.session.drained(),
                Poll::Ready(NextFrame::End) if lines.is_empty() => return Poll::Ready(None),
                Poll::Ready(NextFrame::End) | Poll::Pending => break,
            }
        }
        if lines.is_empty() && self.ping.poll_tick(cx).is_ready() {
            lines.push_str(": ping\n\n");
        }
        if lines.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(lines.into()))) }
    }
}

impl Drop for EventLines {
    fn drop(&mut self) {
        let code = self.stream.detach();
        self.session.closed(code);
    }
}
