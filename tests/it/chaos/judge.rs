//! The judge: what a viewer may have seen, and what not.
//!
//! A publisher numbers the events of its channel 1, 2, 3 …, and so does the record. Hence everything that
//! can go wrong shows as an event whose number is not its offset, or does not follow the one before.

use std::sync::{Arc, Mutex};

/// What one viewer saw of one channel, over all its connections.
#[derive(Debug, Clone)]
pub(super) struct History {
    pub(super) channel: String,
    pub(super) sightings: Vec<Sighting>,
}

/// One thing that was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sighting {
    /// The state with which a viewer began: the offset of its position and the number in it.
    Began { offset: u64, number: u64 },
    /// An event.
    Event { offset: u64, number: u64 },
    /// Anything that a run without retention must never show, such as a gap.
    Wrong(String),
}

impl History {
    pub(super) fn of(channel: &str) -> Self {
        Self { channel: channel.to_owned(), sightings: Vec::new() }
    }

    /// The offset up to which everything was seen.
    pub(super) fn head(&self) -> u64 {
        let offset = |sighting: &Sighting| match sighting {
            Sighting::Began { offset, .. } | Sighting::Event { offset, .. } => Some(*offset),
            Sighting::Wrong(_) => None,
        };
        self.sightings.iter().rev().find_map(offset).unwrap_or(0)
    }

    fn violations(&self, last: u64) -> Vec<String> {
        let mut violations = Vec::new();
        let mut before: Option<u64> = None;
        for sighting in &self.sightings {
            match sighting {
                Sighting::Began { offset, number } | Sighting::Event { offset, number }
                    if offset != number =>
                {
                    violations.push(format!("the record is wrong: {sighting:?}"));
                }
                Sighting::Event { offset, .. }
                    if before.is_some_and(|before| *offset != before + 1) =>
                {
                    violations.push(format!("{sighting:?} after offset {before:?}"));
                }
                Sighting::Wrong(what) => violations.push(what.clone()),
                Sighting::Began { .. } | Sighting::Event { .. } => {}
            }
            if let Sighting::Began { offset, .. } | Sighting::Event { offset, .. } = sighting {
                before = Some(*offset);
            }
        }
        if self.head() != last {
            violations.push(format!("ended at {} of {last}", self.head()));
        }
        violations.truncate(5);
        violations
    }
}

/// All violations of one channel: in the archive, which must hold 1 to `last` once each and in order, and in
/// what its viewers saw.
pub(super) fn judge(
    channel: &str,
    last: u64,
    archive: &[(u64, u64)],
    histories: &[Arc<Mutex<History>>],
) -> Vec<String> {
    let mut violations = Vec::new();
    let expected: Vec<_> = (1..=last).map(|number| (number, number)).collect();
    if archive != expected {
        let first = archive.iter().zip(&expected).find(|(actual, wanted)| actual != wanted);
        violations.push(format!(
            "{channel}: the archive holds {} of {last}, first difference {first:?}",
            archive.len()
        ));
    }
    for (viewer, history) in histories.iter().enumerate() {
        let history = history.lock().unwrap();
        if history.channel == channel {
            let told = history.violations(last).into_iter();
            violations.extend(told.map(|text| format!("{channel}, viewer {viewer}: {text}")));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(offset: u64) -> Sighting {
        Sighting::Event { offset, number: offset }
    }

    fn convicts(sightings: &[Sighting]) -> bool {
        let history = History { channel: "c".to_owned(), sightings: sightings.to_vec() };
        let histories = [Arc::new(Mutex::new(history))];
        !judge("c", 3, &[(1, 1), (2, 2), (3, 3)], &histories).is_empty()
    }

    #[test]
    fn a_faithful_history_is_acquitted() {
        assert!(!convicts(&[event(1), event(2), event(3)]));
        assert!(!convicts(&[Sighting::Began { offset: 2, number: 2 }, event(3)]));
    }

    #[test]
    fn every_planted_fault_is_convicted() {
        assert!(convicts(&[event(1), event(3)]), "a hole");
        assert!(convicts(&[event(1), event(1), event(2), event(3)]), "a repeat");
        assert!(convicts(&[event(1), event(3), event(2), event(3)]), "a reorder");
        assert!(convicts(&[event(1), event(2)]), "a lost end");
        assert!(convicts(&[]), "nothing at all");
        let reused = Sighting::Event { offset: 2, number: 3 };
        assert!(convicts(&[event(1), reused, event(3)]), "an offset that means two things");
        let stale = Sighting::Began { offset: 2, number: 1 };
        assert!(convicts(&[stale, event(3)]), "a state older than its position");
        let gap = Sighting::Wrong("gap".to_owned());
        assert!(convicts(&[event(1), gap, event(2), event(3)]), "a gap");
    }

    #[test]
    fn an_archive_with_a_fault_is_convicted() {
        let seen = History { channel: "c".to_owned(), sightings: vec![event(1), event(2)] };
        let histories = [Arc::new(Mutex::new(seen))];
        assert!(judge("c", 2, &[(1, 1), (2, 2)], &histories).is_empty());
        assert!(!judge("c", 2, &[(1, 1)], &histories).is_empty());
        assert!(!judge("c", 2, &[(1, 1), (2, 1)], &histories).is_empty());
        assert!(!judge("c", 2, &[(2, 2), (1, 1)], &histories).is_empty());
    }
}
