//! Milliseconds since the start, in 32 bits to keep connections small.
//!
//! The clock wraps around after 49 days, so only differences mean anything.

use tokio::time::Instant;

/// A clock that starts at zero.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Returns the milliseconds since the start, modulo 2³².
    pub(crate) fn now(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "the clock wraps around")]
        {
            self.started.elapsed().as_millis() as u32
        }
    }
}

/// Tells whether `a` is before `b`, which are less than half a turn of the clock apart.
pub(crate) fn is_before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > u32::MAX / 2
}

/// Returns the milliseconds from `earlier` to `now`; 0 if it is later.
pub(crate) fn since(earlier: u32, now: u32) -> u32 {
    if is_before(now, earlier) { 0 } else { now.wrapping_sub(earlier) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_may_wrap_around() {
        assert!(is_before(u32::MAX, 0));
        assert!(!is_before(0, u32::MAX));
        assert_eq!(since(u32::MAX - 10, 20), 31);
        assert_eq!(since(1001, 1000), 0);
    }
}
