//! All connections of a process: where they begin, are counted and are found.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::close;
use crate::connection::Connection;
use crate::handler::Handler;
use crate::heartbeat::Heartbeat;
use crate::runtime::{ConnectionLimits, Runtime};
use crate::send_budget::SendBudget;
use crate::shards::Shards;
use crate::socket::UpgradedSocket;
use crate::sweep::sweep;
use crate::task::ConnectionTask;

/// The connections of a process, with what bounds each of them.
#[derive(Debug)]
pub struct Connections {
    runtime: Arc<Runtime>,
    shards: Arc<Shards>,
    ids: AtomicU64,
}

impl Connections {
    /// Starts with no connections, and with the sweep that pings them and ends silent ones.
    ///
    /// All tasks are spawned on `tasks`, so needs a tokio runtime. When `stopping` is cancelled,
    /// what is still open is closed with [`close::GOING_AWAY`]; `tasks` is empty when the last
    /// client has answered or [`ConnectionLimits::close_ms`] is over.
    pub fn new(
        limits: ConnectionLimits,
        tasks: &TaskTracker,
        stopping: &CancellationToken,
    ) -> Arc<Self> {
        let runtime = Arc::new(Runtime::new(limits, tasks.clone(), stopping.clone()));
        let shards = Arc::new(Shards::default());
        drop(tasks.spawn(sweep(Arc::clone(&runtime), Arc::clone(&shards))));
        Arc::new(Self { runtime, shards, ids: AtomicU64::new(1) })
    }

    /// Starts a connection on an upgraded socket.
    ///
    /// `open` makes its handler. Frames that it sends are the first; what the client has sent is
    /// handled after it returned.
    pub fn open(
        self: &Arc<Self>,
        socket: UpgradedSocket,
        heartbeat: Arc<Heartbeat>,
        open: impl FnOnce(&Arc<Connection>) -> Arc<dyn Handler>,
    ) -> Arc<Connection> {
        self.runtime.shorten_sweep_interval(&heartbeat);
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (socket, unread, terms) = socket.into_parts();
        let connection = Connection::new(id, Arc::clone(&self.runtime), socket, heartbeat, terms);
        let connection = Arc::new(connection);
        connection.attach(open(&connection));
        self.runtime.count_opened();
        self.shards.insert(&connection);
        // The handle is not needed: the tracker awaits the task.
        drop(self.runtime.tasks.spawn(ConnectionTask::new(Arc::clone(&connection), unread)));
        if self.runtime.stopping.is_cancelled() {
            connection.close(close::GOING_AWAY, "");
        }
        connection
    }

    /// Counts the connections that are open or closing.
    pub fn count(&self) -> usize {
        self.runtime.open_count()
    }

    /// Returns all open connections, for example to close them one after another. Not a snapshot:
    /// some may close, and others open, before the caller has looked at them.
    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.shards.all()
    }

    /// Returns the bytes that wait to be written to all clients.
    pub fn queued_bytes(&self) -> usize {
        self.runtime.send_budget.held()
    }

    /// Returns the budget that all send queues share, for those that are not sockets'.
    pub fn send_budget(&self) -> Arc<SendBudget> {
        Arc::clone(&self.runtime.send_budget)
    }

    /// Where tasks are spawned that belong to connections.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.runtime.tasks
    }
}
