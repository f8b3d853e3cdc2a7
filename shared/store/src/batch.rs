//! What a transaction of the record is given, and what it answers.

use std::time::Duration;

use domain::{
    channel::Channel,
    entry::{EntryId, Fields},
    event::{Rejection, Submission},
    position::Epoch,
    publication::Publication,
};

/// One entry with the judgement of its projection.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The entry's id.
    pub entry: EntryId,
    /// The fingerprint of its fields.
    pub digest: i64,
    /// What becomes of it.
    pub verdict: EntryVerdict,
    /// Its fields, kept for the dead-letter store.
    pub fields: Fields,
    /// What is to be delivered when it is recorded: where an alert goes.
    pub deliveries: Vec<NewDelivery>,
}

/// A webhook that follows from an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The name of its route.
    pub route: String,
    /// How long the alert has to go without an acknowledgement; none: it goes at once, whatever
    /// becomes of the alert.
    pub after: Option<Duration>,
}

impl NewDelivery {
    pub(super) fn wait(&self) -> Duration {
        self.after.unwrap_or_default()
    }
}

/// What becomes of an entry.
#[derive(Clone, Debug)]
pub enum EntryVerdict {
    /// It is recorded and published.
    Accepted(Box<Submission>),
    /// It goes to the dead letters.
    Dead(DeadReason),
}

/// Why an entry is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadReason {
    /// A word of few for the metrics: the wrong field, `poison`, `state_bytes` …
    pub label: &'static str,
    /// The whole sentence.
    pub text: String,
}

/// What one transaction records.
#[derive(Clone, Debug)]
pub struct EntryBatch {
    /// The cursor before it; another one in the row means that another owner went on.
    pub before: EntryId,
    /// The cursor after it: the id of the last entry read.
    pub cursor: EntryId,
    /// The entries, in stream order.
    pub entries: Vec<Judged>,
    /// How far is certainly published, noted along.
    pub published: u64,
}

/// What became of one entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was recorded now; its channels and the offsets there.
    Recorded(Vec<(Channel, u64)>),
    /// The same `event_id` was applied before: the channels and offsets of that time.
    Repeated(Vec<(Channel, u64)>),
    /// The same entry was taken in before: it was read again after a loss at the broker.
    Known,
    /// It is a dead letter.
    Dead(DeadReason),
    /// A step of a task that does not fit; whoever took it is told, and nothing is kept.
    Refused(Rejection),
}

impl Outcome {
    /// A word for it, for metrics and traces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Recorded(_) => "recorded",
            Self::Repeated(_) => "repeated",
            Self::Known => "known",
            Self::Dead(_) => "dead",
            Self::Refused(_) => "refused",
        }
    }
}

/// What a batch's transaction did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The epoch in which the offsets were given.
    pub epoch: Epoch,
    /// What is to be published, in the order of recording.
    pub publications: Vec<Publication>,
    /// One outcome for each entry of the batch, in its order.
    pub outcomes: Vec<Outcome>,
    /// The source's last number now.
    pub seq: u64,
    /// How many events were recorded: the last numbers up to `seq`.
    pub events: u64,
}
