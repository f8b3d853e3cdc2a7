//! The owner of an SQLite file: one process, and no other beside it (rule 15).
//!
//! SQLite lets several processes write one file, but a second one has a broker in memory of its own
//! and would take the other's sources away.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::PathBuf,
};

use sqlx::sqlite::SqliteConnectOptions;

use crate::error::StoreError;

/// Holds an SQLite file until it is dropped or its process ends, however that ends.
#[derive(Debug)]
pub struct FileOwner {
    _lock: File,
}

impl FileOwner {
    /// Takes the file of a `sqlite://` URL for this process, by a lock on `FILE.lock` that says who
    /// has it; none for other databases and for one in memory.
    ///
    /// # Errors
    /// [`StoreError::Owned`] when another process has it; [`StoreError::Unavailable`] when the lock
    /// cannot be made, [`StoreError::Refused`] when the URL is wrong.
    pub fn of(url: &str) -> Result<Option<Self>, StoreError> {
        if !url.starts_with("sqlite:") {
            return Ok(None);
        }
        let options: SqliteConnectOptions =
            url.parse().map_err(|error: sqlx::Error| StoreError::Refused(error.to_string()))?;
        let mut path = options.get_filename().as_os_str().to_owned();
        if path.is_empty() || path.to_string_lossy().contains(":memory:") {
            return Ok(None);
        }
        path.push(".lock");
        let path = PathBuf::from(path);
        let unavailable = |error: std::io::Error| {
            StoreError::Unavailable(format!("{} cannot be locked: {error}", path.display()))
        };
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unavailable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _unreadable = lock.read_to_string(&mut owner);
                return Err(StoreError::Owned(owner.trim().to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(unavailable(error)),
        }
        // On a full disk the name is missing; the lock holds all the same.
        let name = format!("process {}\n", std::process::id());
        let _full = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(name.as_bytes()));
        Ok(Some(Self { _lock: lock }))
    }
}
