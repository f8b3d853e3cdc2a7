//! What went wrong at the broker.

use domain::channel::Channel;

use crate::lagging::Lagging;

/// What went wrong at the broker, by what the caller can do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// Nothing was done; try again later.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// The broker answered no: it is full, or read-only. Nothing was done; try again later.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// It may or may not have happened: the answer was lost.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// A part of the broker does not take publications; what belongs to the other parts was done.
    #[error("a part of the broker takes no publications: {1}")]
    Partial(Lagging, String),
    /// A newer generation has published already: who asked is no longer the owner.
    #[error("a newer generation has published on {0}")]
    Superseded(Channel),
    /// The URL is wrong: trying again does not help.
    #[error("the broker's URL: {0}")]
    Address(String),
}
