//! What a socket hands in, on its way to the record: in order, bounded, and not lost with the socket.
//!
//! A message is taken in when it is queued here. One task per session appends what is queued, many
//! entries at a time, and goes on until all is recorded, whether the socket is still there or not.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use shared::{entry::Fields, source::Stream};
use tokio::sync::Notify;

use super::Session;
use crate::dialect::{Append, Condition};

/// So many entries may be unrecorded before the socket is no longer read.
const ENTRIES_MAX: usize = 256;

/// So many bytes may be unrecorded before the socket is no longer read.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most entries that are appended at once.
const BATCH_ENTRIES: usize = 128;

/// The queue of one session.
#[derive(Debug, Default)]
pub(super) struct Intake {
    queue: Mutex<Queue>,
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Append>,
    /// Entries and bytes that are queued or being recorded.
    entries: usize,
    bytes: usize,
    running: bool,
}

impl Intake {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an entry; whether a task has to be started.
    fn push(&self, append: Append) -> bool {
        let mut queue = self.lock();
        queue.entries += 1;
        queue.bytes += append.fields.size_bytes();
        queue.waiting.push_back(append);
        !std::mem::replace(&mut queue.running, true)
    }

    /// What is appended next; none ends the task.
    fn next(&self) -> Option<Vec<Append>> {
        let mut queue = self.lock();
        let count = queue.waiting.len().min(BATCH_ENTRIES);
        queue.running = count > 0;
        (count > 0).then(|| queue.waiting.drain(..count).collect())
    }

    fn done(&self, entries: usize, bytes: usize) {
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

impl Session {
    /// Takes an event in. It is recorded in its turn, whatever becomes of the socket.
    pub(super) fn take_in(self: &Arc<Self>, append: Append) {
        if self.intake.get_or_init(Box::default).push(append) {
            let recording = self.gateway.intakes.track_future(Arc::clone(self).record());
            self.gateway.life.spawn_until_stop(recording);
        }
    }

    async fn record(self: Arc<Self>) {
        let intake = self.intake.get_or_init(Box::default);
        while let Some(batch) = intake.next() {
            let count = batch.len();
            let bytes = batch.iter().map(|append| append.fields.size_bytes()).sum();
            let mut entries: Vec<(Stream, Fields)> = Vec::with_capacity(count);
            for append in batch {
                if self.meets(append.condition.as_ref()).await {
                    entries.push((append.stream, append.fields));
                }
            }
            self.gateway.appender.append_until_recorded(entries).await;
            intake.done(count, bytes);
        }
    }

    async fn meets(self: &Arc<Self>, condition: Option<&Condition>) -> bool {
        match condition {
            None => true,
            Some(Condition::Attends(container)) => self.attend(container).await,
            Some(Condition::Known(entity)) => loop {
                match self.gateway.store.entity(entity).await {
                    Ok(state) => return state.is_some(),
                    Err(error) => tracing::debug!(%error, "an event waits for the database"),
                }
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            },
        }
    }
}
