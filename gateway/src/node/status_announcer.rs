//! Tells every client of this node what is missing, when that changes.

use std::time::Duration;

use super::services::{Parts, Services};

/// How often the health of the services is looked at: it also depends on how long one is silent.
const INTERVAL: Duration = Duration::from_millis(250);

/// Looks again and again, until the process stops.
pub async fn run(services: Services) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        announce(&services);
    }
}

/// Announces what is missing now, if that is news.
pub fn announce(parts: &Parts) {
    let reason = parts.context.health.degraded();
    if !parts.context.degraded.set(reason) {
        return;
    }
    for session in parts.sessions.all() {
        if let Some(frame) = session.encoding().status(reason) {
            // Who is too slow to hear it is not waiting for anything new either.
            let _full = session.transport.send(&frame);
        }
    }
}
