//! Two engines, one way to talk to them: statements, parameters, rows, sessions.
//!
//! Everything that is asked of a database is a [`Statement`] beside the code that asks it, in one
//! wording where both engines understand it and in two where they do not. So the rules of the
//! record are written once, and a difference between the engines can be seen at a glance.

use super::{
    StoreError,
    postgres::{self, Postgres},
    sqlite::{self, Sqlite},
};

/// What is asked of a database. Parameters are `$1`, `$2` … in both wordings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    pub(super) postgres: &'static str,
    pub(super) sqlite: &'static str,
}

/// One wording for both engines.
pub(super) const fn both(sql: &'static str) -> Statement {
    Statement { postgres: sql, sqlite: sql }
}

/// A wording for each.
pub(super) const fn each(postgres: &'static str, sqlite: &'static str) -> Statement {
    Statement { postgres, sqlite }
}

/// A parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Param<'a> {
    /// A number.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// A text or NULL.
    MaybeText(Option<&'a str>),
    /// Many rows at once, always the last parameter. PostgreSQL gets an array for each column, for
    /// `unnest($2, $3, …)`; SQLite one JSON array of rows, for `json_each($2)`. A table without
    /// rows says that there is nothing to do: the statement is not run and answers no rows.
    Table(&'a [Column<'a>]),
    /// The same for a list that may be empty.
    List(&'a [Column<'a>]),
}

/// A column of a [`Param::Table`]; all columns are equally long.
#[derive(Clone, Debug)]
pub(super) enum Column<'a> {
    /// Numbers.
    Ints(Vec<i64>),
    /// Numbers and NULLs.
    MaybeInts(Vec<Option<i64>>),
    /// Texts.
    Texts(Vec<&'a str>),
    /// Texts and NULLs.
    MaybeTexts(Vec<Option<&'a str>>),
}

impl Param<'_> {
    /// Whether it is a table without rows.
    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Table([column, ..]) if column.len() == 0)
    }
}

impl Column<'_> {
    /// How many rows.
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::MaybeInts(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::MaybeTexts(values) => values.len(),
        }
    }
}

/// A row of an answer; columns are numbered from 0.
pub(super) enum Row {
    /// Of PostgreSQL.
    Postgres(sqlx::postgres::PgRow),
    /// Of SQLite.
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
    /// A number.
    pub(super) fn int(&self, at: usize) -> Result<i64, StoreError> {
        column!(self, at)
    }

    /// A number that is never negative.
    pub(super) fn count(&self, at: usize) -> Result<u64, StoreError> {
        self.int(at).map(|number| u64::try_from(number).unwrap_or(0))
    }

    /// A number or NULL.
    pub(super) fn maybe_int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        column!(self, at)
    }

    /// A text.
    pub(super) fn text(&self, at: usize) -> Result<&str, StoreError> {
        column!(self, at)
    }

    /// A text or NULL.
    pub(super) fn maybe_text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        column!(self, at)
    }
}

/// Where sessions come from.
pub(super) enum Engine {
    /// PostgreSQL.
    Postgres(Postgres),
    /// SQLite.
    Sqlite(Sqlite),
}

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Single statements that only read.
    Read,
    /// Single statements that write.
    Write,
    /// A transaction that writes.
    Transaction,
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
    pub(super) async fn session(&self, access: Access) -> Result<Session, StoreError> {
        match self {
            Self::Postgres(engine) => engine.session(access).await.map(Session::Postgres),
            Self::Sqlite(engine) => engine.session(access).await.map(Session::Sqlite),
        }
    }
}

/// A connection for as long as one thing takes. A transaction that is dropped is rolled back.
pub(super) enum Session {
    /// To PostgreSQL.
    Postgres(postgres::Session),
    /// To SQLite.
    Sqlite(sqlite::Session),
}

impl Session {
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
