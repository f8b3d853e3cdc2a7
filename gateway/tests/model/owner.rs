//! The owner of the source: records numbered events and publishes them, with a worker's misfortunes.

use std::{sync::Arc, time::Duration};

use broker::Broker as _;
use domain::{
    channel::{Channel, ChannelKind},
    entry::{EntryId, Fields},
    event::{Submission, submission::Origin},
    node::NodeId,
    source::{Source, Stream},
};
use rand::{RngExt as _, rngs::StdRng};
use store::{Committed, EntryBatch, EntryVerdict, Judged, SourceRow, StoreError};

use crate::node::Node;

const TASKS: Source = Source::first(Stream::Tasks);
const LEASE: Duration = Duration::from_mins(10);
const STATE_BYTES: usize = 256 * 1024;

/// The most picks of a case in one batch.
const PICKS: usize = 50;

/// The most events of a case in one pick.
const BURST: u64 = 4;

/// How many events are read back at once.
const UNPUBLISHED: usize = 1000;

/// A channel with so many events in the end.
pub(crate) struct Case {
    pub(crate) channel: Channel,
    pub(crate) last: u64,
}

impl Case {
    pub(crate) fn new(name: &str, last: u64) -> Arc<Self> {
        Arc::new(Self { channel: Channel::entity(ChannelKind::Task, name), last })
    }
}

/// The owner, as its row in the record sees it.
pub(crate) struct Owner {
    node: Arc<Node>,
    row: SourceRow,
    cursor: EntryId,
    /// The number of the last event that it knows to be published.
    published: u64,
    owners: u32,
}

impl Owner {
    pub(crate) async fn of(node: &Arc<Node>) -> Self {
        answered(async || node.record.sources(&[TASKS]).await).await;
        let first = NodeId("owner-0".into());
        let row = answered(async || node.record.claim(TASKS, &first, LEASE).await).await.unwrap();
        let cursor = row.cursor;
        Self { node: Arc::clone(node), row, cursor, published: 0, owners: 1 }
    }

    /// Brings every case to its end, in random batches and with random misfortunes.
    pub(crate) async fn play(&mut self, cases: &[Arc<Case>], dice: &mut StdRng) {
        let mut left: Vec<(&Case, u64)> = cases.iter().map(|case| (&**case, 0)).collect();
        while !left.is_empty() {
            let mut entries = Vec::new();
            for _ in 0..PICKS {
                if left.is_empty() {
                    break;
                }
                let at = dice.random_range(0..left.len());
                let (case, done) = &mut left[at];
                let end = case.last.min(*done + dice.random_range(1..=BURST));
                for number in *done + 1..=end {
                    let padding = dice.random_range(0..1500);
                    entries.push(self.entry(case, number, entries.len(), padding));
                }
                *done = end;
                if end == case.last {
                    left.swap_remove(at);
                }
            }
            let committed = self.record(entries).await;
            self.publish(committed, dice).await;
        }
    }

    /// Appends events to a case and publishes them without any misfortune.
    pub(crate) async fn append(&mut self, case: &Case, numbers: std::ops::RangeInclusive<u64>) {
        let numbered = numbers.enumerate();
        let entries = numbered.map(|(at, number)| self.entry(case, number, at, 0)).collect();
        let committed = self.record(entries).await;
        let broker = &self.node.broker;
        broker.publish(self.row.generation, &committed.publications).await.unwrap();
        self.published = committed.seq;
    }

    fn entry(&self, case: &Case, number: u64, at: usize, padding: usize) -> Judged {
        let entry = EntryId { ms: self.cursor.ms + 1 + at as u64, number: 0 };
        let data = format!(r#"{{"n":{number},"padding":"{:padding$}"}}"#, "");
        let id = case.channel.id().unwrap_or_default();
        let fields = [("type", "task_update"), ("id", id), ("data", &data)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
        let fields = Fields(fields.into());
        let submission =
            Submission::parse(Stream::Tasks, entry, &fields, Origin::Outside, 0).unwrap();
        let verdict = EntryVerdict::Accepted(Box::new(submission));
        Judged { entry, digest: fields.digest(), verdict, fields, deliveries: Vec::new() }
    }

    async fn record(&mut self, entries: Vec<Judged>) -> Committed {
        let cursor = entries.last().map_or(self.cursor, |judged| judged.entry);
        let batch = EntryBatch { before: self.cursor, cursor, entries, published: self.published };
        let record = &self.node.record;
        let fence = self.row.fence;
        let committed =
            answered(async || record.record(TASKS, fence, &batch, STATE_BYTES).await).await;
        self.cursor = cursor;
        committed
    }

    /// Publishes a batch: whole, in part before the owner dies, or while the subscriber is cut off.
    async fn publish(&mut self, committed: Committed, dice: &mut StdRng) {
        let all = committed.publications;
        let fate = dice.random_range(0..20);
        let out = match fate {
            0 => 0,
            1 | 2 => dice.random_range(0..=all.len()),
            _ => all.len(),
        };
        let is_cut_off = fate % 7 == 2;
        if is_cut_off {
            self.node.broker.cut().await;
        }
        self.node.broker.publish(self.row.generation, &all[..out]).await.unwrap();
        let while_ms = dice.random_range(0..300);
        if is_cut_off || fate < 3 {
            tokio::time::sleep(Duration::from_millis(while_ms)).await;
        }
        if is_cut_off && dice.random_bool(0.5) {
            self.regenerate().await;
        }
        if fate < 3 {
            self.hand_over().await;
        } else {
            self.published = committed.seq;
        }
        if is_cut_off {
            self.node.broker.mend().await;
        }
    }

    /// The broker is another one: what it says of earlier publications proves nothing.
    pub(crate) async fn regenerate(&mut self) {
        let generation = self.row.generation + 1;
        let fence = self.row.fence;
        let record = &self.node.record;
        let cursor = self.cursor;
        self.row =
            answered(async || record.regenerate(TASKS, fence, generation, "another", cursor).await)
                .await;
    }

    /// The owner is gone; the next one begins by publishing what is not known to be out.
    async fn hand_over(&mut self) {
        let record = &self.node.record;
        let (fence, published) = (self.row.fence, self.published);
        answered(async || record.release(TASKS, fence, published).await).await;
        let next = NodeId(format!("owner-{}", self.owners).into());
        self.owners += 1;
        self.row = answered(async || record.claim(TASKS, &next, LEASE).await).await.unwrap();
        self.published = self.row.published;
        loop {
            let after = self.published;
            let left = answered(async || record.unpublished(TASKS, after, UNPUBLISHED).await).await;
            let Some(last) = left.last() else { return };
            let seq = last.recorded.seq;
            self.node.broker.publish(self.row.generation, &left).await.unwrap();
            self.published = seq;
        }
    }
}

/// Asks the store until it answers: thousands of readers share its few connections, and on a busy
/// machine one of them may not be free in time. What was not available did nothing.
async fn answered<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let patience = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match ask().await {
            Err(StoreError::Unavailable(_)) if tokio::time::Instant::now() < patience => {}
            answer => return answer.unwrap(),
        }
    }
}
