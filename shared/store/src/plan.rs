//! What a batch becomes: each entry's fate, the folded states, numbers and offsets.
//!
//! Pure: the steps in [`super::record`] ask the database and tell the plan.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use domain::{
    channel::Channel,
    event::{Event, Rejection, Submission, entity::Entity, submission::Origin},
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
    work::bench::{Bench, Verdict},
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
    /// A step of a task that was taken before, or a proposal that no longer fits.
    Nothing {
        /// Whether it counts as a repetition.
        is_repeated: bool,
    },
    /// A step of a task that does not fit, and whose author hears of it.
    Refused(Rejection),
    /// Events, each with the channels that carry it.
    Accepted(Vec<(Event, Vec<Channel>)>),
}

/// The plan of a batch.
pub(super) struct Plan<'a> {
    entries: &'a [Judged],
    fates: Vec<EntryOutcome>,
    /// Places of answers that are told apart by their attempts, not by what they say.
    by_attempt: HashSet<usize>,
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
        Self { entries, fates: entries.iter().map(fate).collect(), by_attempt: HashSet::new() }
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

    /// The submissions that are open.
    pub(super) fn steps(&self) -> Vec<&'a Submission> {
        self.open().map(|(_, submission)| submission).collect()
    }

    /// Notes which answers are those of agents to tasks for one.
    pub(super) fn answers_of_agents(&mut self, bench: &Bench) {
        let by_attempt = self.open().filter(|(_, submission)| {
            let id = submission.event.id.as_deref();
            submission.holder.is_some() && id.is_some_and(|id| bench.knows(id))
        });
        self.by_attempt = by_attempt.map(|(at, _)| at).collect();
    }

    /// The producer's id of an entry, if it is told apart by that.
    fn event_id(&self, at: usize, submission: &'a Submission) -> Option<&'a str> {
        submission.event_id.as_deref().filter(|_| !self.by_attempt.contains(&at))
    }

    /// The producers' ids that occur.
    pub(super) fn event_ids(&self) -> Vec<&'a str> {
        let ids: BTreeSet<&str> =
            self.open().filter_map(|(at, submission)| self.event_id(at, submission)).collect();
        ids.into_iter().collect()
    }

    /// Sets aside what was applied before under the same producer's id.
    pub(super) fn set_aside(&mut self, applied: &HashMap<String, Placed>) {
        let repeats: Vec<(usize, Placed)> = self
            .open()
            .filter_map(|(at, submission)| {
                let placed = applied.get(self.event_id(at, submission)?)?;
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
    pub(super) fn fold(
        &mut self,
        states: &mut States,
        bench: &mut Bench,
        recorded: i64,
        state_bytes_max: usize,
    ) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        let open: Vec<(usize, &Submission)> = self.open().collect();
        for (at, submission) in open {
            let event_id = self.event_id(at, submission);
            if let Some(before) = event_id.and_then(|id| first.get(id)) {
                self.fates[at] = EntryOutcome::RepeatedHere(*before);
                continue;
            }
            let id = submission.event.id.as_deref().unwrap_or_default();
            let is_for_all = states.has_created(id) && !bench.knows(id);
            let events = match bench.judge(submission, is_for_all, recorded) {
                Verdict::AsGiven => vec![submission.event.clone()],
                Verdict::Events(events) => events,
                Verdict::Repeated => {
                    self.fates[at] = EntryOutcome::Nothing { is_repeated: true };
                    continue;
                }
                Verdict::Moot => {
                    self.fates[at] = EntryOutcome::Nothing { is_repeated: false };
                    continue;
                }
                Verdict::Refused(rejection) => {
                    self.fates[at] = refused(submission, rejection);
                    continue;
                }
            };
            // The lease of a task for one is its attempt's.
            let lease_ms = submission.lease_ms.filter(|_| !bench.knows(id));
            let lease_ms = lease_ms.and_then(|ms| i64::try_from(ms).ok());
            for event in &events {
                states.fold(event, lease_ms, recorded, state_bytes_max);
            }
            first.extend(event_id.map(|id| (id, at)));
            let placed = events.into_iter().map(|event| {
                let channels = event.channels();
                (event, channels)
            });
            self.fates[at] = EntryOutcome::Accepted(placed.collect());
        }
    }

    /// How many publications go to each channel.
    pub(super) fn counts(&self) -> BTreeMap<Channel, u64> {
        let mut counts = BTreeMap::new();
        for fate in &self.fates {
            let EntryOutcome::Accepted(events) = fate else { continue };
            for channel in events.iter().flat_map(|(_, channels)| channels) {
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
            events: 0,
        };
        let mut numbered = Numbered {
            events: Vec::new(),
            entries: Vec::new(),
            event_ids: Vec::new(),
            dead: Vec::new(),
            committed,
        };
        for (at, (judged, fate)) in self.entries.iter().zip(self.fates).enumerate() {
            let is_by_attempt = self.by_attempt.contains(&at);
            numbered.take(source, begun, judged, fate, is_by_attempt, &mut next);
        }
        numbered
    }
}

/// A step that does not fit: told to whoever waits for the outcome, else a dead letter.
fn refused(submission: &Submission, rejection: Rejection) -> EntryOutcome {
    if submission.reply.is_some() || submission.origin == Origin::Worker {
        return EntryOutcome::Refused(rejection);
    }
    EntryOutcome::Dead(DeadReason { label: rejection.label(), text: rejection.to_string() })
}

impl<'a> Numbered<'a> {
    fn take(
        &mut self,
        source: Source,
        begun: &BatchStart,
        judged: &'a Judged,
        fate: EntryOutcome,
        is_by_attempt: bool,
        next: &mut HashMap<&Channel, Counter>,
    ) {
        let key = (judged.entry, judged.digest);
        let outcome = match (fate, &judged.verdict) {
            (EntryOutcome::Accepted(events), EntryVerdict::Accepted(submission)) => {
                let first = self.committed.seq + 1;
                let mut placed = Vec::new();
                for (event, channels) in events {
                    placed.extend(self.accept(source, begun, judged, event, channels, next));
                }
                if let Some(event_id) = submission.event_id.as_deref().filter(|_| !is_by_attempt) {
                    self.event_ids.push((event_id, self.committed.outcomes.len()));
                }
                self.entries.push((key, Some(first)));
                Outcome::Recorded(placed)
            }
            (EntryOutcome::Nothing { is_repeated: true }, _) => {
                self.entries.push((key, None));
                Outcome::Repeated(Vec::new())
            }
            (EntryOutcome::Nothing { is_repeated: false }, _) => Outcome::Known,
            (EntryOutcome::Refused(rejection), _) => {
                self.entries.push((key, None));
                Outcome::Refused(rejection)
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
        mut event: Event,
        channels: Vec<Channel>,
        next: &mut HashMap<&Channel, Counter>,
    ) -> Placed {
        self.committed.seq += 1;
        self.committed.events += 1;
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
        self.events.push(EventRow { recorded, payload, offsets });
        placed
    }
}

#[cfg(test)]
mod tests {
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
        plan.fold(&mut States::default(), &mut Bench::default(), 5, 1000);
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
