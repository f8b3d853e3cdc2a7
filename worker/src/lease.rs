//! Leases: claims sources that are free, gives back what is more than this worker's share.
//!
//! The lease is a row in SQL by the database's clock; it only avoids double work. Correctness rests
//! on the fence in the batch transaction and on offsets, see `design.md` §3.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::source::Source;
use runtime::error_gate::ErrorGate;
use store::{SourceRow, StoreError};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, timeout},
};

use crate::{LEASE, Worker, consumer, partitions::PartitionKeeper};

/// How often free sources are looked for.
const POLL: Duration = Duration::from_millis(500);

/// How long the broker may be silent for this worker until it leaves its sources to others.
const BROKER_SILENCE_MAX: Duration = Duration::from_secs(3);

/// How often a partition that is not in force any more is looked at.
const RETIRED_INTERVAL: Duration = Duration::from_secs(5);

/// Holds the sources that this worker owns, each with its consumer.
struct Owned {
    worker: Worker,
    wanted: Vec<Source>,
    partitions: PartitionKeeper,
    /// Partitions that are not in force any more: whether something is left in them, as of when.
    retired: HashMap<Source, (Instant, bool)>,
    give_back: HashMap<Source, Arc<AtomicBool>>,
    consumers: JoinSet<()>,
    tasks: HashMap<Id, Source>,
    /// Since when the broker does not answer this worker.
    broker_silent: Option<Instant>,
}

/// Owns a fair share of the sources until the process stops; then gives them back at once.
pub async fn run(worker: Worker) {
    let wanted = Source::all(worker.limits.partitions).collect();
    let mut owned = Owned {
        worker,
        wanted,
        partitions: PartitionKeeper::default(),
        retired: HashMap::new(),
        give_back: HashMap::new(),
        consumers: JoinSet::new(),
        tasks: HashMap::new(),
        broker_silent: None,
    };
    let mut gate = ErrorGate::default();
    while !owned.worker.life.is_stopping() {
        owned.ask_broker().await;
        let balanced = owned.balance().await;
        let healthy = balanced.is_ok();
        match balanced {
            Ok(()) if gate.close() => {
                tracing::info!("lease: the database answers again, leases are renewed");
            }
            Err(error) if gate.opens(&error.to_string()) => {
                tracing::error!(%error, "lease: leases are not renewed, tried again with every poll");
            }
            _ => {}
        }
        owned.worker.metrics.store_up.set(f64::from(u8::from(healthy)));
        owned.wait().await;
    }
    owned.finish().await;
}

