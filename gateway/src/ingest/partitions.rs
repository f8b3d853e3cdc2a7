//! How many partitions each stream has, as this node last read it.

use std::sync::atomic::{AtomicU16, Ordering};

/// What is in force for this node.
#[derive(Debug)]
pub struct PartitionCount(AtomicU16);

impl PartitionCount {
    /// Returns a count that begins with `INGEST_PARTITIONS`, until the broker was asked.
    pub fn new(partitions: u16) -> Self {
        Self(AtomicU16::new(partitions))
    }

    /// Returns how many there are.
    pub fn get(&self) -> u16 {
        self.0.load(Ordering::Acquire)
    }

    /// Sets how many there are from now on.
    pub fn set(&self, partitions: u16) {
        self.0.store(partitions, Ordering::Release);
    }
}
