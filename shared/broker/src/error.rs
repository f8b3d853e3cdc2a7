//! What went wrong at the broker.

use domain::channel::Channel;
use runtime::health::{Outage, ServiceError};

/// Why a broker that answers takes no writes, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerRefusal {
    /// Its memory is full.
    MemoryFull,
    /// Fewer replicas follow it than it wants before it takes anything.
    TooFewReplicas,
    /// It is a replica: there is no primary at the moment, or the address leads elsewhere.
    ReadOnly,
    /// Parts of the cluster are not served.
    ClusterDown,
    /// It cannot write its own files, and was told to refuse then.
    CannotPersist,
}

impl BrokerRefusal {
    /// Returns the word in probes, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MemoryFull => "memory_full",
            Self::TooFewReplicas => "too_few_replicas",
            Self::ReadOnly => "read_only",
            Self::ClusterDown => "cluster_down",
            Self::CannotPersist => "cannot_persist",
        }
    }

    /// Returns what a publisher is told.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::MemoryFull => "the broker takes nothing: its memory is full",
            Self::TooFewReplicas => "the broker takes nothing: too few replicas follow it",
            Self::ReadOnly => "the broker takes nothing: it is read-only",
            Self::ClusterDown => "the broker takes nothing: its cluster is down",
            Self::CannotPersist => "the broker takes nothing: it cannot write to its disk",
        }
    }
}

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
    /// The broker answers and takes no writes. Nothing was done; try again later.
    #[error("the broker takes no writes ({}): {text}", cause.name())]
    Unwritable {
        /// Why.
        cause: BrokerRefusal,
        /// Its own words.
        text: String,
    },
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

impl BrokerError {
    /// Whether a later generation has published. While the source's row in SQL is the caller's, that
    /// was an owner before the database was restored: its mark may be lost and its heads not.
    pub const fn is_superseded(&self) -> bool {
        matches!(self, Self::Superseded(_))
    }
}

impl ServiceError for BrokerError {
    fn outage(&self) -> Option<Outage> {
        match self {
            Self::Unavailable(_) | Self::Unknown(_) | Self::Partial(..) => Some(Outage::Silent),
            Self::Unwritable { cause, .. } => Some(Outage::Refuses(cause.name())),
            Self::Refused(_) => Some(Outage::Refuses("refused")),
            Self::Superseded(_) | Self::Address(_) => None,
        }
    }
}
