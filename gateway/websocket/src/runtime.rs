//! What all connections share: limits, clock, tasks, the budget of half uploads, the sweep's pace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::heartbeat::Heartbeat;
use crate::rules::MessageLimits;
use crate::send_budget::SendBudget;
use crate::uploads::{UploadLimits, Uploads};

/// Bounds each connection, and what all of them may take together.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// What a client may send; beyond it the connection is closed with 1009.
    pub message: MessageLimits,
    /// What messages on their way may take.
    pub uploads: UploadLimits,
    /// Bytes that may wait for one client; beyond them
    /// [`SendOutcome::Full`](crate::SendOutcome::Full).
    pub send_queue_bytes: usize,
    /// Bytes that may wait for all clients together, where each has one frame in any case: beyond
    /// them whoever is behind waits until all that is queued for it has been taken.
    pub send_queues_bytes: usize,
    /// Milliseconds that a close may take: what is queued, our close frame, the client's answer.
    pub close_ms: u32,
}

impl Default for ConnectionLimits {
    /// Allows messages of 4 MiB in 100,000 fragments and a minute, 512 MiB of half uploads, 256 KiB
    /// in each send queue and 256 MiB in all, and 10 seconds for a close.
    fn default() -> Self {
        Self {
            message: MessageLimits { bytes_max: 4 << 20, fragments_max: 100_000 },
            uploads: UploadLimits {
                all_bytes_max: 512 << 20,
                strangers_bytes_max: 512 << 20,
                group_bytes_max: 512 << 20,
                message_ms: 60_000,
            },
            send_queue_bytes: 256 << 10,
            send_queues_bytes: 256 << 20,
            close_ms: 10_000,
        }
    }
}

/// The surroundings of a connection; it knows no connection itself.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) limits: ConnectionLimits,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when everything is to end.
    pub(crate) stopping: CancellationToken,
    clock: Clock,
    /// Connections whose task has not ended.
    open: AtomicUsize,
    /// What incomplete messages take.
    pub(crate) uploads: Uploads,
    /// What waits in all send queues.
    pub(crate) send_budget: Arc<SendBudget>,
    /// Pause between two sweeps.
    sweep_interval_ms: AtomicU32,
    interval_shortened: Notify,
}

impl Runtime {
    pub(crate) fn new(
        limits: ConnectionLimits,
        tasks: TaskTracker,
        stopping: CancellationToken,
    ) -> Self {
        let send_budget = SendBudget::new(limits.send_queue_bytes, limits.send_queues_bytes);
        let send_budget = Arc::new(send_budget);
        Self {
            limits,
            tasks,
            stopping,
            clock: Clock::start(),
            open: AtomicUsize::new(0),
            uploads: Uploads::new(limits.uploads),
            send_budget,
            sweep_interval_ms: AtomicU32::new(1000),
            interval_shortened: Notify::new(),
        }
    }

    /// Returns the time on the clock of all connections, in milliseconds.
    pub(crate) fn now(&self) -> u32 {
        self.clock.now()
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn count_opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_ended(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Makes sweeps as frequent as this heartbeat needs them.
    pub(crate) fn shorten_sweep_interval(&self, heartbeat: &Heartbeat) {
        let interval_ms = heartbeat.sweep_interval_ms();
        if self.sweep_interval_ms.fetch_min(interval_ms, Ordering::Relaxed) > interval_ms {
            self.interval_shortened.notify_one();
        }
    }

    /// Waits for the time of the next sweep.
    pub(crate) async fn next_sweep(&self) {
        let interval =
            || Duration::from_millis(u64::from(self.sweep_interval_ms.load(Ordering::Relaxed)));
        let shortened =
            tokio::time::timeout(interval(), self.interval_shortened.notified()).await.is_ok();
        if shortened {
            tokio::time::sleep(interval()).await;
        }
    }
}
