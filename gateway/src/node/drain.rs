//! The drain: every client is told to go and closed, and the node leaves the others in order.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, interval, sleep};

use super::services::Services;
use crate::session::{COME_ELSEWHERE_MS, Session, context::SessionContext, sessions::Sessions};

/// How often clients are told or closed: a timer for each of them would take longer than the drain.
const TICK: Duration = Duration::from_millis(10);
/// Of a few clients so many are told or closed in each tick; of many as many as the time asks for, so
/// that the other nodes are not stormed.
const EACH_TICK_MIN: usize = 5;
/// Until when in the drain, in parts of it, every client was told; and at most so long.
const TOLD_WITHIN: (f32, Duration) = (0.4, Duration::from_secs(12));
/// What is kept of the drain for closing those that stay to its end.
const CLOSED_WITHIN: f32 = 0.2;
/// How often is looked whether everybody has left.
const LOOK: Duration = Duration::from_millis(20);

/// Lets every client go, and takes the node out of the registry.
///
/// Clients that can connect elsewhere first are told so and served until they leave, or until little
/// is left of `DRAIN_MS`; the others are closed in their turn.
pub async fn drain(services: &Services) {
    let began = Instant::now();
    let whole = services.context.config.limits.drain;
    let (part, longest) = TOLD_WITHIN;
    pace(services.sessions.all(), whole.mul_f32(part).min(longest), tell).await;
    let stay_until = began + whole.saturating_sub(closing_time(services.sessions.count(), whole));
    while services.sessions.count() > 0 && Instant::now() < stay_until {
        sleep(LOOK).await;
    }
    // Also those that came meanwhile.
    let left = services.sessions.all();
    let window = closing_time(left.len(), whole);
    pace(left, window.mul_f32(0.5), |session| session.end(session.drain_notice(0).ending)).await;
    deregister(&services.context, &services.sessions).await;
}

/// Says the last word of its dialect; a client that has none to wait for is closed at once.
fn tell(session: &Session) {
    let notice = session.drain_notice(rand::random_range(0..COME_ELSEWHERE_MS));
    match notice.word {
        Some(word) => drop(session.transport.send(&word)),
        None => session.end(notice.ending),
    }
}

/// How long before the end of a drain the closes have to begin.
fn closing_time(count: usize, whole: Duration) -> Duration {
    let ticks = u32::try_from(count.div_ceil(EACH_TICK_MIN)).unwrap_or(u32::MAX);
    // A close is answered by the client: the last one needs some time as well.
    let needed = TICK.saturating_mul(ticks).saturating_add(Duration::from_millis(200)) * 2;
    needed.min(whole.mul_f32(CLOSED_WITHIN))
}

/// Does something with each session, evenly over a time; a tick that came late is made up for.
async fn pace(sessions: Vec<Arc<Session>>, within: Duration, act: impl Fn(&Session)) {
    let ticks = usize::try_from(within.as_millis() / TICK.as_millis()).unwrap_or(usize::MAX);
    let each = sessions.len().div_ceil(ticks.max(1)).max(EACH_TICK_MIN);
    let mut tick = interval(TICK);
    for some in sessions.chunks(each) {
        tick.tick().await;
        some.iter().for_each(|session| act(session));
    }
}

/// Does what is left when all clients were told to go: what they handed in is recorded, who is nowhere
/// else is gone, and the node is out of the registry.
async fn deregister(context: &SessionContext, sessions: &Sessions) {
    while sessions.count() > 0 {
        sleep(LOOK).await;
    }
    context.unrecorded.close();
    context.unrecorded.wait().await;
    context.disconnects.evaluate().await;
    context.agents.deregister().await;
    context.registry.deregister().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_takes_a_fifth_of_a_drain_at_most_and_little_for_a_few() {
        let drain = Duration::from_secs(30);
        assert!(closing_time(3, drain) < Duration::from_secs(1));
        assert_eq!(closing_time(15_000, drain), Duration::from_secs(6));
        assert_eq!(closing_time(200_000, drain), Duration::from_secs(6));
    }
}
