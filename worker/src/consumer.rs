//! The owner of one source: read, judge, record, publish, one batch after the other.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use shared::{
    broker::{BrokerError, Reader},
    entry::{Entry, EntryId},
    source::{Source, Stream},
    store::{Batch, Committed, SourceRow, StoreError},
};
use tokio::time::Instant;

use crate::{
    Worker, abandonment,
    generation::{self, CHECK_INTERVAL, CheckError, Finding},
    lag::Lag,
    lease::LEASE,
    projection,
    publisher::{self, PublishError},
    retention,
    traces::{self, BatchTrace},
};

/// How long one read waits for the first entry.
const READ_WAIT: Duration = Duration::from_millis(500);

/// From so many unfinished attempts on the owner takes one entry at a time: one of them kills.
const SUSPECT_ATTEMPTS: u32 = 3;

/// Why a turn ended early.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Somebody else is the owner: stop without a trace.
    #[error("{0} has another owner now")]
    Lost(Source),
    /// Try on after a pause.
    #[error("{0}")]
    Passing(String),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(source) => Self::Lost(source),
            StoreError::Unavailable(_)
            | StoreError::Unknown(_)
            | StoreError::Conflict(_)
            | StoreError::Refused(_) => Self::Passing(error.to_string()),
        }
    }
}

impl From<BrokerError> for Trouble {
    fn from(error: BrokerError) -> Self {
        Self::Passing(error.to_string())
    }
}

impl From<PublishError> for Trouble {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Broker(error) => error.into(),
            PublishError::Store(error) => error.into(),
        }
    }
}

impl From<CheckError> for Trouble {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Broker(error) => error.into(),
            CheckError::Store(error) => error.into(),
        }
    }
}

struct Consumer {
    worker: Worker,
    row: SourceRow,
    reader: Box<dyn Reader>,
    /// Until then the stream is being read again; nothing may be trimmed.
    reread_until: EntryId,
    /// Whether the owner has counted its attempt at the current cursor.
    attempted: bool,
    lag: Lag,
    silent: abandonment::Watch,
    next_renewal: Instant,
    next_check: Instant,
    next_trim: Instant,
}

/// Consumes a source until the process stops, the lease manager wants it back, or it is lost.
pub async fn run(worker: Worker, row: SourceRow, give_back: &AtomicBool) {
    let now = Instant::now();
    let mut consumer = Consumer {
        reader: worker.broker.reader(row.source),
        reread_until: EntryId::ZERO,
        attempted: false,
        lag: Lag::default(),
        silent: abandonment::Watch::new(now),
        next_renewal: now + CHECK_INTERVAL,
        next_check: now,
        next_trim: now + retention::TRIM_INTERVAL,
        worker,
        row,
    };
    let mut failures = 0;
    while !consumer.worker.life.is_stopping() && !give_back.load(Ordering::Relaxed) {
        match consumer.turn().await {
            Ok(()) => failures = 0,
            Err(Trouble::Lost(source)) => {
                tracing::warn!(%source, "another worker is the owner now");
                consumer.worker.metrics.forget(source);
                return;
            }
            Err(Trouble::Passing(error)) => {
                consumer.silent.interrupted();
                if failures == 0 {
                    tracing::error!(source = %consumer.row.source, error, "held up; trying on");
                }
                tokio::time::sleep(publisher::pause(failures)).await;
                failures += 1;
            }
        }
    }
    consumer.release().await;
}

impl Consumer {
    /// One round: what is due, then one batch from reading to publication.
    async fn turn(&mut self) -> Result<(), Trouble> {
        self.keep().await?;
        self.check().await?;
        self.settle().await?;
        self.trim().await?;
        let started = Instant::now();
        let entries = self.read().await?;
        if !entries.is_empty() {
            self.take_in(entries, started).await?;
        }
        self.abandon().await
    }

