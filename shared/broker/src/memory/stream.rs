//! A stream in memory: entries with ids like Redis's, and readers that wait for the next one.

use std::{
    collections::VecDeque,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::entry::{Entry, EntryId, Fields};
use runtime::lock::LockExt as _;
use tokio::{sync::Notify, time::Instant};

use crate::{
    BrokerError, BrokerRefusal, EntryIdRequest, EntryRange, Keep, LocalAppendError, NewEntry,
    RangeTooLarge, StreamInfo, Trimming,
};

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
        let entry = NewEntry {
            fields: fields.clone(),
            id: EntryIdRequest::Next,
            create: true,
            trimming: None,
        };
        let refused = |error: LocalAppendError| match error {
            LocalAppendError::Full => {
                let (cause, text) = (BrokerRefusal::MemoryFull, error.to_string());
                BrokerError::Unwritable { cause, text }
            }
            LocalAppendError::IdTooSmall | LocalAppendError::IdsExhausted => {
                BrokerError::Refused(error.to_string())
            }
        };
        self.append_entry(entry).map_err(refused).map(Option::unwrap_or_default)
    }

    /// Appends an entry as XADD does. Returns none when the stream does not exist and is not to.
    pub(super) fn append_entry(
        &self,
        entry: NewEntry,
    ) -> Result<Option<EntryId>, LocalAppendError> {
        let size = entry_bytes(&entry.fields);
        let mut log = self.log.lock_unpoisoned();
        if !entry.create && log.last == EntryId::ZERO {
            return Ok(None);
        }
        let id = log.id_for(entry.id)?;
        while log.bytes + size > self.bytes_max && log.drop_consumed() {}
        if log.bytes + size > self.bytes_max {
            return Err(LocalAppendError::Full);
        }
        log.bytes += size;
        log.last = id;
        log.added += 1;
        log.entries.push_back(Entry { id, fields: entry.fields });
        if let Some(trimming) = entry.trimming {
            log.trim(trimming);
        }
        drop(log);
        self.appended.notify_waiters();
        Ok(Some(id))
    }

    /// Returns the entries of a range, as XRANGE does.
    pub(super) fn range(&self, range: EntryRange) -> Result<Vec<Entry>, RangeTooLarge> {
        let log = self.log.lock_unpoisoned();
        let start = log.entries.partition_point(|entry| entry.id < range.from);
        let asked = log.entries.range(start..).take_while(|entry| entry.id <= range.to);
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in asked.take(range.entries_max) {
            bytes += entry_bytes(&entry.fields);
            if bytes > range.bytes_max {
                return Err(RangeTooLarge);
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    /// How many entries lie between two; none when the second is not there.
    pub(super) fn waiting_before(&self, after: EntryId, entry: EntryId) -> Option<u64> {
        let log = self.log.lock_unpoisoned();
        let at = log.entries.binary_search_by_key(&entry, |held| held.id).ok()?;
        let from = log.entries.partition_point(|held| held.id <= after);
        Some(at.saturating_sub(from) as u64)
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
    /// The id that a new entry gets: higher than every one before.
    fn id_for(&self, request: EntryIdRequest) -> Result<EntryId, LocalAppendError> {
        let following = self.last.next().ok_or(LocalAppendError::IdsExhausted)?;
        match request {
            // By the clock, and never going back.
            EntryIdRequest::Next => Ok(following.max(EntryId { ms: now_ms(), number: 0 })),
            EntryIdRequest::NextWithin(ms) if ms > self.last.ms => Ok(EntryId { ms, number: 0 }),
            EntryIdRequest::NextWithin(ms) if ms == following.ms => Ok(following),
            EntryIdRequest::Exactly(id) if id >= following => Ok(id),
            EntryIdRequest::NextWithin(_) | EntryIdRequest::Exactly(_) => {
                Err(LocalAppendError::IdTooSmall)
            }
        }
    }

    /// Trims exactly what is asked for, as Redis does: also what no reader has had, which the worker
    /// then sees and says. What is asked for approximately spares those entries.
    fn trim(&mut self, trimming: Trimming) {
        let removed_max = match trimming.removed_max {
            0 => u64::MAX,
            limit => limit,
        };
        let mut removed = 0;
        while removed < removed_max
            && self.entries.front().is_some_and(|entry| match trimming.keep {
                Keep::Newest(length) => self.entries.len() as u64 > length,
                Keep::From(id) => entry.id < id,
            })
        {
            if !trimming.approximate {
                self.drop_first();
            } else if !self.drop_consumed() {
                break;
            }
            removed += 1;
        }
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

fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(0)
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
        assert!(matches!(stream.append(&fields(1000)), Err(BrokerError::Unwritable { .. })));
        let read = stream.read(ids[0], 10, Duration::ZERO).await;
        assert_eq!(read.len(), 2);
        assert!(stream.append(&fields(1000)).is_ok());
        assert_eq!(stream.info().max_deleted, ids[0]);
        assert_eq!(stream.info().first, Some(ids[1]));
    }
    fn appended(
        stream: &MemoryStream,
        id: EntryIdRequest,
    ) -> Result<Option<EntryId>, LocalAppendError> {
        stream.append_entry(NewEntry { fields: fields(1), id, create: true, trimming: None })
    }

    fn id(text: &str) -> EntryId {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_of_the_producer_must_be_higher_than_every_one_before() {
        let stream = MemoryStream::new(1 << 20);
        let exactly = |text| appended(&stream, EntryIdRequest::Exactly(id(text)));
        assert_eq!(exactly("0-0"), Err(LocalAppendError::IdTooSmall));
        assert_eq!(exactly("5-3"), Ok(Some(id("5-3"))));
        assert_eq!(exactly("5-3"), Err(LocalAppendError::IdTooSmall));
        assert_eq!(exactly("4-9"), Err(LocalAppendError::IdTooSmall));
        assert_eq!(appended(&stream, EntryIdRequest::NextWithin(5)), Ok(Some(id("5-4"))));
        assert_eq!(appended(&stream, EntryIdRequest::NextWithin(7)), Ok(Some(id("7-0"))));
        let last = EntryId { ms: 9, number: u64::MAX };
        assert_eq!(appended(&stream, EntryIdRequest::Exactly(last)), Ok(Some(last)));
        let refused = appended(&stream, EntryIdRequest::NextWithin(9));
        assert_eq!(refused, Err(LocalAppendError::IdTooSmall));
        assert!(appended(&stream, EntryIdRequest::Next).unwrap().unwrap() > last);
        let end = EntryId { ms: u64::MAX, number: u64::MAX };
        assert_eq!(appended(&stream, EntryIdRequest::Exactly(end)), Ok(Some(end)));
        let refused = appended(&stream, EntryIdRequest::Next);
        assert_eq!(refused, Err(LocalAppendError::IdsExhausted));
    }

    #[tokio::test]
    async fn trimming_is_exact_where_it_is_asked_for_and_spares_what_waits_where_not() {
        let stream = MemoryStream::new(1 << 20);
        let append = |length, approximate| {
            let keep = Keep::Newest(length);
            let trimming = Some(Trimming { keep, approximate, removed_max: 0 });
            let id = EntryIdRequest::Next;
            stream.append_entry(NewEntry { fields: fields(1), id, create: true, trimming }).unwrap()
        };
        for _ in 0..5 {
            append(2, true);
        }
        assert_eq!(stream.info().length, 5, "nobody has read them");
        let read = stream.read(EntryId::ZERO, 3, Duration::ZERO).await;
        stream.read(read[2].id, 0, Duration::ZERO).await;
        append(2, true);
        assert_eq!(stream.info().length, 3, "three were read");
        append(1, false);
        assert_eq!(stream.info().length, 1);
    }

    #[test]
    fn a_stream_that_is_not_there_begins_only_when_it_may() {
        let stream = MemoryStream::new(1 << 20);
        let id = EntryIdRequest::Next;
        let entry = NewEntry { fields: fields(1), id, create: false, trimming: None };
        assert_eq!(stream.append_entry(entry.clone()), Ok(None));
        appended(&stream, id).unwrap();
        assert!(stream.append_entry(entry).unwrap().is_some());
    }

    #[test]
    fn a_range_has_both_its_ends_and_never_more_than_is_allowed() {
        let stream = MemoryStream::new(1 << 20);
        for ms in 1..=5 {
            appended(&stream, EntryIdRequest::Exactly(EntryId { ms, number: 0 })).unwrap();
        }
        let range = |from, to, entries_max, bytes_max| {
            let entries =
                stream.range(EntryRange { from: id(from), to: id(to), entries_max, bytes_max });
            entries.map(|entries| entries.iter().map(|entry| entry.id.ms).collect::<Vec<_>>())
        };
        assert_eq!(range("2-0", "4-0", 10, 1 << 20), Ok(vec![2, 3, 4]));
        assert_eq!(range("2-1", "9-0", 2, 1 << 20), Ok(vec![3, 4]));
        assert_eq!(range("4-0", "2-0", 2, 1 << 20), Ok(vec![]));
        assert_eq!(range("1-0", "5-0", 10, 300), Err(RangeTooLarge));
    }
}
