//! Two engines, one way to talk to them: sessions and rows.

use crate::{
    error::StoreError,
    postgres::{self, Postgres},
    sql::{Param, SessionKind, Statement},
    sqlite::{self, Sqlite},
};

/// A row of an answer; columns are numbered from 0.
pub(super) enum Row {
    /// A row of PostgreSQL.
    Postgres(sqlx::postgres::PgRow),
    /// A row of SQLite.
    Sqlite(sqlx::sqlite::SqliteRow),
}

/// Reads one column of either row.
macro_rules! column {
    ($row:expr, $at:expr) => {
        match $row {
            Row::Postgres(row) => sqlx::Row::try_get(row, $at).map_err(postgres::error),
            Row::Sqlite(row) => sqlx::Row::try_get(row, $at).map_err(sqlite::error),
        }
    };
}

impl Row {
    /// Reads a number that is never NULL.
    pub(super) fn int(&self, at: usize) -> Result<i64, StoreError> {
        column!(self, at)
    }

    /// A number that is never negative.
    pub(super) fn count(&self, at: usize) -> Result<u64, StoreError> {
        self.int(at).map(|number| u64::try_from(number).unwrap_or(0))
    }

    /// Reads a number or NULL.
    pub(super) fn maybe_int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        column!(self, at)
    }

    /// Reads a string that is never NULL.
    pub(super) fn text(&self, at: usize) -> Result<&str, StoreError> {
        column!(self, at)
    }

    /// Reads a string or NULL.
    pub(super) fn maybe_text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        column!(self, at)
    }
}

/// Where sessions come from.
pub(super) enum Engine {
    /// A pool of connections to a PostgreSQL primary.
    Postgres(Postgres),
    /// An SQLite file with one writer and several readers.
    Sqlite(Sqlite),
}

impl Engine {
    /// Brings the schema to the current version.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(engine) => engine.migrate().await,
            Self::Sqlite(engine) => engine.migrate().await,
        }
    }

    /// A connection, in a transaction if that is what it is for.
    pub(super) async fn session(&self, access: SessionKind) -> Result<SqlSession, StoreError> {
        match self {
            Self::Postgres(engine) => engine.session(access).await.map(SqlSession::Postgres),
            Self::Sqlite(engine) => engine.session(access).await.map(SqlSession::Sqlite),
        }
    }
}

/// A connection for as long as one thing takes. A transaction that is dropped is rolled back.
pub(super) enum SqlSession {
    /// A session of PostgreSQL's pool.
    Postgres(postgres::PostgresSession),
    /// A session on the SQLite file.
    Sqlite(sqlite::SqliteSession),
}

impl SqlSession {
    /// All rows of the answer.
    pub(super) async fn rows(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        if params.last().is_some_and(Param::is_nothing) {
            return Ok(Vec::new());
        }
        match self {
            Self::Postgres(session) => {
                let rows = session.rows(statement.postgres, params).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
            Self::Sqlite(session) => {
                let rows = session.rows(statement.sqlite, params).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
        }
    }

    /// The first row of the answer.
    pub(super) async fn row(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, params).await?.into_iter().next())
    }

    /// How many rows were changed.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        if params.last().is_some_and(Param::is_nothing) {
            return Ok(0);
        }
        match self {
            Self::Postgres(session) => session.run(statement.postgres, params).await,
            Self::Sqlite(session) => session.run(statement.sqlite, params).await,
        }
    }

    /// Ends the transaction: what it did is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] when nobody can say whether it happened.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(session) => session.commit().await,
            Self::Sqlite(session) => session.commit().await,
        }
    }
}
