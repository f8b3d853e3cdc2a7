//! Proposals: the steps of tasks that are the worker's own, as entries of its source.

use domain::{
    entry::{EntryId, Fields},
    event::{
        EventKind, Submission,
        submission::{Origin, field},
    },
    source::Source,
};
use serde_json::Value;
use store::{DeadReason, DueTask, DueWhy, EntryVerdict, Judged};

/// The lowest number of a proposal within its millisecond: far above those that a broker gives.
const NUMBER_MIN: u64 = 1 << 32;

/// Makes proposals, each with an id of its own.
#[derive(Debug)]
pub struct Proposals {
    source: Source,
    next: u64,
}

impl Proposals {
    /// Returns a maker of proposals for a source.
    pub const fn new(source: Source) -> Self {
        Self { source, next: NUMBER_MIN }
    }

    /// Proposes a step of a task.
    pub fn make(&mut self, kind: &EventKind, task: &str, data: &Value) -> Judged {
        let mut fields = Fields::default();
        fields.push(field::TYPE, kind.name());
        fields.push(field::ID, task);
        fields.push(field::DATA, data.to_string());
        let now = jiff::Timestamp::now().as_millisecond();
        self.next += 1;
        let entry = EntryId { ms: u64::try_from(now).unwrap_or(0), number: self.next };
        let parsed = Submission::parse(self.source.stream, entry, &fields, Origin::Worker, now);
        let verdict = match parsed {
            Ok(submission) => EntryVerdict::Accepted(Box::new(submission)),
            Err(rejection) => EntryVerdict::Dead(DeadReason {
                label: rejection.label(),
                text: rejection.to_string(),
            }),
        };
        let (digest, deliveries) = (fields.digest(), Vec::new());
        Judged { entry, digest, verdict, fields, deliveries }
    }

    /// Proposes what is due.
    pub fn of_due(&mut self, due: &DueTask) -> Judged {
        let released = |why: &str| serde_json::json!({ "attempt": due.attempt, "why": why });
        let (kind, data) = match due.why {
            DueWhy::Lost => (EventKind::TaskReleased, released("lost")),
            DueWhy::Timeout => (EventKind::TaskReleased, released("timeout")),
            DueWhy::Expired => (EventKind::TaskExpired, serde_json::json!({})),
        };
        self.make(&kind, &due.task, &data)
    }
}

#[cfg(test)]
mod tests {
    use domain::source::Stream;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_proposal_is_an_entry_that_only_the_worker_may_write() {
        let mut proposals = Proposals::new(Source::first(Stream::Tasks));
        let data = json!({ "attempt": 1, "agent": "a" });
        let first = proposals.make(&EventKind::TaskAssigned, "t", &data);
        let second = proposals.make(&EventKind::TaskAssigned, "t", &data);
        assert_ne!(first.entry, second.entry);
        let EntryVerdict::Accepted(submission) = first.verdict else { panic!("{first:?}") };
        assert_eq!(submission.origin, Origin::Worker);
    }
}
