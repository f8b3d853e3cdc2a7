//! The owner of one source: reads, validates, records and publishes, one batch after the other.

mod error;

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use broker::StreamReader;
use domain::{
    entry::{Entry, EntryId},
    source::Stream,
};
use store::{Committed, EntryBatch, SourceRow, StoreError};
use tokio::time::Instant;

use self::error::Error;
use crate::{
    LEASE, Worker,
    generation::{self, CHECK_INTERVAL, Finding},
    lag::Lag,
    lease_expiry::{self, ReadProgress},
    publisher, retention,
    traces::{self, BatchTrace},
    validation,
};

/// How long one read waits for the first entry.
const READ_WAIT: Duration = Duration::from_millis(500);

/// From so many unfinished attempts on the owner takes one entry at a time: one of them kills
/// workers.
const SUSPECT_ATTEMPTS: u32 = 3;

/// Consumes one source for as long as this worker owns it.
struct Consumer {
    worker: Worker,
    row: SourceRow,
    reader: Box<dyn StreamReader>,
    /// Up to this entry the stream is being read again: nothing may be trimmed.
    reread_until: EntryId,
    /// Whether this owner has counted its attempt at the current cursor.
    attempted: bool,
    lag: Lag,
    progress: ReadProgress,
    next_renewal: Instant,
    next_check: Instant,
    next_trim: Instant,
}

