//! Dependencies and groups: what follows for tasks from those that they depend on, and from a group
//! that was closed.

use std::collections::BTreeSet;

use domain::{event::EventKind, source::Source, work::TaskStatus};
use serde_json::{Value, json};
use store::{Judged, Signal, SignalKind, StoreError, WorkStore};

use super::proposal::Proposals;

/// The most signals that are looked at at once.
const SIGNALS_MAX: i64 = 256;

/// The most tasks of a closed group that are cancelled at once.
const MEMBERS_MAX: i64 = 500;

/// What follows from signals.
#[derive(Debug, Default)]
pub struct Consequences {
    /// The proposals.
    pub proposals: Vec<Judged>,
    /// The signals that are settled once these are recorded.
    pub settled: Vec<Signal>,
}

/// Looks at what the signals of a source are about.
///
/// # Errors
/// Fails with [`StoreError`] when the database does not answer.
pub async fn follow(
    store: &dyn WorkStore,
    source: Source,
    proposals: &mut Proposals,
) -> Result<Consequences, StoreError> {
    let signals = store.signals(source, SIGNALS_MAX).await?;
    let about = |kind: SignalKind| {
        let of_kind = signals.iter().filter(move |signal| signal.kind == kind);
        of_kind.map(|signal| &*signal.about).collect::<BTreeSet<&str>>()
    };
    let mut made = Vec::new();
    let checked = about(SignalKind::Check);
    let mut in_cycle = cycles(store, &checked).await?;
    in_cycle.extend(about(SignalKind::Cycle).into_iter().map(Box::from));
    for task in &in_cycle {
        made.push(proposals.make(&EventKind::TaskResult, task, &failed("cycle")));
    }
    let checked: Vec<&str> = checked.into_iter().collect();
    for (task, dependent) in store.dependencies(&checked).await? {
        let is_hopeless = |status: &Option<TaskStatus>| {
            status.is_some_and(|status| status.is_end() && status != TaskStatus::Completed)
        };
        if !in_cycle.contains(&task) && dependent.on.iter().any(|(_, status)| is_hopeless(status)) {
            made.push(proposals.make(&EventKind::TaskResult, &task, &failed("dependency")));
        }
    }
    for task in about(SignalKind::Revive) {
        let data = json!({ "by": "worker", "why": "dependency" });
        made.push(proposals.make(&EventKind::TaskRetried, task, &data));
    }
    let mut unfinished = BTreeSet::new();
    for group in about(SignalKind::Group) {
        let members = store.group_members(source, group, MEMBERS_MAX).await?;
        if i64::try_from(members.len()).is_ok_and(|count| count >= MEMBERS_MAX) {
            unfinished.insert(group);
        }
        let data = json!({ "reason": "group" });
        let cancelled = members.iter();
        made.extend(cancelled.map(|task| proposals.make(&EventKind::TaskCancelled, task, &data)));
    }
    let is_settled =
        |signal: &&Signal| signal.kind != SignalKind::Group || !unfinished.contains(&*signal.about);
    let settled = signals.iter().filter(is_settled).cloned().collect();
    Ok(Consequences { proposals: made, settled })
}

fn failed(reason: &str) -> Value {
    json!({ "status": "failed", "reason": reason })
}

/// Those of these tasks that depend on themselves. Others of the same cycles are signalled to the
/// owners of their sources.
async fn cycles(
    store: &dyn WorkStore,
    checked: &BTreeSet<&str>,
) -> Result<BTreeSet<Box<str>>, StoreError> {
    let tasks: Vec<&str> = checked.iter().copied().collect();
    let reached = store.reach(&tasks).await?;
    let own: BTreeSet<Box<str>> =
        reached.iter().filter(|(root, id)| root == id).map(|(root, _)| root.clone()).collect();
    if own.is_empty() {
        return Ok(own);
    }
    let beyond = reached.iter().filter(|(root, id)| own.contains(root) && !own.contains(id));
    let beyond: BTreeSet<&str> = beyond.map(|(_, id)| &**id).collect();
    let beyond: Vec<&str> = beyond.into_iter().collect();
    let reached = store.reach(&beyond).await?;
    let others: Vec<&str> =
        reached.iter().filter(|(root, id)| root == id).map(|(root, _)| &**root).collect();
    store.signal(SignalKind::Cycle, &others).await?;
    Ok(own)
}
