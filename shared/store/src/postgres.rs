//! PostgreSQL: the pool, its sessions, and what its errors mean.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres as Db,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
};

use super::{
    Options, StoreError, StoreRefusal,
    migrations::{POSTGRES, migrator},
    postgres_hosts,
    sql::{Column, Param, SessionKind},
};

/// How long a server keeps a connection that it was not asked anything on, before we look whether
/// it still answers.
const IDLE_TRUSTED: Duration = Duration::from_secs(1);

/// What is said of a pooler that lends a server's session for a transaction at a time.
const FORGETFUL: &str = "the session forgets its time limits: a pooler has to be in session mode";

/// A pool of connections to a primary.
pub(super) struct Postgres {
    pool: PgPool,
    /// One for each host of the URL.
    targets: Vec<PgConnectOptions>,
    /// Which of them the pool connects to.
    current: AtomicUsize,
    found: Arc<Findings>,
}

/// Why the newest connection is of no use; the pool keeps such reasons to itself.
#[derive(Default)]
struct Findings {
    /// It led to a standby.
    standby: AtomicBool,
    /// Its session forgets its settings.
    forgetful: AtomicBool,
}

impl Postgres {
    /// Prepares the pool; connections are made when they are needed.
    ///
    /// The server ends whatever hangs well before `options.deadline`: a half-open session inside a
    /// transaction would keep the source's row locked beyond the lease.
    pub(super) fn open(url: &str, options: &Options) -> Result<Self, StoreError> {
        // Poolers refuse a session that asks for digits of floating numbers, of which we have none.
        let name = |target: PgConnectOptions| {
            target.application_name(&options.application).extra_float_digits(None)
        };
        let targets: Vec<_> = postgres_hosts::targets(url)?.into_iter().map(name).collect();
        let Some(first) = targets.first().cloned() else {
            return Err(StoreError::Refused(String::from("no host")));
        };
        let limits = SessionLimits::within(options.deadline);
        // Of several hosts one that does not answer must leave time for the next.
        let parts = if targets.len() > 1 { 2 } else { 4 };
        let found = Arc::new(Findings::default());
        let finding = found.clone();
        let pool = PgPoolOptions::new()
            .max_connections(options.connections_max)
            .acquire_timeout(options.deadline * parts / 5)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let (limits, finding) = (limits.clone(), finding.clone());
                Box::pin(async move {
                    refuse_standby(connection, &finding).await?;
                    limits.set(connection, &finding).await
                })
            })
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > IDLE_TRUSTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(first);
        Ok(Self { pool, targets, current: AtomicUsize::new(0), found })
    }

    /// Migrates on a connection of its own, without deadlines: another process may be at it, and
    /// sqlx waits for that one by an advisory lock.
    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        let mut connection = self.primary().await?;
        let migrations = migrator(&POSTGRES);
        let migrated = migrations.run_direct(None, &mut connection, false).await;
        connection.close().await.map_err(error)?;
        migrated.map_err(|failure| StoreError::Unavailable(failure.to_string()))
    }

    /// A connection without deadlines to the first host that is a primary; the pool goes there too.
    async fn primary(&self) -> Result<PgConnection, StoreError> {
        let mut last = StoreError::Standby;
        for (at, target) in self.targets.iter().enumerate() {
            match PgConnection::connect_with(target).await.map_err(error) {
                Ok(mut connection) => {
                    let query = sqlx::query_scalar("SELECT pg_is_in_recovery()");
                    if query.fetch_one(&mut connection).await.map_err(error)? {
                        last = StoreError::Standby;
                        continue;
                    }
                    self.lead_to(at);
                    return Ok(connection);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Has the pool connect to another host from now on.
    fn lead_to(&self, at: usize) {
        if self.current.swap(at, Ordering::Relaxed) != at
            && let Some(target) = self.targets.get(at)
        {
            self.pool.set_connect_options(target.clone());
        }
    }

    /// A connection of the pool. Where none is to be had, the next call tries the next host.
    pub(super) async fn session(&self, access: SessionKind) -> Result<PostgresSession, StoreError> {
        let current = self.current.load(Ordering::Relaxed);
        let connection = self.pool.acquire().await.map_err(|failure| {
            let next = (current + 1) % self.targets.len();
            if next != current && self.current.load(Ordering::Relaxed) == current {
                self.lead_to(next);
            }
            if self.found.standby.load(Ordering::Relaxed) {
                StoreError::Standby
            } else if self.found.forgetful.load(Ordering::Relaxed) {
                StoreError::Refused(String::from(FORGETFUL))
            } else {
                error(failure)
            }
        })?;
        let mut session = PostgresSession { connection: Some(connection), sound: true };
        if access == SessionKind::Transaction {
            session.simple("BEGIN").await?;
            session.sound = false;
        }
        Ok(session)
    }
}

/// A standby's data lie in the past, and its session may outlive its promotion.
async fn refuse_standby(
    connection: &mut PgConnection,
    found: &Findings,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query_scalar("SELECT pg_is_in_recovery()");
    let recovers = query.fetch_one(connection).await?;
    found.standby.store(recovers, Ordering::Relaxed);
    let refused = || sqlx::Error::Configuration("the server is a standby".into());
    if recovers { Err(refused()) } else { Ok(()) }
}

/// The time limits that the server itself keeps for a session, in milliseconds.
///
/// They are set once the session is there: poolers refuse them among the parameters of its start,
/// or drop them without a word.
#[derive(Clone)]
struct SessionLimits {
    statement: String,
    lock: String,
}

impl SessionLimits {
    fn within(deadline: Duration) -> Self {
        let ms = |part: u32| (deadline * part / 5).as_millis().to_string();
        Self { statement: ms(4), lock: ms(2) }
    }

    /// Sets them, and asks again whether they hold: a pooler that lends a session for one
    /// transaction forgets them.
    async fn set(
        &self,
        connection: &mut PgConnection,
        found: &Findings,
    ) -> Result<(), sqlx::Error> {
        // Compiling a query costs more than any of ours takes.
        let given: (String, String) = sqlx::query_as(
            "SELECT set_config('statement_timeout', $1, false) || ' ' ||
                    set_config('idle_in_transaction_session_timeout', $1, false),
                    set_config('lock_timeout', $2, false) || ' ' || set_config('jit', 'off', false)",
        )
        .bind(&self.statement)
        .bind(&self.lock)
        .fetch_one(&mut *connection)
        .await?;
        let held: (String, String) = sqlx::query_as(
            "SELECT current_setting('statement_timeout') || ' ' ||
                    current_setting('idle_in_transaction_session_timeout'),
                    current_setting('lock_timeout') || ' ' || current_setting('jit')",
        )
        .fetch_one(connection)
        .await?;
        found.forgetful.store(given != held, Ordering::Relaxed);
        let refused = || sqlx::Error::Configuration(FORGETFUL.into());
        if given == held { Ok(()) } else { Err(refused()) }
    }
}

/// A connection, and whether it may go back to the pool.
///
/// One that was left in the middle of something is closed instead, which also ends its transaction:
/// a deadline passed, and to ask a server that does not answer to roll back would only wait again.
pub(super) struct PostgresSession {
    connection: Option<PoolConnection<Db>>,
    sound: bool,
}

// While a statement is under way, and after an error, the connection is unsound.
impl PostgresSession {
    fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        let gone = || StoreError::Unavailable(String::from("the session has ended"));
        self.connection.as_deref_mut().ok_or_else(gone)
    }

    async fn simple(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let sound = std::mem::replace(&mut self.sound, false);
        sqlx::raw_sql(sql).execute(self.connection()?).await.map_err(error)?;
        self.sound = sound;
        Ok(())
    }

    pub(super) async fn rows(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<Vec<PgRow>, StoreError> {
        let sound = std::mem::replace(&mut self.sound, false);
        let arguments = arguments(params)?;
        let query = sqlx::query_with(sql, arguments);
        let rows = query.fetch_all(self.connection()?).await.map_err(error)?;
        self.sound = sound;
        Ok(rows)
    }

    pub(super) async fn run(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        let sound = std::mem::replace(&mut self.sound, false);
        let arguments = arguments(params)?;
        let query = sqlx::query_with(sql, arguments);
        let done = query.execute(self.connection()?).await.map_err(error)?;
        self.sound = sound;
        Ok(done.rows_affected())
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let committed = sqlx::raw_sql("COMMIT").execute(self.connection()?).await;
        committed.map_err(|failure| {
            let text = failure.to_string();
            match error(failure) {
                // The server says why it rolled back. Other errors may come after the deed: one that
                // is told to stop while it waits for a standby has committed already.
                rolled_back @ (StoreError::Conflict(_) | StoreError::Refused(_)) => rolled_back,
                _ => StoreError::Unknown(text),
            }
        })?;
        self.sound = true;
        Ok(())
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.sound
        {
            drop(connection.detach());
        }
    }
}

fn arguments(params: &[Param<'_>]) -> Result<PgArguments, StoreError> {
    use sqlx::Arguments as _;

    let mut arguments = PgArguments::default();
    for param in params {
        match param {
            Param::Int(value) => arguments.add(*value),
            Param::MaybeInt(value) => arguments.add(*value),
            Param::Text(value) => arguments.add(*value),
            Param::MaybeText(value) => arguments.add(*value),
            Param::Table(columns) | Param::List(columns) => {
                columns.iter().try_for_each(|column| match column {
                    Column::Ints(values) => arguments.add(values.as_slice()),
                    Column::MaybeInts(values) => arguments.add(values.as_slice()),
                    Column::Texts(values) => arguments.add(values.as_slice()),
                    Column::MaybeTexts(values) => arguments.add(values.as_slice()),
                })
            }
        }
        .map_err(|failure| StoreError::Refused(failure.to_string()))?;
    }
    Ok(arguments)
}

/// What an error means for the caller, by its SQLSTATE
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
#[expect(clippy::needless_pass_by_value, reason = "goes straight into map_err")]
pub(super) fn error(failure: sqlx::Error) -> StoreError {
    let text = failure.to_string();
    let Some(state) = failure.as_database_error().and_then(|error| error.code()) else {
        return match failure {
            sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Encode(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. } => StoreError::Refused(text),
            _ => StoreError::Unavailable(text),
        };
    };
    match &*state {
        // Serialization failure, deadlock, lock not available; and a row that another session
        // inserted between our look and our insert.
        "40001" | "40P01" | "55P03" | "23505" => StoreError::Conflict(text),
        // A prepared statement of another session is there, or ours is not.
        "42P05" | "26000" => StoreError::Unavailable(format!("{FORGETFUL} ({text})")),
        "25006" => StoreError::Unwritable { cause: StoreRefusal::ReadOnly, text },
        "53100" => StoreError::Unwritable { cause: StoreRefusal::DiskFull, text },
        // Cancelled: the statement took longer than `statement_timeout`.
        "57014" => StoreError::TooMuch(text),
        // Program limits: a value too large for its column or index.
        state if state.starts_with("54") => StoreError::Refused(text),
        // Data exceptions and integrity constraints.
        state if state.starts_with("22") || state.starts_with("23") => StoreError::Refused(text),
        // Resources, operator intervention, connections, a schema that is not there (yet).
        _ => StoreError::Unavailable(text),
    }
}
