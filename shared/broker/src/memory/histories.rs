//! Heads and histories in memory: the newest publications of each channel and source.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use domain::{channel::Channel, publication::Publication, source::Source};
use tokio::time::Instant;

use crate::{BrokerError, BrokerOptions, Head, run::Run};

/// The most channels that a head is kept of. Who asks for another one is sent to SQL.
const HISTORIES_MAX: usize = 100_000;

/// What a publication takes besides its payload, about.
const PUBLICATION_OVERHEAD_BYTES: usize = 300;

/// All heads and histories.
#[derive(Debug)]
pub(super) struct Histories {
    histories: HashMap<(Channel, Source), MemoryHistory>,
    bytes: usize,
    swept: Instant,
    length_max: usize,
    one_bytes_max: usize,
    bytes_max: usize,
    ttl: Duration,
}

#[derive(Debug)]
struct MemoryHistory {
    head: Head,
    history: VecDeque<Publication>,
    bytes: usize,
    touched: Instant,
}

impl Histories {
    pub(super) fn new(options: &BrokerOptions) -> Self {
        Self {
            histories: HashMap::new(),
            bytes: 0,
            swept: Instant::now(),
            length_max: options.history_length,
            one_bytes_max: options.history_bytes,
            bytes_max: options.memory_history_bytes,
            ttl: options.history_ttl,
        }
    }

    /// Takes in what lies above the head; how many publications of the run were repeats.
    ///
    /// # Errors
    /// [`BrokerError::Superseded`] when a higher generation has published.
    pub(super) fn publish(&mut self, generation: u64, run: &Run<'_>) -> Result<usize, BrokerError> {
        self.sweep();
        let first = run.first_offset();
        let begin = || MemoryHistory {
            head: Head { generation, offset: first.saturating_sub(1) },
            history: VecDeque::new(),
            bytes: 0,
            touched: Instant::now(),
        };
        let kept = self.histories.entry((run.channel.clone(), run.source)).or_insert_with(begin);
        if kept.touched.elapsed() > 2 * self.ttl {
            self.bytes -= kept.bytes;
            *kept = begin();
        }
        if generation < kept.head.generation {
            return Err(BrokerError::Superseded(run.channel.clone()));
        }
        let before = kept.bytes;
        if generation > kept.head.generation {
            *kept = MemoryHistory { bytes: 0, ..begin() };
        } else if first > kept.head.offset + 1 || kept.touched.elapsed() > self.ttl {
            kept.clear();
        }
        let skip = usize::try_from((kept.head.offset + 1).saturating_sub(first)).unwrap_or(0);
        for publication in run.publications.iter().skip(skip) {
            kept.push((*publication).clone());
        }
        kept.shorten(self.length_max, self.one_bytes_max);
        self.bytes = self.bytes + kept.bytes - before;
        Ok(skip.min(run.publications.len()))
    }

    pub(super) fn head(&self, channel: &Channel, source: Source) -> Option<Head> {
        let kept = self.histories.get(&(channel.clone(), source))?;
        (kept.touched.elapsed() <= 2 * self.ttl).then_some(kept.head)
    }

    /// Contiguous from `after + 1`; empty when the history does not reach back so far.
    pub(super) fn history(
        &self,
        channel: &Channel,
        source: Source,
        after: u64,
        limit: usize,
    ) -> Vec<Publication> {
        let Some(kept) = self.histories.get(&(channel.clone(), source)) else { return Vec::new() };
        let first = kept.history.front().map_or(u64::MAX, |publication| publication.offset);
        if after + 1 < first || kept.touched.elapsed() > self.ttl {
            return Vec::new();
        }
        let skip = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
        kept.history.iter().skip(skip).take(limit).cloned().collect()
    }

    /// Forgets what was published on a channel; its head stays.
    pub(super) fn forget(&mut self, channel: &Channel, source: Source) {
        if let Some(kept) = self.histories.get_mut(&(channel.clone(), source)) {
            self.bytes -= kept.bytes;
            kept.clear();
        }
    }

    /// Removes what expired, now and then, and the longest untouched half when a bound is reached.
    fn sweep(&mut self) {
        let over = self.histories.len() >= HISTORIES_MAX || self.bytes > self.bytes_max;
        if !over && self.swept.elapsed() < self.ttl / 10 {
            return;
        }
        self.swept = Instant::now();
        let ttl = self.ttl;
        self.histories.retain(|_, kept| kept.touched.elapsed() <= 2 * ttl);
        if over {
            let mut times: Vec<_> = self.histories.values().map(|kept| kept.touched).collect();
            times.sort_unstable();
            if let Some(middle) = times.get(times.len() / 2).copied() {
                self.histories.retain(|_, kept| kept.touched > middle);
            }
        }
        self.bytes = self.histories.values().map(|kept| kept.bytes).sum();
    }
}

impl MemoryHistory {
    fn clear(&mut self) {
        self.history.clear();
        self.bytes = 0;
    }

    fn push(&mut self, publication: Publication) {
        self.head.offset = publication.offset;
        self.touched = Instant::now();
        self.bytes += size(&publication);
        self.history.push_back(publication);
    }

    fn shorten(&mut self, length_max: usize, bytes_max: usize) {
        while self.history.len() > length_max || self.bytes > bytes_max {
            let Some(first) = self.history.pop_front() else { break };
            self.bytes -= size(&first);
        }
    }
}

fn size(publication: &Publication) -> usize {
    publication.payload.len() + PUBLICATION_OVERHEAD_BYTES
}