/// Consumes a source until the process stops, `give_back` is set, or the lease is lost.
pub async fn run(worker: Worker, row: SourceRow, give_back: &AtomicBool) {
    let now = Instant::now();
    let mut consumer = Consumer {
        reader: worker.broker.reader(row.source),
        reread_until: EntryId::ZERO,
        attempted: false,
        lag: Lag::default(),
        progress: ReadProgress::new(now),
        next_renewal: now + CHECK_INTERVAL,
        next_check: now,
        next_trim: now + retention::TRIM_INTERVAL,
        worker,
        row,
    };
    let mut failures = 0;
    while !consumer.worker.life.is_stopping() && !give_back.load(Ordering::Relaxed) {
        match consumer.round().await {
            Ok(()) => failures = 0,
            Err(Error::LeaseLost(source)) => {
                tracing::warn!(%source, "consumer: lease lost, another worker owns the source now");
                consumer.worker.metrics.forget(source);
                return;
            }
            Err(Error::Retry(error)) => {
                consumer.progress.interrupted();
                if failures == 0 {
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
        let entries = self.read().await?;
        if !entries.is_empty() {
            self.process(entries, started).await?;
        }
        self.expire_leases().await
    }

    /// Brings entries from validation to publication: one batch, or several where one is too small.
    async fn process(&mut self, entries: Vec<Entry>, started: Instant) -> Result<(), Error> {
        runtime::failpoint::hit("after_read");
        let entries_max = self.entries_max().await?;
        let mut parts = self.parts(entries, entries_max);
        let mut refusals = 0;
        while let Some(part) = parts.pop_front() {
            let batch = self.batch(part, entries_max);
            let mut trace = BatchTrace::begin(self.row.source, &batch);
            match traces::instrumented(trace.as_ref(), self.record(&batch)).await {
                Ok(committed) => {
                    refusals = 0;
                    trace.iter_mut().for_each(BatchTrace::recorded);
                    traces::instrumented(trace.as_ref(), self.publish(&committed)).await?;
                    if let Some(trace) = trace {
                        trace.published(&self.worker.node, &batch, &committed);
                    }
                    publisher::reply(&self.worker, self.row.source, &batch, &committed).await;
                    self.count(&batch, &committed, started);
                }
                Err(StoreError::Refused(cause)) => {
                    trace.iter_mut().for_each(|trace| trace.failed(&cause));
                    self.bisect(batch, &mut parts, &mut refusals, &cause).await?;
                }
                Err(error) => {
                    trace.iter_mut().for_each(|trace| trace.failed(&error.to_string()));
                    return Err(self.reload_after(error).await);
                }
            }
        }
        Ok(())
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

    /// Renews the lease when it is time.
    async fn renew_lease(&mut self) -> Result<(), Error> {
        if Instant::now() >= self.next_renewal {
            let row = &self.row;
            self.worker.store.renew(row.source, row.fence, row.published, LEASE).await?;
            self.next_renewal = Instant::now() + CHECK_INTERVAL;
        }
        Ok(())
    }

    /// Compares the broker's memory with the row when it is time.
    async fn check(&mut self) -> Result<(), Error> {
        if Instant::now() < self.next_check {
            return Ok(());
        }
        let asked = Instant::now();
        match generation::check(&self.worker, &self.row).await? {
            Finding::Same(info) => {
                self.progress.newest(asked, info.last_generated);
                self.lag.observe(&self.worker.metrics, &self.row, &info);
            }
            Finding::Changed { row, reread_until } => {
                self.progress.interrupted();
                let published = self.row.published.max(row.published);
                self.row = SourceRow { published, ..row };
                self.reread_until = self.reread_until.max(reread_until);
                self.lag = Lag::default();
            }
        }
        self.next_check = Instant::now() + CHECK_INTERVAL;
        Ok(())
    }

    /// Publishes what is recorded and not yet published, before anything new is read.
    async fn publish_pending(&mut self) -> Result<(), Error> {
        if self.row.published < self.row.seq {
            match publisher::publish_pending(&self.worker, &self.row).await {
                Ok(published) => self.row.published = published.max(self.row.seq),
                Err(error) => {
                    self.next_check = Instant::now();
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    async fn trim(&mut self) -> Result<(), Error> {
        if Instant::now() >= self.next_trim {
            self.next_trim = Instant::now() + retention::TRIM_INTERVAL;
            if self.row.cursor >= self.reread_until {
                let before = self.row.cursor.minus_ms(retention::TRIM_BEHIND_MS);
                self.worker.broker.trim(self.row.source, before).await?;
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Vec<Entry>, Error> {
        let entries_max = self.worker.limits.batch_entries;
        let life = self.worker.life.clone();
        tokio::select! {
            entries = self.reader.read(self.row.cursor, entries_max, READ_WAIT) => Ok(entries?),
            () = life.stopping() => Ok(Vec::new()),
        }
    }

    /// Returns how many entries a batch may hold: one, when earlier owners died at this cursor.
    async fn entries_max(&mut self) -> Result<usize, Error> {
        if self.attempted {
            return Ok(self.worker.limits.batch_entries);
        }
        let row = &self.row;
        self.row.attempts = self.worker.store.attempt(row.source, row.fence).await?;
        self.attempted = self.row.attempts < SUSPECT_ATTEMPTS;
        Ok(if self.attempted { self.worker.limits.batch_entries } else { 1 })
    }

    /// Cuts what was read into batches within the limits of entries and bytes.
    fn parts(&self, entries: Vec<Entry>, entries_max: usize) -> VecDeque<Vec<Entry>> {
        let mut parts: VecDeque<Vec<Entry>> = VecDeque::new();
        let mut bytes = 0;
        for entry in entries {
            let size = entry.fields.size_bytes();
            bytes += size;
            match parts.back_mut() {
                Some(part)
                    if part.len() < entries_max && bytes <= self.worker.limits.batch_bytes =>
                {
                    part.push(entry);
                }
                _ => {
                    bytes = size;
                    parts.push_back(vec![entry]);
                }
            }
        }
        parts
    }

    fn batch(&self, part: Vec<Entry>, entries_max: usize) -> EntryBatch {
        let cursor = part.last().map_or(self.row.cursor, |entry| entry.id);
        let now = jiff::Timestamp::now().as_millisecond();
        let mut entries: Vec<_> = part
            .into_iter()
            .map(|entry| validation::validate(self.row.source, entry, now))
            .collect();
        let killed = entries_max == 1 && self.row.attempts > self.worker.limits.deliveries_max;
        if let Some(first) = entries.first_mut().filter(|_| killed) {
            validation::reject(first, "workers died while they worked on this entry");
        }
        EntryBatch { before: self.row.cursor, cursor, entries, published: self.row.published }
    }

    async fn record(&mut self, batch: &EntryBatch) -> Result<Committed, StoreError> {
        let row = &self.row;
        let bytes_max = self.worker.limits.state_bytes;
        let committed = self.worker.store.record(row.source, row.fence, batch, bytes_max).await?;
        runtime::failpoint::hit("after_commit");
        if batch.cursor > self.row.cursor {
            self.lag.recorded(batch.entries.len());
        }
        self.row.cursor = batch.cursor;
        self.row.seq = committed.seq;
        self.row.attempts = 0;
        Ok(committed)
    }

    /// Publishes a recorded batch, again and again until it succeeds; renews the lease meanwhile.
    async fn publish(&mut self, committed: &Committed) -> Result<(), Error> {
        let mut failures = 0;
        loop {
            let publications = &committed.publications;
            match publisher::publish(&self.worker, self.row.generation, publications).await {
                Ok(()) => break,
                Err(error) if self.worker.life.is_stopping() => return Err(error.into()),
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(source = %self.row.source, %error, "consumer: batch not published, tried again after a pause");
                    }
                    failures += 1;
                    self.next_check = Instant::now();
                    tokio::time::sleep(publisher::pause(failures)).await;
                    self.renew_lease().await?;
                    // The broker may refuse until the generation is raised.
                    if let Err(Error::LeaseLost(source)) = self.check().await {
                        return Err(Error::LeaseLost(source));
                    }
                }
            }
        }
        runtime::failpoint::hit("before_published");
        self.row.published = committed.seq;
        Ok(())
    }

    /// Halves a batch that the database refuses for its data, down to the entry at fault; that one is
    /// tried `MAX_DELIVERIES` times and then becomes a dead letter.
    async fn bisect(
        &mut self,
        mut batch: EntryBatch,
        parts: &mut VecDeque<Vec<Entry>>,
        refusals: &mut u32,
        cause: &str,
    ) -> Result<(), Error> {
        if batch.entries.len() > 1 {
            let mut first: Vec<Entry> = batch
                .entries
                .into_iter()
                .map(|judged| Entry { id: judged.entry, fields: judged.fields })
                .collect();
            let second = first.split_off(first.len() / 2);
            parts.push_front(second);
            parts.push_front(first);
            return Ok(());
        }
        *refusals += 1;
        if *refusals < self.worker.limits.deliveries_max {
            tokio::time::sleep(publisher::pause(*refusals)).await;
        } else if let Some(judged) = batch.entries.first_mut() {
            *refusals = 0;
            validation::reject(judged, &format!("the database refuses it: {cause}"));
            let started = Instant::now();
            let committed = self.record(&batch).await?;
            self.count(&batch, &committed, started);
            return Ok(());
        }
        let again = batch.entries.into_iter();
        parts.push_front(again.map(|j| Entry { id: j.entry, fields: j.fields }).collect());
        Ok(())
    }

    /// Reads the row again after a failed transaction, and says whether this worker may go on.
    async fn reload_after(&mut self, error: StoreError) -> Error {
        let passing = matches!(error, StoreError::Unavailable(_) | StoreError::Conflict(_));
        if passing {
            return error.into();
        }
        // Unknown or fenced: the row says whether the batch is recorded, and which worker is the owner.
        match self.worker.store.sources(&[self.row.source]).await {
            Ok(rows) => match rows.into_iter().next() {
                Some(row) if row.fence == self.row.fence && row.owner.is_some() => {
                    let published = self.row.published.max(row.published);
                    self.row = SourceRow { published, ..row };
                    Error::Retry(error.to_string())
                }
                _ => Error::LeaseLost(self.row.source),
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
