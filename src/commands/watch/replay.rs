//! Plays what a channel's archive holds again, with the pauses that there were.

use std::{collections::VecDeque, time::Duration};

use domain::channel::Channel;
use serde_json::Value;

use super::follower::Follower;
use crate::commands::{failure::Failure, server_client::ServerClient};

/// How many events are read at once.
const PAGE_EVENTS: &str = "500";

/// The fastest replay: beyond it nobody sees anything.
const SPEED_MAX: f64 = 1_000_000.0;

/// Plays an archive from a position to its end.
pub(super) struct Replay {
    server: ServerClient,
    channel: Channel,
    speed: f64,
    /// What was read and is still to be played.
    events: VecDeque<Value>,
    /// The position up to which was read.
    position: Option<String>,
    is_read: bool,
    /// When the event that was played last was recorded, in ms.
    recorded: Option<i64>,
}

impl Replay {
    /// Plays what came after `since`, or everything, `speed` times as fast as it happened.
    pub(super) fn new(
        server: ServerClient,
        channel: Channel,
        since: Option<String>,
        speed: f64,
    ) -> Self {
        let events = VecDeque::new();
        Self { server, channel, speed, events, position: since, is_read: false, recorded: None }
    }

    /// Waits as long as it took to the next event and returns its frame; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        while self.events.is_empty() && !self.is_read {
            self.read().await?;
        }
        let Some(frame) = self.events.pop_front() else { return Ok(None) };
        let recorded = frame["recorded"].as_i64().or(frame["at"].as_i64());
        if let (Some(before), Some(now)) = (self.recorded, recorded) {
            let ms = u64::try_from(now - before).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(ms).div_f64(self.speed)).await;
        }
        self.recorded = recorded.or(self.recorded);
        Ok(Some(frame))
    }

    /// Follows the channel from where the archive ended.
    pub(super) async fn into_follower(self) -> Result<Follower, Failure> {
        Follower::connect(self.server, self.channel, self.position).await
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let path = ["v1", "channels", self.channel.as_str(), "events"];
        let mut query = vec![("limit", PAGE_EVENTS)];
        query.extend(self.position.as_deref().map(|position| ("since", position)));
        let mut page = self.server.get(&path, &query).await?;
        if let Value::Array(events) = page["events"].take() {
            self.events.extend(events);
        }
        let next = page["next"].as_str();
        self.is_read = next.is_none();
        // Of an empty archive there is nothing to come after.
        let head = page["head"].as_str().filter(|_| !self.events.is_empty());
        self.position = next.or(head).map(str::to_owned).or(self.position.take());
        Ok(())
    }
}

/// Parses how many times as fast.
///
/// # Errors
/// Says what a speed looks like.
pub(super) fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| *speed > 0.0 && *speed <= SPEED_MAX);
    speed.ok_or_else(|| format!("{text:?} is no speed such as 10 or 0.5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_above_nothing() {
        assert_eq!((speed("10"), speed("0.5")), (Ok(10.0), Ok(0.5)));
        for wrong in ["0", "-1", "fast", "NaN", "inf", "deployment:d"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
