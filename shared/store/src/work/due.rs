//! What is due: attempts that are lost or took too long, tasks that waited too long.

use domain::source::Source;

use crate::{
    StoreError,
    engine::SqlSession,
    source,
    sql::{Param, Statement, both},
};

/// The spans after which something is due, ms.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// `AGENT_GRACE_MS`
    pub grace_ms: i64,
    /// `TASK_ACCEPT_MS`
    pub accept_ms: i64,
}

/// Why the owner of a task has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueWhy {
    /// Its agent is gone, or does not have it.
    Lost,
    /// The attempt was not accepted in time, or has run too long.
    Timeout,
    /// It waited too long for its first agent.
    Expired,
}

/// A task that something is due for.
#[derive(Clone, Debug)]
pub struct DueTask {
    /// The task.
    pub task: Box<str>,
    /// Its last attempt.
    pub attempt: u64,
    /// Why.
    pub why: DueWhy,
}

const CLOCK: Statement = both("SELECT ms FROM clock");

const TIMERS: Statement = both(
    "SELECT id, attempt, status FROM work WHERE source = $1 AND due_at <= $2
     ORDER BY due_at LIMIT $3",
);

const ATTEMPTS: Statement = both(
    "SELECT task, number,
     CAST(CASE WHEN lost = 1 OR orphaned_at + $3 <= $2 THEN 1 ELSE 0 END AS BIGINT)
     FROM attempt WHERE source = $1 AND ended_at IS NULL
     AND (lost = 1 OR orphaned_at + $3 <= $2
          OR (accepts = 1 AND accepted_at IS NULL AND written_at + $4 <= $2)) LIMIT $5",
);

const STAND_STILL: Statement = both(
    "UPDATE attempt SET orphaned_at = orphaned_at + $2
     WHERE source = $1 AND ended_at IS NULL AND orphaned_at IS NOT NULL",
);

/// The time by the database's clock, ms since 1970.
pub(crate) async fn clock(session: &mut SqlSession) -> Result<i64, StoreError> {
    let row = session.row(&CLOCK, &[]).await?;
    row.as_ref().map_or(Ok(0), |row| row.int(0))
}

/// What was due at a time.
pub(crate) async fn read(
    session: &mut SqlSession,
    source: Source,
    at: i64,
    spans: Spans,
    limit: i64,
) -> Result<Vec<DueTask>, StoreError> {
    let (source, at, limit) =
        (Param::Int(source::number(source)), Param::Int(at), Param::Int(limit));
    let mut due = Vec::new();
    for row in session.rows(&TIMERS, &[source, at, limit]).await? {
        let why = if row.text(2)? == "pending" { DueWhy::Expired } else { DueWhy::Timeout };
        due.push(DueTask { task: row.text(0)?.into(), attempt: row.count(1)?, why });
    }
    let params = [source, at, Param::Int(spans.grace_ms), Param::Int(spans.accept_ms), limit];
    for row in session.rows(&ATTEMPTS, &params).await? {
        let why = if row.int(2)? == 1 { DueWhy::Lost } else { DueWhy::Timeout };
        let task: Box<str> = row.text(0)?.into();
        if due.iter().all(|known| known.task != task) {
            due.push(DueTask { task, attempt: row.count(1)?, why });
        }
    }
    Ok(due)
}

/// Lets the grace of orphans stand still for so long.
pub(crate) async fn stand_still(
    session: &mut SqlSession,
    source: Source,
    ms: i64,
) -> Result<(), StoreError> {
    let params = [Param::Int(source::number(source)), Param::Int(ms)];
    session.run(&STAND_STILL, &params).await.map(drop)
}
