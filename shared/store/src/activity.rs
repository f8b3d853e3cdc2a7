//! What the installation did and holds: a row for each process and minute, and counts of all entities
//! and dead letters.

use std::collections::BTreeMap;

use domain::{activity::ActivityTotals, event::entity::EntityKind, node::NodeId, source::Stream};

use super::{
    StoreError,
    answers::{ActivityRow, ActivitySince, Holdings},
    engine::{Row, SqlSession},
    entity,
    sql::{Param, Statement, both},
};

/// How long the rows stay, ms: more than what is shown.
const KEPT_MS: i64 = 3 * 60 * 60 * 1000;

const WRITE: Statement = both(
    "INSERT INTO activity (minute, node, recorded, delivered, connections, deliveries)
     SELECT ms - ms % 60000, $1, $2, $3, $4, $5 FROM clock WHERE true
     ON CONFLICT (minute, node) DO UPDATE SET recorded = excluded.recorded,
     delivered = excluded.delivered, connections = excluded.connections,
     deliveries = excluded.deliveries
     RETURNING minute",
);

const SINCE: Statement = both(
    "SELECT a.minute, a.recorded, a.delivered, a.connections, a.deliveries
     FROM activity a, clock c WHERE a.minute > c.ms - c.ms % 60000 - $1 AND a.minute <= c.ms
     ORDER BY a.minute",
);

const NOW: Statement = both("SELECT ms FROM clock");

const FORGET: Statement = both("DELETE FROM activity WHERE minute < (SELECT ms FROM clock) - $1");

const ENTITIES: Statement = both(
    "SELECT kind, coalesce(status, ''), count(*) FROM entity WHERE kind <> 'alert' GROUP BY 1, 2",
);

const DEAD: Statement =
    both("SELECT source / 65536, label, count(*) FROM dead_letter GROUP BY 1, 2");

/// Writes what a process did in the present minute, all of it; returns the minute's beginning.
pub(super) async fn write(
    session: &mut SqlSession,
    node: &NodeId,
    totals: &ActivityTotals,
    connections: Option<u64>,
) -> Result<i64, StoreError> {
    let deliveries = serde_json::to_string(&totals.deliveries).unwrap_or_default();
    let params = [
        Param::Text(&node.0),
        Param::MaybeInt(totals.recorded.map(int)),
        Param::MaybeInt(totals.delivered.map(int)),
        Param::MaybeInt(connections.map(int)),
        Param::Text(&deliveries),
    ];
    session.row(&WRITE, &params).await?.map_or(Ok(0), |row| row.int(0))
}

/// What all processes did in the last `minutes`, the present one included.
pub(super) async fn since(
    session: &mut SqlSession,
    minutes: u32,
) -> Result<ActivitySince, StoreError> {
    let now = session.row(&NOW, &[]).await?.map_or(Ok(0), |row| row.int(0))?;
    let length = i64::from(minutes) * 60_000;
    let rows = session.rows(&SINCE, &[Param::Int(length)]).await?;
    let mut minutes: BTreeMap<i64, ActivityRow> = BTreeMap::new();
    for row in &rows {
        let minute = minutes.entry(row.int(0)?).or_default();
        minute.totals.add(&ActivityTotals {
            recorded: count(row, 1)?,
            delivered: count(row, 2)?,
            deliveries: serde_json::from_str(row.text(4)?).unwrap_or_default(),
        });
        minute.connections = domain::activity::sum(minute.connections, count(row, 3)?);
    }
    Ok(ActivitySince { now, minutes })
}

/// Forgets what is shown no more.
pub(super) async fn forget(session: &mut SqlSession) -> Result<(), StoreError> {
    session.run(&FORGET, &[Param::Int(KEPT_MS)]).await.map(drop)
}

/// Counts entities by status and dead letters by stream and reason.
pub(super) async fn holdings(session: &mut SqlSession) -> Result<Holdings, StoreError> {
    let mut holdings = Holdings::default();
    for kind in EntityKind::ALL {
        holdings.entities.insert(kind, BTreeMap::new());
    }
    for row in session.rows(&ENTITIES, &[]).await? {
        let name = row.text(0)?;
        let kind = EntityKind::ALL.into_iter().find(|kind| kind.name() == name);
        if let Some(by_status) = kind.and_then(|kind| holdings.entities.get_mut(&kind)) {
            by_status.insert(row.text(1)?.to_owned(), row.count(2)?);
        }
    }
    let alerts = entity::counts(session, EntityKind::Alert, None).await?;
    holdings.entities.insert(EntityKind::Alert, alerts.into_iter().collect());
    for row in session.rows(&DEAD, &[]).await? {
        let stream = usize::try_from(row.int(0)?).ok().and_then(|at| Stream::ALL.get(at).copied());
        holdings.dead_letters.push((stream, row.text(1)?.to_owned(), row.count(2)?));
    }
    Ok(holdings)
}

fn count(row: &Row, at: usize) -> Result<Option<u64>, StoreError> {
    Ok(row.maybe_int(at)?.map(|count| u64::try_from(count).unwrap_or_default()))
}

fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
