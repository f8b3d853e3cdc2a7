//! What a batch becomes: each entry's fate, the folded states, numbers and offsets.
//!
//! Pure: the steps in [`super::record`] ask the database and tell the plan.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use domain::{
    channel::Channel,
    event::{Submission, entity::Entity},
    publication::{Publication, Recorded},
    source::Source,
};

use super::{
    Committed, DeadReason, EntryVerdict, Judged, Outcome,
    channel::Counter,
    event::EventRow,
    known::{Key, Placed},
    source::BatchStart,
    states::{self, States},
};

/// What becomes of one entry.
#[derive(Debug)]
enum EntryOutcome {
    /// Not decided yet.
    Open,
    /// Taken in before.
    Known,
    /// Not accepted.
    Dead(DeadReason),
    /// Its producer's id was applied by an earlier batch.
    Repeated(Placed),
    /// Its producer's id was applied by an earlier entry of this batch.
    RepeatedHere(usize),
    /// An event, with the channels that carry it.
    Accepted(Vec<Channel>),
}

/// The plan of a batch.
pub(super) struct Plan<'a> {
    entries: &'a [Judged],
    fates: Vec<EntryOutcome>,
}

/// A batch with everything numbered, ready to be written.
pub(super) struct Numbered<'a> {
    /// The events.
    pub(super) events: Vec<EventRow>,
    /// All entries that were taken in now, with the number of their events.
    pub(super) entries: Vec<(Key, Option<u64>)>,
    /// Producers' ids that were applied now: the entry's place among `outcomes`.
    pub(super) event_ids: Vec<(&'a str, usize)>,
    /// The dead letters.
    pub(super) dead: Vec<(&'a Judged, DeadReason)>,
    /// What the caller is told.
    pub(super) committed: Committed,
}

impl<'a> Plan<'a> {
    /// Sorts out what was taken in before, by an earlier batch or by this one.
    pub(super) fn new(entries: &'a [Judged], mut known: HashSet<Key>) -> Self {
        let fate = |judged: &Judged| {
            if !known.insert((judged.entry, judged.digest)) {
                return EntryOutcome::Known;
            }
            match &judged.verdict {
                EntryVerdict::Accepted(_) => EntryOutcome::Open,
                EntryVerdict::Dead(reason) => EntryOutcome::Dead(reason.clone()),
            }
        };
        Self { entries, fates: entries.iter().map(fate).collect() }
    }

    /// The entries that are still open, with their places.
    fn open(&self) -> impl Iterator<Item = (usize, &'a Submission)> + '_ {
        self.entries.iter().zip(&self.fates).enumerate().filter_map(|(at, (judged, fate))| {
            match (&judged.verdict, fate) {
                (EntryVerdict::Accepted(submission), EntryOutcome::Open) => {
                    Some((at, &**submission))
                }
                _ => None,
            }
        })
    }

    /// The producers' ids that occur.
    pub(super) fn event_ids(&self) -> Vec<&'a str> {
        let ids: BTreeSet<&str> =
            self.open().filter_map(|(_, submission)| submission.event_id.as_deref()).collect();
        ids.into_iter().collect()
    }

    /// Sets aside what was applied before under the same producer's id.
    pub(super) fn set_aside(&mut self, applied: &HashMap<String, Placed>) {
        let repeats: Vec<(usize, Placed)> = self
            .open()
            .filter_map(|(at, submission)| {
                let placed = applied.get(submission.event_id.as_deref()?)?;
                Some((at, placed.clone()))
            })
            .collect();
        for (at, placed) in repeats {
            self.fates[at] = EntryOutcome::Repeated(placed);
        }
    }

    /// The entities whose states are needed.
    pub(super) fn entities(&self) -> BTreeSet<Entity> {
        self.open().flat_map(|(_, submission)| submission.event.entities()).collect()
    }

    /// The fingerprints of the repositories' paths that occur.
    pub(super) fn paths(&self) -> BTreeSet<i64> {
        self.open().flat_map(|(_, submission)| states::paths(&submission.event)).collect()
    }

    /// Folds what is open into the states; afterwards nothing is open.
    ///
    /// A dead letter does not use up its producer's id: the next entry with it has its chance.
    pub(super) fn fold(&mut self, states: &mut States, recorded: i64, state_bytes_max: usize) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        let open: Vec<(usize, &Submission)> = self.open().collect();
        for (at, submission) in open {
            let event_id = submission.event_id.as_deref();
            if let Some(before) = event_id.and_then(|id| first.get(id)) {
                self.fates[at] = EntryOutcome::RepeatedHere(*before);
                continue;
            }
            let lease_ms = submission.lease_ms.and_then(|ms| i64::try_from(ms).ok());
            states.fold(&submission.event, lease_ms, recorded, state_bytes_max);
            first.extend(event_id.map(|id| (id, at)));
            self.fates[at] = EntryOutcome::Accepted(submission.event.channels());
        }
    }

    /// How many publications go to each channel.
    pub(super) fn counts(&self) -> BTreeMap<Channel, u64> {
        let mut counts = BTreeMap::new();
        for fate in &self.fates {
            let EntryOutcome::Accepted(channels) = fate else { continue };
            for channel in channels {
                *counts.entry(channel.clone()).or_default() += 1;
            }
        }
        counts
    }

    /// Gives numbers and offsets; `counters` are those after [`Plan::counts`] were added.
    pub(super) fn number(
        self,
        source: Source,
        begun: &BatchStart,
        counters: &HashMap<Channel, Counter>,
    ) -> Numbered<'a> {
        let counts = self.counts();
        let mut next: HashMap<&Channel, Counter> = counters
            .iter()
            .map(|(channel, counter)| {
                let count = counts.get(channel).copied().unwrap_or(0);
                (channel, Counter { head: counter.head.saturating_sub(count), ..*counter })
            })
            .collect();
        let committed = Committed {
            epoch: begun.epoch,
            publications: Vec::new(),
            outcomes: Vec::with_capacity(self.entries.len()),
            seq: begun.seq,
        };
        let mut numbered = Numbered {
            events: Vec::new(),
            entries: Vec::new(),
            event_ids: Vec::new(),
            dead: Vec::new(),
            committed,
        };
        for (judged, fate) in self.entries.iter().zip(self.fates) {
            numbered.take(source, begun, judged, fate, &mut next);
        }
        numbered
    }
}

