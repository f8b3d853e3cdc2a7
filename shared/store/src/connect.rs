//! From a URL to a store.

use std::sync::Arc;

use crate::{
    database::Database, engine::Engine, error::StoreError, options::Options, port::Store,
    postgres::Postgres, sqlite::Sqlite,
};

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
