//! The lanes of waiting tasks: those that the same agents can do wait in one, higher priority first,
//! then older first.

use domain::{
    source::Source,
    work::{TaskSpec, matching::WaitingTask},
};

use super::rows;
use crate::{
    StoreError,
    engine::SqlSession,
    source,
    sql::{Param, Statement, both},
};

/// The most lanes that are looked at once.
const LANES_MAX: i64 = 1000;

const LANES: Statement = both(
    "SELECT lane, min(created), count(*) FROM work
     WHERE source = $1 AND status = 'pending' AND waits = 0 GROUP BY lane
     ORDER BY 2 LIMIT $2",
);

const WAITING: Statement = both(
    "SELECT id, attempt, priority, created, CASE WHEN rejections > 0 THEN life END FROM work
     WHERE source = $1 AND lane = $2 AND status = 'pending' AND waits = 0
     AND ready_at <= (SELECT ms FROM clock)
     ORDER BY priority DESC, created, id LIMIT $3",
);

const REJECTED: Statement = both(
    "SELECT id, attempt, priority, created, life FROM work
     WHERE source = $1 AND status = 'pending' AND rejections > 0 LIMIT $2",
);

/// The lanes of a source in which somebody waits.
pub(crate) async fn all(
    session: &mut SqlSession,
    source: Source,
) -> Result<Vec<String>, StoreError> {
    let params = [Param::Int(source::number(source)), Param::Int(LANES_MAX)];
    let rows = session.rows(&LANES, &params).await?;
    rows.iter().map(|row| Ok(row.text(0)?.to_owned())).collect()
}

fn waiting(row: &crate::engine::Row, lane: Option<&str>) -> Result<WaitingTask, StoreError> {
    let task = row.maybe_text(4)?.map(rows::task).transpose()?;
    let (agent, requires) = match (lane, &task) {
        (Some(lane), _) => TaskSpec::of_lane(lane),
        (None, Some(task)) => (task.spec.agent.clone(), task.spec.requires.clone()),
        (None, None) => (None, Vec::new()),
    };
    Ok(WaitingTask {
        task: row.text(0)?.into(),
        attempt: row.count(1)? + 1,
        priority: u8::try_from(row.int(2)?).unwrap_or_default(),
        created: row.int(3)?,
        agent,
        requires,
        rejected_by: task.map(|task| task.rejected_by).unwrap_or_default(),
    })
}

/// Who waits in a lane, in the order in which they are served.
pub(crate) async fn waiting_in(
    session: &mut SqlSession,
    source: Source,
    lane: &str,
    limit: usize,
) -> Result<Vec<WaitingTask>, StoreError> {
    let limit = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    let params = [Param::Int(source::number(source)), Param::Text(lane), limit];
    let rows = session.rows(&WAITING, &params).await?;
    rows.iter().map(|row| waiting(row, Some(lane))).collect()
}

/// Tasks that wait and that an agent rejected.
pub(crate) async fn rejected(
    session: &mut SqlSession,
    source: Source,
    limit: i64,
) -> Result<Vec<WaitingTask>, StoreError> {
    let params = [Param::Int(source::number(source)), Param::Int(limit)];
    let rows = session.rows(&REJECTED, &params).await?;
    rows.iter().map(|row| waiting(row, None)).collect()
}
