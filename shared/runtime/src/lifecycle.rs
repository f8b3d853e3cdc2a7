//! The life of a process: signals, drain, stop. The only place that spawns tasks.
//!
//! Two stages, because one may still need the other: **drain** asks gateways to let their clients
//! go while everything keeps working, **stop** then ends what is left. Nothing outlives
//! [`Lifecycle::finish`].

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The process's stages and its tasks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    draining: CancellationToken,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Lifecycle {
    /// A life that has just begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Spawns a task that [`Lifecycle::finish`] waits for.
    #[expect(clippy::disallowed_methods, reason = "this is the place that tracks tasks")]
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // The handle is not needed: the tracker awaits the task.
        drop(tokio::spawn(self.tasks.track_future(task)));
    }

    /// Spawns a task that ends at once, wherever it waits, when the process stops.
    pub fn spawn_until_stop<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopping = self.stopping.clone();
        self.spawn(async move {
            stopping.run_until_cancelled_owned(task).await;
        });
    }

    /// Resolves when the drain begins.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Whether the drain has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Resolves when everything is to end.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Whether everything is to end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// The token behind [`Lifecycle::draining`], for libraries that take one.
    pub fn draining_token(&self) -> &CancellationToken {
        &self.draining
    }

    /// The token behind [`Lifecycle::stopping`], for libraries that take one.
    pub fn stopping_token(&self) -> &CancellationToken {
        &self.stopping
    }

    /// The tracker of all tasks, for libraries that spawn for themselves.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Begins the drain.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Ends everything and waits for the tasks, at most so long. Whether all ended in time.
    pub async fn finish(&self, within: Duration) -> bool {
        self.draining.cancel();
        self.stopping.cancel();
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }
}

/// Resolves at the next SIGTERM or SIGINT; with its name.
///
/// # Errors
/// When the process may not listen to signals.
pub async fn signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_outlives_the_end() {
        let life = Lifecycle::new();
        life.spawn_until_stop(std::future::pending());
        let waiting = life.clone();
        life.spawn(async move { waiting.draining().await });
        assert!(life.finish(Duration::from_secs(5)).await);
        assert!(life.tasks().is_empty());
    }
}
