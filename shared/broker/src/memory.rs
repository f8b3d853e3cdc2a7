//! The broker of a single process: everything that Redis does for many, in memory and bounded.
//!
//! It keeps the rules of the real one (ids by the clock, heads with generations, contiguous
//! histories, a subscriber that delivers on its own task), so that a program that works with one
//! works with the other.

mod histories;
mod mailbox;
mod registry;
mod samples;
mod stream;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::{Entry, EntryId, Fields},
    node::NodeId,
    publication::Publication,
    source::Source,
};
use runtime::{lifecycle::Lifecycle, lock::LockExt as _};

use self::{
    histories::Histories,
    mailbox::{Mailbox, MemorySubscriber},
    registry::MemoryRegistry,
    samples::MemorySamples,
    stream::MemoryStream,
};
use super::{
    Broker, BrokerError, BrokerOptions, EntryRange, ExpiredNode, Head, LocalAppendError,
    LocalStreams, Member, NewEntry, PublishedUpTo, RangeTooLarge, Registration, ServerIdentity,
    Sink, StreamInfo, StreamReader, Subscriber, Topic, TopicMessage, run,
};

/// The broker in memory.
#[derive(Debug)]
pub(super) struct MemoryBroker {
    options: BrokerOptions,
    lifecycle: Lifecycle,
    replid: String,
    streams: Mutex<HashMap<Source, Arc<MemoryStream>>>,
    marks: Mutex<HashMap<Source, (u64, PublishedUpTo)>>,
    histories: Mutex<Histories>,
    mailboxes: Mutex<Vec<Arc<Mailbox>>>,
    registry: Mutex<MemoryRegistry>,
    partitions: Mutex<Option<u16>>,
    samples: Mutex<MemorySamples>,
}

impl MemoryBroker {
    /// An empty one, with a replication id that no other ever had.
    pub(super) fn new(options: BrokerOptions, lifecycle: &Lifecycle) -> Self {
        Self {
            lifecycle: lifecycle.clone(),
            replid: format!("{:032x}", rand::random::<u128>()),
            streams: Mutex::default(),
            marks: Mutex::default(),
            histories: Mutex::new(Histories::new(&options)),
            mailboxes: Mutex::default(),
            registry: Mutex::new(MemoryRegistry::new(options.node_lease)),
            partitions: Mutex::default(),
            samples: Mutex::new(MemorySamples::new(
                options.memory_health_agents,
                options.health_samples_max,
                options.health_sample_life,
            )),
            options,
        }
    }

    fn stream(&self, source: Source) -> Arc<MemoryStream> {
        let begin = || Arc::new(MemoryStream::new(self.options.memory_stream_bytes));
        Arc::clone(self.streams.lock_unpoisoned().entry(source).or_insert_with(begin))
    }

    fn offer(&self, message: &TopicMessage) -> u64 {
        self.mailboxes.lock_unpoisoned().iter().filter(|mailbox| mailbox.offer(message)).count()
            as u64
    }
}

struct MemoryReader(Arc<MemoryStream>);

#[async_trait]
impl StreamReader for MemoryReader {
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

    fn reader(&self, source: Source) -> Box<dyn StreamReader> {
        Box::new(MemoryReader(self.stream(source)))
    }

    async fn trim(&self, source: Source, before: EntryId) -> Result<(), BrokerError> {
        self.stream(source).trim(before);
        Ok(())
    }

    async fn inspect(&self, source: Source) -> Result<StreamInfo, BrokerError> {
        Ok(self.stream(source).info())
    }

    async fn erase(
        &self,
        histories: &[(Channel, Source)],
        _entries: &[(Source, EntryId)],
    ) -> Result<(), BrokerError> {
        let mut held = self.histories.lock_unpoisoned();
        histories.iter().for_each(|(channel, source)| held.forget(channel, *source));
        Ok(())
    }

    async fn waiting_before(
        &self,
        source: Source,
        after: EntryId,
        entry: EntryId,
    ) -> Result<Option<u64>, BrokerError> {
        Ok(self.stream(source).waiting_before(after, entry))
    }

    async fn identity(&self, source: Source) -> Result<ServerIdentity, BrokerError> {
        let (generation, published) = self.marks.lock_unpoisoned().get(&source).copied().unzip();
        Ok(ServerIdentity {
            replid: self.replid.clone(),
            others: Vec::new(),
            is_whole: true,
            generation,
            published,
        })
    }

