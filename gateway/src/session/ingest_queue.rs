//! What a socket hands in, on its way to the record: in order, bounded, and not lost with the socket.
//!
//! One task per session appends what is queued, many entries at a time ([`super::ingest`]).

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::protocol::Append;

/// So many entries may be unrecorded before the socket is no longer read.
const ENTRIES_MAX: usize = 256;

/// So many bytes may be unrecorded before the socket is no longer read.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most entries that are appended at once.
const BATCH_ENTRIES: usize = 128;

/// The queue of one session.
#[derive(Debug, Default)]
pub(super) struct IngestQueue {
    state: Mutex<IngestState>,
    room: Notify,
}

#[derive(Debug, Default)]
struct IngestState {
    waiting: VecDeque<Append>,
    /// Entries and bytes that are queued or being recorded.
    entries: usize,
    bytes: usize,
    running: bool,
}

impl IngestQueue {
    fn lock(&self) -> MutexGuard<'_, IngestState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an entry; returns whether a task has to be started.
    pub(super) fn push(&self, append: Append) -> bool {
        let mut queue = self.lock();
        queue.entries += 1;
        queue.bytes += append.fields.size_bytes();
        queue.waiting.push_back(append);
        !std::mem::replace(&mut queue.running, true)
    }

    /// Returns what is appended next; none ends the task.
    pub(super) fn next(&self) -> Option<Vec<Append>> {
        let mut queue = self.lock();
        let count = queue.waiting.len().min(BATCH_ENTRIES);
        queue.running = count > 0;
        (count > 0).then(|| queue.waiting.drain(..count).collect())
    }

    /// Frees the room of entries that are recorded.
    pub(super) fn recorded(&self, entries: usize, bytes: usize) {
        let mut queue = self.lock();
        queue.entries -= entries;
        queue.bytes -= bytes;
        drop(queue);
        self.room.notify_waiters();
    }

    /// Whether the socket has to wait.
    pub(super) fn is_full(&self) -> bool {
        let queue = self.lock();
        queue.entries >= ENTRIES_MAX || queue.bytes >= BYTES_MAX
    }

    /// Waits until there is room.
    pub(super) async fn room(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if !self.is_full() {
                return;
            }
            room.await;
        }
    }
}