    /// One batch, or several where its entries do not fit into one, from the check to publication.
    async fn take_in(&mut self, entries: Vec<Entry>, started: Instant) -> Result<(), Trouble> {
        shared::failpoint::hit("after_read");
        let entries_max = self.entries_max().await?;
        let mut parts = self.parts(entries, entries_max);
        let mut refusals = 0;
        while let Some(part) = parts.pop_front() {
            let batch = self.batch(part, entries_max);
            let mut trace = BatchTrace::begin(self.row.source, &batch);
            match traces::logged(trace.as_ref(), self.record(&batch)).await {
                Ok(committed) => {
                    refusals = 0;
                    trace.iter_mut().for_each(BatchTrace::recorded);
                    traces::logged(trace.as_ref(), self.publish(&committed)).await?;
                    if let Some(trace) = trace {
                        trace.published(&self.worker.node, &batch, &committed);
                    }
                    publisher::reply(&self.worker, self.row.source, &batch, &committed).await;
                    self.count(&batch, &committed, started);
                }
                Err(StoreError::Refused(cause)) => {
                    trace.iter_mut().for_each(|trace| trace.failed(&cause));
                    self.divide(batch, &mut parts, &mut refusals, &cause).await?;
                }
                Err(error) => {
                    trace.iter_mut().for_each(|trace| trace.failed(&error.to_string()));
                    return Err(self.after(error).await);
                }
            }
        }
        Ok(())
    }

    /// Ends what went silent before the stream was read to its end.
    async fn abandon(&mut self) -> Result<(), Trouble> {
        if !matches!(self.row.source.stream, Stream::Deployments | Stream::Tasks) {
            return Ok(());
        }
        let Some((read_to_end, reachable)) = self.silent.read_to(self.row.cursor) else {
            return Ok(());
        };
        let (store, source) = (&self.worker.store, self.row.source);
        let endings_max = abandonment::ENDINGS_MAX.min(self.worker.limits.batch_entries);
        let lapsed = store.lapsed(source, read_to_end.elapsed(), reachable, endings_max).await?;
        if lapsed.is_empty() {
            return Ok(());
        }
        let (before, published) = (self.row.cursor, self.row.published);
        let entries = lapsed.iter().map(|lapsed| abandonment::ending(source, lapsed)).collect();
        let batch = Batch { before, cursor: before, entries, published };
        match self.record(&batch).await {
            Ok(committed) => {
                self.publish(&committed).await?;
                self.count(&batch, &committed, read_to_end);
                Ok(())
            }
            Err(error) => Err(self.after(error).await),
        }
    }

    /// Prolongs the lease when it is time.
    async fn keep(&mut self) -> Result<(), Trouble> {
        if Instant::now() >= self.next_renewal {
            let row = &self.row;
            self.worker.store.renew(row.source, row.fence, row.published, LEASE).await?;
            self.next_renewal = Instant::now() + CHECK_INTERVAL;
        }
        Ok(())
    }

    /// Compares the broker's memory with the row when it is time.
    async fn check(&mut self) -> Result<(), Trouble> {
        if Instant::now() < self.next_check {
            return Ok(());
        }
        let asked = Instant::now();
        match generation::check(&self.worker, &self.row).await? {
            Finding::Same(info) => {
                self.silent.newest(asked, info.last_generated);
                self.lag.observe(&self.worker.metrics, &self.row, &info);
            }
            Finding::Changed { row, reread_until } => {
                self.silent.interrupted();
                let published = self.row.published.max(row.published);
                self.row = SourceRow { published, ..row };
                self.reread_until = self.reread_until.max(reread_until);
                self.lag = Lag::default();
            }
        }
        self.next_check = Instant::now() + CHECK_INTERVAL;
        Ok(())
    }

