//! Recording what a socket hands in: in order, and not lost with the socket.
//!
//! A message is accepted when it is queued. One task per session appends what is queued, and goes on
//! until all is recorded, whether the socket is still there or not.

use std::{sync::Arc, time::Duration};

use domain::{entry::Fields, event::Rejection, source::Stream};

use super::Session;
use crate::protocol::{Append, Condition, Receipt};

/// How long a condition that the database could not judge waits before it is asked again.
const CONDITION_RETRY: Duration = Duration::from_millis(500);

impl Session {
    /// Queues an event. It is recorded in its turn, whatever becomes of the socket.
    pub(super) fn publish(self: &Arc<Self>, append: Append) {
        if self.ingest_queue.get_or_init(Box::default).push(append) {
            let recording = self.context.unrecorded.track_future(Arc::clone(self).record());
            self.context.life.spawn_until_stop(recording);
        }
    }

    async fn record(self: Arc<Self>) {
        let queue = self.ingest_queue.get_or_init(Box::default);
        while let Some(batch) = queue.next() {
            let count = batch.len();
            let bytes = batch.iter().map(|append| append.fields.size_bytes()).sum();
            let mut entries: Vec<(Stream, Fields)> = Vec::with_capacity(count);
            let mut receipts = Vec::with_capacity(count);
            for append in batch {
                if self.meets(append.condition.as_ref()).await {
                    entries.push((append.stream, append.fields));
                    receipts.push(append.receipt);
                }
            }
            let rejections = self.context.publisher.publish_until_recorded(entries).await;
            for (receipt, rejection) in receipts.into_iter().zip(rejections) {
                if let Some(receipt) = receipt {
                    self.answer(receipt, rejection).await;
                }
            }
            queue.recorded(count, bytes);
        }
    }

    /// Tells the author of an event what became of it.
    async fn answer(&self, receipt: Receipt, rejection: Option<Rejection>) {
        let Receipt { frames, result_of } = receipt;
        if let Some(rejection) = rejection {
            return self.send_all(&[frames.refused(&rejection)]).await;
        }
        let Some((task, named)) = result_of else { return };
        let attempt = match named {
            Some(attempt) => Some(attempt),
            // A result that is not answered is sent again, so it may go without an answer.
            None => self.context.agents.last_attempt(&task).await.unwrap_or_default(),
        };
        if let Some(attempt) = attempt {
            self.send_all(&[frames.recorded(&task, attempt)]).await;
        }
    }

    async fn meets(self: &Arc<Self>, condition: Option<&Condition>) -> bool {
        match condition {
            None => true,
            Some(Condition::Attends(name)) => self.attend(name).await,
            Some(Condition::Known(entity)) => loop {
                match self.context.hub.history().entity(entity).await {
                    Ok(state) => return state.is_some(),
                    Err(error) => {
                        tracing::debug!(%error, "session: an event waits for the database, asked again");
                    }
                }
                tokio::time::sleep(CONDITION_RETRY).await;
            },
        }
    }
}
