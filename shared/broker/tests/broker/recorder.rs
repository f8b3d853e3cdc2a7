//! A sink that remembers, and waits for what is to come.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use broker::{Sink, Topic, TopicMessage};
use domain::publication::Publication;
use runtime::lock::LockExt as _;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a sink was told.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) messages: Vec<TopicMessage>,
    pub(crate) batches: usize,
    /// How often every connection was there.
    pub(crate) connected: usize,
    /// How often one came.
    pub(crate) parts_connected: usize,
    pub(crate) disconnected: Vec<String>,
    pub(crate) canaries: Vec<Duration>,
}

impl Heard {
    /// The payloads of one topic, as text.
    pub(crate) fn texts(&self, topic: &Topic) -> Vec<String> {
        let of_topic = self.messages.iter().filter(|message| message.topic == *topic);
        of_topic.map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect()
    }

    /// The offsets of all publications, channel by channel in the order of arrival.
    pub(crate) fn offsets(&self, topic: &Topic) -> Vec<u64> {
        let Topic::Channel(channel) = topic else { return Vec::new() };
        let of_topic = self.messages.iter().filter(|message| message.topic == *topic);
        of_topic
            .flat_map(|message| Publication::decode_all(channel, &message.payload).unwrap())
            .map(|publication| publication.offset)
            .collect()
    }
}

/// The sink.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    heard: Mutex<Heard>,
    /// How long each delivery takes, to play a slow consumer.
    pub(crate) slowness: Mutex<Duration>,
}

impl Recorder {
    pub(crate) fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock_unpoisoned()
    }

    /// Waits until the condition holds.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Heard) -> bool) {
        let begun = Instant::now();
        while !condition(&self.heard()) {
            assert!(begun.elapsed() < PATIENCE, "never {what}: {:?}", self.heard());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl Sink for Recorder {
    async fn deliver(&self, messages: Vec<TopicMessage>) {
        let slowness = *self.slowness.lock().unwrap();
        if !slowness.is_zero() {
            tokio::time::sleep(slowness).await;
        }
        let mut heard = self.heard();
        heard.batches += 1;
        heard.messages.extend(messages);
    }

    async fn connected(&self, is_whole: bool) {
        self.heard().connected += usize::from(is_whole);
        self.heard().parts_connected += 1;
    }

    fn disconnected(&self, reason: &str) {
        self.heard().disconnected.push(reason.to_owned());
    }

    fn canary(&self, delay: Duration) {
        self.heard().canaries.push(delay);
    }
}
