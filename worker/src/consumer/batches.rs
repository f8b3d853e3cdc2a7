//! From what was read to what is published: batches that are validated, recorded and published, and
//! halved where the database does not take them.

use std::collections::VecDeque;

use domain::{entry::Entry, source::Stream};
use runtime::error_gate::ErrorGate;
use store::{Committed, EntryBatch, StoreError};
use tokio::time::Instant;

use super::{Consumer, error::Error};
use crate::{
    escalation,
    publisher::{self, PublishError},
    traces::{self, BatchTrace},
    validation,
};

/// From so many unfinished attempts on the owner takes one entry at a time: one of them kills
/// workers.
const SUSPECT_ATTEMPTS: u32 = 3;

impl Consumer {
    /// Brings entries from validation to publication: one batch, or several where one is too small.
    ///
    /// What was read before the cursor was set back is thrown away: its rest would jump over what
    /// has to be read again (rule 7).
    pub(super) async fn process(
        &mut self,
        entries: Vec<Entry>,
        started: Instant,
    ) -> Result<(), Error> {
        runtime::failpoint::hit("after_read");
        let entries_max = self.count_attempt().await?;
        let mut parts = self.parts(entries, entries_max);
        let (mut tries, read) = (0, self.set_backs);
        while let Some(mut part) = parts.pop_front() {
            self.renew_lease().await?;
            if self.set_backs != read {
                return Ok(());
            }
            if part.len() > self.limit.entries() {
                parts.push_front(part.split_off(self.limit.entries()));
            }
            let batch = self.batch(part, entries_max);
            let mut trace = BatchTrace::begin(self.row.source, &batch);
            match traces::instrumented(trace.as_ref(), self.record(&batch)).await {
                Ok(committed) => {
                    tries = 0;
                    self.limit.grow(batch.entries.len());
                    trace.iter_mut().for_each(BatchTrace::recorded);
                    traces::instrumented(trace.as_ref(), self.publish(&committed)).await?;
                    if let Some(trace) = trace {
                        trace.published(&self.worker.node, &batch, &committed);
                    }
                    publisher::reply(&self.worker, self.row.source, &batch, &committed).await;
                    self.count(&batch, &committed, started);
                }
                Err(error @ (StoreError::Refused(_) | StoreError::TooMuch(_))) => {
                    trace.iter_mut().for_each(|trace| trace.failed(&error.to_string()));
                    self.bisect(batch, &mut parts, &mut tries, &error).await?;
                }
                Err(error) => {
                    trace.iter_mut().for_each(|trace| trace.failed(&error.to_string()));
                    if matches!(error, StoreError::Unknown(_)) {
                        self.limit.shrink(batch.entries.len());
                    }
                    return Err(self.reload_after(error).await);
                }
            }
        }
        Ok(())
    }

    /// Returns how many entries are taken at once: one, when earlier owners died at this cursor.
    /// An owner counts as having begun once; one that says goodbye takes that back.
    pub(super) async fn count_attempt(&mut self) -> Result<usize, Error> {
        if !self.attempted {
            let row = &self.row;
            self.row.attempts = self.worker.store.attempt(row.source, row.fence).await?;
            self.attempted = true;
        }
        Ok(self.entries_max())
    }

    /// Returns how many entries a batch and a read may hold.
    pub(super) fn entries_max(&self) -> usize {
        // A new owner reads before it counts itself.
        let attempts = self.row.attempts + u32::from(!self.attempted);
        if attempts < SUSPECT_ATTEMPTS { self.worker.limits.batch_entries } else { 1 }
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
        for judged in &mut entries {
            escalation::routing::route(&self.worker.escalation.routes, judged);
        }
        EntryBatch { before: self.row.cursor, cursor, entries, published: self.row.published }
    }

