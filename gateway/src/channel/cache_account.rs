//! What the hub holds in memory, counted when it grows: above `HUB_CACHE_BYTES` the channel goes that
//! was used longest ago; its position stays.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{channel_state::ChannelState, counted_channel::CountedChannel};

/// The bytes of all channels, and the channels by their last use.
#[derive(Debug)]
pub(super) struct CacheAccount {
    bytes_max: usize,
    uses: AtomicU64,
    held: Mutex<HeldChannels>,
}

#[derive(Debug, Default)]
struct HeldChannels {
    bytes: usize,
    /// By a use of theirs: one that was used since is found out when its turn comes.
    by_use: BTreeMap<u64, Weak<ChannelState>>,
}

impl CacheAccount {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, uses: AtomicU64::new(1), held: Mutex::default() }
    }

    /// Counts a channel that was used, as it is now; what was used longest ago goes until there is
    /// room. Returns the bytes of all.
    pub(super) fn settle(&self, state: &Arc<ChannelState>) -> usize {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let (before, after, is_new) = {
            let mut inner = state.lock();
            let after = inner.cached_bytes();
            let counted = &mut inner.counted;
            counted.used = used;
            let is_new = after > 0 && !counted.is_listed;
            counted.is_listed |= is_new;
            (std::mem::replace(&mut counted.bytes, after), after, is_new)
        };
        let mut held = self.lock();
        held.bytes = held.bytes + after - before;
        if is_new {
            held.by_use.insert(used, Arc::downgrade(state));
        }
        while held.bytes > self.bytes_max {
            let Some((use_of, oldest)) = held.by_use.pop_first() else { break };
            drop(held);
            let outcome = oldest.upgrade().map_or(Turn::Gone(0), |oldest| turn(&oldest, use_of));
            held = self.lock();
            match outcome {
                Turn::Gone(freed) => held.bytes -= freed,
                Turn::UsedSince(used) => {
                    held.by_use.insert(used, oldest);
                }
            }
        }
        held.bytes
    }

    /// Counts a channel no longer.
    pub(super) fn forget(&self, counted: &mut CountedChannel) {
        self.lock().bytes -= std::mem::take(&mut counted.bytes);
    }

    fn lock(&self) -> MutexGuard<'_, HeldChannels> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a channel whose turn it was to go.
enum Turn {
    /// So many bytes went.
    Gone(usize),
    /// It was used since.
    UsedSince(u64),
}

fn turn(state: &ChannelState, use_of: u64) -> Turn {
    let mut inner = state.lock();
    if inner.counted.used != use_of {
        return Turn::UsedSince(inner.counted.used);
    }
    inner.forget_cache(&state.channel);
    state.forget_page(&mut inner);
    inner.counted.is_listed = false;
    let after = inner.cached_bytes();
    let before = std::mem::replace(&mut inner.counted.bytes, after);
    Turn::Gone(before.saturating_sub(after))
}
