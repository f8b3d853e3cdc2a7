//! Who went silent: an entity of which nothing was heard for as long as its lease (`lease_ms`) ends
//! as `abandoned` (rule 9 of the record).
//!
//! The ending is an event like any other, judged and recorded in a batch of the owner, so the fence
//! decides that there is only one, whoever dies. It is given only when the stream was read to its
//! end past the end of the lease, and was open to producers for at least as long as the lease:
//! neither a database nor a broker that was down makes anybody silent.

use serde_json::json;
use shared::{
    entry::{Entry, EntryId, Fields},
    event::state::EntityKind,
    source::Source,
    store::{Judged, Lapsed},
};
use tokio::time::{Duration, Instant};

use crate::projection;

/// How often the owner of a source looks for leases that ran out.
const INTERVAL: Duration = Duration::from_millis(500);

/// The most endings of one batch.
pub const ENDINGS_MAX: usize = 500;

/// When to look next, and since when producers can be heard.
#[derive(Debug)]
pub struct Watch {
    heard_since: Instant,
    next: Instant,
}

impl Watch {
    /// Nothing counts that was before now.
    pub fn new(now: Instant) -> Self {
        Self { heard_since: now, next: now + INTERVAL }
    }

    /// Something between the producers and the record was broken until now.
    pub fn interrupted(&mut self) {
        self.heard_since = Instant::now();
    }

    /// For how long producers could be heard, when it is time to look.
    pub fn due(&mut self) -> Option<Duration> {
        let now = Instant::now();
        (now >= self.next).then(|| {
            self.next = now + INTERVAL;
            now - self.heard_since
        })
    }
}

/// The last event of an entity that went silent. Its time is the end of the lease.
///
/// `abandoned_at` stays in the state: should the producer come back and tell another ending, the
/// state says that this one was shown before.
pub fn ending(source: Source, lapsed: &Lapsed) -> Judged {
    let kind = match lapsed.entity.kind {
        EntityKind::Task => "task_result",
        _ => "deployment_update",
    };
    let data = json!({
        "status": "abandoned",
        "abandoned_at": lapsed.lease_until,
        "lease_ms": lapsed.lease_ms,
    });
    let field = |name: &str, value: String| (name.to_owned(), value.into_bytes());
    let fields = Fields(vec![
        field("type", kind.to_owned()),
        field("id", lapsed.entity.id.to_string()),
        field("data", data.to_string()),
    ]);
    let ms = u64::try_from(lapsed.lease_until).unwrap_or(0);
    projection::judge(source, Entry { id: EntryId { ms, number: 0 }, fields })
}

#[cfg(test)]
mod tests {
    use shared::{
        event::{EventKind, state::Entity},
        source::Stream,
        store::Verdict,
    };

    use super::*;

    #[test]
    fn the_ending_is_an_event_that_its_stream_accepts() {
        for (stream, kind, event) in [
            (Stream::Tasks, EntityKind::Task, EventKind::TaskResult),
            (Stream::Deployments, EntityKind::Deployment, EventKind::DeploymentUpdate),
        ] {
            let entity = Entity { kind, id: "x".into() };
            let lapsed = Lapsed { entity, lease_ms: 1000, lease_until: 5000 };
            let judged = ending(Source::first(stream), &lapsed);
            let Verdict::Accepted(submission) = judged.verdict else { panic!("{judged:?}") };
            assert_eq!((submission.event.kind, submission.event.at), (event, 5000));
            assert!(submission.event.data.get().contains("\"status\":\"abandoned\""));
        }
    }
}
