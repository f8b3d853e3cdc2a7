//! What something has cost, and what it may cost for an input of its size.

use std::fs;

/// What one run has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// The size of the input, in bytes.
    pub(crate) input: usize,
    /// Processor time, in µs.
    pub(crate) micros: u64,
    /// The most memory at a time beyond what was there before, in bytes.
    pub(crate) memory: u64,
    /// What was answered, in bytes.
    pub(crate) answer: usize,
}

/// What a run may cost: so much for any input, and so much more for each of its bytes. The times are those
/// of a build without optimizations, in which the checks of CI run; a quadratic algorithm is above them by
/// orders of magnitude.
const MICROS: (u64, u64) = (100_000, 2);
const MEMORY: (u64, u64) = (1 << 20, 128);
/// Nothing given is echoed at length and lists of problems end, so an answer has no part of its input.
const ANSWER: usize = 32 << 10;

impl Cost {
    /// Runs something that returns the bytes of its answer.
    pub(crate) fn of(input: usize, run: impl FnOnce() -> usize) -> Self {
        let mut answer = 0;
        let before = processor_micros();
        let memory = allocation_counter::measure(|| answer = run()).bytes_max;
        Self { input, micros: processor_micros() - before, memory, answer }
    }

    /// Returns what was too much.
    pub(crate) fn excess(&self) -> Option<&'static str> {
        let allowed = |(base, each): (u64, u64)| base + each * self.input as u64;
        if self.micros > allowed(MICROS) {
            Some("time")
        } else if self.memory > allowed(MEMORY) {
            Some("memory")
        } else {
            (self.answer > ANSWER).then_some("answer")
        }
    }

    /// Returns the worst of two in each respect, per byte of input where that is what grows.
    pub(crate) fn worst(self, other: Self) -> Self {
        let is_slower =
            self.micros * other.input.max(1) as u64 > other.micros * self.input.max(1) as u64;
        let is_larger =
            self.memory * other.input.max(1) as u64 > other.memory * self.input.max(1) as u64;
        let (slower, larger) =
            (if is_slower { self } else { other }, if is_larger { self } else { other });
        Self {
            // Both ratios keep their own input, scaled to that of the slower one.
            input: slower.input,
            micros: slower.micros,
            memory: larger.memory * slower.input.max(1) as u64 / larger.input.max(1) as u64,
            answer: self.answer.max(other.answer),
        }
    }
}

/// Processor time of this thread, in µs: unlike the clock it does not run while others have their turn.
fn processor_micros() -> u64 {
    let said = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = said.split_whitespace().next().and_then(|nanos| nanos.parse::<u64>().ok());
    nanos.unwrap_or_default() / 1000
}
