//! Who is still there: one sweep over all connections instead of a timer in each.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::connection::{Connection, close};
use crate::connections::Connections;
use crate::frame::Frame;

/// How many pings are written before other tasks get their turn.
const WRITES_PER_TURN: usize = 128;

/// How a kind of client is watched over. One for each dialect, shared by its connections.
#[derive(Debug)]
pub struct Heartbeat {
    /// Milliseconds between two pings.
    pub ping_ms: u32,
    /// Milliseconds of silence after which a client is dead; 0 never.
    pub timeout_ms: u32,
    /// What a ping is.
    pub ping: Ping,
    /// When it is sent.
    pub rhythm: Rhythm,
    /// What proves that a client lives.
    pub life: Life,
    /// What happens to one that does not.
    pub death: Death,
}

/// What is sent to provoke a sign of life.
#[derive(Clone, Copy, Debug)]
pub enum Ping {
    /// Nothing: the client speaks by itself, or is not watched.
    Nothing,
    /// A control ping, which every client answers without knowing.
    Control,
    /// A message of the dialect, made from Unix time in milliseconds once for all that are due.
    Message(fn(u64) -> Frame),
}

/// When pings are sent and silence is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// Each connection by itself, so that pings are spread evenly; silence is judged in every
    /// sweep.
    Own,
    /// All connections together each `ping_ms`, and silence is judged only then. So a client that
    /// fell silent ends between one and two intervals after its timeout began to run.
    Clock,
}

/// What proves that a client lives. Whoever takes bytes from a full send queue lives in any case:
/// its answers come late because our pings wait behind that queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Any frame.
    AnyFrame,
    /// Any message; control frames prove only that the client's library lives.
    AnyMessage,
    /// Control pongs only.
    ControlPong,
    /// What the session reports by [`Connection::alive`].
    Reported,
}

/// What happens to a client that is silent for too long.
#[derive(Clone, Copy, Debug)]
pub enum Death {
    /// A close frame, then the end.
    Close {
        /// The close code.
        code: u16,
        /// The reason next to it.
        reason: &'static str,
        /// The last frame before it.
        last: Option<fn() -> Frame>,
    },
    /// The end of the TCP stream without a close frame.
    Abort,
}

/// Something that came from a client and may prove that it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// A message, or more of one that is not complete.
    Message,
    /// A control ping.
    Ping,
    /// A control pong.
    Pong,
}

impl Life {
    pub(crate) fn counts(self, evidence: Evidence) -> bool {
        match self {
            Self::AnyFrame => true,
            Self::AnyMessage => evidence == Evidence::Message,
            Self::ControlPong => evidence == Evidence::Pong,
            Self::Reported => false,
        }
    }
}

impl Heartbeat {
    /// Nobody is watched.
    pub const NONE: Self = Self {
        ping_ms: 3_600_000,
        timeout_ms: 0,
        ping: Ping::Nothing,
        rhythm: Rhythm::Own,
        life: Life::AnyFrame,
        death: Death::Abort,
    };

    /// The longest pause between two sweeps that this heartbeat can bear.
    pub(crate) fn tick_ms(&self) -> u32 {
        let shortest =
            if self.timeout_ms == 0 { self.ping_ms } else { self.ping_ms.min(self.timeout_ms) };
        (shortest / 4).clamp(1, 1000)
    }

    /// When a connection that opens at `now` is pinged first. With [`Rhythm::Own`] within the
    /// second half of an interval, spread so that a crowd that comes at once is not pinged at once.
    pub(crate) fn first_ping(&self, id: u64, now: u32) -> u32 {
        let every = self.ping_ms.max(1);
        match self.rhythm {
            Rhythm::Clock => (now / every + 1).wrapping_mul(every),
            Rhythm::Own => {
                let spread = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
                let early = (spread * u64::from(every / 2)) >> 32;
                now.wrapping_add(every).wrapping_sub(u32::try_from(early).unwrap_or_default())
            }
        }
    }

    /// When the ping after the one that was `due` is due: sweeps that come late shift nothing, and
    /// none is made up for.
    pub(crate) fn next_ping(&self, due: u32, now: u32) -> u32 {
        let every = self.ping_ms.max(1);
        let missed = now.wrapping_sub(due) / every;
        due.wrapping_add(every.wrapping_mul(missed + 1))
    }

    fn frame(&self) -> Option<Frame> {
        match self.ping {
            Ping::Nothing => None,
            Ping::Control => Some(Frame::ping(&[])),
            Ping::Message(make) => Some(make(unix_ms())),
        }
    }
}

