//! What the connection reports: messages, room in the send queue, the end.

use std::sync::{Arc, atomic::Ordering};

use futures_util::future::BoxFuture;

use super::{PATIENCE, Session, message_rate::RateVerdict};
use crate::protocol::{Command, View};
use websocket::{Handler, Message, close};

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

    /// Whether the message may be handled; a client that sends too much is told, slowed or closed.
    fn allows(&self) -> bool {
        let verdict = self.lock().message_rate.take();
        if verdict == RateVerdict::Within {
            return true;
        }
        match (verdict, self.dialect.too_fast()) {
            (RateVerdict::Within, _) => true,
            (RateVerdict::Over(pause) | RateVerdict::Abuse(pause), None) => {
                self.transport.pause_for(pause);
                true
            }
            (RateVerdict::Over(_), Some(frame)) => {
                let _slow = self.transport.send(&frame);
                false
            }
            (RateVerdict::Abuse(_), Some(_)) => {
                self.close(close::POLICY, "too many messages");
                false
            }
        }
    }
}

impl Handler for Session {
    fn message(self: Arc<Self>, message: Message<'_>) -> Option<BoxFuture<'static, ()>> {
        if !self.allows() {
            self.context.metrics.received(self.dialect.name(), "refused");
            return None;
        }
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
        self.leave_channels();
        self.leave_memberships();
        self.leave_node();
    }
}
