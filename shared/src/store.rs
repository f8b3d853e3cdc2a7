//! The port to SQL: the record of what happened. SQLite for one process, PostgreSQL for many.

mod channel;
mod connect;
mod database;
mod dead_letter;
mod denial;
mod engine;
mod entity;
mod event;
mod known;
mod migrations;
mod page;
mod plan;
mod postgres;
mod record;
mod retention;
mod source;
mod sqlite;
mod states;
mod worker;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;

pub use self::connect::{Options, connect};
use crate::{
    broker::NodeId,
    channel::Channel,
    entry::{EntryId, Fields},
    event::{
        State, Submission,
        state::{Entity, EntityKind},
    },
    position::{Epoch, Offsets, Position},
    publication::Publication,
    source::Source,
};

/// What went wrong in SQL, by what the caller can do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done; try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A commit may or may not have happened: read the source's row again before anything else.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// Another owner has the source, or the cursor is elsewhere: read the source's row again.
    #[error("{0} has another owner or another cursor")]
    Fenced(Source),
    /// Two transactions got in each other's way; try again.
    #[error("a conflict with another transaction: {0}")]
    Conflict(String),
    /// The database says no to the data itself: trying again does not help.
    #[error("the database refuses: {0}")]
    Refused(String),
}

/// A source's row: who owns it and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// The source.
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
    /// How many owners began to work at this cursor without getting past it.
    pub attempts: u32,
}

/// One entry with the judgement of its projection.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The entry's id.
    pub entry: EntryId,
    /// The fingerprint of its fields.
    pub digest: i64,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Its fields, kept for the dead-letter store.
    pub fields: Fields,
}

/// What becomes of an entry.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is recorded and published.
    Accepted(Box<Submission>),
    /// It goes to the dead letters.
    Dead(DeadReason),
}

/// Why an entry is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadReason {
    /// A word of few for the metrics: the wrong field, `poison`, `state_bytes` …
    pub label: &'static str,
    /// The whole sentence.
    pub text: String,
}

/// What one transaction records.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The cursor before it; another one in the row means that somebody else went on.
    pub before: EntryId,
    /// The cursor after it: the id of the last entry read.
    pub cursor: EntryId,
    /// The entries, in stream order.
    pub entries: Vec<Judged>,
    /// How far is certainly published, noted along.
    pub published: u64,
}

/// What became of one entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was recorded now; its channels and the offsets there.
    Recorded(Vec<(Channel, u64)>),
    /// The same `event_id` was applied before: the channels and offsets of that time.
    Repeated(Vec<(Channel, u64)>),
    /// The same entry was taken in before: it was read again after a loss at the broker.
    Known,
    /// It is a dead letter.
    Dead(DeadReason),
}

impl Outcome {
    /// A word for it, for metrics and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "recorded",
            Self::Repeated(_) => "repeated",
            Self::Known => "known",
            Self::Dead(_) => "dead",
        }
    }
}

/// What a batch's transaction did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The epoch in which the offsets were given.
    pub epoch: Epoch,
    /// What is to be published, in the order of recording.
    pub publications: Vec<Publication>,
    /// One outcome for each entry of the batch, in its order.
    pub outcomes: Vec<Outcome>,
    /// The source's last number now.
    pub seq: u64,
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
    /// Its id.
    pub id: String,
}

/// An entity in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// When it was first heard of, ms since 1970.
    pub created: i64,
    /// Its state.
    pub state: State,
}

/// An entity of which nothing was heard for as long as its lease (rule 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lapsed {
    /// Which entity.
    pub entity: Entity,
    /// For how long nothing was heard, ms.
    pub lease_ms: i64,
    /// When its lease ran out, ms since 1970.
    pub lease_until: i64,
}

/// An entry that was not accepted.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its number.
    pub id: i64,
    /// Where it came from.
    pub source: Source,
    /// The id of its entry.
    pub entry: String,
    /// Why.
    pub reason: String,
    /// When, ms since 1970.
    pub at: i64,
    /// Its fields; bytes that are no UTF-8 were replaced.
    pub fields: BTreeMap<String, String>,
}

/// Where one event stands in the record, for `fanfare explain`.
#[derive(Clone, Debug)]
pub struct Traced {
    /// The source.
    pub source: Source,
    /// The number within the source.
    pub seq: u64,
    /// The payload, as in [`Publication::payload`].
    pub payload: bytes::Bytes,
    /// Channels and offsets.
    pub offsets: Vec<(Channel, u64)>,
}

