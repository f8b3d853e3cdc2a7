//! Which server holds which slot: a map as it was told at one moment.

use std::sync::Arc;

use super::{link::Link, slot};

/// A server that holds slots.
#[derive(Clone)]
pub(super) struct Shard {
    /// `HOST:PORT`; empty for the only server of an installation without a cluster.
    pub(super) address: Arc<str>,
    /// The connection for commands.
    pub(super) link: Arc<Link>,
}

/// The servers, and the slots that each holds.
pub(super) struct SlotMap {
    shards: Vec<Shard>,
    /// Last slot of a range and its server, in the order of slots; a range without one is away.
    ranges: Vec<(u16, Option<usize>)>,
}

impl SlotMap {
    /// One server that holds everything.
    pub(super) fn whole(shard: Shard) -> Self {
        Self { shards: vec![shard], ranges: vec![(slot::COUNT - 1, Some(0))] }
    }

    /// From ranges of slots and who holds them, as CLUSTER SLOTS says.
    pub(super) fn new(mut held: Vec<(u16, u16, Shard)>) -> Self {
        held.sort_by_key(|(first, ..)| *first);
        let mut map = Self { shards: Vec::new(), ranges: Vec::new() };
        let mut next = 0;
        for (first, last, shard) in held {
            if first > next {
                map.ranges.push((first - 1, None));
            }
            let known = map.shards.iter().position(|known| known.address == shard.address);
            let at = known.unwrap_or_else(|| {
                map.shards.push(shard);
                map.shards.len() - 1
            });
            map.ranges.push((last, Some(at)));
            next = last.saturating_add(1);
        }
        if next < slot::COUNT {
            map.ranges.push((slot::COUNT - 1, None));
        }
        map
    }

    /// The server that holds a slot; none when nobody does.
    pub(super) fn shard(&self, slot: u16) -> Option<&Shard> {
        let at = self.ranges.partition_point(|(last, _)| *last < slot);
        let (_, shard) = self.ranges.get(at)?;
        shard.map(|shard| &self.shards[shard])
    }

    /// All servers.
    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Whether every slot has a server.
    pub(super) fn is_whole(&self) -> bool {
        self.ranges.iter().all(|(_, shard)| shard.is_some())
    }

    /// Whether both say the same.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let told = |map: &Self| {
            let address = |at: usize| Arc::clone(&map.shards[at].address);
            let range = |(last, shard): &(u16, Option<usize>)| (*last, shard.map(address));
            map.ranges.iter().map(range).collect::<Vec<_>>()
        };
        told(self) == told(other)
    }
}
