//! What is traced of deliveries: one span for each publication that this node has listeners of.

use std::time::SystemTime;

use domain::{
    channel::Channel, node::NodeId, publication::Publication, trace_context::TraceContext,
};
use runtime::trace::{self, SpanKind, Step};

use crate::channel::hub::Hub;

/// Publications on their way through this node that are traced.
pub(super) struct Deliveries {
    began: SystemTime,
    all: Vec<(TraceContext, Channel, u64)>,
}

impl Deliveries {
    /// Returns those of what a read brought; none when nobody collects traces or nobody wants one of these.
    pub(super) fn begin(publications: &[Publication]) -> Option<Self> {
        if !trace::is_on() {
            return None;
        }
        let wanted = |publication: &Publication| {
            let context = publication.recorded.event.traceparent.as_deref()?;
            let context = TraceContext::parse(context).filter(|context| context.is_sampled())?;
            Some((context, publication.channel.clone(), publication.offset))
        };
        let all: Vec<_> = publications.iter().filter_map(wanted).collect();
        (!all.is_empty()).then(|| Self { began: SystemTime::now(), all })
    }

    /// Ends when everybody live was written to, with one span for each publication, however many
    /// listeners it has.
    pub(super) fn finished(self, hub: &Hub, node: &NodeId) {
        let now = SystemTime::now();
        for (context, channel, offset) in self.all {
            let Some(state) = hub.known(&channel) else { continue };
            let (live, behind) = {
                let state = state.lock();
                (state.live.len(), state.behind)
            };
            let kind = channel.as_str().split(':').next().unwrap_or_default();
            Step::new(format!("deliver {kind}"), SpanKind::Consumer)
                .below(Some(context))
                .with("messaging.system", "redis")
                .with("messaging.operation.type", "process")
                .with("messaging.destination.name", channel.to_string())
                .with("fanfare.offset", i64::try_from(offset).unwrap_or(i64::MAX))
                .with("fanfare.node", node.to_string())
                .with("fanfare.listeners.live", count(live))
                .with("fanfare.listeners.behind", count(behind))
                .since(self.began)
                .finish_at(now);
        }
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