    async fn mark(
        &self,
        source: Source,
        generation: u64,
        published: PublishedUpTo,
    ) -> Result<(), BrokerError> {
        self.marks.lock_unpoisoned().insert(source, (generation, published));
        Ok(())
    }

    async fn publish(
        &self,
        generation: u64,
        publications: &[Publication],
    ) -> Result<(), BrokerError> {
        {
            let mut marks = self.marks.lock_unpoisoned();
            for publication in publications {
                if let Some((_, noted)) = marks.get_mut(&publication.source) {
                    let seq = publication.recorded.seq;
                    let same = noted.epoch == publication.epoch;
                    let seq = if same { noted.seq.max(seq) } else { seq };
                    *noted = PublishedUpTo { epoch: publication.epoch, seq };
                }
            }
        }
        let mut histories = self.histories.lock_unpoisoned();
        for run in run::cut(publications) {
            let repeats = histories.publish(generation, &run)?;
            let texts: Vec<_> = run.publications[repeats..].iter().map(|p| p.encode()).collect();
            if !texts.is_empty() {
                // Under the lock: what is published is what was taken in, in that order.
                let topic = Topic::Channel(run.channel.clone());
                self.offer(&TopicMessage { topic, payload: texts.join(&b'\n').into() });
            }
        }
        Ok(())
    }

    async fn heads(&self, of: &[(Channel, Source)]) -> Result<Vec<Option<Head>>, BrokerError> {
        let histories = self.histories.lock_unpoisoned();
        Ok(of.iter().map(|(channel, source)| histories.head(channel, *source)).collect())
    }

    async fn history(
        &self,
        channel: &Channel,
        source: Source,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Publication>, BrokerError> {
        Ok(self.histories.lock_unpoisoned().history(channel, source, after, limit))
    }

    async fn send(&self, topic: &Topic, payload: Bytes) -> Result<u64, BrokerError> {
        Ok(self.offer(&TopicMessage { topic: topic.clone(), payload }))
    }

    async fn subscriber(
        &self,
        _node: &NodeId,
        sink: Arc<dyn Sink>,
    ) -> Result<Arc<dyn Subscriber>, BrokerError> {
        let mailbox = Arc::new(Mailbox::new(self.options.memory_queue_bytes));
        self.mailboxes.lock_unpoisoned().push(Arc::clone(&mailbox));
        let reading = Arc::clone(&mailbox);
        self.lifecycle.spawn_until_stop(async move { reading.deliver_to(&*sink).await });
        Ok(Arc::new(MemorySubscriber(mailbox)))
    }

    async fn register(&self, node: &NodeId, changes: &[Registration]) -> Result<bool, BrokerError> {
        Ok(self.registry.lock_unpoisoned().register(node, changes))
    }

    async fn members(&self, topic: &str) -> Result<Vec<Member>, BrokerError> {
        Ok(self.registry.lock_unpoisoned().members(topic))
    }

    async fn deregister(&self, node: &NodeId) -> Result<(), BrokerError> {
        self.registry.lock_unpoisoned().deregister(node);
        Ok(())
    }

    async fn reap(&self, topics: &[&'static str]) -> Result<Vec<ExpiredNode>, BrokerError> {
        Ok(self.registry.lock_unpoisoned().reap(topics))
    }

    async fn partitions(&self) -> Result<Option<u16>, BrokerError> {
        Ok(*self.partitions.lock_unpoisoned())
    }

    async fn set_partitions(&self, partitions: u16) -> Result<(), BrokerError> {
        *self.partitions.lock_unpoisoned() = Some(partitions);
        Ok(())
    }

    async fn health_samples(&self, agent: &str, limit: usize) -> Result<Vec<String>, BrokerError> {
        Ok(self.samples.lock_unpoisoned().newest(agent, limit))
    }

    async fn add_health_sample(
        &self,
        agent: &str,
        last: Option<&str>,
        sample: &str,
    ) -> Result<bool, BrokerError> {
        Ok(self.samples.lock_unpoisoned().add(agent, last, sample))
    }

    async fn check(&self) -> Result<Vec<String>, BrokerError> {
        Ok(Vec::new())
    }
}