    pub(super) async fn record(&mut self, batch: &EntryBatch) -> Result<Committed, StoreError> {
        let row = &self.row;
        let bytes_max = self.worker.limits.state_bytes;
        let committed = self.worker.store.record(row.source, row.fence, batch, bytes_max).await?;
        runtime::failpoint::hit("after_commit");
        if batch.cursor > self.row.cursor {
            self.lag.recorded(batch.entries.len());
            self.row.added = self.row.added.map(|added| added + batch.entries.len() as u64);
            self.row.attempts = 0;
        }
        if self.row.source.stream == Stream::Tasks {
            self.work.timings.observe(&self.worker.metrics.tasks, &committed.publications);
            self.work.hurry(Instant::now());
        }
        self.row.cursor = batch.cursor;
        self.row.seq = committed.seq;
        Ok(committed)
    }

    /// Publishes a recorded batch, again and again until it succeeds; renews the lease meanwhile.
    ///
    /// `published` moves only contiguously (rule 4): where an earlier commit of unknown outcome has
    /// come to light, or the epoch changed, everything since is read from the record.
    pub(super) async fn publish(&mut self, committed: &Committed) -> Result<(), Error> {
        let follows = committed.seq - committed.events == self.reached();
        let (mut failures, mut gate) = (0, ErrorGate::default());
        loop {
            let same_epoch = committed.epoch == self.worker.store.epoch();
            let published = if follows && same_epoch {
                self.publish_batch(committed).await
            } else {
                self.publish_recorded().await
            };
            match published {
                Ok(()) => break,
                Err(error) if self.is_leaving() => return Err(error.into()),
                Err(error) => {
                    if gate.opens(&error.to_string()) {
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
        Ok(())
    }

    async fn publish_batch(&mut self, committed: &Committed) -> Result<(), PublishError> {
        let (worker, generation) = (&self.worker, self.row.generation);
        let lagging = self.lagging();
        let publications = &committed.publications;
        let published = publisher::publish(worker, generation, publications, lagging).await;
        let lagging = published.inspect_err(|error| self.outranked |= error.is_superseded())?;
        runtime::failpoint::hit("before_published");
        self.note_reached(committed.seq, lagging);
        Ok(())
    }

    /// Publishes everything that the record holds.
    pub(super) async fn publish_recorded(&mut self) -> Result<(), PublishError> {
        let reached = publisher::publish_pending(&self.worker, &self.row).await;
        let reached = reached.inspect_err(|error| self.outranked |= error.is_superseded())?;
        runtime::failpoint::hit("before_published");
        self.row.published = self.row.published.max(reached.published);
        self.note_reached(reached.seq.max(self.row.seq), reached.lagging);
        Ok(())
    }

    /// Halves a batch that the database does not take, for its data or for its weight, down to the
    /// entry at fault; that one is tried `MAX_DELIVERIES` times and then becomes a dead letter. Only
    /// tries that the database answered count.
    async fn bisect(
        &mut self,
        mut batch: EntryBatch,
        parts: &mut VecDeque<Vec<Entry>>,
        tries: &mut u32,
        error: &StoreError,
    ) -> Result<(), Error> {
        let too_much = matches!(error, StoreError::TooMuch(_));
        if too_much {
            self.limit.shrink(batch.entries.len());
        }
        if batch.entries.len() > 1 {
            let mut first = entries(batch);
            let second = first.split_off(first.len() / 2);
            parts.push_front(second);
            parts.push_front(first);
            return Ok(());
        }
        if too_much {
            self.worker.store.check().await?;
        }
        *tries += 1;
        if *tries < self.worker.limits.deliveries_max {
            tokio::time::sleep(publisher::pause(*tries)).await;
        } else if let Some(judged) = batch.entries.first_mut() {
            *tries = 0;
            validation::reject(judged, &format!("the database does not take it: {error}"));
            let started = Instant::now();
            let committed = match self.record(&batch).await {
                Ok(committed) => committed,
                Err(error) => return Err(self.reload_after(error).await),
            };
            self.publish(&committed).await?;
            publisher::reply(&self.worker, self.row.source, &batch, &committed).await;
            self.count(&batch, &committed, started);
            return Ok(());
        }
        parts.push_front(entries(batch));
        Ok(())
    }
}

/// Returns the entries of a batch as they were read.
fn entries(batch: EntryBatch) -> Vec<Entry> {
    let judged = batch.entries.into_iter();
    judged.map(|judged| Entry { id: judged.entry, fields: judged.fields }).collect()
}
