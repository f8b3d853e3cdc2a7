//! Heads and histories in memory: the newest publications of each channel and source.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use domain::{channel::Channel, publication::Publication, source::Source};
use tokio::time::Instant;

use crate::{BrokerError, BrokerOptions, Head, run::Run};

/// The most channels that a head is kept of. Who asks for another one is sent to SQL.
const TAILS_MAX: usize = 100_000;

/// What a publication takes besides its payload, about.
const PUBLICATION_OVERHEAD_BYTES: usize = 300;

/// All heads and histories.
#[derive(Debug)]
pub(super) struct Tails {
    tails: HashMap<(Channel, Source), Tail>,
    bytes: usize,
    swept: Instant,
    length_max: usize,
    tail_bytes_max: usize,
    bytes_max: usize,
    ttl: Duration,
}

#[derive(Debug)]
struct Tail {
    head: Head,
    history: VecDeque<Publication>,
    bytes: usize,
    touched: Instant,
}

impl Tails {
    pub(super) fn new(options: &BrokerOptions) -> Self {
        Self {
            tails: HashMap::new(),
            bytes: 0,
            swept: Instant::now(),
            length_max: options.history_length,
            tail_bytes_max: options.history_bytes,
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
        let begin = || Tail {
            head: Head { generation, offset: first.saturating_sub(1) },
            history: VecDeque::new(),
            bytes: 0,
            touched: Instant::now(),
        };
        let tail = self.tails.entry((run.channel.clone(), run.source)).or_insert_with(begin);
        if tail.touched.elapsed() > 2 * self.ttl {
            self.bytes -= tail.bytes;
            *tail = begin();
        }
        if generation < tail.head.generation {
            return Err(BrokerError::Superseded(run.channel.clone()));
        }
        let before = tail.bytes;
        if generation > tail.head.generation {
            *tail = Tail { bytes: 0, ..begin() };
        } else if first > tail.head.offset + 1 || tail.touched.elapsed() > self.ttl {
            tail.clear();
        }
        let skip = usize::try_from((tail.head.offset + 1).saturating_sub(first)).unwrap_or(0);
        for publication in run.publications.iter().skip(skip) {
            tail.push((*publication).clone());
        }
        tail.shorten(self.length_max, self.tail_bytes_max);
        self.bytes = self.bytes + tail.bytes - before;
        Ok(skip.min(run.publications.len()))
    }

    pub(super) fn head(&self, channel: &Channel, source: Source) -> Option<Head> {
        let tail = self.tails.get(&(channel.clone(), source))?;
        (tail.touched.elapsed() <= 2 * self.ttl).then_some(tail.head)
    }

    /// Contiguous from `after + 1`; empty when the history does not reach back so far.
    pub(super) fn history(
        &self,
        channel: &Channel,
        source: Source,
        after: u64,
        limit: usize,
    ) -> Vec<Publication> {
        let Some(tail) = self.tails.get(&(channel.clone(), source)) else { return Vec::new() };
        let first = tail.history.front().map_or(u64::MAX, |publication| publication.offset);
        if after + 1 < first || tail.touched.elapsed() > self.ttl {
            return Vec::new();
        }
        let skip = usize::try_from(after + 1 - first).unwrap_or(usize::MAX);
        tail.history.iter().skip(skip).take(limit).cloned().collect()
    }

    /// Removes what expired, now and then, and the longest untouched half when a bound is reached.
    fn sweep(&mut self) {
        let over = self.tails.len() >= TAILS_MAX || self.bytes > self.bytes_max;
        if !over && self.swept.elapsed() < self.ttl / 10 {
            return;
        }
        self.swept = Instant::now();
        let ttl = self.ttl;
        self.tails.retain(|_, tail| tail.touched.elapsed() <= 2 * ttl);
        if over {
            let mut times: Vec<_> = self.tails.values().map(|tail| tail.touched).collect();
            times.sort_unstable();
            if let Some(middle) = times.get(times.len() / 2).copied() {
                self.tails.retain(|_, tail| tail.touched > middle);
            }
        }
        self.bytes = self.tails.values().map(|tail| tail.bytes).sum();
    }
}

impl Tail {
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
