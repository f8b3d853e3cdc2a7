//! Traces: the way of an event as spans (OpenTelemetry), for whoever collects them.
//!
//! An event's context is what its publisher said in `traceparent`; it travels unchanged from the
//! stream through the record to the client's frame. Workers and gateways hang their spans below it,
//! side by side. Everything here is off until [`export::start`] finds an endpoint; then a question
//! costs one look at a static.

pub mod export;

use std::{borrow::Cow, sync::OnceLock, time::SystemTime};

use domain::trace_context::TraceContext;
use opentelemetry::{
    Context as OtelContext, KeyValue, Value,
    trace::{
        Link, Span as _, SpanBuilder, SpanContext, SpanId, Status, TraceContextExt as _,
        TraceFlags, TraceId, TraceState, Tracer as _,
    },
};
use opentelemetry_sdk::trace::SdkTracer;

pub use opentelemetry::trace::SpanKind;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

tokio::task_local! {
    /// What the request that is being served says of its trace.
    static REQUEST: Option<TraceContext>;
}

/// Whether spans are collected.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// Translates a span's place into what travels.
fn context_of(span: &SpanContext) -> TraceContext {
    let trace = u128::from_be_bytes(span.trace_id().to_bytes());
    let id = u64::from_be_bytes(span.span_id().to_bytes());
    TraceContext::new(trace, id, span.trace_flags().to_u8())
}

/// Translates what came from another process into a parent or a link.
fn remote(context: TraceContext) -> SpanContext {
    let trace = TraceId::from_bytes(context.trace().to_be_bytes());
    let span = SpanId::from_bytes(context.span().to_be_bytes());
    SpanContext::new(trace, span, TraceFlags::new(context.flags()), true, TraceState::NONE)
}

/// Serves a request that may have said where in a trace it belongs.
pub async fn within_request<T>(
    context: Option<TraceContext>,
    served: impl Future<Output = T>,
) -> T {
    REQUEST.scope(context, served).await
}

/// What the request that is being served said; the outer none means that none is being served.
pub fn request() -> Option<Option<TraceContext>> {
    REQUEST.try_with(|context| *context).ok()
}

/// A span that is about to be told.
#[derive(Debug)]
pub struct Step {
    builder: SpanBuilder,
    parent: Option<TraceContext>,
}

impl Step {
    /// A step of a name that is one of few: what it is about belongs into attributes.
    pub fn new(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        Self { builder: SpanBuilder::from_name(name).with_kind(kind), parent: None }
    }

    /// Below this one, in its trace.
    #[must_use]
    pub fn below(mut self, parent: Option<TraceContext>) -> Self {
        self.parent = parent;
        self
    }

    /// Has to do with these, in other traces.
    #[must_use]
    pub fn linked(mut self, others: impl IntoIterator<Item = TraceContext>) -> Self {
        let links = others.into_iter().map(|other| Link::with_context(remote(other)));
        self.builder = self.builder.with_links(links.collect());
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let attribute = KeyValue::new(name, value);
        self.builder.attributes.get_or_insert_default().push(attribute);
        self
    }

    /// Began then; else now.
    #[must_use]
    pub fn since(mut self, begin: SystemTime) -> Self {
        self.builder = self.builder.with_start_time(begin);
        self
    }

    /// Begins; none while nothing is collected.
    pub fn begin(self) -> Option<Span> {
        let tracer = TRACER.get()?;
        let surroundings = OtelContext::new();
        let surroundings = match self.parent {
            Some(parent) => surroundings.with_remote_span_context(remote(parent)),
            None => surroundings,
        };
        Some(Span(tracer.build_with_context(self.builder, &surroundings)))
    }

    /// Tells of something that is over.
    pub fn finish_at(self, end: SystemTime) {
        if let Some(mut span) = self.begin() {
            span.0.end_with_timestamp(end);
        }
    }
}

/// A span that has begun; dropped, it ends.
#[derive(Debug)]
pub struct Span(opentelemetry_sdk::trace::Span);

impl Span {
    /// Where it is, for what hangs below it.
    pub fn context(&self) -> TraceContext {
        context_of(self.0.span_context())
    }

    /// It did not work out.
    pub fn fail(&mut self, reason: impl Into<Cow<'static, str>>) {
        self.0.set_status(Status::error(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[tokio::test]
    async fn a_request_is_known_to_what_serves_it_and_to_nothing_else() {
        assert_eq!(request(), None);
        let context = TraceContext::parse(GOOD);
        assert_eq!(within_request(context, async { request() }).await, Some(context));
        assert_eq!(within_request(None, async { request() }).await, Some(None));
    }

    #[test]
    fn while_nothing_is_collected_nothing_begins() {
        assert!(!is_on());
        assert!(Step::new("process tasks", SpanKind::Consumer).begin().is_none());
    }
}
