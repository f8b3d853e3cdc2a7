//! Validates entries: each becomes an event for the record, or a dead letter. Pure functions.

use shared::{
    entry::Entry,
    event::{Rejection, Submission},
    source::Source,
    store::{DeadReason, Judged, Verdict},
};

/// Decides what an entry of a source becomes, with its digest.
pub fn validate(source: Source, entry: Entry) -> Judged {
    let digest = entry.fields.digest();
    let verdict = match Submission::parse(source.stream, entry.id, &entry.fields) {
        Ok(submission) => Verdict::Accepted(Box::new(submission)),
        Err(rejection) => Verdict::Dead(reason(&rejection)),
    };
    Judged { entry: entry.id, digest, verdict, fields: entry.fields }
}

fn reason(rejection: &Rejection) -> DeadReason {
    DeadReason { label: rejection.label(), text: rejection.to_string() }
}

/// Turns an entry that validates, but that cannot be recorded, into a dead letter for `cause`.
pub fn reject(judged: &mut Judged, cause: &str) {
    judged.verdict = Verdict::Dead(DeadReason { label: "poison", text: cause.to_owned() });
}

#[cfg(test)]
mod tests {
    use shared::{
        entry::{EntryId, Fields},
        source::Stream,
    };

    use super::*;

    #[test]
    fn a_wrong_entry_is_dead_with_a_reason_that_names_the_field() {
        let mut fields = Fields::default();
        fields.push("type", "deployment_update");
        let entry = Entry { id: EntryId::ZERO, fields };
        let judged = validate(Source::first(Stream::Deployments), entry);
        let Verdict::Dead(reason) = judged.verdict else { panic!("accepted") };
        assert_eq!(reason.label, "id");
        assert_eq!(reason.text, "id is required for deployment_update");
    }
}
