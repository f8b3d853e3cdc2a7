//! When a connection was last alive, when it is pinged next, and what it needs now.
//!
//! Times are of [`crate::clock`]. The task that sees activity and the sweep that measures silence
//! run on different threads and may have read the clock in either order.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::{is_before, since};
use crate::heartbeat::{Heartbeat, PingSchedule};

/// What a connection needs at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Ping,
    Timeout,
}

/// What one connection's liveness is judged by.
#[derive(Debug)]
pub(crate) struct Liveness {
    alive_at: AtomicU32,
    ping_at: AtomicU32,
    /// Since when nothing has been read, by our own decision; 0 while reading.
    suspended_at: AtomicU32,
}

impl Liveness {
    pub(crate) fn new(ping_at: u32, now: u32) -> Self {
        Self {
            alive_at: AtomicU32::new(now),
            ping_at: AtomicU32::new(ping_at),
            suspended_at: AtomicU32::new(0),
        }
    }

    /// Restarts, as if the connection had just opened.
    pub(crate) fn restart(&self, ping_at: u32, now: u32) {
        self.ping_at.store(ping_at, Ordering::Relaxed);
        self.alive(now);
    }

    /// Records that the client was active at `now`.
    pub(crate) fn alive(&self, now: u32) {
        self.alive_at.store(now, Ordering::Relaxed);
    }

    /// Returns how many milliseconds there has been no activity.
    pub(crate) fn silent_ms(&self, now: u32) -> u32 {
        since(self.alive_at.load(Ordering::Relaxed), now)
    }

    /// Returns what the connection needs, judged by `heartbeat`; a ping that is due is scheduled
    /// anew.
    pub(crate) fn due(&self, heartbeat: &Heartbeat, now: u32) -> Option<Due> {
        let is_due = self.takes_ping(heartbeat, now);
        let is_watched = heartbeat.timeout_ms > 0 && !self.is_suspended();
        let is_time = is_due || heartbeat.schedule == PingSchedule::Spread;
        if is_watched && is_time && self.silent_ms(now) >= heartbeat.timeout_ms {
            return Some(Due::Timeout);
        }
        is_due.then_some(Due::Ping)
    }

    /// Tells whether a ping is due; if so the next one is scheduled.
    fn takes_ping(&self, heartbeat: &Heartbeat, now: u32) -> bool {
        let due = self.ping_at.load(Ordering::Relaxed);
        if is_before(now, due) {
            return false;
        }
        self.ping_at.store(heartbeat.next_ping(due, now), Ordering::Relaxed);
        true
    }

    /// Suspends the judgement: reading stops, and from now on silence proves nothing.
    pub(crate) fn suspend(&self, now: u32) {
        if !self.is_suspended() {
            self.suspended_at.store(now.max(1), Ordering::Relaxed);
        }
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended_at.load(Ordering::Relaxed) != 0
    }

    /// Resumes: reading goes on, and the client has been silent for as long as when it stopped.
    /// Returns how many milliseconds nothing was read.
    pub(crate) fn resume(&self, now: u32) -> u32 {
        let suspended_at = self.suspended_at.swap(0, Ordering::Relaxed);
        if suspended_at == 0 {
            return 0;
        }
        self.alive(now.wrapping_sub(self.silent_ms(suspended_at)));
        since(suspended_at, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_that_is_newer_than_the_sweeps_clock_is_not_silence() {
        let liveness = Liveness::new(0, 1000);
        liveness.alive(1001);
        assert_eq!(liveness.silent_ms(1000), 0);
        assert_eq!(liveness.silent_ms(1500), 499);
    }

    #[test]
    fn the_clock_may_wrap_around() {
        let liveness = Liveness::new(0, u32::MAX - 10);
        assert_eq!(liveness.silent_ms(20), 31);
    }

    #[test]
    fn silence_does_not_grow_while_nothing_is_read() {
        let liveness = Liveness::new(0, 1000);
        liveness.suspend(1300);
        liveness.suspend(5000);
        assert!(liveness.is_suspended());
        assert_eq!(liveness.resume(9000), 7700);
        assert_eq!(liveness.silent_ms(9000), 300);
    }

    #[test]
    fn activity_that_is_reported_while_nothing_is_read_counts() {
        let liveness = Liveness::new(0, 1000);
        liveness.suspend(1300);
        liveness.alive(4000);
        assert_eq!(liveness.resume(9000), 7700);
        assert_eq!(liveness.silent_ms(9000), 0);
    }
}
