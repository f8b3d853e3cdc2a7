//! Why a round of a consumer ends early, and what its owner does then.

use broker::BrokerError;
use domain::source::Source;
use store::StoreError;

use crate::{generation::CheckError, publisher::PublishError};

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Another worker owns the source: stop, and leave everything to it.
    #[error("{0} has another owner now")]
    LeaseLost(Source),
    /// A service failed: try again after a pause.
    #[error("{0}")]
    Retry(String),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced(source) => Self::LeaseLost(source),
            StoreError::Unavailable(_)
            | StoreError::Unknown(_)
            | StoreError::Unwritable { .. }
            | StoreError::Standby
            | StoreError::Owned(_)
            | StoreError::Conflict(_)
            | StoreError::TooMuch(_)
            | StoreError::Refused(_) => Self::Retry(error.to_string()),
        }
    }
}

impl From<BrokerError> for Error {
    fn from(error: BrokerError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<PublishError> for Error {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Broker(error) => error.into(),
            PublishError::Store(error) => error.into(),
        }
    }
}

impl From<CheckError> for Error {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Broker(error) => error.into(),
            CheckError::Store(error) => error.into(),
        }
    }
}
