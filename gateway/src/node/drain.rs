//! The drain: every client is told to go and closed, and the node leaves the others in order.

use std::time::Duration;

use super::services::Services;
use crate::session::{COME_ELSEWHERE_MS, context::SessionContext, sessions::Sessions};

/// How long after the clients were told the closes begin: who connects elsewhere first misses nothing
/// and shows nothing.
const CLOSE_AFTER: Duration = Duration::from_millis(1200);

/// Lets every client go: first the dialect's last frame, by which a client may connect elsewhere
/// before it leaves here, then the close; both spread over the drain.
pub async fn drain(services: &Services) {
    let sessions = services.sessions.all();
    let window = services.context.config.limits.drain.mul_f32(0.4).min(Duration::from_secs(12));
    let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
    // A few clients go at once; many are spread, so that the other nodes are not stormed.
    let step = (window / count).min(Duration::from_millis(2));
    let mut told = false;
    for session in &sessions {
        let (frame, _, _) = session.dialect().drain(rand::random_range(0..COME_ELSEWHERE_MS));
        if let Some(frame) = frame {
            let _full = session.transport.send(&frame);
            told = true;
            tokio::time::sleep(step).await;
        }
    }
    if told {
        tokio::time::sleep(CLOSE_AFTER.min(window)).await;
    }
    for session in &sessions {
        let (_, code, reason) = session.dialect().drain(0);
        session.transport.close(code, reason);
        tokio::time::sleep(step).await;
    }
    drop(sessions);
    deregister(&services.context, &services.sessions).await;
}

/// Does what is left when all clients were told to go: what they handed in is recorded, who is nowhere
/// else is gone, and the node is out of the registry.
async fn deregister(context: &SessionContext, sessions: &Sessions) {
    while sessions.count() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    context.unrecorded.close();
    context.unrecorded.wait().await;
    context.disconnects.evaluate().await;
    context.registry.deregister().await;
}
