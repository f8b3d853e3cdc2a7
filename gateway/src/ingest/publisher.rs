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
        Rejection, Submission, rejection,
        submission::{Origin, field},
    },
    node::NodeId,
    source::{Source, Stream},
};
use runtime::lock::LockExt as _;
use store::Store;
use tokio::{
    sync::{RwLock, oneshot},
    time::Instant,
};

use super::{partitions::PartitionCount, publish_trace};
use crate::metrics::GatewayMetrics;

/// How often the number of partitions is read.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(1);

/// How long a change of that number waits until what was appended before is recorded.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How often it looks.
const DRAIN_POLL: Duration = Duration::from_millis(50);

/// How long a socket's event waits for its outcome before it is appended again.
const REPEAT_AFTER: Duration = Duration::from_secs(5);

/// How long an appended event may wait, while the database answers, before it counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// The door of what sockets hand in.
const SOCKETS: &str = "socket";

/// The most publishers that wait at the same time.
const WAITING_MAX: usize = 100_000;

/// Appends entries to streams, and knows who waits for their outcomes.
pub struct EventPublisher {
    node: NodeId,
    broker: Arc<dyn Broker>,
    store: Arc<dyn Store>,
    metrics: Arc<GatewayMetrics>,
    partitions: Arc<PartitionCount>,
    /// Held by whoever appends; a new number of partitions waits for its turn alone.
    appending: RwLock<()>,
    /// The last entry that this node appended to each source since the number changed.
    appended: Mutex<HashMap<Source, EntryId>>,
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
    /// The broker took nothing: why, in a sentence for whoever published.
    Unavailable(String),
    /// It may or may not have been appended.
    Unknown(String),
}

impl PublishOutcome {
    /// Returns the name in metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Published(_) => "published",
            Self::Accepted => "accepted",
            Self::Rejected(_) => "rejected",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl From<EntryResult> for PublishOutcome {
    /// Owners answer about a wrong entry with a sentence that begins with its field.
    fn from(result: EntryResult) -> Self {
        match result {
            EntryResult::Published(positions) => Self::Published(positions),
            EntryResult::Rejected(reason) => {
                let (path, message) = reason.split_once(' ').unwrap_or((&reason, ""));
                Self::Rejected(Rejection::new(path, message))
            }
            EntryResult::Refused { path, message, word } => {
                let word = word.as_deref().and_then(rejection::known_word);
                Self::Rejected(Rejection { path, message, word })
            }
        }
    }
}

/// An entry that waits for its outcome.
struct Waiting {
    request: u64,
    outcome: oneshot::Receiver<EntryResult>,
}

impl EventPublisher {
    /// Returns the publisher of a node.
    pub fn new(
        node: NodeId,
        broker: Arc<dyn Broker>,
        store: Arc<dyn Store>,
        metrics: Arc<GatewayMetrics>,
        partitions: Arc<PartitionCount>,
    ) -> Self {
        Self {
            node,
            broker,
            store,
            metrics,
            partitions,
            appending: RwLock::default(),
            appended: Mutex::default(),
            // Requests of an earlier process of the same name must not be taken for ours.
            next_request: AtomicU64::new(rand::random::<u32>().into()),
            waiting: Mutex::default(),
        }
    }

    /// Returns how many partitions each stream has.
    pub fn partitions(&self) -> u16 {
        self.partitions.get()
    }

    /// Returns the count of them, which follows what is in force.
    pub fn partition_count(&self) -> Arc<PartitionCount> {
        Arc::clone(&self.partitions)
    }

    /// Reads how many partitions each stream has, until the process stops.
    pub async fn follow_partitions(&self) {
        loop {
            match self.broker.partitions().await {
                Ok(Some(partitions)) if partitions != self.partitions() => {
                    self.change_partitions(partitions).await;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "publisher: partitions not read, again in a second");
                }
            }
            tokio::time::sleep(PARTITIONS_INTERVAL).await;
        }
    }

