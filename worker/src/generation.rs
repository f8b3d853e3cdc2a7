//! Generations: notices that the broker lost its memory, and sets the cursor back (`design.md` §3,
//! rules 6 and 7).

use std::time::Duration;

use broker::{BrokerError, StreamInfo};
use domain::entry::EntryId;
use store::{SourceRow, StoreError};

use crate::Worker;

/// How often the broker's identity is compared with the row.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How far the cursor goes back when the broker's memory is in doubt: a new primary may lack the
/// newest entries, and may give ids that lie before those it lost.
const REREAD_MS: u64 = 60_000;

/// What a comparison found.
#[derive(Debug)]
pub enum Finding {
    /// Nothing changed; the stream as it is.
    Same(StreamInfo),
    /// The row was changed: read on from its cursor. Trim nothing until `reread_until` was read
    /// again.
    Changed {
        /// The row as it is now.
        row: SourceRow,
        /// The cursor before the change.
        reread_until: EntryId,
    },
}

/// Why a comparison failed; try again after a pause.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The broker does not answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store does not answer, or the source has another owner.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compares the broker and the database with what the row remembers.
///
/// A new epoch, another replication id or a lost mark raise the generation and set the cursor back;
/// a stream whose last id lies before the cursor sets the cursor back alone.
///
/// # Errors
/// Fails with [`CheckError`] when the broker or the store does.
pub async fn check(worker: &Worker, row: &SourceRow) -> Result<Finding, CheckError> {
    let source = row.source;
    let identity = worker.broker.identity(source).await?;
    let info = worker.broker.inspect(source).await?;
    let same_server = identity.replid == row.replid
        && identity.generation == Some(row.generation)
        && worker.store.epoch() == row.epoch;
    if same_server && info.last_generated >= row.cursor {
        return Ok(Finding::Same(info));
    }
    let generation = if same_server { row.generation } else { row.generation + 1 };
    let back = row.cursor.min(info.last_generated).minus_ms(REREAD_MS).min(row.cursor);
    let changed =
        worker.store.regenerate(source, row.fence, generation, &identity.replid, back).await?;
    // SQL first: a mark without its row would vouch for a memory that was never checked.
    worker.broker.mark(source, generation).await?;
    if row.generation > 0 {
        tracing::warn!(
            %source, generation, from = %back, until = %row.cursor,
            "generation: broker may lack entries, the stream's end is read again"
        );
    }
    Ok(Finding::Changed { row: changed, reread_until: row.cursor })
}
