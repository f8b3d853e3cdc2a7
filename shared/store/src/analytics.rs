//! What became of tasks, one row each, for whoever counts them.

use super::{
    StoreError, TaskRun,
    engine::{Row, SqlSession},
    sql::{Param, Statement, each},
};

const RUNS: Statement = each(
    "SELECT e.state::json ->> 'executor', coalesce(e.status, ''), e.created FROM entity e
     WHERE e.kind = 'task' AND e.created >= $1 ORDER BY e.created DESC LIMIT $2",
    "SELECT e.state ->> 'executor', coalesce(e.status, ''), e.created FROM entity e
     WHERE e.kind = 'task' AND e.created >= $1 ORDER BY e.created DESC LIMIT $2",
);

/// Tasks that were first heard of since then, newest first.
pub(super) async fn task_runs(
    session: &mut SqlSession,
    since: i64,
    limit: usize,
) -> Result<Vec<TaskRun>, StoreError> {
    let params = [Param::Int(since), Param::Int(i64::try_from(limit).unwrap_or(i64::MAX))];
    session.rows(&RUNS, &params).await?.iter().map(task_run).collect()
}

fn task_run(row: &Row) -> Result<TaskRun, StoreError> {
    Ok(TaskRun {
        executor: row.maybe_text(0)?.map(str::to_owned),
        status: row.text(1)?.to_owned(),
        created: row.int(2)?,
        ..TaskRun::default()
    })
}
