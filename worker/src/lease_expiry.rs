//! Expiry of entities' leases: an entity without an event for as long as its lease (`lease_ms`)
//! ends as `abandoned` (rule 9 of the record).
//!
//! The ending is an event like any other, validated and recorded in a batch of the owner, so the
//! fence decides that there is only one, whichever worker dies. It is made only when the stream was
//! read to its end past the end of the lease, and was open to producers for at least as long as the
//! lease: an outage of the database or the broker expires no lease.

use domain::{
    entry::{Entry, EntryId, Fields},
    event::entity::EntityKind,
    source::Source,
};
use serde_json::json;
use store::{Judged, Lapsed};
use tokio::time::{Duration, Instant};

use crate::validation;

/// How many endings a batch holds at most.
pub const ENDINGS_MAX: usize = 500;

/// Knows when the stream was read to its end, and since when producers can reach it.
///
/// The size of a read does not show what is left: it is bounded in bytes as well, and ends early at
/// a stop. So the stream is asked for its newest entry, and counts as read to its end as of that
/// moment once the cursor is there.
#[derive(Debug)]
pub struct ReadProgress {
    reachable_since: Instant,
    /// When the stream was asked, and its newest entry then; none once that entry was read.
    newest: Option<(Instant, EntryId)>,
}

impl ReadProgress {
    /// Begins at `now`: nothing before it counts.
    pub fn new(now: Instant) -> Self {
        Self { reachable_since: now, newest: None }
    }

    /// Begins anew: until now something between the producers and the record was broken.
    pub fn interrupted(&mut self) {
        *self = Self::new(Instant::now());
    }

    /// Notes the newest entry of the stream, which was asked for at `at`.
    pub fn newest(&mut self, at: Instant, entry: EntryId) {
        self.newest.get_or_insert((at, entry));
    }

    /// Returns when the stream was asked for the entry that is read by now, and for how long
    /// producers could reach it until then; once for each.
    pub fn read_to(&mut self, cursor: EntryId) -> Option<(Instant, Duration)> {
        let (at, _) = self.newest.take_if(|(_, newest)| *newest <= cursor)?;
        Some((at, at.saturating_duration_since(self.reachable_since)))
    }
}

/// Makes the last event of an entity whose lease ran out. Its time is the end of the lease.
///
/// `abandoned_at` stays in the state: should the producer come back with another ending, the state
/// says that this one was shown before.
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
    validation::validate(
        source,
        Entry { id: EntryId { ms, number: 0 }, fields },
        lapsed.lease_until,
    )
}

#[cfg(test)]
mod tests {
    use domain::{
        event::{EventKind, entity::Entity},
        source::Stream,
    };
    use store::EntryVerdict;

    use super::*;

    #[test]
    fn no_lease_expires_while_an_entry_of_then_is_unread() {
        let entry = |ms| EntryId { ms, number: 0 };
        let began = Instant::now();
        let mut progress = ReadProgress::new(began);
        assert_eq!(progress.read_to(entry(9)), None);
        progress.newest(began + Duration::from_secs(2), entry(5));
        progress.newest(began + Duration::from_secs(3), entry(7));
        assert_eq!(progress.read_to(entry(4)), None);
        let at = began + Duration::from_secs(2);
        assert_eq!(progress.read_to(entry(5)), Some((at, Duration::from_secs(2))));
        assert_eq!(progress.read_to(entry(5)), None, "it has to be asked again");
        progress.newest(at, entry(5));
        progress.interrupted();
        assert_eq!(progress.read_to(entry(5)), None);
    }

    #[test]
    fn the_ending_is_an_event_that_its_stream_accepts() {
        for (stream, kind, event) in [
            (Stream::Tasks, EntityKind::Task, EventKind::TaskResult),
            (Stream::Deployments, EntityKind::Deployment, EventKind::DeploymentUpdate),
        ] {
            let entity = Entity { kind, id: "x".into() };
            let lapsed = Lapsed { entity, lease_ms: 1000, lease_until: 1_795_784_289_609 };
            let judged = ending(Source::first(stream), &lapsed);
            let EntryVerdict::Accepted(submission) = judged.verdict else { panic!("{judged:?}") };
            assert_eq!((submission.event.kind, submission.event.at), (event, 1_795_784_289_609));
            assert!(submission.event.data.get().contains("\"status\":\"abandoned\""));
        }
    }
}
