//! What is shown of tasks for one: one with its attempts, the queue, a group.

use std::collections::BTreeMap;

use domain::work::{Task, TaskSpec, TaskStatus};

use super::{agents, agents::ConnectedAgent, rows, signals, signals::Dependent};
use crate::{
    StoreError,
    engine::SqlSession,
    sql::{Param, Statement, both},
};

/// An attempt as it is shown; times in ms since 1970.
#[derive(Clone, Debug)]
pub struct AttemptView {
    /// Its number, from 1.
    pub number: u64,
    /// Who had it.
    pub agent: String,
    /// When it was given to the agent.
    pub assigned_at: i64,
    /// When the agent began.
    pub accepted_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How.
    pub end: Option<String>,
}

/// A task for one as it is shown.
#[derive(Clone, Debug)]
pub struct TaskView {
    /// The task's row.
    pub task: Task,
    /// When it was recorded, ms since 1970.
    pub created: i64,
    /// How many tasks it still waits for.
    pub waits: i64,
    /// Its attempts, oldest first.
    pub attempts: Vec<AttemptView>,
    /// What it depends on.
    pub on: Dependent,
    /// The agents that are connected.
    pub agents: Vec<ConnectedAgent>,
    /// The time by the database's clock.
    pub now: i64,
}

/// Tasks that wait for the same agents with the same priority.
#[derive(Clone, Debug)]
pub struct WaitingView {
    /// What their agent must be able to do.
    pub requires: Vec<Box<str>>,
    /// The only agent that may have them.
    pub agent: Option<Box<str>>,
    /// Their priority.
    pub priority: i64,
    /// How many.
    pub count: u64,
    /// When the oldest was recorded, ms since 1970.
    pub oldest_at: i64,
}

/// The queue as it is shown.
#[derive(Clone, Debug, Default)]
pub struct QueueView {
    /// How many tasks wait.
    pub pending: u64,
    /// Those that nothing but a free agent is missing for.
    pub waiting: Vec<WaitingView>,
    /// How many wait for their time, for other tasks, for the end of a pause.
    pub held: (u64, u64, u64),
    /// The agents that are connected.
    pub agents: Vec<ConnectedAgent>,
}

/// A group as it is shown.
#[derive(Clone, Debug, Default)]
pub struct GroupView {
    /// Whether it takes no more tasks.
    pub closed: bool,
    /// How many tasks it has, by status.
    pub by_status: BTreeMap<String, u64>,
}

const ONE: Statement =
    both("SELECT life, created, waits, (SELECT ms FROM clock) FROM work WHERE id = $1");

const ATTEMPTS: Statement = both(
    "SELECT number, agent, assigned_at, accepted_at, ended_at, ending FROM attempt
     WHERE task = $1 ORDER BY number DESC LIMIT 1000",
);

const WAITING: Statement = both(
    "SELECT lane, priority, count(*), min(created) FROM work
     WHERE status = 'pending' AND waits = 0 AND ready_at <= (SELECT ms FROM clock)
     GROUP BY lane, priority ORDER BY priority DESC, 4 LIMIT 1000",
);

const HELD: Statement = both(
    "SELECT count(*),
     coalesce(sum(CASE WHEN waits > 0 THEN 1 ELSE 0 END), 0),
     coalesce(sum(CASE WHEN waits = 0 AND ready_at > (SELECT ms FROM clock) AND attempt = 0
              THEN 1 ELSE 0 END), 0),
     coalesce(sum(CASE WHEN waits = 0 AND ready_at > (SELECT ms FROM clock) AND attempt > 0
              THEN 1 ELSE 0 END), 0)
     FROM work WHERE status = 'pending'",
);

const GROUP: Statement = both("SELECT closed FROM work_group WHERE id = $1");

const BY_STATUS: Statement =
    both("SELECT status, count(*) FROM work WHERE group_id = $1 GROUP BY status");

const COUNTS: Statement = both("SELECT status, count(*) FROM work GROUP BY status");

const CLOSE: Statement = both(
    "INSERT INTO work_group (id, closed, asked) SELECT $1, ms, $2 FROM clock WHERE true
     ON CONFLICT (id) DO UPDATE SET closed = coalesce(work_group.closed, excluded.closed),
     asked = coalesce(work_group.asked, excluded.asked)",
);

