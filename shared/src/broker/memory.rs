//! The broker of a single process: everything that Redis does for many, in memory and bounded.
//!
//! It keeps the rules of the real one (ids by the clock, heads with generations, contiguous
//! histories, a subscriber that delivers on its own task), so that a program that works with one
//! works with the other.

mod mailbox;
mod registry;
mod stream;
mod tails;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use self::{
    mailbox::{Mailbox, MemorySubscriber},
    registry::Registry,
    stream::Stream,
    tails::Tails,
};
use super::{
    Broker, BrokerError, BrokerOptions, EntryRange, Gone, Head, Identity, LocalAppendError,
    LocalStreams, Member, Message, NewEntry, NodeId, RangeTooLarge, Reader, Registration, Sink,
    StreamInfo, Subscriber, Topic, lock, run,
};
use crate::{
    channel::Channel,
    entry::{Entry, EntryId, Fields},
    lifecycle::Lifecycle,
    publication::Publication,
    source::Source,
};

/// The broker in memory.
#[derive(Debug)]
pub(super) struct MemoryBroker {
    options: BrokerOptions,
    lifecycle: Lifecycle,
    replid: String,
    streams: Mutex<HashMap<Source, Arc<Stream>>>,
    marks: Mutex<HashMap<Source, u64>>,
    tails: Mutex<Tails>,
    mailboxes: Mutex<Vec<Arc<Mailbox>>>,
    registry: Mutex<Registry>,
}

impl MemoryBroker {
    /// An empty one, with a replication id that no other ever had.
    pub(super) fn new(options: BrokerOptions, lifecycle: &Lifecycle) -> Self {
        Self {
            lifecycle: lifecycle.clone(),
            replid: format!("{:032x}", rand::random::<u128>()),
            streams: Mutex::default(),
            marks: Mutex::default(),
            tails: Mutex::new(Tails::new(&options)),
            mailboxes: Mutex::default(),
            registry: Mutex::new(Registry::new(options.node_lease)),
            options,
        }
    }

    fn stream(&self, source: Source) -> Arc<Stream> {
        let begin = || Arc::new(Stream::new(self.options.memory_stream_bytes));
        Arc::clone(lock(&self.streams).entry(source).or_insert_with(begin))
    }

    fn offer(&self, message: &Message) -> u64 {
        lock(&self.mailboxes).iter().filter(|mailbox| mailbox.offer(message)).count() as u64
    }
}

struct MemoryReader(Arc<Stream>);

#[async_trait]
impl Reader for MemoryReader {
    async fn read(
        &mut self,
        after: EntryId,
        entries_max: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError> {
        Ok(self.0.read(after, entries_max, wait).await)
    }
}

impl LocalStreams for MemoryBroker {
    fn append_entry(
        &self,
        source: Source,
        entry: NewEntry,
    ) -> Result<Option<EntryId>, LocalAppendError> {
        self.stream(source).append_entry(entry)
    }

    fn range(&self, source: Source, range: EntryRange) -> Result<Vec<Entry>, RangeTooLarge> {
        self.stream(source).range(range)
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn local_streams(&self) -> Option<&dyn LocalStreams> {
        Some(self)
    }

    async fn append(&self, entries: &[(Source, Fields)]) -> Vec<Result<EntryId, BrokerError>> {
        entries.iter().map(|(source, fields)| self.stream(*source).append(fields)).collect()
    }

    fn reader(&self, source: Source) -> Box<dyn Reader> {
        Box::new(MemoryReader(self.stream(source)))
    }

    async fn trim(&self, source: Source, before: EntryId) -> Result<(), BrokerError> {
        self.stream(source).trim(before);
        Ok(())
    }

    async fn inspect(&self, source: Source) -> Result<StreamInfo, BrokerError> {
        Ok(self.stream(source).info())
    }

    async fn identity(&self, source: Source) -> Result<Identity, BrokerError> {
        let generation = lock(&self.marks).get(&source).copied();
        Ok(Identity { replid: self.replid.clone(), generation })
    }

    async fn mark(&self, source: Source, generation: u64) -> Result<(), BrokerError> {
        lock(&self.marks).insert(source, generation);
        Ok(())
    }

    async fn publish(
        &self,
        generation: u64,
        publications: &[Publication],
    ) -> Result<(), BrokerError> {
        let mut tails = lock(&self.tails);
        for run in run::cut(publications) {
            let repeats = tails.publish(generation, &run)?;
            let texts: Vec<_> = run.publications[repeats..].iter().map(|p| p.encode()).collect();
            if !texts.is_empty() {
                // Under the lock: what is published is what was taken in, in that order.
                let topic = Topic::Channel(run.channel.clone());
                self.offer(&Message { topic, payload: texts.join(&b'\n').into() });
            }
        }
        Ok(())
    }

    async fn heads(&self, of: &[(Channel, Source)]) -> Result<Vec<Option<Head>>, BrokerError> {
        let tails = lock(&self.tails);
        Ok(of.iter().map(|(channel, source)| tails.head(channel, *source)).collect())
    }

    async fn history(
        &self,
        channel: &Channel,
        source: Source,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Publication>, BrokerError> {
        Ok(lock(&self.tails).history(channel, source, after, limit))
    }

    async fn send(&self, topic: &Topic, payload: Bytes) -> Result<u64, BrokerError> {
        Ok(self.offer(&Message { topic: topic.clone(), payload }))
    }

    async fn subscriber(
        &self,
        _node: &NodeId,
        sink: Arc<dyn Sink>,
    ) -> Result<Arc<dyn Subscriber>, BrokerError> {
        let mailbox = Arc::new(Mailbox::new(self.options.memory_queue_bytes));
        lock(&self.mailboxes).push(Arc::clone(&mailbox));
        let reading = Arc::clone(&mailbox);
        self.lifecycle.spawn_until_stop(async move { reading.deliver_to(&*sink).await });
        Ok(Arc::new(MemorySubscriber(mailbox)))
    }

    async fn register(&self, node: &NodeId, changes: &[Registration]) -> Result<bool, BrokerError> {
        Ok(lock(&self.registry).register(node, changes))
    }

    async fn members(&self, topic: &str) -> Result<Vec<Member>, BrokerError> {
        Ok(lock(&self.registry).members(topic))
    }

    async fn deregister(&self, node: &NodeId) -> Result<(), BrokerError> {
        lock(&self.registry).deregister(node);
        Ok(())
    }

    async fn reap(&self, topics: &[&'static str]) -> Result<Vec<Gone>, BrokerError> {
        Ok(lock(&self.registry).reap(topics))
    }

    async fn check(&self) -> Result<Vec<String>, BrokerError> {
        Ok(Vec::new())
    }
}