impl Owned {
    /// Waits until the next look: a consumer that ended, a stop, or the poll interval.
    async fn wait(&mut self) {
        tokio::select! {
            Some(ended) = self.consumers.join_next_with_id() => self.ended(ended),
            () = self.worker.life.stopping() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    /// Takes note of a consumer's end: one that panicked owns nothing any more either.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(source) = self.tasks.remove(&id) else { return };
        if let Err(error) = ended {
            tracing::error!(%source, %error, "lease: consumer failed, the source is claimed again");
        }
        self.forget(source);
    }

    /// Notes since when the broker is silent.
    async fn ask_broker(&mut self) {
        let Some(source) = self.wanted.first() else { return };
        let asked = timeout(POLL, self.worker.broker.identity(*source)).await;
        match asked {
            Ok(Ok(_)) => self.broker_silent = None,
            _ => drop(self.broker_silent.get_or_insert_with(Instant::now)),
        }
    }

    /// Leaves everything to the others, if there are any and the broker is silent for this worker.
    async fn leave_to_others(&self) -> Result<bool, StoreError> {
        if self.broker_silent.is_none_or(|since| since.elapsed() <= BROKER_SILENCE_MAX) {
            return Ok(false);
        }
        // A lease of no length: this worker is not among the living that are counted.
        let others = self.worker.store.heartbeat(&self.worker.node, Duration::ZERO).await?;
        if others == 0 {
            return Ok(false);
        }
        for (source, flag) in &self.give_back {
            if !flag.swap(true, Ordering::Relaxed) {
                tracing::warn!(%source, "lease: broker does not answer this worker, the source is left to others");
            }
        }
        Ok(true)
    }

    /// Claims free sources up to the share of this worker, and gives a surplus back.
    ///
    /// Those of more partitions than are in force come last, and are consumed like all others while
    /// something is left in them: what waits there and the leases of their entities would never end
    /// otherwise.
    async fn balance(&mut self) -> Result<(), StoreError> {
        if self.leave_to_others().await? {
            return Ok(());
        }
        let alive = self.worker.store.heartbeat(&self.worker.node, LEASE).await?;
        let partitions = self.partitions.settle(&self.worker).await?;
        if partitions.switching.is_some() {
            return Ok(());
        }
        self.wanted = Source::all(partitions.in_force).collect();
        let rows = self.worker.store.sources(&self.wanted).await?;
        let mut rows = self.without_retired(rows).await?;
        rows.sort_by_key(|row| !self.wanted.contains(&row.source));
        let share = rows.len().div_ceil(alive.max(1) as usize);
        let (given, kept): (Vec<_>, Vec<_>) =
            self.give_back.values().partition(|flag| flag.load(Ordering::Relaxed));
        let surplus = self.give_back.len().saturating_sub(share).saturating_sub(given.len());
        for flag in kept.into_iter().take(surplus) {
            flag.store(true, Ordering::Relaxed);
        }
        for row in rows.iter().filter(|row| row.owner.is_none()) {
            if self.give_back.len() >= share {
                break;
            }
            if self.give_back.contains_key(&row.source) {
                continue;
            }
            let claimed = self.worker.store.claim(row.source, &self.worker.node, LEASE).await?;
            if let Some(row) = claimed {
                self.consume(row);
            }
        }
        Ok(())
    }

    /// Leaves out partitions that are not in force any more and hold nothing, and gives them back.
    async fn without_retired(
        &mut self,
        rows: Vec<SourceRow>,
    ) -> Result<Vec<SourceRow>, StoreError> {
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            if self.wanted.contains(&row.source) || self.is_left_in(&row).await? {
                left.push(row);
            } else if let Some(flag) = self.give_back.get(&row.source) {
                flag.store(true, Ordering::Relaxed);
            }
        }
        Ok(left)
    }

    /// Whether anything is left in a partition: entries, publications, or leases of its entities.
    async fn is_left_in(&mut self, row: &SourceRow) -> Result<bool, StoreError> {
        if let Some((at, left)) = self.retired.get(&row.source)
            && at.elapsed() < RETIRED_INTERVAL
        {
            return Ok(*left);
        }
        let end = self.worker.broker.inspect(row.source).await;
        // While nobody knows, there is.
        let read = end.is_ok_and(|end| end.last_generated <= row.cursor);
        let is_over = read && row.published >= row.seq && row.barrier.is_none();
        let left = !is_over || self.worker.store.holds_leases(row.source).await?;
        self.retired.insert(row.source, (Instant::now(), left));
        Ok(left)
    }

    fn consume(&mut self, row: SourceRow) {
        let source = row.source;
        let (fence, cursor) = (row.fence, row.cursor);
        tracing::info!(%source, fence, %cursor, "lease: claimed, this worker consumes the source");
        self.worker.metrics.lease.with_label_values(&[&source.to_string()]).set(1);
        let give_back = Arc::new(AtomicBool::new(false));
        self.give_back.insert(source, Arc::clone(&give_back));
        let worker = self.worker.clone();
        let task = self.consumers.spawn(consumer::run(worker, row, give_back));
        self.tasks.insert(task.id(), source);
    }

    fn forget(&mut self, source: Source) {
        self.give_back.remove(&source);
        self.worker.metrics.lease.with_label_values(&[&source.to_string()]).set(0);
    }

    async fn finish(mut self) {
        while let Some(ended) = self.consumers.join_next_with_id().await {
            self.ended(ended);
        }
        if let Err(error) = self.worker.store.deregister_worker(&self.worker.node).await {
            tracing::debug!(%error, "lease: worker not deregistered, its heartbeat runs out by itself");
        }
    }
}