/// Sweeps over all connections, as often as the most impatient heartbeat asks for and at least
/// once a second. Ends with the process, and takes the connections along.
pub(crate) async fn sweep(connections: Arc<Connections>) {
    let work = async {
        loop {
            connections.next_sweep().await;
            let mut round = Round::default();
            for shard in 0..Connections::SHARDS {
                round.run(&connections.due(shard, verdict)).await;
            }
        }
    };
    connections.lifecycle().stopping_token().run_until_cancelled(work).await;
    for connection in connections.all() {
        connection.close(close::GOING_AWAY, "");
    }
}

/// What a connection needs at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ping,
    Dead,
}

fn verdict(connection: &Connection, now: u32) -> Option<Verdict> {
    let heartbeat = connection.heartbeat();
    let pulse = connection.pulse();
    let is_due = pulse.takes_ping(&heartbeat, now);
    let is_watched = heartbeat.timeout_ms > 0 && !pulse.is_held();
    let is_time = is_due || heartbeat.rhythm == Rhythm::Own;
    if is_watched && is_time && pulse.silent_ms(now) >= heartbeat.timeout_ms {
        return Some(Verdict::Dead);
    }
    is_due.then_some(Verdict::Ping)
}

/// One sweep: each heartbeat's frame is made once in it.
#[derive(Default)]
struct Round {
    frames: Vec<(Arc<Heartbeat>, Option<Frame>)>,
    writes: usize,
}

impl Round {
    async fn run(&mut self, due: &[(Arc<Connection>, Verdict)]) {
        for (connection, verdict) in due {
            let heartbeat = connection.heartbeat();
            match (verdict, heartbeat.death) {
                (Verdict::Dead, Death::Close { code, reason, last }) => {
                    if let Some(last) = last {
                        connection.send_if_room(&last());
                    }
                    connection.close(code, reason);
                }
                (Verdict::Dead, Death::Abort) => connection.abort(),
                (Verdict::Ping, _) => {
                    if let Some(frame) = self.frame(&heartbeat) {
                        connection.send_if_room(frame);
                    }
                }
            }
            self.writes += 1;
            if self.writes.is_multiple_of(WRITES_PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn frame(&mut self, heartbeat: &Arc<Heartbeat>) -> Option<&Frame> {
        let known = self.frames.iter().position(|(known, _)| Arc::ptr_eq(known, heartbeat));
        let index = known.unwrap_or_else(|| {
            self.frames.push((Arc::clone(heartbeat), heartbeat.frame()));
            self.frames.len() - 1
        });
        self.frames[index].1.as_ref()
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(rhythm: Rhythm) -> Heartbeat {
        Heartbeat { ping_ms: 1000, timeout_ms: 2000, rhythm, ..Heartbeat::NONE }
    }

    #[test]
    fn a_crowd_that_comes_at_once_is_pinged_over_half_an_interval() {
        let heartbeat = heartbeat(Rhythm::Own);
        let mut due: Vec<_> = (1..=1000).map(|id| heartbeat.first_ping(id, 5000)).collect();
        due.sort_unstable();
        assert!(due[0] > 5500 && due[0] < 5520, "{}", due[0]);
        assert!(due[999] <= 6000 && due[999] > 5980, "{}", due[999]);
        assert!((5740..5760).contains(&due[500]), "{}", due[500]);
    }

    #[test]
    fn the_clock_ticks_for_all_at_once() {
        let heartbeat = heartbeat(Rhythm::Clock);
        assert_eq!(heartbeat.first_ping(1, 5001), 6000);
        assert_eq!(heartbeat.first_ping(2, 5999), 6000);
    }

    #[test]
    fn a_late_sweep_makes_up_for_nothing() {
        let heartbeat = heartbeat(Rhythm::Clock);
        assert_eq!(heartbeat.next_ping(6000, 6030), 7000);
        assert_eq!(heartbeat.next_ping(6000, 9999), 10_000);
        assert_eq!(heartbeat.next_ping(u32::MAX - 99, 20), 900);
    }

    #[test]
    fn sweeps_are_frequent_enough_for_the_shortest_setting() {
        assert_eq!(Heartbeat::NONE.tick_ms(), 1000);
        assert_eq!(Heartbeat { timeout_ms: 200, ..Heartbeat::NONE }.tick_ms(), 50);
    }
}
