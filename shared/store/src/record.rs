//! The steps of a batch's transaction: the rules of the record in the order in which they apply.
//!
//! Rule 3 comes first: the cursor moves only for the owner whose fence and cursor are those of the
//! row, which stays locked to the end. What was taken in before is sorted out (rule 5), producers'
//! ids likewise; the tasks of a queue are locked and judge their steps; the states of the rest are
//! locked in the order of their entities and folded; the
//! counters move (rule 4); everything is written. Nothing counts until the commit.

use std::collections::HashSet;

use domain::{source::Source, work::step::Defaults};

use super::{
    Committed, EntryBatch, Outcome, StoreError, channel, dead_letter, delivery,
    engine::SqlSession,
    entity, event,
    known::{self, Key, Placed},
    plan::{Numbered, Plan},
    source,
    work::bench::Bench,
};

/// On which terms a batch is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The most bytes of one entity's state, folded.
    pub(super) state_bytes_max: usize,
    /// The most bytes of states that a transaction of more than one entry reads.
    pub(super) batch_state_bytes: usize,
    /// The longest run of a task's attempt that names none, ms.
    pub(super) task_timeout_ms: i64,
}

/// Does everything but the commit.
pub(super) async fn record(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
    batch: &EntryBatch,
    terms: Terms,
) -> Result<Committed, StoreError> {
    let begun = source::advance(session, source, fence, batch).await?;
    let recorded = begun.recorded;

    // An entry above the highest one that was ever taken in cannot be known.
    let doubtful: Vec<Key> = batch
        .entries
        .iter()
        .filter(|judged| judged.entry <= begun.top)
        .map(|judged| (judged.entry, judged.digest))
        .collect();
    let known: HashSet<Key> = known::among(session, source, &doubtful).await?;
    let mut plan = Plan::new(&batch.entries, known);
    let defaults = Defaults { timeout_ms: terms.task_timeout_ms };
    let mut bench = Bench::lock(session, source, &plan.steps(), defaults).await?;
    plan.answers_of_agents(&bench);
    let applied = known::applied(session, source.stream, plan.event_ids(), recorded).await?;
    plan.set_aside(&applied);

    let bytes_max = if batch.entries.len() > 1 { terms.batch_state_bytes } else { usize::MAX };
    let mut states = entity::lock(session, plan.entities(), plan.paths(), bytes_max).await?;
    plan.fold(&mut states, &mut bench, recorded, terms.state_bytes_max);
    let counters = channel::advance(session, source, &plan.counts()).await?;
    let numbered = plan.number(source, &begun, &counters);

    entity::write(session, source, recorded, &states.changed(recorded)).await?;
    bench.write(session, source, recorded).await?;
    event::insert(session, source, recorded, &numbered.events).await?;
    known::remember(session, source, &numbered.entries).await?;
    known::apply(session, source.stream, recorded, &applied_now(&numbered)).await?;
    dead_letter::insert(session, source, recorded, &numbered.dead).await?;
    delivery::insert(session, recorded, batch, &numbered.committed.outcomes).await?;
    let top = batch.entries.iter().map(|judged| judged.entry).max();
    let top = top.map_or(begun.top, |top| top.max(begun.top));
    source::reach(session, source, numbered.committed.seq, top).await?;
    runtime::failpoint::hit("before_commit");
    Ok(numbered.committed)
}

/// The producers' ids that were applied now, sorted: two partitions of a stream write them in one order.
fn applied_now<'n>(numbered: &'n Numbered<'_>) -> Vec<(&'n str, &'n Placed)> {
    let placed = |(event_id, at): &(&'n str, usize)| match numbered.committed.outcomes.get(*at) {
        Some(Outcome::Recorded(placed)) => Some((*event_id, placed)),
        _ => None,
    };
    let mut applied: Vec<_> = numbered.event_ids.iter().filter_map(placed).collect();
    applied.sort_unstable_by_key(|(event_id, _)| *event_id);
    applied
}
