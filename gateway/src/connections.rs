//! All connections of this node: where they begin, and where the heartbeat finds them.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use shared::lifecycle::Lifecycle;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::{Connection, ConnectionTask, Handler, Limits, close};
use crate::handshake::Socket;
use crate::heartbeat::{Heartbeat, Verdict, sweep};

/// The connections of a node, with what bounds each of them.
///
/// Connections are held weakly: a connection lives as long as its task, and one that is gone is
/// forgotten in the next sweep.
#[derive(Debug)]
pub struct Connections {
    limits: Limits,
    lifecycle: Lifecycle,
    /// Zero on the node's clock.
    started: Instant,
    ids: AtomicU64,
    open: AtomicUsize,
    /// Memory of all incomplete messages, in bytes.
    uploads_bytes: AtomicUsize,
    shards: [Mutex<Vec<Weak<Connection>>>; Self::SHARDS],
    /// Pause between two sweeps.
    tick_ms: AtomicU32,
    quickened: Notify,
}

impl Connections {
    /// A lock is held while a shard is looked through, so that is kept short.
    pub(crate) const SHARDS: usize = 16;

    /// No connections yet. Their heartbeat beats, and what is still open when the process stops
    /// is closed with [`close::GOING_AWAY`].
    pub fn new(limits: Limits, lifecycle: &Lifecycle) -> Arc<Self> {
        let connections = Arc::new(Self {
            limits,
            lifecycle: lifecycle.clone(),
            started: Instant::now(),
            ids: AtomicU64::new(1),
            open: AtomicUsize::new(0),
            uploads_bytes: AtomicUsize::new(0),
            shards: Default::default(),
            tick_ms: AtomicU32::new(1000),
            quickened: Notify::new(),
        });
        lifecycle.spawn(sweep(Arc::clone(&connections)));
        connections
    }

    /// Starts a connection on an upgraded socket.
    ///
    /// `open` makes its handler. Frames that it sends are the first; what the client has sent is
    /// handled after it returned.
    pub fn open(
        self: &Arc<Self>,
        socket: Socket,
        heartbeat: Arc<Heartbeat>,
        open: impl FnOnce(&Arc<Connection>) -> Arc<dyn Handler>,
    ) -> Arc<Connection> {
        self.quicken(&heartbeat);
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (stream, unread) = socket.into_parts();
        let connection = Arc::new(Connection::new(id, Arc::clone(self), stream, heartbeat));
        connection.attach(open(&connection));
        self.open.fetch_add(1, Ordering::Relaxed);
        self.shard(id).push(Arc::downgrade(&connection));
        self.lifecycle.spawn(ConnectionTask::new(Arc::clone(&connection), unread));
        if self.lifecycle.is_stopping() {
            connection.close(close::GOING_AWAY, "");
        }
        connection
    }

    /// How many connections are open.
    pub fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// All open connections, for a drain. Not a snapshot: some may close, and others open, before
    /// the caller has looked at them.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let mut all = Vec::with_capacity(self.count());
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.iter().filter_map(Weak::upgrade));
        }
        all.retain(|connection| !connection.is_closed());
        all
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// The node's clock in milliseconds. It wraps around after 49 days, so only differences mean
    /// anything.
    pub(crate) fn now(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the clock wraps around")]
        {
            self.started.elapsed().as_millis() as u32
        }
    }

    /// Makes sweeps as frequent as this heartbeat needs them.
    pub(crate) fn quicken(&self, heartbeat: &Heartbeat) {
        let tick_ms = heartbeat.tick_ms();
        if self.tick_ms.fetch_min(tick_ms, Ordering::Relaxed) > tick_ms {
            self.quickened.notify_one();
        }
    }

    /// Waits for the time of the next sweep.
    pub(crate) async fn next_sweep(&self) {
        let tick = || Duration::from_millis(u64::from(self.tick_ms.load(Ordering::Relaxed)));
        let quickened = tokio::time::timeout(tick(), self.quickened.notified()).await.is_ok();
        if quickened {
            tokio::time::sleep(tick()).await;
        }
    }

    /// The connections of a shard that need something; those that are gone are forgotten.
    pub(crate) fn due(
        &self,
        shard: usize,
        verdict: impl Fn(&Connection, u32) -> Option<Verdict>,
    ) -> Vec<(Arc<Connection>, Verdict)> {
        let now = self.now();
        let mut due = Vec::new();
        self.shard(shard as u64).retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            if let Some(verdict) = verdict(&connection, now) {
                due.push((connection, verdict));
            }
            true
        });
        due
    }

    /// One connection's incomplete message has grown or shrunk; whether all together may be so
    /// large.
    pub(crate) fn count_upload(&self, before: usize, after: usize) -> bool {
        let all = self.uploads_bytes.fetch_add(after, Ordering::Relaxed) + after;
        self.uploads_bytes.fetch_sub(before, Ordering::Relaxed);
        all - before <= self.limits.uploads_bytes_max
    }

    /// A connection's task has ended.
    pub(crate) fn forget(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn shard(&self, id: u64) -> std::sync::MutexGuard<'_, Vec<Weak<Connection>>> {
        let index = usize::try_from(id % Self::SHARDS as u64).unwrap_or_default();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
