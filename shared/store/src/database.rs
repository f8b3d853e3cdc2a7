//! The store on an SQL database: each method of the port within its deadline.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

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
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{
    ActivitySince, AuditEntry, AuditRecord, Committed, DeadLetter, DeadLetterFilter,
    DeadLetterOrigin, DeliveryEnd, EntityFilter, EntryBatch, ErasePoint, ErasedEvents, Holdings,
    Lapsed, Listed, Options, Page, Partitions, Snapshot, SourceRow, Store, StoreError, TaskRun,
    Traced, WebhookDelivery, activity, analytics, audit, channel, dead_letter, delivery, denial,
    engine::{Engine, SqlSession},
    entity, erase, event,
    page::{self, Part},
    partitions, record, retention, schema, source,
    sql::{Param, SessionKind, Statement, both, each},
    work::port::WorkStore,
    worker,
};

const EPOCH: Statement = both("SELECT value FROM epoch");

const BEGIN_EPOCH: Statement = each(
    "UPDATE identity SET epoch = 1 + floor(random() * 4294967295)::bigint,
     evidence = fanfare_evidence(), timeline = split_part(fanfare_cluster(), ' ', 2)
     WHERE fanfare_epoch() = $1",
    "UPDATE identity SET epoch = 1 + abs(random()) % 4294967295 WHERE epoch = $1",
);

const ACCEPT_PROMOTION: Statement = each(
    "UPDATE identity SET timeline = split_part(fanfare_cluster(), ' ', 2)",
    "UPDATE identity SET epoch = epoch",
);

/// How long processes that start together try to migrate. SQLite answers "locked" at once, without
/// waiting, to all but one of those that turn a new file's journal into a write-ahead log.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// A database of either engine.
pub(super) struct Database {
    engine: Engine,
    deadline: Duration,
    batch_state_bytes: usize,
    task_timeout: Duration,
    /// The newest epoch that was seen.
    epoch: AtomicU32,
}

impl Database {
    pub(super) fn new(engine: Engine, options: &Options) -> Self {
        Self {
            engine,
            deadline: options.deadline,
            batch_state_bytes: options.batch_state_bytes,
            task_timeout: options.task_timeout,
            epoch: AtomicU32::new(0),
        }
    }

    /// Awaits something until the deadline; nothing was committed when it passes.
    pub(super) async fn within<T>(
        &self,
        asked: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let late = |_| {
            let ms = self.deadline.as_millis();
            Err(StoreError::Unavailable(format!("no answer within {ms} ms")))
        };
        timeout(self.deadline, asked).await.unwrap_or_else(late)
    }

    /// Awaits a transaction and its commit until the deadline; when it passes during the commit nobody
    /// knows whether that happened.
    pub(super) async fn committed<T>(
        &self,
        asked: impl Future<Output = Result<(SqlSession, T), StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let deadline = Instant::now() + self.deadline;
        let slow = |_| {
            let ms = self.deadline.as_millis();
            Err(StoreError::TooMuch(format!("not done within {ms} ms")))
        };
        let (session, answer) = timeout_at(deadline, asked).await.unwrap_or_else(slow)?;
        let late = |_| {
            let ms = self.deadline.as_millis();
            Err(StoreError::Unknown(format!("no answer to the commit within {ms} ms")))
        };
        timeout_at(deadline, session.commit()).await.unwrap_or_else(late)?;
        Ok(answer)
    }

    pub(super) async fn session(&self, access: SessionKind) -> Result<SqlSession, StoreError> {
        self.engine.session(access).await
    }

    fn seen(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Relaxed);
    }
}

#[async_trait]
impl Store for Database {
    fn work(&self) -> &dyn WorkStore {
        self
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + MIGRATION_PATIENCE;
        loop {
            let migrated = match self.engine.migrate().await {
                Ok(()) => self.check().await,
                Err(error) => Err(error),
            };
            match migrated {
                Err(StoreError::Conflict(_)) if Instant::now() < deadline => sleep(PAUSE).await,
                done => return done,
            }
        }
    }

