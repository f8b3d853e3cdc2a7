//! Publishes what was recorded, batch after batch, and answers the nodes that wait for an outcome.

use std::time::Duration;

use broker::{BrokerError, Topic};
use domain::{
    channel::Channel,
    control::{Control, EntryResult},
    node::NodeId,
    position::{Epoch, Position},
    publication::Publication,
    source::Source,
};
use store::{Committed, EntryBatch, EntryVerdict, Outcome, SourceRow, StoreError};

use crate::Worker;

/// How many events are read back from SQL at once when they are published again.
const REPUBLISH_EVENTS: usize = 1000;

/// Why publishing ended before everything was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The broker failed: try the same again after a pause.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Reading back from the record failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Publishes everything that the record holds after `published`, in the order of recording: what a
/// former owner left, or what a failed call left. Returns the new `published`.
///
/// # Errors
/// Fails with [`PublishError`]; the broker refuses what went out already when it comes again.
pub async fn publish_pending(worker: &Worker, row: &SourceRow) -> Result<u64, PublishError> {
    let mut published = row.published;
    loop {
        let left = worker.store.unpublished(row.source, published, REPUBLISH_EVENTS).await?;
        let Some(last) = left.last() else { return Ok(published) };
        let last_seq = last.recorded.seq;
        worker.broker.publish(row.generation, &left).await?;
        published = last_seq;
    }
}

/// Publishes a batch. The next one must not begin before this succeeds: a newer publication of a
/// channel would make an older one look like a repeat.
///
/// # Errors
/// Fails with [`BrokerError`]: nothing is lost, call [`publish_pending`].
pub async fn publish(
    worker: &Worker,
    generation: u64,
    publications: &[Publication],
) -> Result<(), BrokerError> {
    runtime::failpoint::hit("amid_publishing");
    worker.broker.publish(generation, publications).await
}

/// Sends the outcomes of a batch's entries to the nodes that wait for them. Best effort: a publisher
/// without an answer asks again with the same `event_id`.
pub async fn reply(worker: &Worker, source: Source, batch: &EntryBatch, committed: &Committed) {
    for (judged, outcome) in batch.entries.iter().zip(&committed.outcomes) {
        let reply = match &judged.verdict {
            EntryVerdict::Accepted(submission) => submission.reply.clone(),
            EntryVerdict::Dead(_) => {
                let given = judged.fields.get("reply").map(<[u8]>::to_vec);
                given.and_then(|bytes| String::from_utf8(bytes).ok())
            }
        };
        let Some((node, request)) = reply.as_deref().and_then(|reply| reply.rsplit_once(':'))
        else {
            continue;
        };
        let Ok(request) = request.parse() else { continue };
        let result = match outcome {
            Outcome::Recorded(offsets) | Outcome::Repeated(offsets) => {
                EntryResult::Published(positions(committed.epoch, source, offsets))
            }
            // Its first reading was answered, or no node waits for it any more.
            Outcome::Known => continue,
            Outcome::Dead(reason) => EntryResult::Rejected(reason.text.clone()),
        };
        let topic = Topic::Node(NodeId(node.into()));
        let control = Control::Outcome { request, result };
        if let Err(error) = worker.broker.send(&topic, control.encode(committed.epoch)).await {
            tracing::debug!(%error, node, "publisher: outcome not sent, the publisher asks again");
        }
    }
}

fn positions(epoch: Epoch, source: Source, offsets: &[(Channel, u64)]) -> Vec<(String, String)> {
    let position = |channel: &Channel, offset: u64| {
        let offsets = [(source, offset)].into_iter().collect();
        Position { epoch, offsets }.show(channel)
    };
    offsets.iter().map(|(channel, o)| (channel.to_string(), position(channel, *o))).collect()
}

/// Returns a pause that grows with the failures in a row: 50 ms to 2 s.
pub fn pause(failures: u32) -> Duration {
    Duration::from_millis(50 << failures.min(5)).min(Duration::from_secs(2))
}
