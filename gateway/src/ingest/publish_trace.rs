//! What is traced of publishing: the place of each event, and a span while its outcome is awaited.

use domain::{
    entry::Fields, event::submission::field, source::Stream, trace_context::TraceContext,
};
use runtime::trace::{self, Span, SpanKind, Step};

/// Begins the span of publishing for a request. Each event that does not say itself where it belongs gets the
/// place of this, or that of the request while nobody collects traces.
pub(super) fn begin(entries: &mut [(Stream, Fields)]) -> Option<Span> {
    let request = trace::request()?;
    let span = trace::is_on().then(|| begin_span(request, entries)).flatten();
    let place = span.as_ref().map(Span::context).or(request);
    if let Some(place) = place {
        for (_, fields) in entries {
            if fields.get(field::TRACEPARENT).is_none() {
                fields.push(field::TRACEPARENT, place.to_string());
            }
        }
    }
    span
}

fn begin_span(request: Option<TraceContext>, entries: &[(Stream, Fields)]) -> Option<Span> {
    let (stream, fields) = entries.first()?;
    let own = || TraceContext::parse(std::str::from_utf8(fields.get(field::TRACEPARENT)?).ok()?);
    let same = entries.iter().all(|(other, _)| other == stream);
    let destination = if same { stream.name() } else { "events" };
    Step::new(format!("send {destination}"), SpanKind::Producer)
        .below(request.or_else(own))
        .with("messaging.system", "redis")
        .with("messaging.operation.type", "send")
        .with("messaging.destination.name", destination)
        .with("messaging.batch.message_count", i64::try_from(entries.len()).unwrap_or(i64::MAX))
        .begin()
}
