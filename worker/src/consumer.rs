//! The owner of one source: reads, validates, records and publishes, one batch after the other.

mod barrier;
mod batch_limit;
mod batches;
mod catch_up;
mod error;
mod publish_backlog;
mod work;
mod work_watch;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use broker::{StreamInfo, StreamReader};
use domain::{
    entry::{Entry, EntryId},
    source::Stream,
};
use runtime::error_gate::ErrorGate;
use store::{Committed, EntryBatch, SourceRow, StoreError};
use tokio::time::Instant;

use self::{
    batch_limit::BatchLimit, error::Error, publish_backlog::PublishBacklog, work_watch::WorkWatch,
};
use crate::{
    LEASE, Worker,
    generation::{self, CHECK_INTERVAL, Finding},
    lag::Lag,
    lease_expiry::{self, ReadProgress},
    publisher,
    retention::{self, TrimPoint},
};

/// How long one read waits for the first entry.
const READ_WAIT: Duration = Duration::from_millis(500);

/// Consumes one source for as long as this worker owns it.
struct Consumer {
    worker: Worker,
    row: SourceRow,
    reader: Box<dyn StreamReader>,
    /// Up to this entry the stream is being read again: nothing may be trimmed.
    reread_until: EntryId,
    /// How often the cursor was set back, or found elsewhere: what was read before is thrown away.
    set_backs: u64,
    /// Whether the broker holds a later generation than the row, which this owner has to pass.
    outranked: bool,
    /// What a part of the broker did not take yet.
    backlog: Option<PublishBacklog>,
    /// Whether this owner has counted its attempt.
    attempted: bool,
    limit: BatchLimit,
    trim_point: TrimPoint,
    /// Set when the source is to be given back.
    give_back: Arc<AtomicBool>,
    lag: Lag,
    progress: ReadProgress,
    work: WorkWatch,
    next_renewal: Instant,
    next_check: Instant,
    next_trim: Instant,
}

/// Consumes a source until the process stops, `give_back` is set, or the lease is lost.
pub async fn run(worker: Worker, row: SourceRow, give_back: Arc<AtomicBool>) {
    let now = Instant::now();
    // Alerts need the zero before the first loss.
    worker.metrics.trimmed.with_label_values(&[row.source.stream.name()]).inc_by(0);
    let mut consumer = Consumer {
        reader: worker.broker.reader(row.source),
        reread_until: EntryId::ZERO,
        set_backs: 0,
        outranked: false,
        backlog: None,
        attempted: false,
        limit: BatchLimit::new(worker.limits.batch_entries),
        trim_point: TrimPoint::default(),
        give_back,
        lag: Lag::default(),
        progress: ReadProgress::new(now),
        work: WorkWatch::new(row.source, now),
        next_renewal: now + CHECK_INTERVAL,
        next_check: now,
        next_trim: now + retention::TRIM_INTERVAL,
        worker,
        row,
    };
    let (mut failures, mut gate) = (0, ErrorGate::default());
    while !consumer.is_leaving() {
        match consumer.round().await {
            Ok(()) => {
                failures = 0;
                gate.close();
            }
            Err(Error::LeaseLost(source)) => {
                tracing::warn!(%source, "consumer: lease lost, another worker owns the source now");
                consumer.worker.metrics.forget(source);
                return;
            }
            Err(Error::Retry(error)) => {
                consumer.progress.interrupted();
                if gate.opens(&error) {
                    tracing::error!(source = %consumer.row.source, error, "consumer: round failed, tried again after a pause");
                }
                tokio::time::sleep(publisher::pause(failures)).await;
                failures += 1;
            }
        }
    }
    consumer.release().await;
}

