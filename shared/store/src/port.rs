//! The port to SQL: everything that is asked of the record.

use std::time::Duration;

use async_trait::async_trait;
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
    source::{Source, Stream},
};

use crate::{
    answers::{
        ActivitySince, AuditEntry, AuditRecord, DeadLetter, DeadLetterFilter, DeadLetterOrigin,
        DeliveryEnd, EntityFilter, ErasePoint, ErasedEvents, Holdings, Lapsed, Listed, Page,
        Partitions, Snapshot, SourceRow, TaskRun, Traced, WebhookDelivery,
    },
    batch::{Committed, EntryBatch},
    error::StoreError,
    work::port::WorkStore,
};

/// What workers and gateways ask of the record.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The queue of tasks for one.
    fn work(&self) -> &dyn WorkStore;

    /// Brings the schema to the current version, under a lock.
    async fn migrate(&self) -> Result<(), StoreError>;

    /// Whether the schema is the one of this version, or a later one.
    async fn is_migrated(&self) -> Result<bool, StoreError>;

    /// The fingerprint of the database that the newest connection leads to.
    fn epoch(&self) -> Epoch;

    /// Begins a new epoch, unless another process did since `after`; the epoch from now on. No
    /// position of before means anything any more.
    async fn begin_epoch(&self, after: Epoch) -> Result<Epoch, StoreError>;

    /// Takes a promoted database for the same record: it holds everything that was published.
    async fn accept_promotion(&self) -> Result<(), StoreError>;

    /// Whether the database answers.
    async fn check(&self) -> Result<(), StoreError>;

    // === Sources: rules 1 and 3 of the record ===

    /// All sources' rows, creating those that are missing.
    async fn sources(&self, wanted: &[Source]) -> Result<Vec<SourceRow>, StoreError>;

    /// Says that a worker lives, and how many do. The database's clock counts.
    async fn heartbeat(&self, worker: &NodeId, lease: Duration) -> Result<u32, StoreError>;

    /// Takes the worker off the list of the living.
    async fn deregister_worker(&self, worker: &NodeId) -> Result<(), StoreError>;

    /// Notes how many partitions a worker that lives wishes for, and reads what is in force.
    async fn wish_partitions(&self, worker: &NodeId, wish: u16) -> Result<Partitions, StoreError>;

    /// Begins to change the number of partitions, unless another worker does and has for less than
    /// `unfinished`; whether it is this caller's to go on. Every source loses its owner, and none can
    /// be claimed until [`Store::end_partitions`] or [`Store::give_up_partitions`].
    async fn begin_partitions(
        &self,
        from: u16,
        to: u16,
        unfinished: Duration,
    ) -> Result<bool, StoreError>;

    /// Puts a number of partitions in force. Each of these sources goes on alone up to its entry, and
    /// then waits for the other partitions of its stream ([`Store::drained`]).
    async fn end_partitions(
        &self,
        to: u16,
        barriers: &[(Source, EntryId)],
    ) -> Result<bool, StoreError>;

    /// Leaves the number of partitions as it was.
    async fn give_up_partitions(&self, to: u16) -> Result<(), StoreError>;

    /// Notes that the owner of a source has read it up to its barrier; whether all partitions of its
    /// stream are there, and go on.
    async fn drained(&self, source: Source, fence: u64) -> Result<bool, StoreError>;

    /// Takes a source that is free or whose lease ran out; none when another has it. The fence
    /// rises; the attempts stay.
    async fn claim(
        &self,
        source: Source,
        owner: &NodeId,
        lease: Duration,
    ) -> Result<Option<SourceRow>, StoreError>;

    /// Prolongs the lease and notes how far is published; the row as it is now, with what a commit
    /// of unknown outcome has done by now.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another has the source, or when more was published than the
    /// database holds.
    async fn renew(
        &self,
        source: Source,
        fence: u64,
        published: u64,
        lease: Duration,
    ) -> Result<SourceRow, StoreError>;

    /// Notes how many entries the stream ever had up to the cursor; from then on each batch counts
    /// its own.
    async fn count_added(&self, source: Source, fence: u64, added: u64) -> Result<(), StoreError>;

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
        batch: &EntryBatch,
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

    /// How many entities of a kind there are by status (alerts: `open` and `acknowledged`), those of
    /// whose id, title or project this text is a part.
    async fn entity_counts(
        &self,
        kind: EntityKind,
        text: Option<&str>,
    ) -> Result<Vec<(String, u64)>, StoreError>;

    /// What became of the tasks that were first heard of since then, ms since 1970; the newest ones.
    async fn task_runs(&self, since: i64, limit: usize) -> Result<Vec<TaskRun>, StoreError>;

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

    /// Whether an entity last heard of by this source holds a lease.
    async fn holds_leases(&self, source: Source) -> Result<bool, StoreError>;

    /// The event of an entry, `MS-NUMBER`, of this stream or of any, or of a position in a channel,
    /// `CHANNEL@EPOCH-OFFSET`.
    async fn trace(
        &self,
        entry: &str,
        stream: Option<Stream>,
    ) -> Result<Option<Traced>, StoreError>;

    // === Dead letters ===

    /// Dead letters, newest first, before `before`.
    async fn dead_letters(
        &self,
        origin: Option<DeadLetterOrigin>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// One dead letter.
    async fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StoreError>;

    /// The dead letter that became of an entry, `MS-NUMBER`; the newest, where there are several.
    async fn dead_letter_of(&self, entry: &str) -> Result<Option<DeadLetter>, StoreError>;

    /// Dead letters that fit, oldest first, after `after`.
    async fn dead_letters_like(
        &self,
        filter: &DeadLetterFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError>;

    /// Forgets a slice of those that fit; how many. Whoever wants all gone asks until it is 0.
    async fn drop_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError>;

    /// Forgets a dead letter; whether it was there.
    async fn drop_dead_letter(&self, id: i64) -> Result<bool, StoreError>;

    // === Deliveries ===

    /// Takes webhooks that are due on a route, at most `limit`; who has not settled one after `time`
    /// has lost it to the next who asks.
    async fn claim_deliveries(
        &self,
        route: &str,
        limit: usize,
        time: Duration,
    ) -> Result<Vec<WebhookDelivery>, StoreError>;

    /// Notes how a try ended. Nothing happens when it was taken by another meanwhile.
    async fn settle_delivery(
        &self,
        delivery: &WebhookDelivery,
        end: &DeliveryEnd,
    ) -> Result<(), StoreError>;

    /// Turns those that nobody has taken for so long into dead letters, at most `limit`; how many.
    async fn give_up_deliveries(&self, age: Duration, limit: usize) -> Result<usize, StoreError>;

    /// Puts a dead letter of the outbox back there, as it is given; whether it was there.
    async fn redrive_delivery(&self, letter: &DeadLetter) -> Result<bool, StoreError>;

    // === Denials ===

    /// Keeps a user out for so long from now, instead of what was said before; until when, ms
    /// since 1970 by the database's clock.
    async fn deny(&self, user: &str, time: Duration) -> Result<i64, StoreError>;

    /// Lets a user in again; whether they were kept out.
    async fn admit(&self, user: &str) -> Result<bool, StoreError>;

    /// Everybody who is kept out, and until when; the longest first.
    async fn denied(&self) -> Result<Vec<(String, i64)>, StoreError>;

    // === Operation ===

    /// Writes what a process did in the present minute, all of it, and how many connections it has;
    /// the minute's beginning by the database's clock.
    async fn write_activity(
        &self,
        node: &NodeId,
        totals: &ActivityTotals,
        connections: Option<u64>,
    ) -> Result<i64, StoreError>;

    /// What all processes together did in each of the last minutes, the present one included.
    async fn activity(&self, minutes: u32) -> Result<ActivitySince, StoreError>;

    /// How many entities and dead letters there are.
    async fn holdings(&self) -> Result<Holdings, StoreError>;

    /// Keeps what an operator did.
    async fn note_audit(&self, entry: &AuditEntry) -> Result<(), StoreError>;

    /// What operators did, newest first, before `before`.
    async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError>;

    /// Erases what a slice of a channel's events says, from a point on; their numbers stay.
    async fn erase_events(
        &self,
        channel: &Channel,
        after: ErasePoint,
    ) -> Result<ErasedEvents, StoreError>;

    /// Removes the state of an entity; whether it had one.
    async fn erase_state(&self, entity: &Entity) -> Result<bool, StoreError>;

    /// Takes all words but the status out of the state of an entity; whether it has one.
    async fn erase_words(&self, entity: &Entity) -> Result<bool, StoreError>;

    // === Retention ===

    /// Removes a slice of what is older than the given ages, by the database's clock: events and
    /// publications (raising the floors), states that ended, known entries. Whether more is left.
    /// See [`Store::retain_dead_letters`] for what was not accepted.
    async fn retain(&self, archive: Duration, state: Duration) -> Result<bool, StoreError>;

    /// Removes a slice of the dead letters that are older than this; whether more is left.
    async fn retain_dead_letters(&self, age: Duration) -> Result<bool, StoreError>;

    /// Removes a slice of what operators did longer ago than this; whether more is left.
    async fn retain_audit(&self, age: Duration) -> Result<bool, StoreError>;
}
