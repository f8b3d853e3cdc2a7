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

use super::codec::{Decoder, Event};
use super::outbox::Phase;
use super::{Connection, Handler, Message, is_before};
use crate::frame::Frame;
use crate::heartbeat::Evidence;

/// One read takes at most this; the buffer belongs to the thread, not to the connection.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    /// Where this thread reads into and decodes. Taken out while in use, so that a handler which
    /// polls another connection finds none and makes its own instead of sharing bytes.
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Reads until the end of the socket. Small on purpose: it is all that a connection keeps in the
/// runtime.
pub(crate) struct ConnectionTask {
    connection: Arc<Connection>,
    handler: Arc<dyn Handler>,
    decoder: Decoder,
    /// Input that could not be handled when it was read, because the handler was busy.
    backlog: BytesMut,
    busy: Option<BoxFuture<'static, ()>>,
    /// The end of a pause, or of the patience with a close. There is none at rest.
    timer: Option<Pin<Box<Sleep>>>,
    /// The timer is for the close.
    is_closing: bool,
}

impl ConnectionTask {
    /// `unread` is what the client sent behind its upgrade request.
    pub(crate) fn new(
        connection: Arc<Connection>,
        handler: Arc<dyn Handler>,
        unread: BytesMut,
    ) -> Self {
        Self {
            connection,
            handler,
            decoder: Decoder::default(),
            backlog: unread,
            busy: None,
            timer: None,
            is_closing: false,
        }
    }

    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.outbox().register(cx.waker());
        loop {
            while let Poll::Ready(true) = self.connection.poll_flush(cx) {
                self.handler.drained();
            }
            let (phase, is_flushed) = {
                let outbox = self.connection.outbox();
                (outbox.phase(), outbox.is_flushed())
            };
            if phase > Phase::Open && self.poll_patience(cx).is_ready() {
                return Poll::Ready(());
            }
            match phase {
                Phase::Open | Phase::Closing => ready!(self.poll_input(cx, phase)),
                Phase::Failing if is_flushed => {
                    self.connection.stream.shutdown_write();
                    ready!(self.poll_discard(cx));
                }
                Phase::Ending if is_flushed => return Poll::Ready(()),
                Phase::Failing | Phase::Ending => return Poll::Pending,
                Phase::Over => return Poll::Ready(()),
            }
        }
    }

    /// Ready when a close has taken too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_closing {
            self.is_closing = true;
            self.timer = None;
        }
        let close_ms = self.connection.limits().close_ms;
        self.timer.get_or_insert_with(|| sleep_ms(close_ms)).as_mut().poll(cx)
    }

    /// Reads and handles until the socket is empty. Ready when the phase has changed.
    fn poll_input(&mut self, cx: &mut Context<'_>, phase: Phase) -> Poll<()> {
        loop {
            if let Some(busy) = &mut self.busy {
                ready!(busy.as_mut().poll(cx));
                self.busy = None;
            }
            if phase == Phase::Open {
                ready!(self.poll_pause(cx));
            }
            self.connection.listen();
            let mut is_full = false;
            if self.backlog.is_empty() {
                ready!(self.connection.stream.poll_read_ready(cx))
                    .unwrap_or_else(|error| self.hang_up(&error));
                is_full = self.read();
            } else {
                let mut backlog = std::mem::take(&mut self.backlog);
                let unread = self.decode(&mut backlog);
                backlog.advance(backlog.len() - unread);
                if unread > 0 {
                    self.backlog = backlog;
                }
            }
            if self.connection.outbox().phase() != phase {
                return Poll::Ready(());
            }
            if is_full && self.busy.is_none() {
                // There is more; let other connections of this thread have their turn first.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let until = self.connection.paused_until.load(Ordering::Relaxed);
            let now = self.connection.node.now();
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
                self.timer = None;
                continue;
            }
            self.connection.hold();
            let timer = self.timer.get_or_insert_with(|| sleep_ms(until.wrapping_sub(now)));
            ready!(timer.as_mut().poll(cx));
            self.timer = None;
        }
    }

    /// Reads once and handles it. True when there may be more.
    fn read(&mut self) -> bool {
        let mut scratch =
            SCRATCH.take().unwrap_or_else(|| vec![0; SCRATCH_BYTES].into_boxed_slice());
        let read = self.connection.stream.read(&mut scratch);
        let is_full = match read {
            Ok(0) => {
                self.connection.outbox().abort();
                false
            }
            Ok(count) => {
                let input = &mut scratch[..count];
                let unread = self.decode(input);
                if unread > 0 {
                    self.backlog = BytesMut::from(&scratch[count - unread..count]);
                }
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
        tracing::debug!(connection = self.connection.id, %error, "socket lost");
        self.connection.outbox().abort();
    }

    /// Handles the messages in `input`; how many bytes at its end have to wait.
    fn decode(&mut self, mut input: &mut [u8]) -> usize {
        let limits = self.connection.limits().message;
        while !self.is_stopped() {
            match self.decoder.next(&mut input, limits) {
                Ok(Some(event)) => self.handle(&event),
                Ok(None) => break,
                Err(violation) => {
                    self.connection.fail(violation);
                    return 0;
                }
            }
        }
        if self.decoder.is_amid_message() {
            self.connection.note(Evidence::Message);
        }
        input.len()
    }

    fn handle(&mut self, event: &Event<'_>) {
        let message = match event {
            Event::Text(text) => Message::Text(text),
            Event::Binary(bytes) => Message::Binary(bytes),
            Event::Ping(payload) => {
                self.connection.note(Evidence::Ping);
                self.connection.send_if_room(&Frame::pong(payload));
                return;
            }
            Event::Pong => return self.connection.note(Evidence::Pong),
            Event::Close(code) => return self.connection.answer_close(*code),
        };
        self.connection.note(Evidence::Message);
        if self.connection.outbox().phase() == Phase::Open {
            self.busy = Arc::clone(&self.handler).message(message);
            if self.busy.is_some() {
                self.connection.hold();
            }
        }
    }

    /// Whether what follows has to wait, or will never be looked at.
    fn is_stopped(&self) -> bool {
        let phase = self.connection.outbox().phase();
        self.busy.is_some()
            || phase > Phase::Closing
            || phase == Phase::Open && self.connection.paused_until.load(Ordering::Relaxed) != 0
    }

    /// Throws away all input. Ready at the end of the stream.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut waste = [0; 4096];
        loop {
            ready!(self.connection.stream.poll_read_ready(cx))
                .unwrap_or_else(|error| self.hang_up(&error));
            match self.connection.stream.read(&mut waste) {
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
    /// the last call, and the peer sees the end of the stream.
    fn drop(&mut self) {
        let code = {
            let mut outbox = self.connection.outbox();
            let code = outbox.code();
            outbox.bury();
            code
        };
        self.connection.stream.shutdown_both();
        self.connection.node.forget();
        self.handler.closed(code);
    }
}

fn sleep_ms(ms: u32) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(u64::from(ms))))
}