/// The store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Brings the schema to the current version, under a lock.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// The fingerprint of the database that the newest connection leads to.
    fn epoch(&self) -> Epoch;

    /// Whether the database answers.
    async fn check(&self) -> Result<(), StoreError>;

    // === Sources: rules 1 and 3 of the record ===

    /// All sources' rows, creating those that are missing.
    async fn sources(&self, wanted: &[Source]) -> Result<Vec<SourceRow>, StoreError>;

    /// Says that a worker lives, and how many do. The database's clock counts.
    async fn heartbeat(&self, worker: &NodeId, lease: Duration) -> Result<u32, StoreError>;

    /// Takes the worker off the list of the living.
    async fn farewell(&self, worker: &NodeId) -> Result<(), StoreError>;

    /// Takes a source that is free or whose lease ran out; none when another has it. The fence
    /// rises; the attempts stay.
    async fn claim(
        &self,
        source: Source,
        owner: &NodeId,
        lease: Duration,
    ) -> Result<Option<SourceRow>, StoreError>;

    /// Prolongs the lease and notes how far is published.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another has the source.
    async fn renew(
        &self,
        source: Source,
        fence: u64,
        published: u64,
        lease: Duration,
    ) -> Result<(), StoreError>;

    /// Counts that the owner begins to work on the entries after the cursor; how many owners did so
    /// since the cursor last moved. An entry that kills workers shows by this number. A recorded
    /// batch sets it to 0.
    async fn attempt(&self, source: Source, fence: u64) -> Result<u32, StoreError>;

    /// Gives a source back, noting how far is published.
    async fn release(&self, source: Source, fence: u64, published: u64) -> Result<(), StoreError>;

    /// Enters a new generation with the broker's replication id and sets the cursor back to
    /// `cursor` if that is earlier (rules 6 and 7).
    async fn regenerate(
        &self,
        source: Source,
        fence: u64,
        generation: u64,
        replid: &str,
        cursor: EntryId,
    ) -> Result<SourceRow, StoreError>;

    // === The record ===

    /// Records a batch in one transaction. `state_bytes_max` is the bound of a folded state.
    async fn record(
        &self,
        source: Source,
        fence: u64,
        batch: &Batch,
        state_bytes_max: usize,
    ) -> Result<Committed, StoreError>;

    /// Events after `seq`, in order, with all their channels: what a new owner publishes again. At
    /// most `events_max` and a few megabytes; whoever wants all asks again until none comes.
    async fn unpublished(
        &self,
        source: Source,
        after_seq: u64,
        events_max: usize,
    ) -> Result<Vec<Publication>, StoreError>;

    // === Reading ===

    /// Position and state of a channel, in one step.
    async fn snapshot(&self, channel: &Channel) -> Result<Snapshot, StoreError>;

    /// The newest positions of channels, in their order.
    async fn positions(&self, channels: &[Channel]) -> Result<Vec<Position>, StoreError>;

    /// Publications after `after`, at most `limit` and about `bytes_max`.
    async fn page(
        &self,
        channel: &Channel,
        after: &Offsets,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError>;

    /// The newest publications up to `before` (all, when none), at most `limit`, oldest first.
    async fn page_back(
        &self,
        channel: &Channel,
        before: Option<&Offsets>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError>;

    /// The state of an entity.
    async fn entity(&self, entity: &Entity) -> Result<Option<State>, StoreError>;

    /// Entities of a kind, newest first.
    async fn entities(
        &self,
        kind: EntityKind,
        filter: &EntityFilter,
    ) -> Result<Vec<Listed>, StoreError>;

    /// Entities last heard of by this source whose lease ran out more than `read_to_end` ago, by the
    /// database's clock: so long ago its owner read the stream to its end, so nothing that was said
    /// in time is still unread. A lease longer than `reachable` does not count yet: so long the
    /// stream could be appended to without a break. Those that ended hold no lease.
    async fn lapsed(
        &self,
        source: Source,
        read_to_end: Duration,
        reachable: Duration,
        limit: usize,
    ) -> Result<Vec<Lapsed>, StoreError>;

    /// The event of an entry, `MS-NUMBER`, or of a position in a channel, `CHANNEL@EPOCH-OFFSET`.
    async fn trace(&self, entry: &str) -> Result<Option<Traced>, StoreError>;

    // === Dead letters ===

    /// Dead letters, newest first, before `before`.
    async fn dead_letters(
        &self,
        source: Option<Source>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// One dead letter.
    async fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StoreError>;

    /// Forgets a dead letter; whether it was there.
    async fn drop_dead_letter(&self, id: i64) -> Result<bool, StoreError>;

    // === Denials ===

    /// Keeps a user out for so long from now, instead of what was said before; until when, ms
    /// since 1970 by the database's clock.
    async fn deny(&self, user: &str, time: Duration) -> Result<i64, StoreError>;

    /// Lets a user in again; whether they were kept out.
    async fn admit(&self, user: &str) -> Result<bool, StoreError>;

    /// Everybody who is kept out, and until when; the longest first.
    async fn denied(&self) -> Result<Vec<(String, i64)>, StoreError>;

    // === Retention ===

    /// Removes a slice of what is older than the given ages, by the database's clock: events and
    /// publications (raising the floors), states that ended, known entries. Whether more is left.
    async fn retain(&self, archive: Duration, state: Duration) -> Result<bool, StoreError>;
}
