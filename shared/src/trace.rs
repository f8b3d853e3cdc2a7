//! Traces: the way of an event as spans (OpenTelemetry), for whoever collects them.
//!
//! An event's context is what its publisher said in `traceparent`; it travels unchanged from the
//! stream through the record to the client's frame. Workers and gateways hang their spans below it,
//! side by side. Everything here is off until [`export::start`] finds an endpoint; then a question
//! costs one look at a static.

pub mod export;

use std::{borrow::Cow, fmt, sync::OnceLock, time::SystemTime};

use opentelemetry::{
    Context as Surroundings, KeyValue, Value,
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
    static REQUEST: Option<Context>;
}

/// Whether spans are collected.
pub fn is_on() -> bool {
    TRACER.get().is_some()
}

/// A place in a trace: the content of `traceparent` (W3C Trace Context, version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    trace: TraceId,
    span: SpanId,
    flags: TraceFlags,
}

impl Context {
    /// Reads a `traceparent`; none when it is malformed, which the page says to ignore.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let [version, trace, span, flags] = std::array::from_fn(|_| parts.next().unwrap_or(""));
        let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let lengths = [version, trace, span, flags].map(str::len);
        let is_whole = lengths == [2, 32, 16, 2] && parts.next().is_none();
        if !is_whole || version == "ff" || ![version, trace, span, flags].into_iter().all(is_hex) {
            return None;
        }
        let context = Self {
            trace: TraceId::from_hex(trace).ok()?,
            span: SpanId::from_hex(span).ok()?,
            flags: TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        };
        let is_valid = context.trace != TraceId::INVALID && context.span != SpanId::INVALID;
        is_valid.then_some(context)
    }

    /// Whether whoever began the trace wants it collected.
    pub fn is_sampled(self) -> bool {
        self.flags.is_sampled()
    }

    /// The trace, as 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        self.trace.to_string()
    }

    fn of(span: &SpanContext) -> Self {
        Self { trace: span.trace_id(), span: span.span_id(), flags: span.trace_flags() }
    }

    fn remote(self) -> SpanContext {
        SpanContext::new(self.trace, self.span, self.flags, true, TraceState::NONE)
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags.to_u8() & 1)
    }
}

/// Serves a request that may have said where in a trace it belongs.
pub async fn within_request<T>(context: Option<Context>, served: impl Future<Output = T>) -> T {
    REQUEST.scope(context, served).await
}

/// What the request that is being served said; the outer none means that none is being served.
pub fn request() -> Option<Option<Context>> {
    REQUEST.try_with(|context| *context).ok()
}

/// A span that is about to be told.
#[derive(Debug)]
pub struct Step {
    builder: SpanBuilder,
    parent: Option<Context>,
}

impl Step {
    /// A step of a name that is one of few: what it is about belongs into attributes.
    pub fn new(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        Self { builder: SpanBuilder::from_name(name).with_kind(kind), parent: None }
    }

    /// Below this one, in its trace.
    #[must_use]
    pub fn below(mut self, parent: Option<Context>) -> Self {
        self.parent = parent;
        self
    }

    /// Has to do with these, in other traces.
    #[must_use]
    pub fn linked(mut self, others: impl IntoIterator<Item = Context>) -> Self {
        let links = others.into_iter().map(|other| Link::with_context(other.remote()));
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
        let surroundings = Surroundings::new();
        let surroundings = match self.parent {
            Some(parent) => surroundings.with_remote_span_context(parent.remote()),
            None => surroundings,
        };
        Some(Span(tracer.build_with_context(self.builder, &surroundings)))
    }

    /// Tells of something that is over.
    pub fn told(self, end: SystemTime) {
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
    pub fn context(&self) -> Context {
        Context::of(self.0.span_context())
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

    #[test]
    fn a_traceparent_is_read_and_written_as_the_page_says() {
        let context = Context::parse(GOOD).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.to_string(), GOOD);
        assert!(!Context::parse(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e47é6-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Context::parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_request_is_known_to_what_serves_it_and_to_nothing_else() {
        assert_eq!(request(), None);
        let context = Context::parse(GOOD);
        assert_eq!(within_request(context, async { request() }).await, Some(context));
        assert_eq!(within_request(None, async { request() }).await, Some(None));
    }

    #[test]
    fn while_nothing_is_collected_nothing_begins() {
        assert!(!is_on());
        assert!(Step::new("process tasks", SpanKind::Consumer).begin().is_none());
    }
}
