//! From a URL to a store.

use std::{sync::Arc, time::Duration};

use super::{
    Store, StoreError, database::Database, engine::Engine, postgres::Postgres, sqlite::Sqlite,
};

/// How a database is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// What PostgreSQL shows its operators as the connections' name.
    pub application: String,
    /// The most connections (SQLite: the most that read).
    pub connections_max: u32,
    /// How long one call may take, its commit included: less than the lease. The server gets shorter
    /// times for statements, locks and idle transactions.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            application: String::from("fanfare"),
            connections_max: 8,
            deadline: Duration::from_millis(2500),
        }
    }
}

/// The store of a `sqlite://PATH` or `postgres://…` URL. Nothing is connected yet: the first call
/// connects, and [`Store::migrate`] should be it.
///
/// # Errors
/// [`StoreError::Refused`] when the URL is none of ours.
pub async fn connect(url: &str, options: &Options) -> Result<Arc<dyn Store>, StoreError> {
    let engine = match url.split_once(':') {
        Some(("sqlite", _)) => Engine::Sqlite(Sqlite::open(url, options)?),
        Some(("postgres" | "postgresql", _)) => Engine::Postgres(Postgres::open(url, options)?),
        _ => {
            let text = "expected a URL that begins with sqlite:// or postgres://";
            return Err(StoreError::Refused(String::from(text)));
        }
    };
    Ok(Arc::new(Database::new(engine, options)))
}
