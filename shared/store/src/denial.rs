//! Users whom an operator keeps out for a while, whatever token they bring.
//!
//! In SQL, because who was denied must not come back with a broker that lost its memory.

use std::time::Duration;

use super::{
    StoreError,
    engine::SqlSession,
    source::ms,
    sql::{Param, Statement, both},
};

/// The most users that are kept out at the same time; beyond it, those whose time is up first come
/// back first.
const DENIALS_MAX: i64 = 100_000;

const DENY: Statement = both(
    "INSERT INTO denial (user_id, until) SELECT $1, ms + $2 FROM clock WHERE true
     ON CONFLICT (user_id) DO UPDATE SET until = excluded.until RETURNING until",
);
const ADMIT: Statement =
    both("DELETE FROM denial WHERE user_id = $1 AND until > (SELECT ms FROM clock)");
const FORGET: Statement = both("DELETE FROM denial WHERE until <= (SELECT ms FROM clock)");
const ALL: Statement = both(
    "SELECT user_id, until FROM denial WHERE until > (SELECT ms FROM clock)
     ORDER BY until DESC, user_id LIMIT $1",
);

/// Keeps a user out for so long; until when, ms since 1970.
pub(super) async fn deny(
    session: &mut SqlSession,
    user: &str,
    time: Duration,
) -> Result<i64, StoreError> {
    session.run(&FORGET, &[]).await?;
    let row = session.row(&DENY, &[Param::Text(user), Param::Int(ms(time))]).await?;
    row.as_ref().map_or(Ok(0), |row| row.int(0))
}

/// Lets a user in again; whether they were kept out.
pub(super) async fn admit(session: &mut SqlSession, user: &str) -> Result<bool, StoreError> {
    Ok(session.run(&ADMIT, &[Param::Text(user)]).await? > 0)
}

/// Everybody who is kept out, and until when; the longest first.
pub(super) async fn all(session: &mut SqlSession) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = session.rows(&ALL, &[Param::Int(DENIALS_MAX)]).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.int(1)?))).collect()
}
