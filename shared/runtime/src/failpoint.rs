//! Points at which a test may kill the process (feature `failpoints`; nothing otherwise).
//!
//! `FAILPOINT=NAME:N` ends the process with SIGABRT at the N-th passage of the point NAME, as a
//! crash would: nothing is flushed, nothing is released.

/// Passes a point.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static ARMED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let armed = std::env::var("FAILPOINT").ok()?;
        let (name, passage) = armed.split_once(':')?;
        Some((name.to_owned(), passage.parse().ok()?))
    });
    static PASSAGES: AtomicU64 = AtomicU64::new(0);
    if let Some((armed, passage)) = &*ARMED
        && armed == name
        && PASSAGES.fetch_add(1, Ordering::SeqCst) + 1 == *passage
    {
        std::process::abort();
    }
}

/// Passes a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn hit(_name: &str) {}
