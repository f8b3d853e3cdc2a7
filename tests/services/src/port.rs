//! Free ports that stay free while a service is restarted.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which Linux takes ports for outgoing connections (32768 and up): so no
/// client's socket can take the port of a service that is down for a moment.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback TCP port that nobody listens on and that this process has not given out lately.
///
/// Test processes start at different places of the range, by their process id. Two that meet
/// nevertheless are told apart by the service's own failure to bind; see the retries in `start`.
///
/// # Panics
/// When no port of the whole range is free.
pub fn free_port() -> u16 {
    let start = std::process::id().wrapping_mul(997) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((start + step) % u32::from(COUNT)).expect("below COUNT");
        let port = FIRST + offset;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}
