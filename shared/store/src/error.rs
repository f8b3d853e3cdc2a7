//! What went wrong in SQL.

use domain::source::Source;
use runtime::health::{Outage, ServiceError};

/// Why a database that answers takes no writes, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRefusal {
    /// It was made read-only.
    ReadOnly,
    /// Its disk is full.
    DiskFull,
}

impl StoreRefusal {
    /// Returns the word in probes, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::DiskFull => "disk_full",
        }
    }

    /// Returns what a client is told.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::ReadOnly => "the database takes nothing: it is read-only",
            Self::DiskFull => "the database takes nothing: its disk is full",
        }
    }
}

/// What went wrong in SQL, by what the caller can do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing was done; try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database answers and takes no writes. Nothing was done; try again later.
    #[error("the database takes no writes ({}): {text}", cause.name())]
    Unwritable {
        /// Why.
        cause: StoreRefusal,
        /// Its own words.
        text: String,
    },
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

impl ServiceError for StoreError {
    fn outage(&self) -> Option<Outage> {
        match self {
            Self::Unavailable(_) | Self::Unknown(_) | Self::Conflict(_) | Self::TooMuch(_) => {
                Some(Outage::Silent)
            }
            Self::Unwritable { cause, .. } => Some(Outage::Refuses(cause.name())),
            Self::Standby => Some(Outage::Refuses("standby")),
            Self::Owned(_) | Self::Refused(_) => Some(Outage::Refuses("refused")),
            Self::Fenced(_) => None,
        }
    }
}
