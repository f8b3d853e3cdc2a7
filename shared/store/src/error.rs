//! What went wrong in SQL.

use domain::source::Source;

/// What went wrong in SQL, by what the caller can do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done; try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A commit may or may not have happened: read the source's row again before anything else.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
    /// Another owner has the source, or the cursor is elsewhere: read the source's row again.
    #[error("{0} has another owner or another cursor")]
    Fenced(Source),
    /// The server is a standby: only its primary can be written to.
    #[error("the server is a standby")]
    Standby,
    /// Another process has the SQLite file.
    #[error("the file belongs to another process: {0}")]
    Owned(String),
    /// Two transactions got in each other's way; try again.
    #[error("a conflict with another transaction: {0}")]
    Conflict(String),
    /// The transaction has too much to do, in time or in bytes of state: nothing was done; a smaller
    /// batch may fit.
    #[error("too much for one transaction: {0}")]
    TooMuch(String),
    /// The database says no to the data itself: trying again does not help.
    #[error("the database refuses: {0}")]
    Refused(String),
}