const CLOSE_SIGNAL: Statement = both(
    "INSERT INTO work_signal (source, kind, task)
     SELECT DISTINCT source, 'group', $1 FROM work WHERE group_id = $1
     AND status IN ('pending', 'assigned', 'running')",
);

const OPEN_OF_GROUP: Statement = both(
    "SELECT count(*) FROM work WHERE group_id = $1 AND status IN ('pending', 'assigned', 'running')",
);

const MEMBERS: Statement = both(
    "SELECT id FROM work WHERE group_id = $1 AND source = $2
     AND status IN ('pending', 'assigned', 'running') ORDER BY id LIMIT $3",
);

/// A task for one.
pub(crate) async fn one(
    session: &mut SqlSession,
    id: &str,
) -> Result<Option<TaskView>, StoreError> {
    let Some(row) = session.row(&ONE, &[Param::Text(id)]).await? else { return Ok(None) };
    let task = rows::task(row.text(0)?)?;
    let (created, waits, now) = (row.int(1)?, row.int(2)?, row.int(3)?);
    let mut attempts = Vec::new();
    for row in session.rows(&ATTEMPTS, &[Param::Text(id)]).await? {
        attempts.push(AttemptView {
            number: row.count(0)?,
            agent: row.text(1)?.to_owned(),
            assigned_at: row.int(2)?,
            accepted_at: row.maybe_int(3)?,
            ended_at: row.maybe_int(4)?,
            end: row.maybe_text(5)?.map(str::to_owned),
        });
    }
    attempts.reverse();
    let on = signals::dependencies(session, &[id]).await?.pop();
    let on = on.map(|(_, on)| on).unwrap_or_default();
    let agents = match task.status {
        TaskStatus::Pending => agents::all(session).await?,
        _ => Vec::new(),
    };
    Ok(Some(TaskView { task, created, waits, attempts, on, agents, now }))
}

/// The whole queue.
pub(crate) async fn queue(session: &mut SqlSession) -> Result<QueueView, StoreError> {
    let mut view = QueueView { agents: agents::all(session).await?, ..QueueView::default() };
    for row in session.rows(&WAITING, &[]).await? {
        let (agent, requires) = TaskSpec::of_lane(row.text(0)?);
        let (priority, count, oldest_at) = (row.int(1)?, row.count(2)?, row.int(3)?);
        view.waiting.push(WaitingView { requires, agent, priority, count, oldest_at });
    }
    if let Some(row) = session.row(&HELD, &[]).await? {
        view.pending = row.count(0)?;
        view.held = (row.count(2)?, row.count(1)?, row.count(3)?);
    }
    Ok(view)
}

/// How many tasks for one there are, by status.
pub(crate) async fn counts(session: &mut SqlSession) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows = session.rows(&COUNTS, &[]).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.count(1)?))).collect()
}

/// A group; none that nobody ever named.
pub(crate) async fn group(
    session: &mut SqlSession,
    id: &str,
) -> Result<Option<GroupView>, StoreError> {
    let Some(row) = session.row(&GROUP, &[Param::Text(id)]).await? else { return Ok(None) };
    let closed = row.maybe_int(0)?.is_some();
    let rows = session.rows(&BY_STATUS, &[Param::Text(id)]).await?;
    let by_status = rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.count(1)?)));
    Ok(Some(GroupView { closed, by_status: by_status.collect::<Result<_, StoreError>>()? }))
}

/// Closes a group; how many of its tasks that ends. The owners of their sources are told.
pub(crate) async fn close_group(
    session: &mut SqlSession,
    id: &str,
    asked: &str,
) -> Result<u64, StoreError> {
    session.run(&CLOSE, &[Param::Text(id), Param::Text(asked)]).await?;
    session.run(&CLOSE_SIGNAL, &[Param::Text(id)]).await?;
    let row = session.row(&OPEN_OF_GROUP, &[Param::Text(id)]).await?;
    row.as_ref().map_or(Ok(0), |row| row.count(0))
}

/// Tasks of a group, of one source, that did not end.
pub(crate) async fn members(
    session: &mut SqlSession,
    source: domain::source::Source,
    group: &str,
    limit: i64,
) -> Result<Vec<Box<str>>, StoreError> {
    let params = [Param::Text(group), Param::Int(crate::source::number(source)), Param::Int(limit)];
    let rows = session.rows(&MEMBERS, &params).await?;
    rows.iter().map(|row| Ok(row.text(0)?.into())).collect()
}
