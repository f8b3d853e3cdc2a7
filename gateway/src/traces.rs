//! What a gateway tells to whoever collects traces: what it takes in, and what it delivers.

use std::time::SystemTime;

use shared::{
    channel::Channel,
    entry::Fields,
    event::submission::field,
    publication::Publication,
    source::Stream,
    trace::{self, Context, Span, SpanKind, Step},
};

use crate::gateway::Gateway;

/// Taking events in for a request. Each event that does not say itself where it belongs gets the
/// place of this, or that of the request while nobody collects traces.
pub fn taking_in(entries: &mut [(Stream, Fields)]) -> Option<Span> {
    let request = trace::request()?;
    let span = trace::is_on().then(|| begin(request, entries)).flatten();
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

fn begin(request: Option<Context>, entries: &[(Stream, Fields)]) -> Option<Span> {
    let (stream, fields) = entries.first()?;
    let own = || Context::parse(std::str::from_utf8(fields.get(field::TRACEPARENT)?).ok()?);
    let same = entries.iter().all(|(other, _)| other == stream);
    let destination = if same { stream.name() } else { "events" };
    Step::new(format!("send {destination}"), SpanKind::Producer)
        .below(request.or_else(own))
        .with("messaging.system", "redis")
        .with("messaging.operation.type", "send")
        .with("messaging.destination.name", destination)
        .with("messaging.batch.message_count", count(entries.len()))
        .begin()
}

/// Publications on their way through this node of which something is to be told.
pub struct Deliveries {
    began: SystemTime,
    all: Vec<(Context, Channel, u64)>,
}

impl Deliveries {
    /// What a read brought; none when nobody collects traces or nobody wants one of these.
    pub fn begin(publications: &[Publication]) -> Option<Self> {
        if !trace::is_on() {
            return None;
        }
        let wanted = |publication: &Publication| {
            let context = publication.recorded.event.traceparent.as_deref()?;
            let context = Context::parse(context).filter(|context| context.is_sampled())?;
            Some((context, publication.channel.clone(), publication.offset))
        };
        let all: Vec<_> = publications.iter().filter_map(wanted).collect();
        (!all.is_empty()).then(|| Self { began: SystemTime::now(), all })
    }

    /// Everybody live was written to: one span for each publication that this node has listeners of,
    /// however many they are.
    pub fn done(self, gateway: &Gateway) {
        let now = SystemTime::now();
        for (context, channel, offset) in self.all {
            let Some(room) = gateway.hub.known(&channel) else { continue };
            let (live, behind) = {
                let room = room.lock();
                (room.live.len(), room.behind)
            };
            let kind = channel.as_str().split(':').next().unwrap_or_default();
            Step::new(format!("deliver {kind}"), SpanKind::Consumer)
                .below(Some(context))
                .with("messaging.system", "redis")
                .with("messaging.operation.type", "process")
                .with("messaging.destination.name", channel.to_string())
                .with("fanfare.offset", i64::try_from(offset).unwrap_or(i64::MAX))
                .with("fanfare.node", gateway.node.to_string())
                .with("fanfare.listeners.live", count(live))
                .with("fanfare.listeners.behind", count(behind))
                .since(self.began)
                .told(now);
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
