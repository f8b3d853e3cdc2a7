//! What waits for clients that read slowly: bounded for each, and for all together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The bytes that wait in all send queues, and what one queue may hold.
///
/// A queue outside of this crate that shares the bound counts itself here.
#[derive(Debug)]
pub struct SendBudget {
    each_max: usize,
    all_max: usize,
    held: AtomicUsize,
}

impl SendBudget {
    /// Returns a budget of which nothing is used.
    pub const fn new(each_max: usize, all_max: usize) -> Self {
        Self { each_max, all_max, held: AtomicUsize::new(0) }
    }

    /// Returns what one send queue may hold at the moment; with 0 it takes a frame when it is empty.
    pub fn queue_bytes(&self) -> usize {
        if self.held() >= self.all_max { 0 } else { self.each_max }
    }

    /// Counts what one send queue has more or less than before.
    pub fn count(&self, before: usize, after: usize) {
        if after > before {
            self.held.fetch_add(after - before, Ordering::Relaxed);
        } else if before > after {
            self.held.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Returns the bytes that wait in all send queues.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}