impl Consumer {
    /// Runs one round: what is due, then one batch from reading to publication.
    async fn round(&mut self) -> Result<(), Error> {
        self.renew_lease().await?;
        self.check().await?;
        self.publish_pending().await?;
        self.trim().await?;
        let started = Instant::now();
        let mut entries = if self.is_at_barrier() { Vec::new() } else { self.read().await? };
        self.hold_back(&mut entries).await?;
        if !entries.is_empty() {
            self.process(entries, started).await?;
        }
        self.expire_leases().await?;
        self.tend_work().await
    }

    /// Ends entities whose lease ran out before the stream was read to its end.
    async fn expire_leases(&mut self) -> Result<(), Error> {
        if !matches!(self.row.source.stream, Stream::Deployments | Stream::Tasks) {
            return Ok(());
        }
        let Some((read_to_end, reachable)) = self.progress.read_to(self.row.cursor) else {
            return Ok(());
        };
        let (store, source) = (&self.worker.store, self.row.source);
        let endings_max = lease_expiry::ENDINGS_MAX.min(self.worker.limits.batch_entries);
        let lapsed = store.lapsed(source, read_to_end.elapsed(), reachable, endings_max).await?;
        if lapsed.is_empty() {
            return Ok(());
        }
        let (before, published) = (self.row.cursor, self.row.published);
        let entries = lapsed.iter().map(|lapsed| lease_expiry::ending(source, lapsed)).collect();
        let batch = EntryBatch { before, cursor: before, entries, published };
        match self.record(&batch).await {
            Ok(committed) => {
                self.publish(&committed).await?;
                self.count(&batch, &committed, read_to_end);
                Ok(())
            }
            Err(error) => Err(self.reload_after(error).await),
        }
    }

    fn is_leaving(&self) -> bool {
        self.worker.life.is_stopping() || self.give_back.load(Ordering::Relaxed)
    }

    /// Renews the lease when it is time. The row shows, too, what a commit of unknown outcome has
    /// done by now (rule 3).
    async fn renew_lease(&mut self) -> Result<(), Error> {
        if Instant::now() >= self.next_renewal {
            let row = &self.row;
            let row = self.worker.store.renew(row.source, row.fence, row.published, LEASE).await?;
            self.adopt(row);
            self.next_renewal = Instant::now() + CHECK_INTERVAL;
        }
        Ok(())
    }

    /// Goes on from the row as the database has it.
    fn adopt(&mut self, row: SourceRow) {
        if row.cursor != self.row.cursor {
            self.set_backs += 1;
        }
        if row.promoted || row.database_epoch != self.row.epoch {
            self.next_check = Instant::now();
        }
        let published = self.row.published.max(row.published);
        self.row = SourceRow { published, ..row };
    }

    /// Compares the broker's memory with the row when it is time.
    async fn check(&mut self) -> Result<(), Error> {
        if Instant::now() < self.next_check {
            return Ok(());
        }
        let asked = Instant::now();
        let found = generation::check(&self.worker, &self.row, self.outranked).await?;
        self.outranked = false;
        match found {
            Finding::Same(info) => {
                self.progress.newest(asked, info.last_generated);
                self.lag.observe(&self.worker.metrics, &self.row, &info);
                self.count_trimmed(&info).await?;
            }
            Finding::Changed { row, reread_until } => {
                self.progress.interrupted();
                self.set_backs += 1;
                let published = self.row.published.max(row.published).min(row.seq);
                if let Some(backlog) = &mut self.backlog {
                    backlog.reached = backlog.reached.min(row.seq);
                }
                self.row = SourceRow { published, ..row };
                self.reread_until = self.reread_until.max(reread_until);
                self.lag = Lag::default();
            }
        }
        self.next_check = Instant::now() + CHECK_INTERVAL;
        Ok(())
    }

