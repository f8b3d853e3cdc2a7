//! The task of a connection: it reads, and writes what the kernel did not take at once.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::future::BoxFuture;
use tokio::time::Sleep;

use crate::clock::{is_before, since};
use crate::close;
use crate::connection::Connection;
use crate::decoder::Decoder;
use crate::frame::Frame;
use crate::handler::Message;
use crate::heartbeat::Activity;
use crate::outbox::ClosePhase;
use crate::rules::Received;

/// One read takes at most this; the buffer belongs to the thread, not to the connection.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// Where this thread reads into and decodes. Taken out while in use, so that a handler which
    /// polls another connection finds none and makes its own instead of sharing bytes.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Reads until the end of the socket. Small on purpose: at rest a connection keeps nothing else in
/// the runtime.
pub(crate) struct ConnectionTask {
    connection: Arc<Connection>,
    /// `None` at rest.
    unfinished: Option<Box<Unfinished>>,
}

/// What a connection has begun and not finished.
#[derive(Default)]
struct Unfinished {
    decoder: Decoder,
    /// Memory of the decoder, as counted against the budget of all connections.
    upload_bytes: usize,
    /// Input that could not be handled when it was read, because the handler was busy.
    backlog: BytesMut,
    busy: Option<BoxFuture<'static, ()>>,
    /// When a pause is over, or a close has taken too long.
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer is for the close.
    is_closing: bool,
    /// When the message that has begun must be complete.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Since when input has never run dry; set by the first pause.
    flooded_at: Option<u32>,
}

impl ConnectionTask {
    /// `unread` is what the client sent behind its upgrade request.
    pub(crate) fn new(connection: Arc<Connection>, unread: BytesMut) -> Self {
        let mut task = Self { connection, unfinished: None };
        task.keep(unread);
        task
    }

    fn unfinished(&mut self) -> &mut Unfinished {
        self.unfinished.get_or_insert_default()
    }

    /// Keeps input for later.
    fn keep(&mut self, unread: BytesMut) {
        if !unread.is_empty() {
            self.unfinished().backlog = unread;
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.outbox().register(cx.waker());
        loop {
            while let Poll::Ready(Some(handler)) = self.connection.poll_flush(cx) {
                handler.drained();
            }
            let (phase, is_flushed) = {
                let outbox = self.connection.outbox();
                (outbox.phase(), outbox.is_flushed())
            };
            if phase > ClosePhase::Open && self.poll_close_timeout(cx).is_ready() {
                return Poll::Ready(());
            }
            match phase {
                ClosePhase::Open | ClosePhase::Closing => ready!(self.poll_input(cx, phase)),
                ClosePhase::Failing => {
                    if is_flushed {
                        self.connection.socket.shutdown_write();
                    }
                    ready!(self.poll_discard(cx));
                }
                ClosePhase::Ending if !is_flushed => return Poll::Pending,
                ClosePhase::Ending | ClosePhase::Over => return Poll::Ready(()),
            }
        }
    }

    /// Ready when a close has taken too long.
    fn poll_close_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let close_ms = self.connection.limits().close_ms;
        let unfinished = self.unfinished();
        if !unfinished.is_closing {
            unfinished.is_closing = true;
            unfinished.timer = None;
        }
        unfinished.timer.get_or_insert_with(|| sleep_ms(close_ms)).as_mut().poll(cx)
    }

