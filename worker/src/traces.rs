//! Traces of batches, for the collector of traces.
//!
//! Every event that came with a sampled context gets a span in its own trace, from the reading of
//! its batch to its publication. The batch has a trace of its own, with a link to each of them and
//! its steps below it: what happened to all of them at once is one span.

use std::time::SystemTime;

use domain::{event::submission::field, node::NodeId, source::Source, trace_context::TraceContext};
use runtime::trace::{self, Span, SpanKind, Step};
use store::{Committed, EntryBatch, Judged, Outcome};
use tracing::Instrument as _;

/// How many links a batch has at most: the limit of the OpenTelemetry specification.
const LINKS_MAX: usize = 128;

/// Traces one batch from its reading to its publication.
pub struct BatchTrace {
    source: Source,
    span: Span,
    began: SystemTime,
    recorded: SystemTime,
}

/// Returns the trace context that the publisher gave an entry, whatever became of the entry.
pub fn context(judged: &Judged) -> Option<TraceContext> {
    TraceContext::parse(std::str::from_utf8(judged.fields.get(field::TRACEPARENT)?).ok()?)
}

fn sampled(judged: &Judged) -> Option<TraceContext> {
    context(judged).filter(|context| context.is_sampled())
}

impl BatchTrace {
    /// Begins with a batch; none when traces are off or no entry of the batch is sampled.
    pub fn begin(source: Source, batch: &EntryBatch) -> Option<Self> {
        if !trace::is_on() {
            return None;
        }
        let links: Vec<TraceContext> =
            batch.entries.iter().filter_map(sampled).take(LINKS_MAX).collect();
        if links.is_empty() {
            return None;
        }
        let began = SystemTime::now();
        let span = Step::new(format!("receive {}", source.stream), SpanKind::Client)
            .linked(links)
            .with("messaging.system", "redis")
            .with("messaging.operation.type", "receive")
            .with("messaging.destination.name", source.to_string())
            .with("messaging.batch.message_count", count(batch.entries.len()))
            .since(began)
            .begin()?;
        Some(Self { source, span, began, recorded: began })
    }

    /// Ends the step of recording.
    pub fn recorded(&mut self) {
        self.recorded = SystemTime::now();
        let step = Step::new("record", SpanKind::Client).below(Some(self.span.context()));
        step.since(self.began).finish_at(self.recorded);
    }

    /// Marks the batch as not recorded; it will be read again.
    pub fn failed(&mut self, reason: &str) {
        self.span.fail(reason.to_owned());
    }

    /// Ends the trace with the publication: a span for the batch, and one for each of its events.
    pub fn published(self, node: &NodeId, batch: &EntryBatch, committed: &Committed) {
        let now = SystemTime::now();
        Step::new(format!("publish {}", self.source.stream), SpanKind::Producer)
            .below(Some(self.span.context()))
            .with("messaging.batch.message_count", count(committed.publications.len()))
            .since(self.recorded)
            .finish_at(now);
        for (judged, outcome) in batch.entries.iter().zip(&committed.outcomes) {
            let Some(parent) = sampled(judged) else { continue };
            let channels = match outcome {
                Outcome::Recorded(offsets) | Outcome::Repeated(offsets) => offsets.len(),
                Outcome::Known | Outcome::Dead(_) | Outcome::Refused(_) => 0,
            };
            Step::new(format!("process {}", self.source.stream), SpanKind::Consumer)
                .below(Some(parent))
                .linked([self.span.context()])
                .with("messaging.system", "redis")
                .with("messaging.operation.type", "process")
                .with("messaging.destination.name", self.source.to_string())
                .with("messaging.message.id", judged.entry.to_string())
                .with("fanfare.node", node.to_string())
                .with("fanfare.outcome", outcome.name())
                .with("fanfare.channels", count(channels))
                .since(self.began)
                .finish_at(now);
        }
    }
}

/// Runs a part of a batch's work; its log lines carry the batch's trace.
pub async fn instrumented<T>(trace: Option<&BatchTrace>, work: impl Future<Output = T>) -> T {
    match trace {
        None => work.await,
        Some(trace) => {
            let trace_id = trace.span.context().trace_id();
            work.instrument(tracing::error_span!("batch", trace_id)).await
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