    /// Finds out whether entries were removed from the stream before they were read: a producer's
    /// `MAXLEN` does that. While entries are left to read this is what is certainly gone.
    async fn count_trimmed(&mut self, info: &StreamInfo) -> Result<(), Error> {
        let caught_up = self.row.cursor >= info.last_generated;
        let trimmed = match self.row.added {
            Some(added) => {
                let left = if caught_up { 0 } else { info.length };
                info.added.saturating_sub(added).saturating_sub(left)
            }
            // Before Redis 7.0 nothing counts what was added.
            None if caught_up && info.added > 0 => 0,
            None => return Ok(()),
        };
        if self.row.added.is_some() && trimmed == 0 {
            return Ok(());
        }
        let added = self.row.added.map_or(info.added, |added| added + trimmed);
        self.worker.store.count_added(self.row.source, self.row.fence, added).await?;
        self.row.added = Some(added);
        if trimmed > 0 {
            let source = self.row.source;
            self.worker.metrics.trimmed.with_label_values(&[source.stream.name()]).inc_by(trimmed);
            tracing::error!(%source, trimmed, "consumer: entries were trimmed from the stream unread, they are lost; a producer may use MAXLEN or MINID");
        }
        Ok(())
    }

    /// Publishes what is recorded and not yet published, before anything new is read.
    async fn publish_pending(&mut self) -> Result<(), Error> {
        self.catch_up().await?;
        if self.reached() < self.row.seq {
            self.publish_recorded().await.inspect_err(|_| self.next_check = Instant::now())?;
        }
        Ok(())
    }

    async fn trim(&mut self) -> Result<(), Error> {
        if Instant::now() >= self.next_trim {
            self.next_trim = Instant::now() + retention::TRIM_INTERVAL;
            if self.row.cursor >= self.reread_until {
                let before = self.trim_point.before(Instant::now(), self.row.cursor);
                self.worker.broker.trim(self.row.source, before).await?;
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Vec<Entry>, Error> {
        let entries_max = self.entries_max();
        let life = self.worker.life.clone();
        let wait = match self.row.source.stream {
            Stream::Tasks => self.work.read_wait(READ_WAIT),
            _ => READ_WAIT,
        };
        tokio::select! {
            entries = self.reader.read(self.row.cursor, entries_max, wait) => Ok(entries?),
            () = life.stopping() => Ok(Vec::new()),
        }
    }

    /// Reads the row again after a failed transaction, and says whether this worker may go on.
    async fn reload_after(&mut self, error: StoreError) -> Error {
        use StoreError::{Conflict, Standby, TooMuch, Unavailable, Unwritable};
        if matches!(error, Unavailable(_) | Unwritable { .. } | Standby | Conflict(_) | TooMuch(_))
        {
            return error.into();
        }
        // Unknown or fenced: the row says whether the batch is recorded, and which worker is the owner.
        let source = self.row.source;
        match self.worker.store.sources(&[source]).await {
            Ok(rows) => match rows.into_iter().find(|row| row.source == source) {
                Some(row) if row.fence == self.row.fence && row.owner.is_some() => {
                    self.adopt(row);
                    self.next_check = Instant::now();
                    // A commit of unknown outcome may come yet: the lease's renewal will show it.
                    self.next_renewal = Instant::now();
                    Error::Retry(error.to_string())
                }
                _ => Error::LeaseLost(source),
            },
            Err(error) => Error::Retry(error.to_string()),
        }
    }

    fn count(&self, batch: &EntryBatch, committed: &Committed, started: Instant) {
        let metrics = &self.worker.metrics;
        let stream = self.row.source.to_string();
        metrics.outcomes(&stream, batch, committed);
        let unpublished = self.row.seq.saturating_sub(self.row.published);
        let unpublished = i64::try_from(unpublished).unwrap_or(i64::MAX);
        metrics.unpublished.with_label_values(&[&stream]).set(unpublished);
        metrics.batch_seconds.observe(started.elapsed().as_secs_f64());
    }

    async fn release(self) {
        let row = &self.row;
        self.worker.metrics.forget(row.source);
        if let Err(error) = self.worker.store.release(row.source, row.fence, row.published).await {
            tracing::debug!(source = %row.source, %error, "consumer: lease not released, it runs out by itself");
        }
    }
}
