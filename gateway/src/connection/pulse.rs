//! When a connection last showed life, and when it is pinged next.
//!
//! Times are the node's clock in milliseconds, in 32 bits to keep connections small. The clock
//! wraps around after 49 days, so only differences mean anything. Whoever reports life and whoever
//! judges silence run on different threads and may have read the clock in either order.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::heartbeat::Heartbeat;

/// One connection's signs of life.
#[derive(Debug)]
pub(crate) struct Pulse {
    alive_at: AtomicU32,
    ping_at: AtomicU32,
    /// Since when nothing has been read, by our own decision; 0 when reading.
    held_at: AtomicU32,
}

impl Pulse {
    pub(super) fn new(ping_at: u32, now: u32) -> Self {
        Self {
            alive_at: AtomicU32::new(now),
            ping_at: AtomicU32::new(ping_at),
            held_at: AtomicU32::new(0),
        }
    }

    /// Begins anew, as if the connection had just opened.
    pub(super) fn restart(&self, ping_at: u32, now: u32) {
        self.ping_at.store(ping_at, Ordering::Relaxed);
        self.alive(now);
    }

    /// A sign of life.
    pub(super) fn alive(&self, now: u32) {
        self.alive_at.store(now, Ordering::Relaxed);
    }

    /// How long there has been none.
    pub(crate) fn silent_ms(&self, now: u32) -> u32 {
        since(self.alive_at.load(Ordering::Relaxed), now)
    }

    /// Whether a ping is due; if so the next one is scheduled.
    pub(crate) fn takes_ping(&self, heartbeat: &Heartbeat, now: u32) -> bool {
        let due = self.ping_at.load(Ordering::Relaxed);
        if is_before(now, due) {
            return false;
        }
        self.ping_at.store(heartbeat.next_ping(due, now), Ordering::Relaxed);
        true
    }

    /// Reading stops: from now on silence proves nothing.
    pub(super) fn hold(&self, now: u32) {
        if !self.is_held() {
            self.held_at.store(now.max(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held_at.load(Ordering::Relaxed) != 0
    }

    /// Reading goes on: the peer has been silent for as long as when it stopped.
    pub(super) fn listen(&self, now: u32) {
        let held_at = self.held_at.swap(0, Ordering::Relaxed);
        if held_at != 0 {
            self.alive(now.wrapping_sub(self.silent_ms(held_at)));
        }
    }
}

/// Whether `a` is before `b` on a clock that wraps around.
pub(super) fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > u32::MAX / 2
}

/// Milliseconds from `earlier` to `now`; 0 if it is later.
fn since(earlier: u32, now: u32) -> u32 {
    if is_before(now, earlier) { 0 } else { now.wrapping_sub(earlier) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn life_that_is_reported_while_silence_is_judged_is_no_silence() {
        let pulse = Pulse::new(0, 1000);
        pulse.alive(1001);
        assert_eq!(pulse.silent_ms(1000), 0);
        assert_eq!(pulse.silent_ms(1500), 499);
    }

    #[test]
    fn the_clock_may_wrap_around() {
        let pulse = Pulse::new(0, u32::MAX - 10);
        assert_eq!(pulse.silent_ms(20), 31);
        assert!(is_before(u32::MAX, 0));
    }

    #[test]
    fn silence_does_not_grow_while_nobody_listens() {
        let pulse = Pulse::new(0, 1000);
        pulse.hold(1300);
        pulse.hold(5000);
        assert!(pulse.is_held());
        pulse.listen(9000);
        assert_eq!(pulse.silent_ms(9000), 300);
    }

    #[test]
    fn life_that_is_reported_while_nobody_listens_counts() {
        let pulse = Pulse::new(0, 1000);
        pulse.hold(1300);
        pulse.alive(4000);
        pulse.listen(9000);
        assert_eq!(pulse.silent_ms(9000), 0);
    }
}
