//! The rounds of the queue's owner: what is due, what follows, who gets what.

use std::time::Duration;

use broker::Topic;
use domain::{control::Control, node::NodeId, source::Stream};
use store::{EntryBatch, Judged, Spans};
use tokio::time::Instant;

use super::{Consumer, error::Error};
use crate::{
    Worker, publisher,
    work::{assignment, dependencies},
};

/// How often the owner looks, while there are tasks that did not end.
const TICK: Duration = Duration::from_millis(100);

/// How often it looks whether there are any, while there were none.
const IDLE_TICK: Duration = Duration::from_secs(1);

/// A pause between two looks from which on something was away: so long a grace stands still.
const OUTAGE: Duration = Duration::from_secs(3);

/// The most tasks that are found to be due at once.
const DUE_MAX: i64 = 500;

/// How long this owner must have looked without a break before it takes a silent node for dead: after
/// an outage every node looks silent.
const TRUSTED: Duration = Duration::from_secs(15);

/// How often the figures of the queue are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

impl Consumer {
    /// Looks after the tasks of this source, when it is time.
    pub(super) async fn tend_work(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if self.row.source.stream != Stream::Tasks || now < self.work.next_look {
            return Ok(());
        }
        let gap = now.saturating_duration_since(self.work.looked);
        if gap > OUTAGE {
            let ms = i64::try_from(gap.as_millis()).unwrap_or(i64::MAX);
            self.worker.store.work().stand_still(self.row.source, ms).await?;
            self.work.steady_since = now;
        }
        if self.work.has_open {
            self.follow_signals().await?;
            self.end_due().await?;
            self.assign().await?;
        }
        self.work.has_open = self.worker.store.work().has_open_tasks(self.row.source).await?;
        self.keep_house(now).await?;
        self.work.looked = Instant::now();
        let pause = if self.work.has_open { TICK } else { IDLE_TICK };
        self.work.next_look = self.work.looked + pause;
        Ok(())
    }

    /// Follows dependencies and closed groups.
    async fn follow_signals(&mut self) -> Result<(), Error> {
        let store = self.worker.store.clone();
        loop {
            let source = self.row.source;
            let follows =
                dependencies::follow(store.work(), source, &mut self.work.proposals).await?;
            if follows.settled.is_empty() && follows.proposals.is_empty() {
                return Ok(());
            }
            self.propose(follows.proposals).await?;
            store.work().settle(&follows.settled).await?;
        }
    }

    /// Ends what is lost, took too long, waited too long or is wanted by nobody: nothing that was said
    /// in time is unread then.
    async fn end_due(&mut self) -> Result<(), Error> {
        let (store, source) = (self.worker.store.clone(), self.row.source);
        let (at, newest) = if let Some(asked) = self.work.asked {
            asked
        } else {
            let at = store.work().clock().await?;
            (at, self.worker.broker.inspect(source).await?.last_generated)
        };
        self.work.asked = Some((at, newest));
        if self.row.cursor < newest {
            return Ok(());
        }
        self.work.asked = None;
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let settings = &self.worker.work;
        let spans = Spans { grace_ms: ms(settings.grace), accept_ms: ms(settings.accept) };
        let due = store.work().due(source, at, spans, DUE_MAX).await?;
        let mut proposals: Vec<Judged> =
            due.iter().map(|due| self.work.proposals.of_due(due)).collect();
        proposals.extend(
            assignment::end_unwanted(store.work(), source, &mut self.work.proposals).await?,
        );
        let is_any = !proposals.is_empty();
        self.propose(proposals).await?;
        if is_any { self.follow_signals().await } else { Ok(()) }
    }

    /// Gives waiting tasks to free agents, and wakes the nodes that hand them over.
    async fn assign(&mut self) -> Result<(), Error> {
        let (store, source) = (self.worker.store.clone(), self.row.source);
        let max = self.worker.limits.batch_entries;
        let assigned =
            assignment::assign(store.work(), source, &mut self.work.proposals, max).await?;
        if assigned.proposals.is_empty() {
            return Ok(());
        }
        self.propose(assigned.proposals).await?;
        for node in assigned.nodes {
            wake(&self.worker, NodeId(node.into())).await;
        }
        Ok(())
    }

    /// Records proposals, batch after batch.
    async fn propose(&mut self, proposals: Vec<Judged>) -> Result<(), Error> {
        let started = Instant::now();
        let mut left = proposals.into_iter();
        loop {
            let entries: Vec<Judged> =
                left.by_ref().take(self.worker.limits.batch_entries).collect();
            if entries.is_empty() {
                return Ok(());
            }
            let (before, published) = (self.row.cursor, self.row.published);
            let batch = EntryBatch { before, cursor: before, entries, published };
            match self.record(&batch).await {
                Ok(committed) => {
                    self.publish(&committed).await?;
                    publisher::reply(&self.worker, self.row.source, &batch, &committed).await;
                    self.count(&batch, &committed, started);
                }
                Err(error) => return Err(self.reload_after(error).await),
            }
        }
    }

    /// Takes silent nodes for dead, and counts tasks.
    async fn keep_house(&mut self, now: Instant) -> Result<(), Error> {
        if self.row.source.partition != 0 {
            return Ok(());
        }
        if now >= self.work.next_reap && now.duration_since(self.work.steady_since) > TRUSTED {
            self.work.next_reap = now + IDLE_TICK;
            self.worker.store.work().reap_agents().await?;
        }
        if now >= self.work.next_count {
            self.work.next_count = now + COUNT_INTERVAL;
            let counts = self.worker.store.work().task_counts().await?;
            self.worker.metrics.tasks.counted(&counts);
        }
        Ok(())
    }
}

/// Tells a node that it has something to hand over. Best effort: it looks by itself as well.
async fn wake(worker: &Worker, node: NodeId) {
    let control = Control::Work.encode(worker.store.epoch());
    if let Err(error) = worker.broker.send(&Topic::Node(node), control).await {
        tracing::debug!(%error, "work: node not woken, it looks by itself");
    }
}
