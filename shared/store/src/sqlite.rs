//! SQLite: one connection that writes, several that read, and what the errors mean.

use std::time::Duration;

use sqlx::{
    Connection as _, Sqlite as Db, SqliteConnection, SqlitePool,
    pool::PoolConnection,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};

use super::{
    Options, StoreError, StoreRefusal,
    migrations::{SQLITE, migrator},
    sql::{Column, Param, SessionKind},
};

/// How long a migration waits for another process that migrates the same file.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(30);

/// A file with one writer and several readers.
pub(super) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    target: Box<SqliteConnectOptions>,
}

impl Sqlite {
    /// Prepares the connections; they are made when they are needed.
    ///
    /// `synchronous=FULL`: each commit waits for the disk, so that what was acknowledged survives a
    /// loss of power too (`NORMAL` would only survive the end of the process).
    pub(super) fn open(url: &str, options: &Options) -> Result<Self, StoreError> {
        let wrong = |failure: sqlx::Error| StoreError::Refused(failure.to_string());
        let target: SqliteConnectOptions = url.parse().map_err(wrong)?;
        let target = target
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("temp_store", "MEMORY")
            // States are rewritten all the time: the log is played into the file every 16 MiB, when
            // most of its pages have been overtaken, and cut to 64 MiB when a burst made it grow.
            .pragma("wal_autocheckpoint", "4096")
            .pragma("journal_size_limit", "67108864")
            .busy_timeout(options.deadline * 2 / 5);
        let pool = || {
            SqlitePoolOptions::new()
                .acquire_timeout(options.deadline * 4 / 5)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        // Of pages in memory the writer has 64 MiB, each reader 8 MiB.
        let writes = target.clone().create_if_missing(true).pragma("cache_size", "-65536");
        let reads = target.clone().pragma("query_only", "ON").pragma("cache_size", "-8192");
        let writer = pool().max_connections(1).connect_lazy_with(writes);
        let readers = pool().max_connections(options.connections_max).connect_lazy_with(reads);
        Ok(Self { writer, readers, target: Box::new(target) })
    }

    /// Migrates on a connection of its own, inside a transaction that keeps other processes out.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let target = SqliteConnectOptions::clone(&self.target)
            .create_if_missing(true)
            .busy_timeout(MIGRATION_PATIENCE);
        let mut connection = SqliteConnection::connect_with(&target).await.map_err(error)?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
        migrator(&SQLITE)
            .run_direct(None, &mut *transaction, false)
            .await
            .map_err(|failure| StoreError::Unavailable(failure.to_string()))?;
        transaction.commit().await.map_err(error)?;
        connection.close().await.map_err(error)
    }

    /// The writer, as soon as it is free, or a reader.
    pub(super) async fn session(&self, access: SessionKind) -> Result<SqliteSession, StoreError> {
        match access {
            SessionKind::Read => Ok(SqliteSession::of(self.readers.acquire().await)?),
            SessionKind::Write => Ok(SqliteSession::of(self.writer.acquire().await)?),
            SessionKind::Transaction => {
                let mut session = SqliteSession::of(self.writer.acquire().await)?;
                session.sound = false;
                let begun = sqlx::raw_sql("BEGIN IMMEDIATE").execute(session.connection()?).await;
                if let Err(failure) = begun {
                    // Another process has the file: nothing was begun.
                    session.sound = primary_code(&failure) == Some(BUSY);
                    return Err(error(failure));
                }
                session.in_transaction = true;
                Ok(session)
            }
        }
    }
}

/// A connection, and whether it may go back to the pool (rule 15).
///
/// One that failed inside a transaction, or was left there, is closed, which rolls back: SQLite may
/// have rolled back by itself (a full disk), and then nobody knows where the connection stands.
pub(super) struct SqliteSession {
    connection: Option<PoolConnection<Db>>,
    in_transaction: bool,
    sound: bool,
}

impl SqliteSession {
    fn of(acquired: Result<PoolConnection<Db>, sqlx::Error>) -> Result<Self, StoreError> {
        let connection = acquired.map_err(error)?;
        Ok(Self { connection: Some(connection), in_transaction: false, sound: true })
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let gone = || StoreError::Unavailable(String::from("the session has ended"));
        self.connection.as_deref_mut().ok_or_else(gone)
    }

    pub(super) async fn rows(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let query = sqlx::query_with(sql, arguments(params)?);
        query.fetch_all(self.connection()?).await.map_err(error)
    }

