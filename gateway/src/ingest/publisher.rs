//! Publishing events: appended to the broker, answered when they are recorded and published.
//!
//! Every entry carries `reply = NODE:REQUEST`; its owner answers to this node's control topic. An
//! entry without a producer's `event_id` gets one of ours, so that repeating after an unknown
//! outcome neither doubles nor reorders (`design.md` §3, rule 11).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use broker::{Broker, BrokerError};
use domain::{
    control::EntryResult,
    entry::{EntryId, Fields},
    event::{
        Rejection, Submission,
        submission::{Origin, field},
    },
    node::NodeId,
    source::{Source, Stream},
};
use tokio::{sync::oneshot, time::Instant};

use super::publish_trace;

/// How long a socket's event waits for its outcome before it is appended again.
const REPEAT_AFTER: Duration = Duration::from_secs(5);

/// The most publishers that wait at the same time.
const WAITING_MAX: usize = 100_000;

/// Appends entries to streams, and knows who waits for their outcomes.
pub struct EventPublisher {
    node: NodeId,
    broker: Arc<dyn Broker>,
    partitions: u16,
    next_request: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<EntryResult>>>,
}

/// What became of an entry, as far as its publisher's patience went.
#[derive(Debug)]
pub enum PublishOutcome {
    /// Recorded and published: channels with positions.
    Published(Vec<(String, String)>),
    /// Appended; the outcome did not come in time.
    Accepted,
    /// Not accepted: the field that is wrong, and why.
    Rejected(Rejection),
    /// The broker took nothing: why.
    Unavailable(String),
    /// It may or may not have been appended.
    Unknown(String),
}

/// Returns the outcome of an entry that its owner did not accept. Owners answer with a sentence that
/// begins with its field.
fn rejected(reason: &str) -> PublishOutcome {
    let (path, message) = reason.split_once(' ').unwrap_or((reason, ""));
    PublishOutcome::Rejected(Rejection::new(path, message))
}

/// An entry that waits for its outcome.
struct Waiting {
    request: u64,
    outcome: oneshot::Receiver<EntryResult>,
}

impl EventPublisher {
    /// Returns the publisher of a node.
    pub fn new(node: NodeId, broker: Arc<dyn Broker>, partitions: u16) -> Self {
        // Requests of an earlier process of the same name must not be taken for ours.
        let next_request = AtomicU64::new(rand::random::<u32>().into());
        Self { node, broker, partitions, next_request, waiting: Mutex::default() }
    }

    /// Checks an entry as its owner will.
    ///
    /// # Errors
    /// [`Rejection`] with the field that is wrong.
    pub fn check(stream: Stream, fields: &Fields) -> Result<(), Rejection> {
        let now = jiff::Timestamp::now().as_millisecond();
        Submission::parse(stream, EntryId::ZERO, fields, Origin::Outside, now).map(|_| ())
    }

    /// Appends entries in order and waits for their outcomes until `deadline`.
    pub async fn publish(
        &self,
        mut entries: Vec<(Stream, Fields)>,
        deadline: Instant,
    ) -> Vec<PublishOutcome> {
        // Ends with this function, when the outcome is known.
        let _span = publish_trace::begin(&mut entries);
        let mut waiting = Vec::with_capacity(entries.len());
        let mut prepared = Vec::with_capacity(entries.len());
        for (stream, mut fields) in entries {
            waiting.push(self.prepare(&mut fields));
            prepared.push((self.source(stream, &fields), fields));
        }
        let appended = self.broker.append(&prepared).await;
        let mut outcomes = Vec::with_capacity(waiting.len());
        for (waiting, appended) in waiting.into_iter().zip(appended) {
            outcomes.push(self.outcome(waiting, appended, deadline).await);
        }
        outcomes
    }

    async fn outcome(
        &self,
        waiting: Waiting,
        appended: Result<EntryId, BrokerError>,
        deadline: Instant,
    ) -> PublishOutcome {
        let request = waiting.request;
        let outcome = match appended {
            Ok(_) => match tokio::time::timeout_at(deadline, waiting.outcome).await {
                Ok(Ok(EntryResult::Published(positions))) => PublishOutcome::Published(positions),
                Ok(Ok(EntryResult::Rejected(reason))) => rejected(&reason),
                Ok(Err(_)) | Err(_) => PublishOutcome::Accepted,
            },
            Err(BrokerError::Unknown(reason)) => {
                // The append may have gone through, and its outcome may come.
                let patience = deadline.min(Instant::now() + REPEAT_AFTER / 2);
                match tokio::time::timeout_at(patience, waiting.outcome).await {
                    Ok(Ok(EntryResult::Published(positions))) => {
                        PublishOutcome::Published(positions)
                    }
                    Ok(Ok(EntryResult::Rejected(reason))) => rejected(&reason),
                    Ok(Err(_)) | Err(_) => PublishOutcome::Unknown(reason),
                }
            }
            Err(error) => PublishOutcome::Unavailable(error.to_string()),
        };
        self.lock().remove(&request);
        outcome
    }

    /// Appends entries in order, again and again until they are recorded: what a socket hands in.
    /// One that is not accepted is a dead letter already.
    pub async fn publish_until_recorded(&self, mut entries: Vec<(Stream, Fields)>) {
        for (_, fields) in &mut entries {
            self.identify(fields);
        }
        let mut pause = Duration::from_millis(50);
        while !entries.is_empty() {
            let outcomes = self.publish(entries.clone(), Instant::now() + REPEAT_AFTER).await;
            let mut outcomes = outcomes.into_iter();
            entries.retain(|_| match outcomes.next() {
                Some(PublishOutcome::Published(_)) => false,
                Some(PublishOutcome::Rejected(rejection)) => {
                    tracing::debug!(
                        %rejection,
                        "publisher: an event of a socket was not accepted, it is a dead letter"
                    );
                    false
                }
                Some(
                    PublishOutcome::Accepted
                    | PublishOutcome::Unavailable(_)
                    | PublishOutcome::Unknown(_),
                )
                | None => true,
            });
            if !entries.is_empty() {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(2));
            }
        }
    }

    /// Delivers an outcome to who waits for it.
    pub fn deliver(&self, request: u64, result: EntryResult) {
        if let Some(waiting) = self.lock().remove(&request) {
            // Who does not wait any more has had its answer.
            let _gone = waiting.send(result);
        }
    }

    fn source(&self, stream: Stream, fields: &Fields) -> Source {
        let id = fields.get(field::ID).and_then(|id| std::str::from_utf8(id).ok());
        Source::of(stream, id.filter(|id| !id.is_empty()), self.partitions)
    }

    /// Gives an entry its `event_id`, so that a repetition is recognized.
    fn identify(&self, fields: &mut Fields) {
        if fields.get(field::EVENT_ID).is_none() {
            let number = self.next_request.fetch_add(1, Ordering::Relaxed);
            fields.push(field::EVENT_ID, format!("~{}:{number:x}", self.node));
        }
    }

    fn prepare(&self, fields: &mut Fields) -> Waiting {
        self.identify(fields);
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        fields.push(field::REPLY, format!("{}:{request}", self.node));
        let (sender, outcome) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.len() < WAITING_MAX {
            waiting.insert(request, sender);
        }
        Waiting { request, outcome }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<EntryResult>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
