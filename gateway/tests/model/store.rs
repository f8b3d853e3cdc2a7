//! The real store, and the weather in front of a gateway's reads, which are counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
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
use store::{
    ActivitySince, AuditEntry, AuditRecord, Committed, DeadLetter, DeadLetterFilter,
    DeadLetterOrigin, DeliveryEnd, EntityFilter, EntryBatch, ErasePoint, ErasedEvents, Holdings,
    Lapsed, Listed, Page, Partitions, Snapshot, SourceRow, Store, StoreError, TaskRun, Traced,
    WebhookDelivery, WorkStore,
};

use crate::weather::Weather;

/// A store that refuses to be read now and then.
pub(crate) struct WatchedStore {
    inner: Arc<dyn Store>,
    weather: Arc<Weather>,
    /// How often channels were read: snapshots, positions and pages.
    reads: AtomicUsize,
}

impl WatchedStore {
    pub(crate) fn new(inner: Arc<dyn Store>, weather: Arc<Weather>) -> Self {
        Self { inner, weather, reads: AtomicUsize::new(0) }
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    fn read(&self) -> Result<(), StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.weather.store()
    }
}

macro_rules! store {
    (
        read { $($read:ident($($asked:ident: $what:ty),*) -> $found:ty;)* }
        hand_through { $($name:ident($($given:ident: $kind:ty),*) -> $answer:ty;)* }
    ) => {
        #[async_trait]
        impl Store for WatchedStore {
            fn epoch(&self) -> Epoch {
                self.inner.epoch()
            }

            fn work(&self) -> &dyn WorkStore {
                self.inner.work()
            }

            $(async fn $read(&self, $($asked: $what),*) -> Result<$found, StoreError> {
                self.read()?;
                self.inner.$read($($asked),*).await
            })*

            $(async fn $name(&self, $($given: $kind),*) -> Result<$answer, StoreError> {
                self.inner.$name($($given),*).await
            })*
        }
    };
}

store! {
    read {
        snapshot(channel: &Channel) -> Snapshot;
        positions(channels: &[Channel]) -> Vec<Position>;
        page(channel: &Channel, after: &Offsets, limit: usize, bytes_max: usize) -> Page;
        page_back(channel: &Channel, before: Option<&Offsets>, limit: usize, bytes: usize) -> Page;
    }
    hand_through {
        migrate() -> ();
        check() -> ();
        is_migrated() -> bool;
        sources(wanted: &[Source]) -> Vec<SourceRow>;
        heartbeat(worker: &NodeId, lease: Duration) -> u32;
        deregister_worker(worker: &NodeId) -> ();
        wish_partitions(worker: &NodeId, wish: u16) -> Partitions;
        begin_partitions(from: u16, to: u16, unfinished: Duration) -> bool;
        end_partitions(to: u16, barriers: &[(Source, EntryId)]) -> bool;
        give_up_partitions(to: u16) -> ();
        drained(source: Source, fence: u64) -> bool;
        holds_leases(source: Source) -> bool;
        claim(source: Source, owner: &NodeId, lease: Duration) -> Option<SourceRow>;
        renew(source: Source, fence: u64, published: u64, lease: Duration) -> SourceRow;
        count_added(source: Source, fence: u64, added: u64) -> ();
        begin_epoch(after: Epoch) -> Epoch;
        accept_promotion() -> ();
        attempt(source: Source, fence: u64) -> u32;
        release(source: Source, fence: u64, published: u64) -> ();
        regenerate(
            source: Source, fence: u64, generation: u64, replid: &str, cursor: EntryId
        ) -> SourceRow;
        record(source: Source, fence: u64, batch: &EntryBatch, state_bytes_max: usize) -> Committed;
        unpublished(source: Source, after_seq: u64, events_max: usize) -> Vec<Publication>;
        entity(entity: &Entity) -> Option<State>;
        entities(kind: EntityKind, filter: &EntityFilter) -> Vec<Listed>;
        entity_counts(kind: EntityKind, text: Option<&str>) -> Vec<(String, u64)>;
        lapsed(
            source: Source, read_to_end: Duration, reachable: Duration, limit: usize
        ) -> Vec<Lapsed>;
        task_runs(since: i64, limit: usize) -> Vec<TaskRun>;
        trace(entry: &str, stream: Option<Stream>) -> Option<Traced>;
        dead_letters(
            origin: Option<DeadLetterOrigin>, before: Option<i64>, limit: usize
        ) -> Vec<DeadLetter>;
        dead_letter(id: i64) -> Option<DeadLetter>;
        drop_dead_letter(id: i64) -> bool;
        claim_deliveries(route: &str, limit: usize, time: Duration) -> Vec<WebhookDelivery>;
        settle_delivery(delivery: &WebhookDelivery, end: &DeliveryEnd) -> ();
        give_up_deliveries(age: Duration, limit: usize) -> usize;
        redrive_delivery(letter: &DeadLetter) -> bool;
        deny(user: &str, time: Duration) -> i64;
        admit(user: &str) -> bool;
        denied() -> Vec<(String, i64)>;
        retain(archive: Duration, state: Duration) -> bool;
        retain_dead_letters(age: Duration) -> bool;
        dead_letter_of(entry: &str) -> Option<DeadLetter>;
        dead_letters_like(filter: &DeadLetterFilter, after: i64, limit: usize) -> Vec<DeadLetter>;
        drop_dead_letters(filter: &DeadLetterFilter) -> u64;
        write_activity(
            node: &NodeId, totals: &ActivityTotals, connections: Option<u64>
        ) -> i64;
        activity(minutes: u32) -> ActivitySince;
        holdings() -> Holdings;
        note_audit(entry: &AuditEntry) -> ();
        audit(before: Option<i64>, limit: usize) -> Vec<AuditRecord>;
        retain_audit(age: Duration) -> bool;
        erase_events(channel: &Channel, after: ErasePoint) -> ErasedEvents;
        erase_state(entity: &Entity) -> bool;
        erase_words(entity: &Entity) -> bool;
    }
}