    /// Reads and handles until the socket is empty. Ready when the phase has changed.
    fn poll_input(&mut self, cx: &mut Context<'_>, phase: ClosePhase) -> Poll<()> {
        loop {
            if let Some(unfinished) = &mut self.unfinished
                && let Some(busy) = &mut unfinished.busy
            {
                ready!(busy.as_mut().poll(cx));
                unfinished.busy = None;
            }
            if phase == ClosePhase::Open {
                ready!(self.poll_pause(cx));
                if self.connection.outbox().phase() != phase {
                    return Poll::Ready(());
                }
            }
            if self.connection.liveness.is_suspended() {
                let idle_ms = self.connection.liveness.resume(self.connection.runtime.now());
                self.postpone_deadline(idle_ms);
            }
            if phase == ClosePhase::Open && self.poll_deadline(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut is_full = false;
            if let Some(mut backlog) = self.take_backlog() {
                let unread = self.decode(&mut backlog);
                backlog.advance(backlog.len() - unread);
                self.keep(backlog);
            } else {
                self.free_unfinished();
                match self.connection.socket.poll_read_ready(cx) {
                    Poll::Ready(ready) => ready.unwrap_or_else(|error| self.hang_up(&error)),
                    Poll::Pending => {
                        self.note_dry();
                        return Poll::Pending;
                    }
                }
                is_full = self.read();
            }
            if self.connection.outbox().phase() != phase {
                return Poll::Ready(());
            }
            if is_full && !self.is_busy() {
                // There is more; let other connections of this thread have their turn first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Everything was handled: whoever was too fast is so no more.
    fn note_dry(&mut self) {
        if let Some(unfinished) = &mut self.unfinished
            && unfinished.flooded_at.take().is_some()
        {
            self.free_unfinished();
        }
    }

    /// Time in which we did not read does not count against a message.
    fn postpone_deadline(&mut self, idle_ms: u32) {
        let unfinished = self.unfinished.as_mut();
        if let Some(deadline) = unfinished.and_then(|unfinished| unfinished.deadline.as_mut()) {
            let later = deadline.deadline() + Duration::from_millis(u64::from(idle_ms));
            deadline.as_mut().reset(later);
        }
    }

    /// Ready when a message has been on its way for too long: the connection has failed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let unfinished = self.unfinished.as_mut();
        let deadline = unfinished.and_then(|unfinished| unfinished.deadline.as_mut());
        let Some(deadline) = deadline else { return Poll::Pending };
        ready!(deadline.as_mut().poll(cx));
        self.connection.fail(close::POLICY, "a message took too long");
        Poll::Ready(())
    }

    /// Sets the deadline of the message that has begun, `None` when there is none.
    fn set_deadline(&mut self, has_open_message: bool) {
        let message_ms = self.connection.limits().uploads.message_ms;
        if has_open_message && message_ms > 0 {
            self.unfinished().deadline.get_or_insert_with(|| sleep_ms(message_ms));
        } else if let Some(unfinished) = &mut self.unfinished {
            unfinished.deadline = None;
        }
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let until = self.connection.paused_until.load(Ordering::Relaxed);
            let now = self.connection.runtime.now();
            if until == 0 {
                return Poll::Ready(());
            }
            if !is_before(now, until) {
                // A pause that was asked for meanwhile is later and stays.
                let _unless_longer = self.connection.paused_until.compare_exchange(
                    until,
                    0,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if let Some(unfinished) = &mut self.unfinished {
                    unfinished.timer = None;
                }
                continue;
            }
            self.connection.liveness.suspend(now);
            let flood_ms = self.connection.heartbeat().flood_ms;
            let unfinished = self.unfinished();
            let flooded_at = *unfinished.flooded_at.get_or_insert(now);
            if flood_ms > 0 && since(flooded_at, now) >= flood_ms {
                self.connection.fail(close::POLICY, "too many messages");
                return Poll::Ready(());
            }
            let left_ms = until.wrapping_sub(now);
            let timer = unfinished.timer.get_or_insert_with(|| sleep_ms(left_ms));
            ready!(timer.as_mut().poll(cx));
            unfinished.timer = None;
        }
    }

    /// Reads once and handles it. Returns true when there may be more.
    fn read(&mut self) -> bool {
        let mut scratch =
            SCRATCH.take().unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice());
        let read = self.connection.socket.read(&mut scratch);
        let is_full = match read {
            Ok(0) => {
                self.connection.outbox().abort();
                false
            }
            Ok(count) => {
                let input = &mut scratch[..count];
                let unread = self.decode(input);
                self.keep(BytesMut::from(&scratch[count - unread..count]));
                count == SCRATCH_BYTES
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                self.hang_up(&error);
                false
            }
        };
        SCRATCH.set(Some(scratch));
        is_full
    }

    fn hang_up(&self, error: &io::Error) {
        tracing::debug!(connection = self.connection.id(), %error, "connection: the socket is lost, closing");
        self.connection.outbox().abort();
    }

    /// Handles the messages in `input`. Returns how many bytes at its end have to wait.
    fn decode(&mut self, mut input: &mut [u8]) -> usize {
        let limits = self.connection.message_limits();
        let mut decoder = match &mut self.unfinished {
            Some(unfinished) => std::mem::take(&mut unfinished.decoder),
            None => Decoder::default(),
        };
        while !self.is_stopped() {
            match decoder.next(&mut input, limits) {
                Ok(Some(event)) => self.handle(&event),
                Ok(None) => break,
                Err(violation) => {
                    self.connection.fail(violation.code(), &violation.to_string());
                    return 0;
                }
            }
        }
        if decoder.has_open_message() {
            self.connection.record(Activity::Message);
        }
        self.set_deadline(decoder.has_open_message());
        self.count_upload(decoder.held_bytes());
        if !decoder.is_idle() {
            self.unfinished().decoder = decoder;
        }
        input.len()
    }

    /// Counts the memory of an incomplete message against what all may have together.
    fn count_upload(&mut self, bytes: usize) {
        let counted = self.unfinished.as_ref().map_or(0, |unfinished| unfinished.upload_bytes);
        if bytes == counted {
            return;
        }
        self.unfinished().upload_bytes = bytes;
        let uploads = &self.connection.runtime.uploads;
        let has_room = uploads.count(self.connection.uploader, counted, bytes);
        if bytes > counted && !has_room {
            self.connection.fail(close::OVER_CAPACITY, "too many uploads at once");
        }
    }

    fn handle(&mut self, event: &Received<'_>) {
        let message = match event {
            Received::Text(text) => Message::Text(text),
            Received::Binary(bytes) => Message::Binary(bytes),
            Received::Ping(payload) => {
                self.connection.record(Activity::Ping);
                self.connection.send_if_room(&Frame::pong(payload));
                return;
            }
            Received::Pong => return self.connection.record(Activity::Pong),
            Received::Close(code) => return self.connection.answer_close(*code),
        };
        self.connection.record(Activity::Message);
        self.set_deadline(false);
        let handler = self.connection.outbox().handler();
        if let Some(busy) = handler.and_then(|handler| handler.message(message)) {
            self.unfinished().busy = Some(busy);
            self.connection.liveness.suspend(self.connection.runtime.now());
        }
    }

    fn is_busy(&self) -> bool {
        self.unfinished.as_ref().is_some_and(|unfinished| unfinished.busy.is_some())
    }

    fn take_backlog(&mut self) -> Option<BytesMut> {
        let unfinished = self.unfinished.as_mut()?;
        (!unfinished.backlog.is_empty()).then(|| std::mem::take(&mut unfinished.backlog))
    }

    /// Frees what is not needed while waiting for input.
    fn free_unfinished(&mut self) {
        let is_at_rest = |unfinished: &Unfinished| {
            unfinished.decoder.is_idle()
                && unfinished.backlog.is_empty()
                && unfinished.busy.is_none()
                && unfinished.timer.is_none()
                && unfinished.flooded_at.is_none()
        };
        if self.unfinished.as_deref().is_some_and(is_at_rest) {
            self.unfinished = None;
        }
    }

    /// Tells whether what follows has to wait, or will never be looked at.
    fn is_stopped(&self) -> bool {
        let phase = self.connection.outbox().phase();
        self.is_busy()
            || phase > ClosePhase::Closing
            || phase == ClosePhase::Open
                && self.connection.paused_until.load(Ordering::Relaxed) != 0
    }

    /// Throws away all input. Ready at the end of the stream.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut discarded = [0; 4096];
        loop {
            ready!(self.connection.socket.poll_read_ready(cx))
                .unwrap_or_else(|error| self.hang_up(&error));
            match self.connection.socket.read(&mut discarded) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => {
                    self.connection.outbox().abort();
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl Future for ConnectionTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.advance(cx)
    }
}

impl Drop for ConnectionTask {
    /// Also when the handler panics or the runtime ends: whoever holds the connection can rely on
    /// the last call, and the client sees the end of the stream.
    fn drop(&mut self) {
        self.count_upload(0);
        let (handler, code) = self.connection.outbox().close_now();
        self.connection.socket.shutdown_both();
        self.connection.runtime.count_ended();
        if let Some(handler) = handler {
            handler.closed(code);
        }
    }
}

fn sleep_ms(ms: u32) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(u64::from(ms))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_at_rest_is_small() {
        // With 16 bytes the runtime's whole task fits into one block of 128, and the connection
        // with its two counts fits into one of 192.
        assert!(size_of::<ConnectionTask>() <= 16);
        assert!(size_of::<Connection>() <= 192 - 16);
    }
}
