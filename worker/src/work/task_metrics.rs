//! The metrics of tasks for one (contract §7).

use std::collections::BTreeMap;

use domain::work::TaskStatus;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGaugeVec, Opts, Registry};

/// Tasks wait and run from milliseconds to hours.
const BUCKETS_SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0];

/// Holds the metrics of tasks for one.
#[derive(Debug)]
pub struct TaskMetrics {
    by_status: IntGaugeVec,
    /// Time from the beginning of a wait to an assignment.
    pub wait_seconds: Histogram,
    /// Time from an assignment to the end of the attempt, by what ended it.
    pub run_seconds: HistogramVec,
}

impl TaskMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// Fails when a name is taken: a mistake in the program.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let wait = HistogramOpts::new(
            "fanfare_task_wait_seconds",
            "Beginning of the wait to assignment, of tasks for one.",
        );
        let wait_seconds = Histogram::with_opts(wait.buckets(BUCKETS_SECONDS.to_vec()))?;
        let run = HistogramOpts::new(
            "fanfare_task_run_seconds",
            "Assignment to the end of the attempt, of tasks for one.",
        );
        let run_seconds = HistogramVec::new(run.buckets(BUCKETS_SECONDS.to_vec()), &["outcome"])?;
        let kept = Opts::new("fanfare_tasks", "Tasks for one that are kept.");
        let by_status = IntGaugeVec::new(kept, &["status"])?;
        registry.register(Box::new(wait_seconds.clone()))?;
        registry.register(Box::new(run_seconds.clone()))?;
        registry.register(Box::new(by_status.clone()))?;
        Ok(Self { by_status, wait_seconds, run_seconds })
    }

    /// Sets how many tasks for one there are.
    pub fn counted(&self, counts: &BTreeMap<String, u64>) {
        for status in TaskStatus::ALL {
            let count = counts.get(status.name()).copied().unwrap_or(0);
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.by_status.with_label_values(&[status.name()]).set(count);
        }
    }
}
