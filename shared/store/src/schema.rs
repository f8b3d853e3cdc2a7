//! Which version of the schema a database has.

use super::{
    StoreError,
    engine::SqlSession,
    migrations::POSTGRES,
    sql::{Statement, both, each},
};

const TABLE: Statement = each(
    "SELECT to_regclass('_sqlx_migrations')::text",
    "SELECT name FROM sqlite_master WHERE name = '_sqlx_migrations'",
);

const NEWEST: Statement =
    both("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success");

/// Whether a database has the newest version that this release knows.
pub(super) async fn is_current(session: &mut SqlSession) -> Result<bool, StoreError> {
    let table = session.row(&TABLE, &[]).await?;
    if table.map_or(Ok(true), |row| row.maybe_text(0).map(|name| name.is_none()))? {
        return Ok(false);
    }
    let newest = session.row(&NEWEST, &[]).await?.map_or(Ok(0), |row| row.int(0))?;
    Ok(POSTGRES.last().is_some_and(|(version, ..)| newest >= *version))
}
