//! The queue's owner: gives waiting tasks to free agents, ends what took too long or was lost, and
//! follows dependencies and groups (contract §8).
//!
//! Everything that it finds is proposed as an entry of its source and judged in the batch's
//! transaction like any other: whatever it read may be old, the row of the task decides.

pub mod assignment;
pub mod dependencies;
pub mod proposal;
pub mod task_metrics;
pub mod timings;
