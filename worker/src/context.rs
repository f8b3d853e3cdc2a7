//! What every part of a worker is given, and the length of its leases.

use std::{sync::Arc, time::Duration};

use broker::Broker;
use domain::node::NodeId;
use runtime::{config, health::Health, lifecycle::Lifecycle};
use store::Store;

use crate::metrics::WorkerMetrics;

/// How long a lease holds without renewal: a crashed owner's sources are taken over after that,
/// and well within the five seconds that the contract gives.
pub const LEASE: Duration = Duration::from_secs(3);

/// Holds what every part of a worker needs.
#[derive(Clone)]
pub struct Worker {
    /// Name of this process.
    pub node: NodeId,
    /// Broker whose streams are consumed.
    pub broker: Arc<dyn Broker>,
    /// Store that holds the record.
    pub store: Arc<dyn Store>,
    /// Limits of the record.
    pub limits: config::Record,
    /// Where alerts go.
    pub escalation: config::EscalationSettings,
    /// Spans of the queue of tasks.
    pub work: config::WorkSettings,
    /// Lifecycle of the process.
    pub life: Lifecycle,
    /// Health of broker and store.
    pub health: Arc<Health>,
    /// Metrics of this worker.
    pub metrics: Arc<WorkerMetrics>,
}