    pub(super) async fn run(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        let query = sqlx::query_with(sql, arguments(params)?);
        let done = query.execute(self.connection()?).await.map_err(error)?;
        Ok(done.rows_affected())
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        if !self.in_transaction {
            return Ok(());
        }
        let committed = sqlx::raw_sql("COMMIT").execute(self.connection()?).await;
        committed.map_err(|failure| match primary_code(&failure) {
            // Not committed, and closing the connection rolls back.
            Some(BUSY | FULL) => error(failure),
            _ => StoreError::Unknown(failure.to_string()),
        })?;
        self.sound = true;
        Ok(())
    }
}

impl Drop for SqliteSession {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.sound
        {
            drop(connection.detach());
        }
    }
}

fn arguments(params: &[Param<'_>]) -> Result<SqliteArguments, StoreError> {
    use sqlx::Arguments as _;

    let mut arguments = SqliteArguments::default();
    for param in params {
        match param {
            Param::Int(value) => arguments.add(*value),
            Param::MaybeInt(value) => arguments.add(*value),
            Param::Text(value) => arguments.add((*value).to_owned()),
            Param::MaybeText(value) => arguments.add(value.map(str::to_owned)),
            Param::Table(columns) | Param::List(columns) => arguments.add(rows_json(columns)),
        }
        .map_err(|failure| StoreError::Refused(failure.to_string()))?;
    }
    Ok(arguments)
}

/// The rows of a table as a JSON array of arrays.
fn rows_json(columns: &[Column<'_>]) -> String {
    let rows = columns.first().map_or(0, Column::len);
    let mut json = Vec::with_capacity(rows * 64);
    json.push(b'[');
    for at in 0..rows {
        json.extend_from_slice(if at == 0 { b"[" } else { b",[" });
        for (nth, column) in columns.iter().enumerate() {
            if nth > 0 {
                json.push(b',');
            }
            match column {
                Column::Ints(values) => push(&mut json, values[at]),
                Column::MaybeInts(values) => push(&mut json, values[at]),
                Column::Texts(values) => push(&mut json, values[at]),
                Column::MaybeTexts(values) => push(&mut json, values[at]),
            }
        }
        json.push(b']');
    }
    json.push(b']');
    String::from_utf8(json).unwrap_or_default()
}

/// Numbers and texts are always written, and written as UTF-8.
fn push(json: &mut Vec<u8>, value: impl serde::Serialize) {
    drop(serde_json::to_writer(json, &value));
}

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const FULL: i32 = 13;
const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const CONSTRAINT_PRIMARY_KEY: i32 = 1555;
const CONSTRAINT_UNIQUE: i32 = 2067;

fn extended_code(failure: &sqlx::Error) -> Option<i32> {
    failure.as_database_error()?.code()?.parse().ok()
}

/// The low byte of the extended code (<https://www.sqlite.org/rescode.html>).
fn primary_code(failure: &sqlx::Error) -> Option<i32> {
    extended_code(failure).map(|code| code & 0xff)
}

/// What an error means for the caller.
#[expect(clippy::needless_pass_by_value, reason = "goes straight into map_err")]
pub(super) fn error(failure: sqlx::Error) -> StoreError {
    let text = failure.to_string();
    match (primary_code(&failure), extended_code(&failure)) {
        (Some(BUSY | LOCKED), _) => StoreError::Conflict(text),
        (Some(READ_ONLY), _) => StoreError::Unwritable { cause: StoreRefusal::ReadOnly, text },
        (Some(FULL), _) => StoreError::Unwritable { cause: StoreRefusal::DiskFull, text },
        (_, Some(CONSTRAINT_PRIMARY_KEY | CONSTRAINT_UNIQUE)) => StoreError::Conflict(text),
        (Some(TOO_BIG | CONSTRAINT | MISMATCH), _) => StoreError::Refused(text),
        (None, _) => match failure {
            sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Encode(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. } => StoreError::Refused(text),
            _ => StoreError::Unavailable(text),
        },
        _ => StoreError::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_rows_of_json() {
        let columns = [
            Column::Ints(vec![1, i64::MIN]),
            Column::MaybeTexts(vec![Some("a\"\n"), None]),
            Column::MaybeInts(vec![None, Some(-2)]),
        ];
        let rows = r#"[[1,"a\"\n",null],[-9223372036854775808,null,-2]]"#;
        assert_eq!(rows_json(&columns), rows);
        assert_eq!(rows_json(&[]), "[]");
    }
}
