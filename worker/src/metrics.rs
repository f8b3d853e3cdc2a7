//! Metrics of a worker (contract §7).

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use domain::{
    event::EventKind, node_report::SourceLag, source::Source, trace_context::TraceContext,
};
use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry,
    core::Collector, proto::Metric,
};
use runtime::telemetry::LATENCY_BUCKETS_SECONDS;
use store::{Committed, EntryBatch, EntryVerdict, Outcome};

use crate::{traces, work::task_metrics::TaskMetrics};

/// Holds the metrics of a worker.
#[derive(Debug)]
pub struct WorkerMetrics {
    /// Entries consumed, by stream, type and outcome.
    pub events: IntCounterVec,
    /// Events recorded since the start.
    recorded: AtomicU64,
    /// Time from a batch's reading to its publication.
    pub batch_seconds: Histogram,
    /// Entries behind the cursor.
    pub lag_entries: IntGaugeVec,
    /// Age of the oldest entry behind the cursor.
    pub lag_seconds: GaugeVec,
    /// Events recorded and not yet published.
    pub unpublished: IntGaugeVec,
    /// Dead letters, by stream and reason.
    pub dead_letters: IntCounterVec,
    /// Entries that were removed from a stream before they were read.
    pub trimmed: IntCounterVec,
    /// Fields that only decorate an event and were dropped, by field.
    pub ignored_fields: IntCounterVec,
    /// Tries at webhooks, by route and outcome.
    pub webhooks: IntCounterVec,
    /// Tasks for one.
    pub tasks: TaskMetrics,
    /// Dead letters that are held, by stream.
    pub held_dead_letters: IntGaugeVec,
    /// Bytes that the broker uses.
    pub broker_memory: Gauge,
    /// Bytes that the broker may use; 0 where there is no limit.
    pub broker_memory_limit: Gauge,
    /// 1 where this worker is the owner.
    pub lease: IntGaugeVec,
    /// 1 while the store answers.
    pub store_up: Gauge,
}

impl WorkerMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// Fails when a name is taken: a mistake in the program.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let gauges = |name: &str, help: &str| {
            let metric = IntGaugeVec::new(Opts::new(name, help), &["stream"])?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        let batch = HistogramOpts::new("fanfare_worker_batch_seconds", "Reading to publication.")
            .buckets(LATENCY_BUCKETS_SECONDS.to_vec());
        let batch_seconds = Histogram::with_opts(batch)?;
        registry.register(Box::new(batch_seconds.clone()))?;
        let lag_seconds = GaugeVec::new(
            Opts::new("fanfare_worker_lag_seconds", "Age of the oldest entry not yet recorded."),
            &["stream"],
        )?;
        registry.register(Box::new(lag_seconds.clone()))?;
        let gauge = |name: &str, help: &str| {
            let metric = Gauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            prometheus::Result::Ok(metric)
        };
        Ok(Self {
            events: counters(
                "fanfare_worker_events_total",
                "Stream entries taken in.",
                &["stream", "type", "outcome"],
            )?,
            recorded: AtomicU64::new(0),
            batch_seconds,
            lag_entries: gauges("fanfare_worker_lag_entries", "Entries not yet recorded.")?,
            lag_seconds,
            unpublished: gauges(
                "fanfare_worker_unpublished_events",
                "Events recorded and not yet published.",
            )?,
            dead_letters: counters(
                "fanfare_worker_dead_letters_total",
                "Entries that were not accepted.",
                &["stream", "reason"],
            )?,
            trimmed: counters(
                "fanfare_worker_trimmed_entries_total",
                "Entries that a producer trimmed from the stream before they were read: lost.",
                &["stream"],
            )?,
            ignored_fields: counters(
                "fanfare_worker_ignored_fields_total",
                "Fields that only decorate an event and were dropped, because they say nothing usable.",
                &["field"],
            )?,
            webhooks: counters(
                "fanfare_webhook_deliveries_total",
                "Tries at webhooks: delivered, retried, failed for good, stopped by an acknowledgement.",
                &["route", "outcome"],
            )?,
            lease: gauges("fanfare_worker_lease", "1 where this worker owns the source.")?,
            tasks: TaskMetrics::new(registry)?,
            held_dead_letters: gauges("fanfare_dead_letters", "Dead letters that are held.")?,
            broker_memory: gauge("fanfare_broker_memory_bytes", "What the broker uses.")?,
            broker_memory_limit: gauge(
                "fanfare_broker_memory_limit_bytes",
                "What the broker may use; 0: no limit.",
            )?,
            store_up: gauge("fanfare_worker_store_up", "1 while the database answers.")?,
        })
    }

    /// Removes the figures of a source that another worker owns now: that worker gives them.
    pub fn forget(&self, source: Source) {
        let source = source.to_string();
        // A figure that was never observed does not exist, which is no failure.
        let _absent = self.lag_entries.remove_label_values(&[&source]);
        let _absent = self.lag_seconds.remove_label_values(&[&source]);
        let _absent = self.unpublished.remove_label_values(&[&source]);
    }

    /// Returns how many events were recorded since the start.
    pub fn recorded(&self) -> u64 {
        self.recorded.load(Ordering::Relaxed)
    }

    /// Returns how far this worker is behind each source that it owns.
    pub fn lag(&self) -> BTreeMap<String, SourceLag> {
        let seconds = by_source(&self.lag_seconds);
        let lag = |(source, entries): (String, f64)| {
            let seconds = seconds.get(&source).copied().unwrap_or_default();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let lag = SourceLag { entries: entries.max(0.0) as u64, seconds };
            (source, lag)
        };
        by_source(&self.lag_entries).into_iter().map(lag).collect()
    }

    /// Counts the outcomes of a batch's entries, and logs those that are dead letters.
    pub fn outcomes(&self, stream: &str, batch: &EntryBatch, committed: &Committed) {
        for (judged, outcome) in batch.entries.iter().zip(&committed.outcomes) {
            let kind = match &judged.verdict {
                // A free type is the publisher's own word: as a label it would be unbounded.
                EntryVerdict::Accepted(submission) => match &submission.event.kind {
                    EventKind::Free(_) | EventKind::Topic(_) => "free",
                    kind => kind.name(),
                },
                EntryVerdict::Dead(_) => "none",
            };
            if let (EntryVerdict::Accepted(submission), Outcome::Recorded(_)) =
                (&judged.verdict, outcome)
            {
                self.recorded.fetch_add(1, Ordering::Relaxed);
                for field in &submission.ignored {
                    self.ignored_fields.with_label_values(&[field]).inc();
                }
            }
            if let Outcome::Dead(reason) = outcome {
                self.dead_letters.with_label_values(&[stream, reason.label]).inc();
                let trace_id = traces::context(judged).map(TraceContext::trace_id);
                let (entry, reason) = (judged.entry, &reason.text);
                tracing::warn!(stream, %entry, reason, trace_id, "validation: dead letter, kept to redrive");
            }
            self.events.with_label_values(&[stream, kind, outcome.name()]).inc();
        }
    }
}

/// Returns the values of a gauge by its label `stream`.
fn by_source(gauge: &impl Collector) -> BTreeMap<String, f64> {
    let families = gauge.collect();
    let value = |metric: &Metric| {
        let source = metric.get_label().first().map(|label| label.value().to_owned());
        (source.unwrap_or_default(), metric.get_gauge().get_value())
    };
    families.iter().flat_map(|family| family.get_metric()).map(value).collect()
}
