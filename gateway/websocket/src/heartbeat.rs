//! The policy by which a connection is pinged and, when it stays silent, ended.

use crate::frame::Frame;

/// How clients of one kind are pinged and timed out. Shared by their connections.
#[derive(Debug)]
pub struct Heartbeat {
    /// Milliseconds between two pings.
    pub ping_ms: u32,
    /// Milliseconds of silence after which a client is timed out; 0 for never.
    pub timeout_ms: u32,
    /// What is sent as a ping.
    pub ping: Ping,
    /// When a ping is sent.
    pub schedule: PingSchedule,
    /// What proves that a client is alive.
    pub alive_when: AliveWhen,
    /// What happens to a client that is timed out.
    pub on_timeout: OnTimeout,
    /// Milliseconds after which a client is closed with 1008 that is paused again and again and whose
    /// input never ran dry; 0 for never.
    pub flood_ms: u32,
}

/// What is sent to make a client answer.
#[derive(Clone, Copy, Debug)]
pub enum Ping {
    /// Nothing: the client sends by itself, or is not watched.
    Nothing,
    /// A control ping, which every WebSocket library answers by itself.
    Control,
    /// A message of the application, made from Unix time in milliseconds, once in each sweep for
    /// all clients that share the [`Heartbeat`].
    Message(fn(u64) -> Frame),
}

/// When pings are sent and silence is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingSchedule {
    /// Each connection by itself, so that pings are spread evenly; silence is judged in every
    /// sweep.
    Spread,
    /// All connections at the same time, each `ping_ms`, and silence is judged only then. So a
    /// client is ended up to one interval after its timeout.
    Aligned,
}

/// What proves that a client is alive. One that takes bytes from a full send queue is alive in any
/// case: its answers come late because our pings wait behind that queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AliveWhen {
    /// Any frame, control frames included.
    AnyFrame,
    /// Any message; control frames prove only that the client's library is running.
    AnyMessage,
    /// Control pongs and nothing else.
    ControlPong,
    /// What the application reports by [`Connection::alive`](crate::Connection::alive).
    Reported,
}

/// What happens to a client that is silent for too long.
#[derive(Clone, Copy, Debug)]
pub enum OnTimeout {
    /// A close frame, then the end.
    Close {
        /// The close code that the client gets.
        code: u16,
        /// The reason in the close frame.
        reason: &'static str,
        /// A frame to be sent before the close frame.
        last: Option<fn() -> Frame>,
    },
    /// The end of the TCP stream without a close frame.
    Abort,
}

/// Something that came from a client and may prove that it is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// A message, or more of one that is not complete.
    Message,
    /// A control ping of the client.
    Ping,
    /// A control pong, whether asked for or not.
    Pong,
}

impl AliveWhen {
    /// Tells whether `activity` proves that the client is alive.
    pub(crate) fn counts(self, activity: Activity) -> bool {
        match self {
            Self::AnyFrame => true,
            Self::AnyMessage => activity == Activity::Message,
            Self::ControlPong => activity == Activity::Pong,
            Self::Reported => false,
        }
    }
}

impl Heartbeat {
    /// Watches nothing: no pings, no timeout.
    pub const NONE: Self = Self {
        ping_ms: 3_600_000,
        timeout_ms: 0,
        ping: Ping::Nothing,
        schedule: PingSchedule::Spread,
        alive_when: AliveWhen::AnyFrame,
        on_timeout: OnTimeout::Abort,
        flood_ms: 0,
    };

    /// Returns the longest pause between two sweeps that this heartbeat allows.
    pub(crate) fn sweep_interval_ms(&self) -> u32 {
        let shortest =
            if self.timeout_ms == 0 { self.ping_ms } else { self.ping_ms.min(self.timeout_ms) };
        (shortest / 4).clamp(1, 1000)
    }

    /// Returns when a connection that opens at `now` is pinged first. With [`PingSchedule::Spread`] within the
    /// second half of an interval, spread so that a crowd that comes at once is not pinged at once.
    pub(crate) fn first_ping(&self, id: u64, now: u32) -> u32 {
        let every = self.ping_ms.max(1);
        match self.schedule {
            PingSchedule::Aligned => (now / every + 1).wrapping_mul(every),
            PingSchedule::Spread => {
                let spread = id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
                let early = (spread * u64::from(every / 2)) >> 32;
                now.wrapping_add(every).wrapping_sub(u32::try_from(early).unwrap_or_default())
            }
        }
    }

    /// Returns when the ping after the one that was `due` is due. Late sweeps shift nothing, and
    /// pings that were missed are not made up for.
    pub(crate) fn next_ping(&self, due: u32, now: u32) -> u32 {
        let every = self.ping_ms.max(1);
        let missed = now.wrapping_sub(due) / every;
        due.wrapping_add(every.wrapping_mul(missed + 1))
    }

    /// Encodes the ping; `None` when there is none.
    pub(crate) fn frame(&self, unix_ms: u64) -> Option<Frame> {
        match self.ping {
            Ping::Nothing => None,
            Ping::Control => Some(Frame::ping(&[])),
            Ping::Message(make) => Some(make(unix_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(schedule: PingSchedule) -> Heartbeat {
        Heartbeat { ping_ms: 1000, timeout_ms: 2000, schedule, ..Heartbeat::NONE }
    }

    #[test]
    fn a_crowd_that_comes_at_once_is_pinged_over_half_an_interval() {
        let heartbeat = heartbeat(PingSchedule::Spread);
        let mut due: Vec<_> = (1..=1000).map(|id| heartbeat.first_ping(id, 5000)).collect();
        due.sort_unstable();
        assert!(due[0] > 5500 && due[0] < 5520, "{}", due[0]);
        assert!(due[999] <= 6000 && due[999] > 5980, "{}", due[999]);
        assert!((5740..5760).contains(&due[500]), "{}", due[500]);
    }

    #[test]
    fn the_clock_ticks_for_all_at_once() {
        let heartbeat = heartbeat(PingSchedule::Aligned);
        assert_eq!(heartbeat.first_ping(1, 5001), 6000);
        assert_eq!(heartbeat.first_ping(2, 5999), 6000);
    }

    #[test]
    fn a_late_sweep_makes_up_for_nothing() {
        let heartbeat = heartbeat(PingSchedule::Aligned);
        assert_eq!(heartbeat.next_ping(6000, 6030), 7000);
        assert_eq!(heartbeat.next_ping(6000, 9999), 10_000);
        assert_eq!(heartbeat.next_ping(u32::MAX - 99, 20), 900);
    }

    #[test]
    fn sweeps_are_frequent_enough_for_the_shortest_setting() {
        assert_eq!(Heartbeat::NONE.sweep_interval_ms(), 1000);
        assert_eq!(Heartbeat { timeout_ms: 200, ..Heartbeat::NONE }.sweep_interval_ms(), 50);
    }
}
