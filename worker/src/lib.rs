//! The worker: consumes streams of events, records them in SQL and publishes them.
//!
//! The way of one event through this crate: [`consumer`] reads a batch from the cursor →
//! [`projection`] judges each entry → the store records the batch in one transaction →
//! [`publisher`] publishes it and answers whoever waits. [`lease`] decides which sources this
//! worker owns; [`generation`] notices when the broker lost its memory; [`retention`] forgets.

pub mod abandonment;
pub mod consumer;
pub mod generation;
pub mod lag;
pub mod lease;
pub mod metrics;
pub mod projection;
pub mod publisher;
pub mod retention;
pub mod traces;

use std::sync::Arc;

use shared::{
    broker::{Broker, NodeId},
    config,
    lifecycle::Lifecycle,
    store::Store,
};

use self::metrics::Metrics;

/// What every part of a worker needs.
#[derive(Clone)]
pub struct Worker {
    /// The name of this process.
    pub node: NodeId,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Limits of the record.
    pub limits: config::Record,
    /// The life of the process.
    pub life: Lifecycle,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

/// Starts the worker; it ends with the process, giving its sources back at once.
pub fn start(worker: Worker) {
    let life = worker.life.clone();
    let retention = worker.clone();
    life.spawn_until_stop(async move { retention::run(&retention).await });
    life.spawn(async move { lease::run(worker).await });
}
