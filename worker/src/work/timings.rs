//! How long tasks for one wait and run, as the metrics show it (contract §7).

use std::collections::HashMap;

use domain::{channel::ChannelKind, event::EventKind, publication::Publication};

use super::task_metrics::TaskMetrics;

/// How many tasks an owner keeps in mind; of more the figures are not shown.
const TASKS_MAX: usize = 100_000;

/// When the tasks of a source began to wait and to run, as far as this owner saw it, ms since 1970.
#[derive(Debug, Default)]
pub struct Timings {
    waiting: HashMap<Box<str>, i64>,
    running: HashMap<Box<str>, i64>,
}

impl Timings {
    /// Observes what was recorded.
    pub fn observe(&mut self, metrics: &TaskMetrics, publications: &[Publication]) {
        let steps = publications.iter().filter(|one| one.channel.kind() == ChannelKind::Tasks);
        for publication in steps {
            let (event, at) = (&publication.recorded.event, publication.recorded.recorded);
            let Some(task) = event.id.as_deref() else { continue };
            self.step(metrics, &event.kind, task, at, event.text("status"));
        }
    }

    fn step(
        &mut self,
        metrics: &TaskMetrics,
        kind: &EventKind,
        task: &str,
        at: i64,
        status: Option<&str>,
    ) {
        let outcome = match kind {
            EventKind::TaskCreated | EventKind::TaskRetried => {
                return begin(&mut self.waiting, task, at);
            }
            EventKind::TaskAssigned => {
                if let Some(since) = self.waiting.remove(task) {
                    metrics.wait_seconds.observe(seconds(since, at));
                }
                return begin(&mut self.running, task, at);
            }
            EventKind::TaskReleased => "released",
            EventKind::TaskCancelled => "cancelled",
            EventKind::TaskExpired => "expired",
            EventKind::TaskResult if status == Some("completed") => "completed",
            EventKind::TaskResult => "failed",
            _ => return,
        };
        if let Some(since) = self.running.remove(task) {
            metrics.run_seconds.with_label_values(&[outcome]).observe(seconds(since, at));
        }
        if *kind == EventKind::TaskReleased {
            begin(&mut self.waiting, task, at);
        } else {
            self.waiting.remove(task);
        }
    }
}

fn begin(times: &mut HashMap<Box<str>, i64>, task: &str, at: i64) {
    if times.len() < TASKS_MAX {
        times.insert(task.into(), at);
    }
}

fn seconds(since: i64, until: i64) -> f64 {
    let ms = u64::try_from(until.saturating_sub(since)).unwrap_or(0);
    std::time::Duration::from_millis(ms).as_secs_f64()
}
