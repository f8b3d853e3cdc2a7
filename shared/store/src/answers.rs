//! What is read from the record: rows of sources, pages of channels, lists of entities, dead letters.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

use domain::{
    activity::ActivityTotals,
    channel::Channel,
    entry::EntryId,
    event::{
        State,
        entity::{Entity, EntityKind},
    },
    node::NodeId,
    position::{Epoch, Offsets, Position},
    publication::Publication,
    source::{Source, Stream, UnknownStream},
};

use crate::batch::DeadReason;

/// A source's row: who owns it and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// The source that the row is about.
    pub source: Source,
    /// Its owner; none when it is free or its lease ran out.
    pub owner: Option<NodeId>,
    /// Rises with every change of owner.
    pub fence: u64,
    /// The last entry that was recorded.
    pub cursor: EntryId,
    /// The number of the last recorded event.
    pub seq: u64,
    /// The number of the last event that was certainly published.
    pub published: u64,
    /// The broker's replication id that the generation belongs to.
    pub replid: String,
    /// Rises whenever the broker's memory of what was published cannot be trusted.
    pub generation: u64,
    /// The epoch that the generation belongs to.
    pub epoch: Epoch,
    /// The epoch of the database as this was read: another one raises the generation before anything
    /// is recorded.
    pub database_epoch: Epoch,
    /// How many owners began to work at this cursor without getting past it.
    pub attempts: u32,
    /// How many entries its stream ever had up to the cursor; none when that is not known.
    pub added: Option<u64>,
    /// After a change of the number of partitions: up to here the source goes on alone.
    pub barrier: Option<EntryId>,
    /// Whether the database was promoted and nobody has judged yet whether it holds everything that
    /// was published: nothing is recorded until then.
    pub promoted: bool,
}

/// How many partitions each stream has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions {
    /// What is in force.
    pub in_force: u16,
    /// What is being put in force.
    pub switching: Option<u16>,
    /// For how long that has been going on.
    pub switching_for: Duration,
    /// What all live workers wish for; none while they differ.
    pub wished: Option<u16>,
}

impl Partitions {
    /// So many, and nothing else is wished for.
    pub fn of(in_force: u16) -> Self {
        let wished = Some(in_force);
        Self { in_force, switching: None, switching_for: Duration::ZERO, wished }
    }
}

/// Position and state of a channel, read in one step.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The newest position.
    pub position: Position,
    /// The state there, for a channel of an entity that has one.
    pub state: Option<Arc<State>>,
}

/// A part of a channel's archive.
#[derive(Clone, Debug)]
pub struct Page {
    /// Publications, in the order of recording; contiguous per source.
    pub publications: Vec<Publication>,
    /// The offsets up to which the archive was removed by retention.
    pub floor: Offsets,
    /// The newest position at the time of reading.
    pub head: Position,
}

/// Which entities a list is about.
#[derive(Clone, Debug, Default)]
pub struct EntityFilter {
    /// Only those of this status.
    pub status: Option<String>,
    /// Only those whose state has these values: `("executor", "codex")`.
    pub matching: Vec<(&'static str, serde_json::Value)>,
    /// Only those whose state has this key: seed 001 lists tasks that were created, with `created_at`.
    pub having: Option<&'static str>,
    /// Only those of whose id, title or project this is a part, without regard to case.
    pub text: Option<String>,
    /// Whether the oldest come first.
    pub is_oldest_first: bool,
    /// At most so many.
    pub limit: usize,
    /// Leave out so many of the first.
    pub offset: usize,
    /// Continue after this entity: the `cursor` of an earlier list.
    pub after: Option<ListCursor>,
}

/// Where a list goes on: newest first, by time of creation and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor {
    /// When the entity was first heard of, ms since 1970.
    pub created: i64,
    /// The id of the entity.
    pub id: String,
}

/// An entity in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The id of the entity.
    pub id: String,
    /// When it was first heard of, ms since 1970.
    pub created: i64,
    /// The folded state, as of the moment of reading.
    pub state: State,
}

/// An entity of which nothing was heard for as long as its lease (rule 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapsed {
    /// The entity whose lease ran out.
    pub entity: Entity,
    /// For how long nothing was heard, ms.
    pub lease_ms: i64,
    /// When its lease ran out, ms since 1970.
    pub lease_until: i64,
}

/// Where dead letters come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetterOrigin {
    /// A stream, all of its partitions.
    Stream(Stream),
    /// One partition of a stream.
    Source(Source),
    /// The outbox of alerts: webhooks that could not be delivered.
    Webhooks,
}

impl DeadLetterOrigin {
    const WEBHOOKS: &str = "webhooks";
}

impl fmt::Display for DeadLetterOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => stream.fmt(f),
            Self::Source(source) => source.fmt(f),
            Self::Webhooks => f.write_str(Self::WEBHOOKS),
        }
    }
}

impl FromStr for DeadLetterOrigin {
    type Err = UnknownStream;

