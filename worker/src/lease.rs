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
use store::{SourceRow, StoreError};
use tokio::task::JoinSet;

use crate::{LEASE, Worker, consumer};

/// How often free sources are looked for.
const POLL: Duration = Duration::from_millis(500);

/// Holds the sources that this worker owns, each with its consumer.
struct Owned {
    worker: Worker,
    wanted: Vec<Source>,
    give_back: HashMap<Source, Arc<AtomicBool>>,
    consumers: JoinSet<Source>,
}

/// Owns a fair share of the sources until the process stops; then gives them back at once.
pub async fn run(worker: Worker) {
    let wanted = Source::all(worker.limits.partitions).collect();
    let mut owned = Owned { worker, wanted, give_back: HashMap::new(), consumers: JoinSet::new() };
    let mut healthy = true;
    while !owned.worker.life.is_stopping() {
        match owned.balance().await {
            Ok(()) if !healthy => {
                healthy = true;
                tracing::info!("lease: the database answers again, leases are renewed");
            }
            Err(error) if healthy => {
                healthy = false;
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
            Some(ended) = self.consumers.join_next() => {
                if let Ok(source) = ended {
                    self.forget(source);
                }
            }
            () = self.worker.life.stopping() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    /// Claims free sources up to the share of this worker, and gives a surplus back.
    async fn balance(&mut self) -> Result<(), StoreError> {
        let alive = self.worker.store.heartbeat(&self.worker.node, LEASE).await?;
        let rows = self.worker.store.sources(&self.wanted).await?;
        let share = self.wanted.len().div_ceil(alive.max(1) as usize);
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

    fn consume(&mut self, row: SourceRow) {
        let source = row.source;
        let (fence, cursor) = (row.fence, row.cursor);
        tracing::info!(%source, fence, %cursor, "lease: claimed, this worker consumes the source");
        self.worker.metrics.lease.with_label_values(&[&source.to_string()]).set(1);
        let give_back = Arc::new(AtomicBool::new(false));
        self.give_back.insert(source, Arc::clone(&give_back));
        let worker = self.worker.clone();
        self.consumers.spawn(async move {
            consumer::run(worker, row, &give_back).await;
            source
        });
    }

    fn forget(&mut self, source: Source) {
        self.give_back.remove(&source);
        self.worker.metrics.lease.with_label_values(&[&source.to_string()]).set(0);
    }

    async fn finish(mut self) {
        while let Some(ended) = self.consumers.join_next().await {
            if let Ok(source) = ended {
                self.forget(source);
            }
        }
        if let Err(error) = self.worker.store.deregister_worker(&self.worker.node).await {
            tracing::debug!(%error, "lease: worker not deregistered, its heartbeat runs out by itself");
        }
    }
}
