//! The workers that live: the base of a fair share of the sources.

use std::time::Duration;

use domain::node::NodeId;

use super::{
    StoreError,
    engine::SqlSession,
    source::ms,
    sql::{Param, Statement, both},
};

const BEAT: Statement = both(
    "INSERT INTO worker (name, lease_until) SELECT $1, ms + $2 FROM clock WHERE true
     ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until",
);
const COUNT: Statement =
    both("SELECT count(*) FROM worker WHERE lease_until > (SELECT ms FROM clock)");
const DEREGISTER: Statement = both("DELETE FROM worker WHERE name = $1");
const REMOVE_EXPIRED: Statement =
    both("DELETE FROM worker WHERE lease_until < (SELECT ms FROM clock) - 3600000");

/// Says that a worker lives; how many do.
pub(super) async fn beat(
    session: &mut SqlSession,
    worker: &NodeId,
    lease: Duration,
) -> Result<u32, StoreError> {
    session.run(&BEAT, &[Param::Text(&worker.0), Param::Int(ms(lease))]).await?;
    let row = session.row(&COUNT, &[]).await?;
    let alive = row.as_ref().map_or(Ok(0), |row| row.int(0))?;
    Ok(u32::try_from(alive).unwrap_or(u32::MAX))
}

/// Takes a worker off the list.
pub(super) async fn deregister(
    session: &mut SqlSession,
    worker: &NodeId,
) -> Result<(), StoreError> {
    session.run(&DEREGISTER, &[Param::Text(&worker.0)]).await.map(drop)
}

/// Forgets those that have been dead for an hour.
pub(super) async fn remove_expired(session: &mut SqlSession) -> Result<(), StoreError> {
    session.run(&REMOVE_EXPIRED, &[]).await.map(drop)
}