    fn from_str(name: &str) -> Result<Self, UnknownStream> {
        if name == Self::WEBHOOKS {
            return Ok(Self::Webhooks);
        }
        match name.parse() {
            Ok(stream) => Ok(Self::Stream(stream)),
            Err(_) => name.parse().map(Self::Source),
        }
    }
}

/// Which dead letters a call for many is about: those that fit everything that is given.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterFilter {
    /// Of this origin.
    pub origin: Option<DeadLetterOrigin>,
    /// For this reason: the word of the metrics, or the whole sentence.
    pub reason: Option<String>,
    /// From before this time, ms since 1970.
    pub before: Option<i64>,
}

/// An entry that was not accepted, or a webhook that was not delivered.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The number of the row, newest highest.
    pub id: i64,
    /// Where it came from: a source, or the outbox.
    pub origin: DeadLetterOrigin,
    /// The id of its entry, or of the webhook.
    pub entry: String,
    /// The reason, as a sentence.
    pub reason: String,
    /// The reason in one word, by which letters are counted.
    pub label: String,
    /// When, ms since 1970.
    pub at: i64,
    /// Its fields; bytes that are no UTF-8 were replaced.
    pub fields: BTreeMap<String, String>,
}

/// A webhook that is due, taken by whoever sends it.
#[derive(Clone, Debug)]
pub struct WebhookDelivery {
    /// The number of the row.
    pub id: i64,
    /// What the receiver knows it by, the same in every try.
    pub webhook: String,
    /// The name of its route.
    pub route: String,
    /// The id of the alert.
    pub alert: String,
    /// Whether an acknowledgement stops it.
    pub escalates: bool,
    /// When it counts as lost with its sender, ms since 1970.
    pub due: i64,
    /// How often it was tried, with this time.
    pub tries: u32,
}

/// How a try at a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// It is delivered, or not wanted any more.
    Done,
    /// It is tried again after a pause.
    Again(Duration),
    /// It failed for good: a dead letter.
    Failed(DeadReason),
}

/// What became of a task, as far as it is known.
#[derive(Clone, Debug, Default)]
pub struct TaskRun {
    /// Its executor.
    pub executor: Option<String>,
    /// Its status; empty where it never had one.
    pub status: String,
    /// When it was first heard of, ms since 1970.
    pub created: i64,
    /// The agent that had it last.
    pub agent: Option<String>,
    /// What an agent must be able to do for it.
    pub capabilities: Vec<String>,
    /// How often it was given to an agent again.
    pub retries: u64,
    /// How long it waited for its first agent, ms.
    pub wait_ms: Option<i64>,
    /// How long its last attempt ran, ms.
    pub run_ms: Option<i64>,
}

/// Where one event stands in the record, for `fanfare explain`.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The source that the event came by.
    pub source: Source,
    /// The number within the source.
    pub seq: u64,
    /// The payload, as in [`Publication::payload`].
    pub payload: bytes::Bytes,
    /// Channels and offsets.
    pub offsets: Vec<(Channel, u64)>,
}

/// What the installation did, minute by minute.
#[derive(Clone, Debug, Default)]
pub struct ActivitySince {
    /// The time of the database, ms since 1970.
    pub now: i64,
    /// By the beginning of the minute, ms since 1970; of one that is missing nothing is known.
    pub minutes: BTreeMap<i64, ActivityRow>,
}

/// What all processes did in a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActivityRow {
    /// What they counted in it.
    pub totals: ActivityTotals,
    /// How many connections were open at its end.
    pub connections: Option<u64>,
}

/// How much of everything the record holds.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    /// Entities of every kind, by status (alerts: `open` and `acknowledged`).
    pub entities: BTreeMap<EntityKind, BTreeMap<String, u64>>,
    /// Dead letters by stream and reason, as the metrics name it.
    pub dead_letters: Vec<(Option<Stream>, String, u64)>,
}

/// What an operator does, to be kept.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// The name of the key, or the user of the token.
    pub who: String,
    /// The word for what is done.
    pub action: &'static str,
    /// To whom or what.
    pub target: String,
    /// The process that does it.
    pub node: NodeId,
    /// What else there is to know, a JSON object.
    pub details: serde_json::Value,
}

/// What an operator did.
#[derive(Clone, Debug)]
pub struct AuditRecord {
    /// The number of the row, newest highest.
    pub id: i64,
    /// When, ms since 1970 by the database's clock.
    pub at: i64,
    /// The name of the key, or the user of the token.
    pub who: String,
    /// The word for what was done.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// The process that did it.
    pub node: String,
    /// What else there is to know, a JSON object.
    pub details: serde_json::Value,
}

/// Where an erasure goes on: the number of a source and an offset there.
pub type ErasePoint = (i64, i64);

/// A slice of events that were erased.
#[derive(Clone, Debug, Default)]
pub struct ErasedEvents {
    /// How many.
    pub events: u64,
    /// The channels that carry them, with their sources.
    pub channels: Vec<(Channel, Source)>,
    /// Their entries at the broker.
    pub entries: Vec<(Source, EntryId)>,
    /// Where to go on; none when there is nothing left.
    pub next: Option<ErasePoint>,
}
