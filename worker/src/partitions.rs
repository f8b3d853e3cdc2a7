//! The number of partitions: each worker wishes for its `INGEST_PARTITIONS`, and what all live ones wish
//! for is put in force while everything runs.
//!
//! SQL holds what is in force; whoever publishes reads it from the broker. In between there is a
//! moment in which nothing is consumed: see `store::partitions`.

use std::time::Duration;

use broker::BrokerError;
use domain::{entry::EntryId, source::Source};
use store::{Partitions, StoreError};

use crate::Worker;

/// After so long another worker takes a change over that one has begun.
const UNFINISHED: Duration = Duration::from_secs(5);

/// After so many looks in a row at which the broker tells another number, it is corrected: a change
/// tells the broker before SQL.
const CONTRADICTIONS_MAX: u32 = 6;

/// Watches over the number of partitions.
#[derive(Debug, Default)]
pub struct PartitionKeeper {
    contradictions: u32,
}

impl PartitionKeeper {
    /// Says what this worker wishes for, changes the number when all wish for the same other one, and
    /// returns what is in force.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn settle(&mut self, worker: &Worker) -> Result<Partitions, StoreError> {
        let wish = worker.limits.partitions;
        let known = worker.store.wish_partitions(&worker.node, wish).await?;
        let to = match (known.switching, known.wished) {
            (Some(to), _) if known.switching_for >= UNFINISHED => to,
            (None, Some(to)) if to != known.in_force => to,
            (None, _) => {
                self.tell(worker, known.in_force).await;
                return Ok(known);
            }
            (Some(_), _) => return Ok(known),
        };
        if let Err(error) = change(worker, known.in_force, to).await {
            tracing::warn!(%error, to, "partitions: number not changed, tried again with the next look");
        }
        worker.store.wish_partitions(&worker.node, wish).await
    }

    /// Makes the broker tell what is in force, should it have forgotten.
    async fn tell(&mut self, worker: &Worker, in_force: u16) {
        match worker.broker.partitions().await {
            Ok(Some(told)) if told == in_force => self.contradictions = 0,
            Ok(Some(_)) if self.contradictions < CONTRADICTIONS_MAX => self.contradictions += 1,
            Ok(_) => {
                self.contradictions = 0;
                if let Err(error) = worker.broker.set_partitions(in_force).await {
                    tracing::debug!(%error, "partitions: number not told, again with the next look");
                }
            }
            Err(error) => tracing::debug!(%error, "partitions: the broker was not asked"),
        }
    }
}

/// Why a change was given up.
#[derive(Debug, thiserror::Error)]
enum ChangeError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

async fn change(worker: &Worker, from: u16, to: u16) -> Result<(), ChangeError> {
    let sources: Vec<Source> = Source::all(from.max(to)).collect();
    // Every row has to be there, and every stream must answer: nothing is stopped in vain.
    worker.store.sources(&sources).await?;
    ends(worker, &sources).await?;
    if !worker.store.begin_partitions(from, to, UNFINISHED).await? {
        return Ok(());
    }
    let told = async {
        worker.broker.set_partitions(to).await?;
        ends(worker, &sources).await
    };
    match told.await {
        Ok(ends) => {
            worker.store.end_partitions(to, &ends).await?;
            tracing::info!(from, to, "partitions in force");
            Ok(())
        }
        Err(error) => {
            worker.broker.set_partitions(from).await.unwrap_or_default();
            worker.store.give_up_partitions(to).await?;
            Err(error.into())
        }
    }
}

/// Where each stream ends now.
async fn ends(worker: &Worker, sources: &[Source]) -> Result<Vec<(Source, EntryId)>, BrokerError> {
    let mut ends = Vec::with_capacity(sources.len());
    for source in sources {
        ends.push((*source, worker.broker.inspect(*source).await?.last_generated));
    }
    Ok(ends)
}