impl<'a> Numbered<'a> {
    fn take(
        &mut self,
        source: Source,
        begun: &BatchStart,
        judged: &'a Judged,
        fate: EntryOutcome,
        next: &mut HashMap<&Channel, Counter>,
    ) {
        let key = (judged.entry, judged.digest);
        let outcome = match (fate, &judged.verdict) {
            (EntryOutcome::Accepted(channels), EntryVerdict::Accepted(submission)) => {
                let placed = self.accept(source, begun, judged, submission, channels, next);
                self.entries.push((key, Some(self.committed.seq)));
                Outcome::Recorded(placed)
            }
            (EntryOutcome::Dead(reason), _) => {
                self.entries.push((key, None));
                self.dead.push((judged, reason.clone()));
                Outcome::Dead(reason)
            }
            (EntryOutcome::Repeated(placed), _) => {
                self.entries.push((key, None));
                Outcome::Repeated(placed)
            }
            (EntryOutcome::RepeatedHere(at), _) => {
                self.entries.push((key, None));
                match self.committed.outcomes.get(at) {
                    Some(Outcome::Recorded(placed)) => Outcome::Repeated(placed.clone()),
                    _ => Outcome::Known,
                }
            }
            (EntryOutcome::Known | EntryOutcome::Open | EntryOutcome::Accepted(_), _) => {
                Outcome::Known
            }
        };
        self.committed.outcomes.push(outcome);
    }

    fn accept(
        &mut self,
        source: Source,
        begun: &BatchStart,
        judged: &Judged,
        submission: &'a Submission,
        channels: Vec<Channel>,
        next: &mut HashMap<&Channel, Counter>,
    ) -> Placed {
        self.committed.seq += 1;
        let mut event = submission.event.clone();
        if event.at == 0 {
            event.at = begun.recorded;
        }
        let recorded = Arc::new(Recorded {
            seq: self.committed.seq,
            entry: judged.entry.to_string(),
            recorded: begun.recorded,
            event,
        });
        let payload = recorded.to_payload();
        let mut offsets = Vec::with_capacity(channels.len());
        let mut placed = Vec::with_capacity(channels.len());
        for channel in channels {
            let Some(counter) = next.get_mut(&channel) else { continue };
            counter.head += 1;
            let offset = counter.head;
            offsets.push((counter.id, offset));
            placed.push((channel.clone(), offset));
            let (recorded, payload) = (recorded.clone(), payload.clone());
            let epoch = begun.epoch;
            let publication = Publication { channel, epoch, source, offset, recorded, payload };
            self.committed.publications.push(publication);
        }
        if let Some(event_id) = &submission.event_id {
            self.event_ids.push((event_id, self.committed.outcomes.len()));
        }
        self.events.push(EventRow { recorded, payload, offsets });
        placed
    }
}

