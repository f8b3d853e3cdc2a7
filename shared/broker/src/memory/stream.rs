//! A stream in memory: entries with ids like Redis's, and readers that wait for the next one.

use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::entry::{Entry, EntryId, Fields};
use runtime::lock::LockExt as _;
use tokio::{sync::Notify, time::Instant};

use crate::{BrokerError, StreamInfo};

/// What an entry takes besides its fields, about.
const ENTRY_OVERHEAD_BYTES: usize = 100;

/// The stream of one source.
#[derive(Debug)]
pub(super) struct MemoryStream {
    log: Mutex<Log>,
    appended: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    last: EntryId,
    max_deleted: EntryId,
    added: u64,
    /// Where a reader has read from last: what lies before is recorded and may go.
    consumed: EntryId,
}

impl MemoryStream {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { log: Mutex::default(), appended: Notify::new(), bytes_max }
    }

    /// Appends an entry. The stream refuses what it has no room for, and makes room only by what
    /// was consumed: nothing that waits is dropped.
    pub(super) fn append(&self, fields: &Fields) -> Result<EntryId, BrokerError> {
        let size = entry_bytes(fields);
        let mut log = self.log.lock_unpoisoned();
        while log.bytes + size > self.bytes_max && log.drop_consumed() {}
        if log.bytes + size > self.bytes_max {
            return Err(BrokerError::Refused("the stream in memory is full".to_owned()));
        }
        let id = log.next_id();
        log.bytes += size;
        log.last = id;
        log.added += 1;
        log.entries.push_back(Entry { id, fields: fields.clone() });
        drop(log);
        self.appended.notify_waiters();
        Ok(id)
    }

    /// Entries after `after`, waiting up to `wait` for the first one.
    pub(super) async fn read(
        &self,
        after: EntryId,
        entries_max: usize,
        wait: Duration,
    ) -> Vec<Entry> {
        let deadline = Instant::now() + wait;
        loop {
            // Listen before looking, so that an entry that comes in between is not missed.
            let mut appended = std::pin::pin!(self.appended.notified());
            appended.as_mut().enable();
            let entries = self.log.lock_unpoisoned().after(after, entries_max);
            if !entries.is_empty() || tokio::time::timeout_at(deadline, appended).await.is_err() {
                return entries;
            }
        }
    }

    /// Removes entries before `before`.
    pub(super) fn trim(&self, before: EntryId) {
        let mut log = self.log.lock_unpoisoned();
        while log.entries.front().is_some_and(|entry| entry.id < before) {
            log.drop_first();
        }
    }

    pub(super) fn info(&self) -> StreamInfo {
        let log = self.log.lock_unpoisoned();
        StreamInfo {
            last_generated: log.last,
            first: log.entries.front().map(|entry| entry.id),
            max_deleted: log.max_deleted,
            length: log.entries.len() as u64,
            added: log.added,
        }
    }
}

impl Log {
    /// By the clock, and never going back.
    fn next_id(&self) -> EntryId {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = EntryId { ms: u64::try_from(since_1970.as_millis()).unwrap_or(0), number: 0 };
        now.max(EntryId { number: self.last.number + 1, ..self.last })
    }

    fn after(&mut self, after: EntryId, entries_max: usize) -> Vec<Entry> {
        self.consumed = after;
        let start = self.entries.partition_point(|entry| entry.id <= after);
        self.entries.range(start..).take(entries_max).cloned().collect()
    }

    fn drop_consumed(&mut self) -> bool {
        let consumed = self.entries.front().is_some_and(|entry| entry.id <= self.consumed);
        if consumed {
            self.drop_first();
        }
        consumed
    }

    fn drop_first(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry_bytes(&entry.fields);
            self.max_deleted = entry.id;
        }
    }
}

fn entry_bytes(fields: &Fields) -> usize {
    fields.size_bytes() + ENTRY_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: usize) -> Fields {
        Fields(vec![("data".to_owned(), vec![b'x'; bytes])])
    }

    #[tokio::test]
    async fn a_full_stream_refuses_until_something_was_consumed() {
        let stream = MemoryStream::new(3 * (1000 + 4 + ENTRY_OVERHEAD_BYTES));
        let ids: Vec<_> = (0..3).map(|_| stream.append(&fields(1000)).unwrap()).collect();
        assert!(matches!(stream.append(&fields(1000)), Err(BrokerError::Refused(_))));
        let read = stream.read(ids[0], 10, Duration::ZERO).await;
        assert_eq!(read.len(), 2);
        assert!(stream.append(&fields(1000)).is_ok());
        assert_eq!(stream.info().max_deleted, ids[0]);
        assert_eq!(stream.info().first, Some(ids[1]));
    }
}
