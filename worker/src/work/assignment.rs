//! Assignment: reads who waits and who is free, pairs them, and proposes it.

use std::collections::BTreeSet;

use domain::{
    event::EventKind,
    source::Source,
    work::{
        TaskSpec,
        matching::{FreeAgent, WaitingTask, can, pair},
    },
};
use serde_json::json;
use store::{ConnectedAgent, Judged, StoreError, WorkStore};

use super::proposal::Proposals;

/// The most tasks that are read of a lane beyond the free slots: some may have been rejected by all
/// who are free.
const LANE_SURPLUS: usize = 64;

/// The most tasks whose rejections are looked at at once.
const REJECTED_MAX: i64 = 256;

/// What is proposed, and the nodes whose agents it concerns.
#[derive(Debug, Default)]
pub struct Assignments {
    /// The proposals.
    pub proposals: Vec<Judged>,
    /// The nodes that have something to hand over when they are recorded.
    pub nodes: BTreeSet<Box<str>>,
}

/// Pairs tasks of a source with free agents, at most so many.
///
/// # Errors
/// Fails with [`StoreError`] when the database does not answer.
pub async fn assign(
    store: &dyn WorkStore,
    source: Source,
    proposals: &mut Proposals,
    assignments_max: usize,
) -> Result<Assignments, StoreError> {
    let lanes = store.lanes(source).await?;
    if lanes.is_empty() {
        return Ok(Assignments::default());
    }
    let agents = store.connected_agents().await?;
    let free: Vec<&ConnectedAgent> = agents.iter().filter(|agent| agent.free() > 0).collect();
    let slots: usize = free.iter().map(|agent| agent.free() as usize).sum();
    let mut waiting = Vec::new();
    for lane in lanes {
        let (only, requires) = TaskSpec::of_lane(&lane);
        let is_able = |agent: &&&ConnectedAgent| {
            can(&agent.agent, &agent.capabilities, only.as_deref(), &requires)
        };
        if free.iter().any(|agent| is_able(&agent)) {
            let limit = slots.min(assignments_max) + LANE_SURPLUS;
            waiting.extend(store.waiting_in(source, &lane, limit).await?);
        }
    }
    let free = free.into_iter().map(|agent| FreeAgent {
        agent: agent.agent.clone(),
        capabilities: agent.capabilities.clone(),
        free: agent.free(),
    });
    let mut assignments = Assignments::default();
    for pairing in pair(waiting, free.collect()).into_iter().take(assignments_max) {
        let data = json!({ "attempt": pairing.attempt, "agent": pairing.agent });
        let proposal = proposals.make(&EventKind::TaskAssigned, &pairing.task, &data);
        assignments.proposals.push(proposal);
        let node = agents.iter().find(|agent| agent.agent == pairing.agent);
        assignments.nodes.extend(node.map(|agent| agent.node.clone()));
    }
    Ok(assignments)
}

/// Proposes the end of tasks that every connected agent that could has rejected.
///
/// # Errors
/// Fails with [`StoreError`] when the database does not answer.
pub async fn end_unwanted(
    store: &dyn WorkStore,
    source: Source,
    proposals: &mut Proposals,
) -> Result<Vec<Judged>, StoreError> {
    let rejected = store.rejected_tasks(source, REJECTED_MAX).await?;
    if rejected.is_empty() {
        return Ok(Vec::new());
    }
    let agents = store.connected_agents().await?;
    let data = json!({ "status": "failed", "reason": "rejected" });
    let unwanted = rejected.iter().filter(|task| is_unwanted(task, &agents));
    Ok(unwanted.map(|task| proposals.make(&EventKind::TaskResult, &task.task, &data)).collect())
}

/// Whether there are agents that could do a task, and all of them rejected it.
fn is_unwanted(task: &WaitingTask, agents: &[ConnectedAgent]) -> bool {
    let mut able = agents.iter().filter(|agent| {
        can(&agent.agent, &agent.capabilities, task.agent.as_deref(), &task.requires)
    });
    let mut is_any = false;
    let all = able.all(|agent| {
        is_any = true;
        task.rejected_by.contains(&agent.agent)
    });
    is_any && all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, capabilities: &[&str]) -> ConnectedAgent {
        ConnectedAgent {
            agent: name.into(),
            capabilities: capabilities.iter().map(|one| Box::from(*one)).collect(),
            slots: 1,
            taken: 1,
            takes_work: false,
            node: "n".into(),
        }
    }

    #[test]
    fn a_task_is_unwanted_when_all_who_could_rejected_it_and_somebody_could() {
        let mut task = WaitingTask {
            task: "t".into(),
            attempt: 2,
            priority: 5,
            created: 0,
            agent: None,
            requires: vec!["gpu".into()],
            rejected_by: vec!["a".into()],
        };
        assert!(is_unwanted(&task, &[agent("a", &["gpu"]), agent("b", &[])]));
        assert!(!is_unwanted(&task, &[agent("a", &["gpu"]), agent("c", &["gpu"])]));
        assert!(!is_unwanted(&task, &[agent("b", &[])]), "nobody who could is here");
        task.agent = Some("a".into());
        assert!(is_unwanted(&task, &[agent("a", &["gpu"]), agent("c", &["gpu"])]));
    }
}