#[cfg(test)]
mod tests {
    use domain::event::submission::Origin;

    use super::*;
    use domain::{
        entry::{EntryId, Fields},
        position::Epoch,
        source::Stream,
    };

    const SOURCE: Source = Source::first(Stream::Deployments);

    fn judged(ms: u64, fields: &[(&str, &str)]) -> Judged {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        let fields = Fields(fields.collect());
        let entry = EntryId { ms, number: 0 };
        let verdict = match Submission::parse(SOURCE.stream, entry, &fields, Origin::Outside, 5) {
            Ok(submission) => EntryVerdict::Accepted(Box::new(submission)),
            Err(rejection) => {
                let (label, text) = (rejection.label(), rejection.to_string());
                EntryVerdict::Dead(DeadReason { label, text })
            }
        };
        Judged { entry, digest: fields.digest(), verdict, fields, deliveries: Vec::new() }
    }

    /// Plans entries for a source that is at number 10 and channels whose counters stood at 100.
    fn plan(entries: &[Judged], known: HashSet<Key>, applied: &[(&str, u64)]) -> Committed {
        let feed = Channel::feed(domain::channel::ChannelKind::Deployments);
        let place = |(id, offset): &(&str, u64)| ((*id).to_owned(), vec![(feed.clone(), *offset)]);
        let mut plan = Plan::new(entries, known);
        plan.set_aside(&applied.iter().map(place).collect());
        plan.fold(&mut States::default(), 5, 1000);
        let counters = plan.counts().into_iter().enumerate().map(|(id, (channel, count))| {
            let id = i64::try_from(id).unwrap();
            (channel, Counter { id, head: 100 + count })
        });
        let counters = counters.collect();
        let begun = BatchStart { seq: 10, recorded: 5, top: EntryId::ZERO, epoch: Epoch(7) };
        plan.number(SOURCE, &begun, &counters).committed
    }

    fn update<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        [&[("type", "deployment_update"), ("id", "d")], more].concat()
    }

    #[test]
    fn numbers_and_offsets_go_on_where_they_were_and_skip_nothing() {
        let entries = [
            judged(1, &update(&[])),
            judged(2, &[("type", "nonsense")]),
            judged(3, &update(&[("event_id", "before")])),
            judged(4, &update(&[])),
            judged(5, &update(&[("data", "{\"n\":1}")])),
        ];
        let known = [(entries[3].entry, entries[3].digest)].into();
        let committed = plan(&entries, known, &[("before", 42)]);
        assert_eq!(committed.seq, 12);
        let offsets: Vec<u64> = committed.publications.iter().map(|p| p.offset).collect();
        assert_eq!(offsets, [101, 101, 102, 102]);
        let seqs: Vec<u64> = committed.publications.iter().map(|p| p.recorded.seq).collect();
        assert_eq!(seqs, [11, 11, 12, 12]);
        assert!(matches!(committed.outcomes[1], Outcome::Dead(_)));
        assert!(matches!(&committed.outcomes[2], Outcome::Repeated(at) if at[0].1 == 42));
        assert_eq!(committed.outcomes[3], Outcome::Known);
    }

    #[test]
    fn a_dead_letter_leaves_its_event_id_to_the_next() {
        let entries = [
            judged(1, &update(&[("event_id", "e"), ("data", "[]")])),
            judged(2, &update(&[("event_id", "e")])),
            judged(3, &update(&[("event_id", "e")])),
        ];
        let committed = plan(&entries, HashSet::new(), &[]);
        assert!(matches!(&committed.outcomes[0], Outcome::Dead(why) if why.label == "data"));
        let Outcome::Recorded(first) = &committed.outcomes[1] else { panic!("{committed:?}") };
        assert_eq!(committed.outcomes[2], Outcome::Repeated(first.clone()));
        assert_eq!(committed.seq, 11);
    }

    #[test]
    fn an_entry_that_occurs_twice_is_known_the_second_time() {
        let entries = [judged(1, &update(&[])), judged(1, &update(&[]))];
        let committed = plan(&entries, HashSet::new(), &[]);
        assert_eq!(committed.outcomes[1], Outcome::Known);
        assert_eq!(committed.seq, 11);
    }
}
