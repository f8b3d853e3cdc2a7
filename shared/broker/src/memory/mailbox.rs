//! The subscriber in memory: a bounded queue between publishers and the task that delivers.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use runtime::lock::LockExt as _;
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior},
};

use crate::{BrokerError, Sink, Subscriber, Topic, TopicMessage};

/// How often the delay of the queue is measured.
const CANARY_INTERVAL: Duration = Duration::from_secs(1);

/// What a waiting message takes besides its payload, about.
const MESSAGE_OVERHEAD_BYTES: usize = 100;

/// What waits for one subscriber.
#[derive(Debug)]
pub(super) struct Mailbox {
    topics: Mutex<HashSet<Topic>>,
    queue: Mutex<MailboxQueue>,
    filled: Notify,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct MailboxQueue {
    items: VecDeque<Item>,
    bytes: usize,
    overflowed: bool,
}

#[derive(Debug)]
enum Item {
    Message(TopicMessage),
    Canary(Instant),
}

impl Mailbox {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { topics: Mutex::default(), queue: Mutex::default(), filled: Notify::new(), bytes_max }
    }

    /// Puts a message in if its topic is wanted. A queue that is full is emptied: its subscriber is
    /// told that it lost its connection, and compares.
    pub(super) fn offer(&self, message: &TopicMessage) -> bool {
        let wanted = self.topics.lock_unpoisoned().contains(&message.topic);
        if wanted {
            self.push(Item::Message(message.clone()));
        }
        wanted
    }

    fn push(&self, item: Item) {
        let mut queue = self.queue.lock_unpoisoned();
        queue.bytes += item.bytes();
        queue.items.push_back(item);
        if queue.bytes > self.bytes_max {
            *queue = MailboxQueue { overflowed: true, ..MailboxQueue::default() };
        }
        drop(queue);
        self.filled.notify_one();
    }

    async fn take(&self) -> MailboxQueue {
        loop {
            self.filled.notified().await;
            let queue = std::mem::take(&mut *self.queue.lock_unpoisoned());
            if queue.overflowed || !queue.items.is_empty() {
                return queue;
            }
        }
    }

    /// Delivers to `sink`; never returns.
    pub(super) async fn deliver_to(&self, sink: &dyn Sink) {
        let mut canary = tokio::time::interval(CANARY_INTERVAL);
        canary.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sink.connected(true).await;
        loop {
            tokio::select! {
                queue = self.take() => hand_over(queue, sink).await,
                _ = canary.tick() => self.push(Item::Canary(Instant::now())),
            }
        }
    }
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(message) => message.payload.len() + MESSAGE_OVERHEAD_BYTES,
            Self::Canary(_) => MESSAGE_OVERHEAD_BYTES,
        }
    }
}

async fn hand_over(queue: MailboxQueue, sink: &dyn Sink) {
    if queue.overflowed {
        sink.disconnected("more waited than the queue in memory may hold");
        sink.connected(true).await;
    }
    let mut messages = Vec::with_capacity(queue.items.len());
    let mut canaries = Vec::new();
    for item in queue.items {
        match item {
            Item::Message(message) => messages.push(message),
            Item::Canary(sent) => canaries.push(sent),
        }
    }
    if !messages.is_empty() {
        sink.deliver(messages).await;
    }
    for sent in canaries {
        sink.canary(sent.elapsed());
    }
}

/// The subscriptions behind a mailbox.
#[derive(Debug)]
pub(super) struct MemorySubscriber(pub(super) Arc<Mailbox>);

#[async_trait]
impl Subscriber for MemorySubscriber {
    async fn subscribe(&self, topic: Topic) -> Result<(), BrokerError> {
        self.0.topics.lock_unpoisoned().insert(topic);
        Ok(())
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.0.topics.lock_unpoisoned().remove(topic);
    }

    fn hears(&self, topic: &Topic) -> bool {
        self.0.topics.lock_unpoisoned().contains(topic)
    }

    fn failures(&self) -> u32 {
        0
    }
}