    /// Goes over to another number of partitions. What this node appended before is recorded first: so
    /// the events of an id keep their order.
    async fn change_partitions(&self, partitions: u16) {
        let _alone = self.appending.write().await;
        let appended = std::mem::take(&mut *self.appended.lock_unpoisoned());
        let begun = Instant::now();
        while begun.elapsed() < DRAIN_MAX && !self.are_recorded(&appended).await {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        self.partitions.set(partitions);
        tracing::info!(partitions, "partitions in force");
    }

    async fn are_recorded(&self, appended: &HashMap<Source, EntryId>) -> bool {
        let Ok(rows) = self.store.sources(&[]).await else { return false };
        let is_recorded = |(source, entry): (&Source, &EntryId)| {
            rows.iter().any(|row| row.source == *source && row.cursor >= *entry)
        };
        appended.iter().all(is_recorded)
    }

    /// Checks an entry as its owner will.
    ///
    /// # Errors
    /// [`Rejection`] with the field that is wrong.
    pub fn check(stream: Stream, fields: &Fields) -> Result<(), Rejection> {
        let now = jiff::Timestamp::now().as_millisecond();
        Submission::parse(stream, EntryId::ZERO, fields, Origin::Outside, now).map(|_| ())
    }

    /// Appends entries in order and waits for their outcomes until `deadline`; counts them by the door
    /// through which they came.
    pub async fn publish(
        &self,
        door: &'static str,
        mut entries: Vec<(Stream, Fields)>,
        deadline: Instant,
    ) -> Vec<PublishOutcome> {
        // Ends with this function, when the outcome is known.
        let _span = publish_trace::begin(&mut entries);
        let mut outcomes = Vec::with_capacity(entries.len());
        for (waiting, _, appended) in self.append(entries).await {
            let outcome = self.outcome(waiting, appended, deadline).await;
            self.metrics.publish.with_label_values(&[door, outcome.name()]).inc();
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Appends entries in order; what waits for each outcome, where it went, and what the broker said.
    async fn append(
        &self,
        entries: Vec<(Stream, Fields)>,
    ) -> Vec<(Waiting, Source, Result<EntryId, BrokerError>)> {
        let _turn = self.appending.read().await;
        let mut waiting = Vec::with_capacity(entries.len());
        let mut prepared = Vec::with_capacity(entries.len());
        for (stream, mut fields) in entries {
            waiting.push(self.prepare(&mut fields));
            prepared.push((self.source(stream, &fields), fields));
        }
        let appended = self.broker.append(&prepared).await;
        {
            let mut last = self.appended.lock_unpoisoned();
            for ((source, _), appended) in prepared.iter().zip(&appended) {
                if let Ok(entry) = appended {
                    let known = last.entry(*source).or_insert(*entry);
                    *known = (*known).max(*entry);
                }
            }
        }
        let places = prepared.iter().map(|(source, _)| *source);
        let all = waiting.into_iter().zip(places).zip(appended);
        all.map(|((waiting, source), appended)| (waiting, source, appended)).collect()
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
                Ok(Ok(result)) => result.into(),
                Ok(Err(_)) | Err(_) => PublishOutcome::Accepted,
            },
            Err(BrokerError::Unknown(reason)) => {
                // The append may have gone through, and its outcome may come.
                let patience = deadline.min(Instant::now() + REPEAT_AFTER / 2);
                match tokio::time::timeout_at(patience, waiting.outcome).await {
                    Ok(Ok(result)) => result.into(),
                    Ok(Err(_)) | Err(_) => PublishOutcome::Unknown(reason),
                }
            }
            Err(BrokerError::Unwritable { cause, .. }) => {
                PublishOutcome::Unavailable(cause.sentence().to_owned())
            }
            Err(error) => {
                tracing::debug!(%error, "publisher: nothing appended, the publisher is told");
                PublishOutcome::Unavailable("the broker does not answer".to_owned())
            }
        };
        self.lock().remove(&request);
        outcome
    }

    /// Appends entries in order until they are recorded: what a socket hands in. One is appended again
    /// only when it is not known whether it was, or whether it was recorded; one that is not accepted
    /// is a dead letter already. Answers, for each, why it was not accepted.
    pub async fn publish_until_recorded(
        &self,
        mut entries: Vec<(Stream, Fields)>,
    ) -> Vec<Option<Rejection>> {
        for (_, fields) in &mut entries {
            self.identify(fields);
        }
        let mut rejections = vec![None; entries.len()];
        let mut open: Vec<usize> = (0..entries.len()).collect();
        let mut pause = Duration::from_millis(50);
        loop {
            let mut left = Vec::new();
            let given = open.iter().map(|at| entries[*at].clone()).collect();
            let prepared = self.append(given).await;
            for (at, (waiting, source, appended)) in open.into_iter().zip(prepared) {
                let request = waiting.request;
                match self.settled(waiting, source, appended).await {
                    Some(rejection) => rejections[at] = rejection,
                    None => left.push(at),
                }
                self.lock().remove(&request);
            }
            if left.is_empty() {
                return rejections;
            }
            open = left;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// Returns why an entry of a socket was refused, if it was; none when it has to be appended again.
    async fn settled(
        &self,
        mut waiting: Waiting,
        source: Source,
        appended: Result<EntryId, BrokerError>,
    ) -> Option<Option<Rejection>> {
        let (entry, patience) = match appended {
            Ok(entry) => (Some(entry), REPEAT_AFTER),
            // The append may have gone through, and its outcome may come.
            Err(BrokerError::Unknown(_)) => (None, REPEAT_AFTER / 2),
            Err(_) => return None,
        };
        let appended_at = Instant::now();
        loop {
            match tokio::time::timeout(patience, &mut waiting.outcome).await {
                Ok(Ok(result)) => {
                    let outcome = PublishOutcome::from(result);
                    self.metrics.publish.with_label_values(&[SOCKETS, outcome.name()]).inc();
                    let PublishOutcome::Rejected(rejection) = outcome else {
                        return Some(None);
                    };
                    tracing::debug!(%rejection, "publisher: an event of a socket was not accepted");
                    return Some(Some(rejection));
                }
                Ok(Err(_)) => tokio::time::sleep(patience).await,
                Err(_) => {}
            }
            let entry = entry?;
            if self.may_be_lost(source, entry, appended_at).await {
                return None;
            }
        }
    }

    /// Whether an appended entry may be gone, or its outcome. While the database does not answer, its
    /// turn has not come.
    async fn may_be_lost(&self, source: Source, entry: EntryId, appended_at: Instant) -> bool {
        match self.store.sources(&[source]).await {
            Ok(rows) => {
                let is_passed = rows.first().is_some_and(|row| row.cursor >= entry);
                is_passed || appended_at.elapsed() > LOST_AFTER
            }
            Err(error) => {
                tracing::debug!(%error, "publisher: an event waits for the database, asked again");
                false
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
        Source::of(stream, id.filter(|id| !id.is_empty()), self.partitions())
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
