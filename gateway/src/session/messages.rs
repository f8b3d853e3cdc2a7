//! What the connection reports: messages, room in the send queue, the end.

use std::sync::{Arc, atomic::Ordering};

use futures_util::future::BoxFuture;

use super::{PATIENCE, Session};
use crate::protocol::{Command, View};
use websocket::{Handler, Message};

impl Session {
    fn view<R>(&self, look: impl FnOnce(&View<'_>) -> R) -> R {
        let (identity, memo) = {
            let state = self.lock();
            (state.identity.clone(), state.memo.clone())
        };
        look(&View {
            connection: &self.context.connection_name(self.number),
            identity: &identity,
            encoding: self.encoding(),
            memo: memo.as_deref(),
            production: self.context.config.production(),
            now: jiff::Timestamp::now().as_millisecond(),
            config: &self.context.config,
        })
    }

    /// Takes a message off its allowance. Beyond that nothing is read for a while, so that TCP slows
    /// the client down; what it sent is handled all the same.
    fn slow_down(&self) {
        if let Some(pause) = self.lock().message_rate.take() {
            self.transport.pause_for(pause);
        }
    }
}

impl Handler for Session {
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        self.slow_down();
        self.context.metrics.received(self.dialect.name(), "handled");
        let commands = self.view(|view| self.dialect.decode(message, view));
        // First what must not be lost: a future ends with the socket.
        let (appends, commands): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| matches!(command, Command::Append(_)));
        let _none_waits = self.execute_ready(appends);
        let is_open = self.opened.load(Ordering::Acquire);
        let rest = if is_open { self.execute_ready(commands) } else { commands };
        let is_full = self.ingest_queue.get().is_some_and(|queue| queue.is_full());
        if is_open && rest.is_empty() && !is_full {
            return None;
        }
        Some(Box::pin(async move {
            while !self.opened.load(Ordering::Acquire) && !self.transport.is_closed() {
                let _opened = tokio::time::timeout(PATIENCE, self.drained.notified()).await;
            }
            self.execute(rest).await;
            if let Some(queue) = self.ingest_queue.get() {
                queue.room().await;
            }
        }))
    }

    fn drained(&self) {
        self.drained.notify_waiters();
    }

    fn closed(&self, code: u16) {
        self.drained.notify_waiters();
        self.context.metrics.closed(self.dialect.name(), code);
        self.log_end(code);
        self.leave_channels();
        self.leave_memberships();
        self.leave_node();
    }
}
