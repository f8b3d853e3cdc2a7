//! Generations and epochs: notices that the broker or the database lost its memory, and sets the
//! cursor back (`design.md` §3, rules 6 and 7).

use std::time::Duration;

use broker::{BrokerError, PublishedUpTo, ServerIdentity, StreamInfo};
use domain::{entry::EntryId, position::Epoch, source::Source};
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

/// Compares the broker and the database with what the row remembers, and both with each other.
///
/// A new epoch, another replication id or a lost mark raise the generation and set the cursor back; in
/// a cluster the replication id of a server that does not hold the stream raises the generation
/// alone. A stream whose last id lies before the cursor sets the cursor back alone. A database that ends
/// before what the broker remembers as published gets a new epoch.
///
/// `outranked`: a publication was refused for a later generation. The mark does not say which it was,
/// so the row's own is doubled until it is passed; who is no longer the owner is stopped by the row's
/// fence.
///
/// # Errors
/// Fails with [`CheckError`] when the broker or the store does.
pub async fn check(
    worker: &Worker,
    row: &SourceRow,
    outranked: bool,
) -> Result<Finding, CheckError> {
    let source = row.source;
    let identity = worker.broker.identity(source).await?;
    let info = worker.broker.inspect(source).await?;
    if row.promoted {
        judge_promotion(worker).await?;
    } else if is_older(row, &identity, worker.store.epoch()) {
        begin_epoch(worker, source).await?;
    }
    let epoch = worker.store.epoch();
    // The server of the stream may lack entries, every other one what was published.
    let same_stream = identity.has_known_stream(&row.replid)
        && identity.generation == Some(row.generation)
        && epoch == row.epoch
        && info.last_generated >= row.cursor
        && !row.promoted;
    let same_server = identity.is_known(&row.replid)
        && identity.generation == Some(row.generation)
        && epoch == row.epoch
        && !outranked;
    if same_stream && same_server {
        return Ok(Finding::Same(info));
    }
    // Two memories hold it, and either can be restored behind the other's back.
    let own = if outranked { row.generation.saturating_mul(2) } else { row.generation };
    let raised = own.max(identity.generation.unwrap_or(0)) + 1;
    let generation = if same_server { row.generation } else { raised };
    let reread = row.cursor.min(info.last_generated).minus_ms(REREAD_MS).min(row.cursor);
    let back = if same_stream { row.cursor } else { reread };
    let replids = identity.remembered(&row.replid);
    let changed = worker.store.regenerate(source, row.fence, generation, &replids, back).await?;
    // SQL first: a mark without its row would vouch for a memory that was never checked. All that is
    // recorded may have been published.
    let published = PublishedUpTo { epoch: changed.epoch, seq: changed.seq };
    worker.broker.mark(source, changed.generation, published).await?;
    if row.generation > 0 {
        tracing::warn!(
            %source, generation, from = %back, until = %row.cursor,
            "generation: broker may lack entries, the stream's end is read again"
        );
    }
    Ok(Finding::Changed { row: changed, reread_until: row.cursor })
}

/// Whether the database ends before what was published from it: it was restored, or went back.
fn is_older(row: &SourceRow, identity: &ServerIdentity, epoch: Epoch) -> bool {
    let Some(published) = identity.published else { return false };
    if published.epoch == epoch {
        return published.seq > row.seq;
    }
    // A mark that this row never left belongs to a later life of the database.
    let later = identity.generation.is_some_and(|generation| generation > row.generation);
    later && published.epoch != row.epoch && row.seq > 0
}

async fn begin_epoch(worker: &Worker, source: Source) -> Result<(), CheckError> {
    // The row may be older than the mark: only what the database says now counts.
    let rows = worker.store.sources(&[source]).await?;
    let epoch = worker.store.epoch();
    let identity = worker.broker.identity(source).await?;
    let row = rows.into_iter().find(|row| row.source == source);
    if row.is_some_and(|row| is_older(&row, &identity, epoch)) {
        let epoch = worker.store.begin_epoch(epoch).await?;
        tracing::error!(%source, epoch = epoch.0, "generation: database is older than what was published from it, positions begin a new epoch");
    }
    Ok(())
}

/// Judges a database on a new timeline: the same record if it holds everything that may have been
/// published, of every source; otherwise, or without a mark to ask, a new epoch.
async fn judge_promotion(worker: &Worker) -> Result<(), CheckError> {
    let mut marks = Vec::new();
    for row in worker.store.sources(&[]).await? {
        marks.push((row.source, worker.broker.identity(row.source).await?.published));
    }
    // After the marks: what they say was recorded before.
    let rows = worker.store.sources(&[]).await?;
    let epoch = worker.store.epoch();
    let holds_all = |row: &SourceRow| {
        let mark = marks.iter().find(|(source, _)| *source == row.source);
        let published = mark.and_then(|(_, published)| *published);
        row.seq == 0 || published.is_some_and(|it| it.epoch == epoch && it.seq <= row.seq)
    };
    if rows.iter().all(holds_all) {
        worker.store.accept_promotion().await?;
        tracing::warn!(
            epoch = epoch.0,
            "generation: database was promoted and holds everything that was published, positions go on"
        );
    } else {
        let epoch = worker.store.begin_epoch(epoch).await?;
        tracing::error!(
            epoch = epoch.0,
            "generation: database was promoted and may lack what was published, positions begin a new epoch"
        );
    }
    Ok(())
}
