//! Validates entries: each becomes an event for the record, or a dead letter. Pure functions.

use domain::{
    entry::Entry,
    event::{Rejection, Submission, submission::Origin},
    source::Source,
};
use store::{DeadReason, EntryVerdict, Judged};

/// Decides what an entry of a source becomes, with its digest. `now`, ms since 1970, is what the
/// producer's times are measured against.
pub fn validate(source: Source, entry: Entry, now: i64) -> Judged {
    let digest = entry.fields.digest();
    let verdict = match submission(source, &entry, now) {
        Ok(submission) => EntryVerdict::Accepted(Box::new(submission)),
        Err(rejection) => EntryVerdict::Dead(reason(&rejection)),
    };
    Judged { entry: entry.id, digest, verdict, fields: entry.fields, deliveries: Vec::new() }
}

fn submission(source: Source, entry: &Entry, now: i64) -> Result<Submission, Rejection> {
    Submission::parse(source.stream, entry.id, &entry.fields, Origin::Outside, now)
}

fn reason(rejection: &Rejection) -> DeadReason {
    DeadReason { label: rejection.label(), text: rejection.to_string() }
}

/// Turns an entry that validates, but that cannot be recorded, into a dead letter for `cause`.
pub fn reject(judged: &mut Judged, cause: &str) {
    judged.verdict = EntryVerdict::Dead(DeadReason { label: "poison", text: cause.to_owned() });
}

#[cfg(test)]
mod tests {
    use domain::{
        entry::{EntryId, Fields},
        source::Stream,
    };

    use super::*;

    #[test]
    fn a_wrong_entry_is_dead_with_a_reason_that_names_the_field() {
        let mut fields = Fields::default();
        fields.push("type", "deployment_update");
        let entry = Entry { id: EntryId::ZERO, fields };
        let judged = validate(Source::first(Stream::Deployments), entry, 0);
        let EntryVerdict::Dead(reason) = judged.verdict else { panic!("accepted") };
        assert_eq!(reason.label, "id");
        assert_eq!(reason.text, "id is required for deployment_update");
    }

    #[test]
    fn a_step_of_the_worker_is_no_event_from_outside() {
        let mut fields = Fields::default();
        fields.push("type", "task_assigned");
        fields.push("id", "t");
        let judged = validate(Source::first(Stream::Tasks), Entry { id: EntryId::ZERO, fields }, 0);
        let EntryVerdict::Dead(reason) = judged.verdict else { panic!("accepted") };
        assert_eq!(reason.label, "reserved");
    }
}
