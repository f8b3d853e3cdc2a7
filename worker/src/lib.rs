//! The worker: consumes streams of events, records them in SQL and publishes them.
//!
//! The way of one event through this crate: [`consumer`] reads a batch from the cursor →
//! [`validation`] checks each entry → the store records the batch in one transaction →
//! [`publisher`] publishes it and answers whoever waits. [`lease`] decides which sources this
//! worker owns; [`lease_expiry`] ends entities that went silent; [`generation`] notices when the
//! broker lost its memory; [`retention`] removes what is too old; [`work`] is the queue of tasks for
//! one; [`status_reporter`] says what the worker does; [`escalation`] sends alerts to where they are to
//! be seen.

pub mod consumer;
mod context;
pub mod escalation;
pub mod generation;
pub mod lag;
pub mod lease;
pub mod lease_expiry;
pub mod metrics;
pub mod partitions;
pub mod publisher;
pub mod retention;
pub mod status_reporter;
pub mod traces;
pub mod validation;
pub mod work;

pub use self::context::{LEASE, Worker};

/// Starts the worker; it ends with the process, giving its sources back at once.
pub fn start(worker: Worker) {
    let life = worker.life.clone();
    let retention = worker.clone();
    life.spawn_until_stop(async move { retention::run(&retention).await });
    life.spawn(status_reporter::run(worker.clone()));
    let escalation = worker.clone();
    life.spawn_until_stop(async move { escalation::run(escalation).await });
    life.spawn(async move { lease::run(worker).await });
}
