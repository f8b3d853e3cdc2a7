//! Handing over: what a node has to write to its agents, each frame claimed before it is written.

use domain::event::State;

use super::{NODE_DEAD_MS, rows};
use crate::{
    StoreError,
    engine::SqlSession,
    entity,
    sql::{Column, Param, Statement, both, each},
};
use domain::work::Task;

/// The most that a node fetches at once.
const FETCHED_MAX: i64 = 256;

/// An attempt that a node has to tell an agent of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The task.
    pub task: Box<str>,
    /// The number of the attempt.
    pub attempt: u64,
    /// The socket that is told.
    pub connection: Box<str>,
    /// Why the agent is to stop; none: the task is to be handed over.
    pub stop: Option<Box<str>>,
}

/// A task that was claimed to be handed over.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The task's row.
    pub task: Task,
    /// Its folded state: title, executor, payload.
    pub state: State,
    /// The tasks that it depends on, in order, with their results as JSON.
    pub dependencies: Vec<(Box<str>, Option<State>)>,
}

// The socket that counts is the agent's last one on a node that lives.
const UNWRITTEN: Statement = both(
    "SELECT a.task, a.number, s.connection FROM attempt a
     JOIN agent_socket s ON s.agent = a.agent
     WHERE s.node = $1 AND a.ended_at IS NULL AND a.slot = 1 AND a.written_at IS NULL AND a.lost = 0
     AND s.opened = (SELECT max(o.opened) FROM agent_socket o
         JOIN gateway_node n ON n.name = o.node AND n.heard_at > (SELECT ms FROM clock) - $2
         WHERE o.agent = a.agent)
     ORDER BY a.assigned_at, a.task LIMIT $3",
);

const UNTOLD: Statement = both(
    "SELECT a.task, a.number, a.connection, a.tell FROM attempt a
     JOIN agent_socket s ON s.connection = a.connection AND s.cancels = 1
     WHERE s.node = $1 AND a.slot = 1 AND a.tell IS NOT NULL ORDER BY a.ended_at LIMIT $2",
);

const CLAIM: Statement = both(
    "UPDATE attempt SET written_at = (SELECT ms FROM clock), connection = $3, orphaned_at = NULL
     WHERE task = $1 AND number = $2 AND ended_at IS NULL AND written_at IS NULL AND lost = 0
     RETURNING agent",
);

const UNCLAIM: Statement = both(
    "UPDATE attempt SET written_at = NULL
     WHERE task = $1 AND number = $2 AND connection = $3 AND ended_at IS NULL AND accepted_at IS NULL",
);

const TOLD: Statement = both(
    "UPDATE attempt SET slot = 0, tell = NULL
     WHERE task = $1 AND number = $2 AND ended_at IS NOT NULL AND tell IS NOT NULL RETURNING task",
);

const READ: Statement = both("SELECT life FROM work WHERE id = $1");

const RESULTS: Statement = each(
    "SELECT id, state FROM entity WHERE kind = 'task' AND id = ANY ($1::text[])",
    "SELECT id, state FROM entity
     WHERE kind = 'task' AND id IN (SELECT value ->> 0 FROM json_each($1))",
);

/// What a node has to write to its agents.
pub(crate) async fn of(session: &mut SqlSession, node: &str) -> Result<Vec<Handover>, StoreError> {
    let mut handovers = Vec::new();
    let node = Param::Text(node);
    let params = [node, Param::Int(NODE_DEAD_MS), Param::Int(FETCHED_MAX)];
    for row in session.rows(&UNWRITTEN, &params).await? {
        let (task, attempt) = (row.text(0)?.into(), row.count(1)?);
        handovers.push(Handover { task, attempt, connection: row.text(2)?.into(), stop: None });
    }
    for row in session.rows(&UNTOLD, &[node, Param::Int(FETCHED_MAX)]).await? {
        let (task, attempt) = (row.text(0)?.into(), row.count(1)?);
        let stop = Some(row.text(3)?.into());
        handovers.push(Handover { task, attempt, connection: row.text(2)?.into(), stop });
    }
    Ok(handovers)
}

/// Claims an attempt to be written by a socket; none when it is over, or another one has claimed it.
pub(crate) async fn claim(
    session: &mut SqlSession,
    handover: &Handover,
) -> Result<Option<Claimed>, StoreError> {
    let (task, connection) = (Param::Text(&handover.task), Param::Text(&handover.connection));
    let number = Param::Int(crate::source::int(handover.attempt));
    if session.row(&CLAIM, &[task, number, connection]).await?.is_none() {
        return Ok(None);
    }
    let Some(row) = session.row(&READ, &[task]).await? else { return Ok(None) };
    let read = rows::task(row.text(0)?)?;
    let mut ids: Vec<&str> = read.spec.depends_on.iter().map(|on| &**on).collect();
    ids.push(&handover.task);
    let table = [Column::Texts(ids)];
    let mut states: Vec<(Box<str>, State)> = Vec::new();
    for row in session.rows(&RESULTS, &[Param::Table(&table)]).await? {
        states.push((row.text(0)?.into(), entity::state(row.text(1)?)?));
    }
    let mut state_of = |id: &str| {
        let at = states.iter().position(|(known, _)| **known == *id)?;
        Some(states.swap_remove(at).1)
    };
    let state = state_of(&handover.task).unwrap_or_default();
    let on = read.spec.depends_on.iter();
    let dependencies = on.map(|on| (on.clone(), state_of(on))).collect();
    Ok(Some(Claimed { task: read, state, dependencies }))
}

/// Takes a claim back: the frame was not written.
pub(crate) async fn unclaim(
    session: &mut SqlSession,
    handover: &Handover,
) -> Result<(), StoreError> {
    let number = Param::Int(crate::source::int(handover.attempt));
    let params = [Param::Text(&handover.task), number, Param::Text(&handover.connection)];
    session.run(&UNCLAIM, &params).await.map(drop)
}

/// Notes that an agent is told to stop; whether nobody else did before.
pub(crate) async fn cancellation_written(
    session: &mut SqlSession,
    handover: &Handover,
) -> Result<bool, StoreError> {
    let number = Param::Int(crate::source::int(handover.attempt));
    let row = session.row(&TOLD, &[Param::Text(&handover.task), number]).await?;
    Ok(row.is_some())
}
