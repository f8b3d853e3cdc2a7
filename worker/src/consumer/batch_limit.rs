//! How many entries a batch may hold: fewer after one that was too much, then slowly more again.

/// Adapts the size of batches to what the database manages (`design.md` §3, rule 10).
#[derive(Debug)]
pub(super) struct BatchLimit {
    entries: usize,
    max: usize,
}

impl BatchLimit {
    /// Begins with `max` (`BATCH_ENTRIES`).
    pub(super) const fn new(max: usize) -> Self {
        Self { entries: max, max }
    }

    /// Returns how many entries a batch may hold now: at least one.
    pub(super) const fn entries(&self) -> usize {
        self.entries
    }

    /// A batch of so many entries was too much: half as many from now on.
    pub(super) fn shrink(&mut self, entries: usize) {
        self.entries = (entries / 2).max(1);
    }

    /// A batch of so many entries was recorded: a full one allows a quarter more.
    pub(super) fn grow(&mut self, entries: usize) {
        if entries >= self.entries {
            self.entries = (self.entries + self.entries / 4 + 1).min(self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_is_too_much_is_halved_down_to_one_and_grows_back() {
        let mut limit = BatchLimit::new(500);
        limit.shrink(500);
        assert_eq!(limit.entries(), 250);
        limit.grow(20);
        assert_eq!(limit.entries(), 250, "one that was not full proves nothing");
        for _ in 0..10 {
            limit.shrink(limit.entries());
        }
        assert_eq!(limit.entries(), 1);
        for _ in 0..40 {
            limit.grow(limit.entries());
        }
        assert_eq!(limit.entries(), 500);
    }
}
