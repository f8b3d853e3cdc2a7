//! Publishes what was recorded, batch after batch, and answers the nodes that wait for an outcome.

use std::{borrow::Cow, time::Duration};

use broker::{BrokerError, Lagging, Topic};
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

impl PublishError {
    /// Whether the broker holds what a later generation published.
    pub const fn is_superseded(&self) -> bool {
        matches!(self, Self::Broker(error) if error.is_superseded())
    }
}

/// How far publishing came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Up to here everything was published.
    pub published: u64,
    /// Up to here everything was but what belongs to channels that lag.
    pub seq: u64,
    /// Channels that a part of the broker did not take.
    pub lagging: Lagging,
}

/// Publishes everything that the record holds after `published`, in the order of recording.
///
/// That is what a former owner left, or what a failed call left. What a part of the broker does not
/// take is left out, so that it holds up nothing else.
///
/// # Errors
/// Fails with [`PublishError`]; the broker refuses what went out already when it comes again.
pub async fn publish_pending(worker: &Worker, row: &SourceRow) -> Result<Reached, PublishError> {
    let mut reached =
        Reached { published: row.published, seq: row.published, ..Reached::default() };
    while publish_slice(worker, row, &mut reached).await? {}
    Ok(reached)
}

/// Publishes one slice of what the record holds after `reached`; whether there was any.
///
/// # Errors
/// Fails with [`PublishError`], as [`publish_pending`].
pub async fn publish_slice(
    worker: &Worker,
    row: &SourceRow,
    reached: &mut Reached,
) -> Result<bool, PublishError> {
    let left = worker.store.unpublished(row.source, reached.seq, REPUBLISH_EVENTS).await?;
    let Some(last) = left.last() else { return Ok(false) };
    let last_seq = last.recorded.seq;
    reached.lagging = publish(worker, row.generation, &left, reached.lagging).await?;
    reached.seq = last_seq;
    if reached.lagging.is_empty() {
        reached.published = last_seq;
    }
    Ok(true)
}

/// Publishes a batch but what belongs to channels that lag; returns which ones do afterwards.
///
/// The next one must not begin before this succeeds: a newer publication of a channel would make an
/// older one look like a repeat.
///
/// # Errors
/// Fails with [`BrokerError`]: nothing is lost, call [`publish_pending`].
pub async fn publish(
    worker: &Worker,
    generation: u64,
    publications: &[Publication],
    lagging: Lagging,
) -> Result<Lagging, BrokerError> {
    runtime::failpoint::hit("amid_publishing");
    let served: Cow<'_, [Publication]> = if lagging.is_empty() {
        Cow::Borrowed(publications)
    } else {
        let served = publications.iter().filter(|it| !lagging.contains(&it.channel));
        served.cloned().collect()
    };
    match worker.broker.publish(generation, &served).await {
        Ok(()) => Ok(lagging),
        Err(BrokerError::Partial(more, reason)) => {
            tracing::debug!(reason, "publisher: channels lag");
            Ok(lagging.and(more))
        }
        Err(error) => Err(error),
    }
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
            Outcome::Refused(rejection) => EntryResult::Refused {
                path: rejection.path.clone(),
                message: rejection.message.clone(),
                word: rejection.word.map(str::to_owned),
            },
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