    async fn is_migrated(&self) -> Result<bool, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            schema::is_current(&mut session).await
        };
        let is_migrated = self.within(asked).await?;
        if is_migrated {
            self.check().await?;
        }
        Ok(is_migrated)
    }

    fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Relaxed))
    }

    async fn check(&self) -> Result<(), StoreError> {
        let asked = async { self.session(SessionKind::Read).await?.row(&EPOCH, &[]).await };
        let row = self.within(asked).await?;
        self.seen(row.map_or(Ok(Epoch(0)), |row| row.int(0).map(source::epoch))?);
        Ok(())
    }

    async fn begin_epoch(&self, after: Epoch) -> Result<Epoch, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            session.run(&BEGIN_EPOCH, &[Param::Int(after.0.into())]).await
        };
        self.within(asked).await?;
        self.check().await?;
        Ok(self.epoch())
    }

    async fn accept_promotion(&self) -> Result<(), StoreError> {
        let asked =
            async { self.session(SessionKind::Write).await?.run(&ACCEPT_PROMOTION, &[]).await };
        self.within(asked).await.map(drop)
    }

    async fn sources(&self, wanted: &[Source]) -> Result<Vec<SourceRow>, StoreError> {
        let rows = self.within(source::all(&self.engine, wanted)).await?;
        if let Some(row) = rows.first() {
            self.seen(row.database_epoch);
        }
        Ok(rows)
    }

    async fn heartbeat(&self, worker: &NodeId, lease: Duration) -> Result<u32, StoreError> {
        let asked = async {
            worker::beat(&mut self.session(SessionKind::Write).await?, worker, lease).await
        };
        self.within(asked).await
    }

    async fn deregister_worker(&self, worker: &NodeId) -> Result<(), StoreError> {
        let asked = async {
            worker::deregister(&mut self.session(SessionKind::Write).await?, worker).await
        };
        self.within(asked).await
    }

    async fn wish_partitions(&self, worker: &NodeId, wish: u16) -> Result<Partitions, StoreError> {
        let asked = async {
            partitions::wish(&mut self.session(SessionKind::Write).await?, worker, wish).await
        };
        self.within(asked).await
    }

    async fn begin_partitions(
        &self,
        from: u16,
        to: u16,
        unfinished: Duration,
    ) -> Result<bool, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let begun = partitions::begin(&mut session, from, to, unfinished).await?;
            Ok((session, begun))
        };
        self.committed(asked).await
    }

    async fn end_partitions(
        &self,
        to: u16,
        barriers: &[(Source, EntryId)],
    ) -> Result<bool, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let ended = partitions::end(&mut session, to, barriers).await?;
            Ok((session, ended))
        };
        self.committed(asked).await
    }

    async fn give_up_partitions(&self, to: u16) -> Result<(), StoreError> {
        let asked =
            async { partitions::give_up(&mut self.session(SessionKind::Write).await?, to).await };
        self.within(asked).await
    }

    async fn holds_leases(&self, source: Source) -> Result<bool, StoreError> {
        let asked = async {
            entity::holds_leases(&mut self.session(SessionKind::Read).await?, source).await
        };
        self.within(asked).await
    }

    async fn drained(&self, source: Source, fence: u64) -> Result<bool, StoreError> {
        let asked = async {
            partitions::drained(&mut self.session(SessionKind::Write).await?, source, fence).await
        };
        self.within(asked).await
    }

    async fn claim(
        &self,
        source: Source,
        owner: &NodeId,
        lease: Duration,
    ) -> Result<Option<SourceRow>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            source::claim(&mut session, source, owner, lease).await
        };
        self.within(asked).await
    }

    async fn attempt(&self, source: Source, fence: u64) -> Result<u32, StoreError> {
        let asked = async {
            source::attempt(&mut self.session(SessionKind::Write).await?, source, fence).await
        };
        self.within(asked).await
    }

    async fn renew(
        &self,
        source: Source,
        fence: u64,
        published: u64,
        lease: Duration,
    ) -> Result<SourceRow, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            source::renew(&mut session, source, fence, published, lease).await
        };
        let row = self.within(asked).await?;
        self.seen(row.database_epoch);
        Ok(row)
    }

    async fn count_added(&self, source: Source, fence: u64, added: u64) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            source::count_added(&mut session, source, fence, added).await
        };
        self.within(asked).await
    }

    async fn release(&self, source: Source, fence: u64, published: u64) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            source::release(&mut session, source, fence, published).await
        };
        self.within(asked).await
    }

    async fn regenerate(
        &self,
        source: Source,
        fence: u64,
        generation: u64,
        replid: &str,
        cursor: EntryId,
    ) -> Result<SourceRow, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let row =
                source::regenerate(&mut session, source, fence, generation, replid, cursor).await?;
            Ok((session, row))
        };
        let row = self.committed(asked).await?;
        self.seen(row.epoch);
        Ok(row)
    }

    async fn record(
        &self,
        source: Source,
        fence: u64,
        batch: &EntryBatch,
        state_bytes_max: usize,
    ) -> Result<Committed, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let terms = record::Terms {
                state_bytes_max,
                batch_state_bytes: self.batch_state_bytes,
                task_timeout_ms: source::ms(self.task_timeout),
            };
            let committed = record::record(&mut session, source, fence, batch, terms).await?;
            Ok((session, committed))
        };
        let committed = self.committed(asked).await?;
        self.seen(committed.epoch);
        Ok(committed)
    }

    async fn unpublished(
        &self,
        source: Source,
        after_seq: u64,
        events_max: usize,
    ) -> Result<Vec<Publication>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            event::after(&mut session, source, after_seq, events_max).await
        };
        self.within(asked).await
    }

    async fn snapshot(&self, channel: &Channel) -> Result<Snapshot, StoreError> {
        let asked =
            async { page::snapshot(&mut self.session(SessionKind::Read).await?, channel).await };
        let snapshot = self.within(asked).await?;
        self.seen(snapshot.position.epoch);
        Ok(snapshot)
    }

    async fn positions(&self, channels: &[Channel]) -> Result<Vec<Position>, StoreError> {
        let (epoch, positions) = self.within(channel::positions(&self.engine, channels)).await?;
        self.seen(epoch);
        Ok(positions)
    }

    async fn page(
        &self,
        channel: &Channel,
        after: &Offsets,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            page::page(&mut session, channel, Part::After(after), limit, bytes_max).await
        };
        let page = self.within(asked).await?;
        self.seen(page.head.epoch);
        Ok(page)
    }

    async fn page_back(
        &self,
        channel: &Channel,
        before: Option<&Offsets>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let part = before.map_or(Part::Newest, Part::UpTo);
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            page::page(&mut session, channel, part, limit, bytes_max).await
        };
        let page = self.within(asked).await?;
        self.seen(page.head.epoch);
        Ok(page)
    }

    async fn entity(&self, entity: &Entity) -> Result<Option<State>, StoreError> {
        let asked =
            async { entity::one(&mut self.session(SessionKind::Read).await?, entity).await };
        self.within(asked).await
    }

    async fn entities(
        &self,
        kind: EntityKind,
        filter: &EntityFilter,
    ) -> Result<Vec<Listed>, StoreError> {
        let asked =
            async { entity::list(&mut self.session(SessionKind::Read).await?, kind, filter).await };
        self.within(asked).await
    }

    async fn entity_counts(
        &self,
        kind: EntityKind,
        text: Option<&str>,
    ) -> Result<Vec<(String, u64)>, StoreError> {
        let asked =
            async { entity::counts(&mut self.session(SessionKind::Read).await?, kind, text).await };
        self.within(asked).await
    }

    async fn task_runs(&self, since: i64, limit: usize) -> Result<Vec<TaskRun>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            analytics::task_runs(&mut session, since, limit).await
        };
        self.within(asked).await
    }

    async fn lapsed(
        &self,
        source: Source,
        read_to_end: Duration,
        reachable: Duration,
        limit: usize,
    ) -> Result<Vec<Lapsed>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            entity::lapsed(&mut session, source, read_to_end, reachable, limit).await
        };
        self.within(asked).await
    }

    async fn trace(
        &self,
        entry: &str,
        stream: Option<Stream>,
    ) -> Result<Option<Traced>, StoreError> {
        let asked = async {
            event::trace(&mut self.session(SessionKind::Read).await?, entry, stream).await
        };
        self.within(asked).await
    }

    async fn dead_letters(
        &self,
        origin: Option<DeadLetterOrigin>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            dead_letter::list(&mut session, origin, before, limit).await
        };
        self.within(asked).await
    }

    async fn dead_letter(&self, id: i64) -> Result<Option<DeadLetter>, StoreError> {
        let asked =
            async { dead_letter::one(&mut self.session(SessionKind::Read).await?, id).await };
        self.within(asked).await
    }

    async fn dead_letter_of(&self, entry: &str) -> Result<Option<DeadLetter>, StoreError> {
        let asked =
            async { dead_letter::of(&mut self.session(SessionKind::Read).await?, entry).await };
        self.within(asked).await
    }

    async fn dead_letters_like(
        &self,
        filter: &DeadLetterFilter,
        after: i64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Read).await?;
            dead_letter::like(&mut session, filter, after, limit).await
        };
        self.within(asked).await
    }

    async fn drop_dead_letters(&self, filter: &DeadLetterFilter) -> Result<u64, StoreError> {
        let asked = async {
            dead_letter::drop_like(&mut self.session(SessionKind::Write).await?, filter).await
        };
        self.within(asked).await
    }

    async fn drop_dead_letter(&self, id: i64) -> Result<bool, StoreError> {
        let asked =
            async { dead_letter::delete(&mut self.session(SessionKind::Write).await?, id).await };
        self.within(asked).await
    }

    async fn claim_deliveries(
        &self,
        route: &str,
        limit: usize,
        time: Duration,
    ) -> Result<Vec<WebhookDelivery>, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            delivery::claim(&mut session, route, limit, time).await
        };
        self.within(asked).await
    }

    async fn settle_delivery(
        &self,
        settled: &WebhookDelivery,
        end: &DeliveryEnd,
    ) -> Result<(), StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            delivery::settle(&mut session, settled, end).await?;
            Ok((session, ()))
        };
        self.committed(asked).await
    }

    async fn give_up_deliveries(&self, age: Duration, limit: usize) -> Result<usize, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let given_up = delivery::give_up(&mut session, age, limit).await?;
            Ok((session, given_up))
        };
        self.committed(asked).await
    }

    async fn redrive_delivery(&self, letter: &DeadLetter) -> Result<bool, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let redriven = delivery::redrive(&mut session, letter).await?;
            Ok((session, redriven))
        };
        self.committed(asked).await
    }

    async fn deny(&self, user: &str, time: Duration) -> Result<i64, StoreError> {
        let asked =
            async { denial::deny(&mut self.session(SessionKind::Write).await?, user, time).await };
        self.within(asked).await
    }

    async fn admit(&self, user: &str) -> Result<bool, StoreError> {
        let asked =
            async { denial::admit(&mut self.session(SessionKind::Write).await?, user).await };
        self.within(asked).await
    }

    async fn denied(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let asked = async { denial::all(&mut self.session(SessionKind::Read).await?).await };
        self.within(asked).await
    }

    async fn write_activity(
        &self,
        node: &NodeId,
        totals: &ActivityTotals,
        connections: Option<u64>,
    ) -> Result<i64, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Write).await?;
            activity::write(&mut session, node, totals, connections).await
        };
        self.within(asked).await
    }

    async fn activity(&self, minutes: u32) -> Result<ActivitySince, StoreError> {
        let asked =
            async { activity::since(&mut self.session(SessionKind::Read).await?, minutes).await };
        self.within(asked).await
    }

    async fn holdings(&self) -> Result<Holdings, StoreError> {
        let asked = async { activity::holdings(&mut self.session(SessionKind::Read).await?).await };
        self.within(asked).await
    }

    async fn note_audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let asked =
            async { audit::insert(&mut self.session(SessionKind::Write).await?, entry).await };
        self.within(asked).await
    }

    async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let asked =
            async { audit::list(&mut self.session(SessionKind::Read).await?, before, limit).await };
        self.within(asked).await
    }

    async fn retain_audit(&self, age: Duration) -> Result<bool, StoreError> {
        let asked =
            async { audit::retain(&mut self.session(SessionKind::Write).await?, age).await };
        self.within(asked).await
    }

    async fn erase_events(
        &self,
        channel: &Channel,
        after: ErasePoint,
    ) -> Result<ErasedEvents, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let erased = erase::events(&mut session, channel, after).await?;
            Ok((session, erased))
        };
        self.committed(asked).await
    }

    async fn erase_state(&self, entity: &Entity) -> Result<bool, StoreError> {
        let asked =
            async { erase::state(&mut self.session(SessionKind::Write).await?, entity).await };
        self.within(asked).await
    }

    async fn erase_words(&self, entity: &Entity) -> Result<bool, StoreError> {
        let asked = async {
            let mut session = self.session(SessionKind::Transaction).await?;
            let erased = erase::words(&mut session, entity).await?;
            Ok((session, erased))
        };
        self.committed(asked).await
    }

    async fn retain(&self, archive: Duration, state: Duration) -> Result<bool, StoreError> {
        self.within(retention::retain(&self.engine, archive, state)).await
    }

    async fn retain_dead_letters(&self, age: Duration) -> Result<bool, StoreError> {
        let asked =
            async { dead_letter::retain(&mut self.session(SessionKind::Write).await?, age).await };
        self.within(asked).await
    }
}