    /// Publishes what is recorded and not yet published: the barrier before anything new.
    async fn settle(&mut self) -> Result<(), Trouble> {
        if self.row.published < self.row.seq {
            match publisher::settle(&self.worker, &self.row).await {
                Ok(published) => self.row.published = published.max(self.row.seq),
                Err(error) => {
                    self.next_check = Instant::now();
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    async fn trim(&mut self) -> Result<(), Trouble> {
        if Instant::now() >= self.next_trim {
            self.next_trim = Instant::now() + retention::TRIM_INTERVAL;
            if self.row.cursor >= self.reread_until {
                let before = self.row.cursor.minus_ms(retention::TRIM_BEHIND_MS);
                self.worker.broker.trim(self.row.source, before).await?;
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<Vec<Entry>, Trouble> {
        let entries_max = self.worker.limits.batch_entries;
        let life = self.worker.life.clone();
        tokio::select! {
            entries = self.reader.read(self.row.cursor, entries_max, READ_WAIT) => Ok(entries?),
            () = life.stopping() => Ok(Vec::new()),
        }
    }

    /// How many entries a batch may hold: one, when earlier owners died at this cursor.
    async fn entries_max(&mut self) -> Result<usize, Trouble> {
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

    fn batch(&self, part: Vec<Entry>, entries_max: usize) -> Batch {
        let cursor = part.last().map_or(self.row.cursor, |entry| entry.id);
        let mut entries: Vec<_> =
            part.into_iter().map(|entry| projection::judge(self.row.source, entry)).collect();
        let killed = entries_max == 1 && self.row.attempts > self.worker.limits.deliveries_max;
        if let Some(first) = entries.first_mut().filter(|_| killed) {
            projection::poison(first, "workers died while they worked on this entry");
        }
        Batch { before: self.row.cursor, cursor, entries, published: self.row.published }
    }

    async fn record(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        let row = &self.row;
        let bytes_max = self.worker.limits.state_bytes;
        let committed = self.worker.store.record(row.source, row.fence, batch, bytes_max).await?;
        shared::failpoint::hit("after_commit");
        if batch.cursor > self.row.cursor {
            self.lag.recorded(batch.entries.len());
        }
        self.row.cursor = batch.cursor;
        self.row.seq = committed.seq;
        self.row.attempts = 0;
        Ok(committed)
    }

    /// Publishes a recorded batch, trying on until it is out: the lease is renewed meanwhile.
    async fn publish(&mut self, committed: &Committed) -> Result<(), Trouble> {
        let mut failures = 0;
        loop {
            let publications = &committed.publications;
            match publisher::publish(&self.worker, self.row.generation, publications).await {
                Ok(()) => break,
                Err(error) if self.worker.life.is_stopping() => return Err(error.into()),
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(source = %self.row.source, %error, "not published yet");
                    }
                    failures += 1;
                    self.next_check = Instant::now();
                    tokio::time::sleep(publisher::pause(failures)).await;
                    self.keep().await?;
                    // A new generation may be what the broker waits for.
                    if let Err(Trouble::Lost(source)) = self.check().await {
                        return Err(Trouble::Lost(source));
                    }
                }
            }
        }
        shared::failpoint::hit("before_published");
        self.row.published = committed.seq;
        Ok(())
    }

    /// The database refuses a batch for its data: halves find the entry, which is tried
    /// `MAX_DELIVERIES` times and then dead.
    async fn divide(
        &mut self,
        mut batch: Batch,
        parts: &mut VecDeque<Vec<Entry>>,
        refusals: &mut u32,
        cause: &str,
    ) -> Result<(), Trouble> {
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
            projection::poison(judged, &format!("the database refuses it: {cause}"));
            let started = Instant::now();
            let committed = self.record(&batch).await?;
            self.count(&batch, &committed, started);
            return Ok(());
        }
        let again = batch.entries.into_iter();
        parts.push_front(again.map(|j| Entry { id: j.entry, fields: j.fields }).collect());
        Ok(())
    }

    /// What a failed transaction leaves: the row as it really is.
    async fn after(&mut self, error: StoreError) -> Trouble {
        let passing = matches!(error, StoreError::Unavailable(_) | StoreError::Conflict(_));
        if passing {
            return error.into();
        }
        // Unknown or fenced: the row says whether the batch is in, and who the owner is.
        match self.worker.store.sources(&[self.row.source]).await {
            Ok(rows) => match rows.into_iter().next() {
                Some(row) if row.fence == self.row.fence && row.owner.is_some() => {
                    let published = self.row.published.max(row.published);
                    self.row = SourceRow { published, ..row };
                    Trouble::Passing(error.to_string())
                }
                _ => Trouble::Lost(self.row.source),
            },
            Err(error) => Trouble::Passing(error.to_string()),
        }
    }

    fn count(&self, batch: &Batch, committed: &Committed, started: Instant) {
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
            tracing::debug!(source = %row.source, %error, "the lease runs out by itself");
        }
    }
}
