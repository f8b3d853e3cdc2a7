//! Whoever publishes: at a pace or as fast as Redis takes it, in one of two ways.

use std::time::{Duration, Instant};

use crate::resp::Redis;
use crate::tally::now_us;

/// How events get to the server.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Added to this stream, to be recorded by a worker.
    Stream(String),
    /// Published as the frame that a client is to see.
    Publish,
}

/// How many events, and how fast.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Events in all, the channels taking turns.
    pub(crate) events: usize,
    /// Events per second; none for as fast as Redis takes them.
    pub(crate) per_second: Option<usize>,
    /// Events that come together.
    pub(crate) burst: usize,
    /// Bytes that each event carries beside its numbers.
    pub(crate) padding: usize,
}

/// Publishes until all is out. `name` begins the names of the channels.
pub(crate) fn publish(
    redis: &mut Redis,
    way: &Way,
    name: &str,
    channels: usize,
    pace: Pace,
) -> anyhow::Result<()> {
    publish_in_step(redis, way, name, channels, pace, |_| Ok(()))
}

/// The same, and calls `step` with the number of events so far after each burst.
pub(crate) fn publish_in_step(
    redis: &mut Redis,
    way: &Way,
    name: &str,
    channels: usize,
    pace: Pace,
    mut step: impl FnMut(usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    for number in 0..pace.events {
        let id = format!("{name}-{}", number % channels);
        let text = data(number / channels + 1, pace.padding);
        match way {
            Way::Stream(stream) => redis.add_event(stream, &id, &text),
            Way::Publish => {
                let channel = format!("deployment:{id}");
                let frame = event(&channel, &id, number / channels + 1, &text);
                redis.add(&[b"PUBLISH", channel.as_bytes(), frame.as_bytes()]);
            }
        }
        if (number + 1) % pace.burst == 0 || number + 1 == pace.events {
            redis.run()?;
            step(number + 1)?;
            let due = pace.per_second.map_or(0.0, |rate| (number + 1) as f64 / rate as f64);
            let early = Duration::from_secs_f64(due).saturating_sub(begun.elapsed());
            services::pause(early);
        }
    }
    Ok(())
}

/// An update as a deployment has them, with its number in the channel and the time.
fn data(number: usize, padding: usize) -> String {
    let (time, filling) = (now_us(), "x".repeat(padding));
    format!(
        r#"{{"n":{number},"t":{time},"status":"building","stage":"Building project{filling}"}}"#
    )
}

/// The frame that our own protocol makes of it: the floor is to carry the same bytes.
fn event(channel: &str, id: &str, number: usize, data: &str) -> String {
    let at = now_us() / 1000;
    format!(
        r#"{{"type":"event","channel":"{channel}","position":"0123456789abcdef-{number}","event":"deployment_update","id":"{id}","data":{data},"at":{at}}}"#
    )
}
