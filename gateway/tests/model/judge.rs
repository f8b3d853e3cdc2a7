//! The judge: what a reader may see, and what not.
//!
//! The owner numbers the events of a case 1, 2, 3 …, and so does the record. Hence everything that
//! can go wrong shows as an event whose number is not its offset, or does not follow the one before.

/// One thing that a reader did or saw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// It opened a stream, after a position or with so many of the last events.
    Opened { since: Option<u64>, tail: u64 },
    /// It was told where it begins, and the number in the state there.
    Subscribed { position: u64, head: u64, number: Option<u64> },
    /// One of the last events before that.
    Tail { offset: u64, number: u64 },
    /// An event.
    Event { offset: u64, number: u64 },
    /// It read nothing for so many milliseconds.
    Paused(u64),
    /// It dropped its stream.
    Left,
    /// What it must never see: a gap, an error, the end of its stream.
    Wrong(String),
}

/// What is wrong with the steps of a reader of a channel with `last` events.
pub(crate) fn violations(steps: &[Step], last: u64) -> Vec<String> {
    let mut judge = Judge::default();
    let mut violations: Vec<String> = steps
        .iter()
        .filter_map(|step| judge.object(step).map(|why| format!("{step:?}: {why}")))
        .collect();
    if judge.at != Some(last) {
        violations.push(format!("it ended at {:?} of {last}", judge.at));
    }
    violations
}

#[derive(Default)]
struct Judge {
    /// Where the reader is.
    at: Option<u64>,
    since: Option<u64>,
    tail: u64,
    /// The next of the last events that were asked for.
    next_of_tail: Option<u64>,
}

impl Judge {
    /// What is wrong with a step, if anything is; the reader is there afterwards in any case.
    fn object(&mut self, step: &Step) -> Option<String> {
        match step {
            Step::Opened { since, tail } => {
                (self.since, self.tail, self.next_of_tail) = (*since, *tail, None);
                None
            }
            Step::Subscribed { position, head, number } => {
                let before = self.at.replace(*position);
                self.next_of_tail =
                    (self.tail > 0).then(|| position - self.tail.min(*position) + 1);
                self.begins_wrong(before, *position, *head, *number)
            }
            Step::Tail { offset, number } => {
                let next = self.next_of_tail.replace(offset + 1);
                (Some(*offset) != next || offset != number)
                    .then(|| format!("the next of the last events is {next:?}"))
            }
            Step::Event { offset, number } => {
                let before = self.at.replace(*offset);
                if let Some(next) = self.next_of_tail.take()
                    && before != Some(next - 1)
                {
                    return Some(format!("the last events ended before {next}"));
                }
                let next = before.map(|before| before + 1);
                (Some(*offset) != next || offset != number)
                    .then(|| format!("the next one is {next:?}"))
            }
            Step::Wrong(what) => Some(what.clone()),
            Step::Paused(_) | Step::Left => None,
        }
    }

    fn begins_wrong(
        &self,
        before: Option<u64>,
        position: u64,
        head: u64,
        number: Option<u64>,
    ) -> Option<String> {
        if head < position {
            return Some(String::from("the head lies before the position"));
        }
        match self.since {
            Some(since) if since != position => Some(format!("it asked for {since}")),
            Some(since) if before.is_some_and(|before| before != since) => {
                Some(format!("it was at {before:?}"))
            }
            None if number.unwrap_or(0) != position => Some(String::from("the state is another's")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(offset: u64) -> Step {
        Step::Event { offset, number: offset }
    }

    fn opened(since: u64) -> [Step; 2] {
        let subscribed = Step::Subscribed { position: since, head: since, number: None };
        [Step::Opened { since: Some(since), tail: 0 }, subscribed]
    }

    fn convicts(steps: &[Step]) -> bool {
        !violations(&[&opened(0), steps].concat(), 3).is_empty()
    }

    #[test]
    fn a_faithful_history_is_acquitted() {
        assert!(!convicts(&[event(1), event(2), Step::Paused(9), event(3)]));
        assert!(!convicts(
            &[&[event(1), Step::Left], &opened(1)[..], &[event(2), event(3)]].concat()
        ));
        let tail = [
            Step::Opened { since: None, tail: 2 },
            Step::Subscribed { position: 2, head: 2, number: Some(2) },
            Step::Tail { offset: 1, number: 1 },
            Step::Tail { offset: 2, number: 2 },
            event(3),
        ];
        assert!(violations(&tail, 3).is_empty(), "{:?}", violations(&tail, 3));
        assert!(
            !violations(&[&tail[..2], &tail[3..]].concat(), 3).is_empty(),
            "a hole in the tail"
        );
        assert!(!violations(&[&tail[..3], &tail[4..]].concat(), 3).is_empty(), "a short tail");
    }

    #[test]
    fn every_fault_is_convicted() {
        assert!(convicts(&[event(1), event(3)]), "a hole");
        assert!(convicts(&[event(1), event(1), event(2), event(3)]), "a repeat");
        assert!(convicts(&[event(1), event(3), event(2), event(3)]), "a reorder");
        assert!(convicts(&[event(1), event(2)]), "a lost end");
        assert!(convicts(&[]), "nothing at all");
        let reused = Step::Event { offset: 2, number: 3 };
        assert!(convicts(&[event(1), reused, event(3)]), "an offset that means two things");
        let gap = Step::Wrong(String::from("gap"));
        assert!(convicts(&[event(1), gap, event(2), event(3)]), "a gap");
        let elsewhere = [&[event(1)], &opened(2)[..], &[event(3)]].concat();
        assert!(convicts(&elsewhere), "a resume from elsewhere");
        let stale = Step::Subscribed { position: 2, head: 2, number: Some(1) };
        let stale = [Step::Opened { since: None, tail: 0 }, stale, event(3)];
        assert!(!violations(&stale, 3).is_empty(), "a state older than its position");
    }
}
