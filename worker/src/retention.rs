//! Retention: removes old events and ended states from SQL in slices; says how far streams are
//! trimmed.

use std::time::Duration;

use crate::Worker;

/// How often the owner of a source trims its stream.
pub const TRIM_INTERVAL: Duration = Duration::from_secs(60);

/// How far behind the cursor a stream is kept, in ms: what a fail-over may cause to be read again.
pub const TRIM_BEHIND_MS: u64 = 600_000;

/// How often the archive is searched when nothing is left to remove.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// The pause between two slices of a sweep, which leaves the database to its main job.
const SLICE_PAUSE: Duration = Duration::from_millis(200);

/// Removes what is older than its retention, slice by slice; never returns.
///
/// Every worker does this: slices are transactions of their own, and two at once do no harm.
pub async fn run(worker: &Worker) {
    loop {
        let limits = &worker.limits;
        let removed = worker.store.retain(limits.archive_retention, limits.state_retention).await;
        let pause = match removed {
            Ok(true) => SLICE_PAUSE,
            Ok(false) => SWEEP_INTERVAL,
            Err(error) => {
                tracing::warn!(%error, "retention: nothing removed, tried again after the sweep interval");
                SWEEP_INTERVAL
            }
        };
        tokio::time::sleep(pause).await;
    }
}
