//! Cutting publications into runs: consecutive ones of one channel and source, the unit of
//! publishing.

use std::collections::HashMap;

use domain::{channel::Channel, publication::Publication, source::Source};

/// The most publications in one run.
pub(super) const PUBLICATIONS_MAX: usize = 100;

/// The most bytes of payload in one run of more than one publication.
pub(super) const BYTES_MAX: usize = 256 * 1024;

/// Publications of one channel and source whose offsets follow each other without a hole.
#[derive(Debug)]
pub(super) struct Run<'a> {
    /// The channel of all of them.
    pub(super) channel: &'a Channel,
    /// The source of all of them.
    pub(super) source: Source,
    /// How many runs of the same channel and source come before it. Runs of one round may be sent
    /// together; a round must have succeeded before the next one begins.
    pub(super) round: usize,
    /// At least one.
    pub(super) publications: Vec<&'a Publication>,
    /// The bytes of all payloads.
    pub(super) bytes: usize,
}

impl<'a> Run<'a> {
    fn begin(publication: &'a Publication, round: usize) -> Self {
        Self {
            channel: &publication.channel,
            source: publication.source,
            round,
            publications: vec![publication],
            bytes: publication.payload.len(),
        }
    }

    /// The offset of the first publication.
    pub(super) fn first_offset(&self) -> u64 {
        self.publications.first().map_or(0, |publication| publication.offset)
    }

    /// The offset of the last publication.
    pub(super) fn last_offset(&self) -> u64 {
        self.publications.last().map_or(0, |publication| publication.offset)
    }

    fn takes(&self, publication: &Publication) -> bool {
        publication.offset == self.last_offset() + 1
            && self.publications.len() < PUBLICATIONS_MAX
            && self.bytes + publication.payload.len() <= BYTES_MAX
    }

    fn push(&mut self, publication: &'a Publication) {
        self.bytes += publication.payload.len();
        self.publications.push(publication);
    }
}

/// Cuts publications into runs, ordered by round and then by first appearance.
pub(super) fn cut(publications: &[Publication]) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut newest: HashMap<(&Channel, Source), usize> = HashMap::new();
    for publication in publications {
        let key = (&publication.channel, publication.source);
        match newest.get(&key).map(|index| &mut runs[*index]) {
            Some(run) if run.takes(publication) => run.push(publication),
            before => {
                let round = before.map_or(0, |run| run.round + 1);
                newest.insert(key, runs.len());
                runs.push(Run::begin(publication, round));
            }
        }
    }
    runs.sort_by_key(|run| run.round);
    runs
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use domain::{
        event::{Event, EventKind},
        position::Epoch,
        publication::Recorded,
    };

    fn publication(channel: &str, offset: u64, bytes: usize) -> Publication {
        let channel = Channel::parse(channel).unwrap();
        let event = Event::new(EventKind::DeploymentUpdate, Some("d1"), "{}");
        let recorded = Recorded { event, seq: 1, entry: "1-0".into(), recorded: 1 };
        Publication {
            source: channel.home(),
            channel,
            epoch: Epoch(1),
            offset,
            recorded: Arc::new(recorded),
            payload: Bytes::from(vec![b'x'; bytes]),
        }
    }

    fn shape(publications: &[Publication]) -> Vec<(String, usize, u64, u64)> {
        cut(publications)
            .iter()
            .map(|r| (r.channel.to_string(), r.round, r.first_offset(), r.last_offset()))
            .collect()
    }

    #[test]
    fn consecutive_publications_of_a_channel_make_one_run_among_those_of_others() {
        let given = [("tasks", 5), ("alerts", 1), ("tasks", 6), ("alerts", 2), ("tasks", 7)]
            .map(|(channel, offset)| publication(channel, offset, 10));
        let expected = [("tasks".to_owned(), 0, 5, 7), ("alerts".to_owned(), 0, 1, 2)];
        assert_eq!(shape(&given), expected);
    }

    #[test]
    fn holes_repeats_and_size_begin_a_run_in_the_next_round() {
        let mut given: Vec<_> = [1, 2, 4, 4].map(|offset| publication("tasks", offset, 10)).into();
        given.push(publication("tasks", 5, BYTES_MAX));
        given.push(publication("alerts", 1, 10));
        let rounds: Vec<_> = shape(&given).into_iter().map(|(_, round, ..)| round).collect();
        assert_eq!(rounds, [0, 0, 1, 2, 3]);
        let many: Vec<_> = (1..=250).map(|offset| publication("tasks", offset, 1)).collect();
        assert_eq!(cut(&many).len(), 3);
    }
}
