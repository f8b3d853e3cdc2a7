//! Points at which a test may kill, fail or hold up the process (feature `failpoints`; nothing
//! otherwise).
//!
//! `FAILPOINT=NAME:N` ends the process with SIGABRT at the N-th passage of the point NAME, as a crash
//! would: nothing is flushed, nothing is released. `FAILPOINT=NAME:N:panic` lets the task that passes
//! panic; `FAILPOINT=NAME:N:hold=FILE` makes the file and holds the task up until that is removed.

/// Passes a point.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static ARMED: LazyLock<Option<(String, u64, String)>> = LazyLock::new(|| {
        let armed = std::env::var("FAILPOINT").ok()?;
        let mut parts = armed.splitn(3, ':');
        let (name, passage) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?);
        Some((name, passage, parts.next().unwrap_or_default().to_owned()))
    });
    static PASSAGES: AtomicU64 = AtomicU64::new(0);
    if let Some((armed, passage, action)) = &*ARMED
        && armed == name
        && PASSAGES.fetch_add(1, Ordering::SeqCst) + 1 == *passage
    {
        act(action);
    }
}

#[cfg(feature = "failpoints")]
#[expect(clippy::panic, reason = "a test asks for it")]
fn act(action: &str) {
    match action.split_once('=') {
        Some(("hold", file)) => hold(std::path::Path::new(file)),
        None if action == "panic" => panic!("a failpoint"),
        _ => std::process::abort(),
    }
}

#[cfg(feature = "failpoints")]
#[expect(clippy::disallowed_methods, reason = "it holds up the task that passes, on purpose")]
fn hold(file: &std::path::Path) {
    let _written = std::fs::write(file, "held up");
    while file.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Passes a point.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn hit(_name: &str) {}
