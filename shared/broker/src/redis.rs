//! The broker on Redis or Valkey; the only folder that knows the library.
//!
//! Redis is the nervous system and holds no record: it may be flushed, fail over or come back empty
//! at any time (`design.md` §3). Connections to each server: one for commands (`link`) with a small
//! pool for pages, one per reader, one for subscriptions. Which server holds a key is in `shards`;
//! what the keys are called and mean is in `keys`.

mod check;
mod entries;
mod keys;
mod link;
mod publish;
mod reader;
mod registry;
mod resp;
mod samples;
mod seeds;
mod server;
mod shards;
mod slot;
mod slot_map;
mod subscriber;
mod topology;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::{EntryId, Fields},
    node::NodeId,
    publication::Publication,
    source::{PARTITIONS_MAX, Source},
};
use redis::Value;
use runtime::lifecycle::Lifecycle;

use self::{
    keys::Keys,
    publish::Publisher,
    reader::RedisReader,
    shards::{CommandFailure, KeyedCommand, RedisShards},
    subscriber::RedisSubscriber,
};
use super::{
    Broker, BrokerError, BrokerMemory, BrokerOptions, ExpiredNode, Head, Member, PublishedUpTo,
    Registration, ServerIdentity, Sink, StreamInfo, StreamReader, Subscriber, Topic,
};

/// The most entries in one pipeline, and bytes in one of more than one entry.
const APPEND_ENTRIES_MAX: usize = 1000;
const APPEND_BYTES_MAX: usize = 2 << 20;

/// The most keys in one MGET, which holds the server up, and the most in one go.
const HEADS_MAX: usize = 500;
const HEADS_WINDOW_MAX: usize = 20 * HEADS_MAX;

/// The broker on Redis.
pub(super) struct RedisBroker {
    shards: Arc<RedisShards>,
    keys: Keys,
    options: BrokerOptions,
    lifecycle: Lifecycle,
    publisher: Publisher,
}

impl RedisBroker {
    /// Connects.
    ///
    /// # Errors
    /// [`BrokerError::Address`] when the URL is wrong; [`BrokerError::Unavailable`] when no primary
    /// answers there.
    pub(super) async fn connect(
        url: &str,
        options: BrokerOptions,
        lifecycle: &Lifecycle,
    ) -> Result<Self, BrokerError> {
        let shards = Arc::new(RedisShards::connect(url, options.command_timeout).await?);
        let watching = Arc::clone(&shards);
        lifecycle.spawn_until_stop(async move { watching.watch().await });
        Ok(Self {
            keys: Keys::new(&options.key_prefix, shards.is_cluster()),
            shards,
            publisher: Publisher::new(&options),
            lifecycle: lifecycle.clone(),
            options,
        })
    }

    async fn append_part(&self, part: &[(Source, Fields)]) -> Vec<Result<EntryId, BrokerError>> {
        let request = |(source, fields): &(Source, Fields)| {
            let key = self.keys.stream(*source);
            let mut command = redis::cmd("XADD");
            command.arg(&key).arg("*");
            for (name, value) in &fields.0 {
                command.arg(name).arg(value);
            }
            KeyedCommand::new(&key, command)
        };
        let answers = self.shards.run(part.iter().map(request).collect()).await;
        answers.into_iter().map(appended).collect()
    }
}

fn appended(answer: Result<Value, CommandFailure>) -> Result<EntryId, BrokerError> {
    entries::entry_id(&answer.map_err(CommandFailure::written)?)
}

/// How many of the first entries go into one pipeline.
fn append_part_len(entries: &[(Source, Fields)]) -> usize {
    let mut bytes = 0;
    let fits = |(_, fields): &&(Source, Fields)| {
        bytes += fields.size_bytes();
        bytes <= APPEND_BYTES_MAX
    };
    entries.iter().take(APPEND_ENTRIES_MAX).take_while(fits).count().max(1)
}

/// `generation:offset:bytes`, as the publish script writes it.
fn parse_head(text: &str) -> Option<Head> {
    let mut parts = text.split(':');
    let generation = parts.next()?.parse().ok()?;
    let offset = parts.next()?.parse().ok()?;
    Some(Head { generation, offset })
}

#[async_trait]
impl Broker for RedisBroker {
    async fn append(&self, entries: &[(Source, Fields)]) -> Vec<Result<EntryId, BrokerError>> {
        let mut results = Vec::with_capacity(entries.len());
        while results.len() < entries.len() {
            let rest = &entries[results.len()..];
            let part = self.append_part(&rest[..append_part_len(rest)]).await;
            let lost = part.iter().any(|r| matches!(r, Err(BrokerError::Unknown(_))));
            results.extend(part);
            if lost {
                // What comes after must not be in while what comes before may not be.
                let unsent = BrokerError::Unavailable("an earlier part was lost".to_owned());
                results.resize(entries.len(), Err(unsent));
            }
        }
        results
    }

    fn reader(&self, source: Source) -> Box<dyn StreamReader> {
        Box::new(RedisReader::new(Arc::clone(&self.shards), self.keys.stream(source)))
    }

    async fn trim(&self, source: Source, before: EntryId) -> Result<(), BrokerError> {
        entries::trim(&self.shards, &self.keys.stream(source), before).await
    }

    async fn inspect(&self, source: Source) -> Result<StreamInfo, BrokerError> {
        entries::inspect(&self.shards, &self.keys.stream(source)).await
    }

    async fn identity(&self, source: Source) -> Result<ServerIdentity, BrokerError> {
        check::identity(&self.shards, &self.keys, source).await
    }

    async fn mark(
        &self,
        source: Source,
        generation: u64,
        published: PublishedUpTo,
    ) -> Result<(), BrokerError> {
        let mut command = redis::cmd("MSET");
        command.arg(self.keys.mark(source)).arg(generation);
        let PublishedUpTo { epoch, seq } = published;
        command.arg(self.keys.published(source)).arg(format!("{}:{seq}", epoch.0));
        self.shards.query(&self.keys.mark(source), command).await
    }

    async fn publish(
        &self,
        generation: u64,
        publications: &[Publication],
    ) -> Result<(), BrokerError> {
        self.publisher.publish(&self.shards, &self.keys, generation, publications).await
    }

    async fn heads(&self, of: &[(Channel, Source)]) -> Result<Vec<Option<Head>>, BrokerError> {
        // Keys of several slots make no MGET.
        let at_once = if self.shards.is_cluster() { 1 } else { HEADS_MAX };
        let mut heads = Vec::with_capacity(of.len());
        for window in of.chunks(HEADS_WINDOW_MAX) {
            let request = |part: &[(Channel, Source)]| {
                let keys = part.iter().map(|(channel, source)| self.keys.head(channel, *source));
                let keys: Vec<_> = keys.collect();
                let mut command = redis::cmd("MGET");
                command.arg(&keys);
                KeyedCommand::new(&keys[0], command)
            };
            let requests = window.chunks(at_once).map(request).collect();
            for answer in self.shards.run(requests).await {
                let texts: Vec<Option<String>> =
                    redis::from_redis_value(answer.map_err(CommandFailure::read)?)
                        .map_err(|error| BrokerError::Refused(error.to_string()))?;
                heads.extend(texts.iter().map(|text| text.as_deref().and_then(parse_head)));
            }
        }
        Ok(heads)
    }

    async fn history(
        &self,
        channel: &Channel,
        source: Source,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Publication>, BrokerError> {
        let key = self.keys.history(channel, source);
        let mut command = redis::cmd("XRANGE");
        command.arg(&key);
        command.arg(format!("{}-0", after + 1)).arg("+").arg("COUNT").arg(limit);
        let entries = entries::entries(self.shards.page(&key, &command).await?)?;
        let mut publications = Vec::with_capacity(entries.len());
        for (entry, offset) in entries.into_iter().zip(after + 1..) {
            let text = entry.fields.0.into_iter().next().map(|(_, text)| Bytes::from(text));
            let decoded = Publication::decode_all(channel, &text.unwrap_or_default());
            let decoded = decoded.map_err(|error| BrokerError::Refused(error.to_string()))?;
            // A hole: what lies beyond it does not follow from what the caller has.
            match decoded.into_iter().next().filter(|publication| publication.offset == offset) {
                Some(publication) => publications.push(publication),
                None => break,
            }
        }
        Ok(publications)
    }

    async fn send(&self, topic: &Topic, payload: Bytes) -> Result<u64, BrokerError> {
        let name = self.keys.topic(topic);
        let mut command = redis::cmd(self.shards.publish_command());
        command.arg(&name).arg(&payload[..]);
        self.shards.query(&name, command).await
    }

    async fn subscriber(
        &self,
        node: &NodeId,
        sink: Arc<dyn Sink>,
    ) -> Result<Arc<dyn Subscriber>, BrokerError> {
        let shards = Arc::clone(&self.shards);
        Ok(Arc::new(RedisSubscriber::start(shards, self.keys.clone(), node, sink, &self.lifecycle)))
    }

    async fn register(&self, node: &NodeId, changes: &[Registration]) -> Result<bool, BrokerError> {
        registry::register(&self.shards, &self.keys, node, self.options.node_lease, changes).await
    }

    async fn members(&self, topic: &str) -> Result<Vec<Member>, BrokerError> {
        registry::members(&self.shards, &self.keys, topic).await
    }

    async fn deregister(&self, node: &NodeId) -> Result<(), BrokerError> {
        registry::deregister(&self.shards, &self.keys, node).await
    }

    async fn reap(&self, topics: &[&'static str]) -> Result<Vec<ExpiredNode>, BrokerError> {
        registry::reap(&self.shards, &self.keys, topics).await
    }

    async fn partitions(&self) -> Result<Option<u16>, BrokerError> {
        let key = self.keys.partitions();
        let mut command = redis::cmd("GET");
        command.arg(&key);
        let told: Option<String> = self.shards.query(&key, command).await?;
        let told = told.and_then(|told| told.parse().ok());
        Ok(told.filter(|told| (1..=PARTITIONS_MAX).contains(&usize::from(*told))))
    }

    async fn set_partitions(&self, partitions: u16) -> Result<(), BrokerError> {
        let key = self.keys.partitions();
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(partitions);
        self.shards.query(&key, command).await
    }

    async fn health_samples(&self, agent: &str, limit: usize) -> Result<Vec<String>, BrokerError> {
        samples::newest(&self.shards, &self.keys, agent, limit).await
    }

    async fn add_health_sample(
        &self,
        agent: &str,
        last: Option<&str>,
        sample: &str,
    ) -> Result<bool, BrokerError> {
        let bounds = (self.options.health_samples_max, self.options.health_sample_life);
        samples::add(&self.shards, &self.keys, agent, last, sample, bounds).await
    }

    async fn waiting_before(
        &self,
        source: Source,
        after: EntryId,
        entry: EntryId,
    ) -> Result<Option<u64>, BrokerError> {
        entries::waiting_before(&self.shards, &self.keys.stream(source), after, entry).await
    }

    async fn erase(
        &self,
        histories: &[(Channel, Source)],
        entries: &[(Source, EntryId)],
    ) -> Result<(), BrokerError> {
        let mut commands = Vec::with_capacity(histories.len() + entries.len());
        for (channel, source) in histories {
            let key = self.keys.history(channel, *source);
            let mut command = redis::cmd("UNLINK");
            command.arg(&key);
            commands.push(KeyedCommand::new(&key, command));
        }
        for (source, entry) in entries {
            let key = self.keys.stream(*source);
            let mut command = redis::cmd("XDEL");
            command.arg(&key).arg(entry.to_string());
            commands.push(KeyedCommand::new(&key, command));
        }
        for answer in self.shards.run(commands).await {
            answer.map_err(CommandFailure::read)?;
        }
        Ok(())
    }

    async fn clock(&self) -> Result<Option<i64>, BrokerError> {
        check::clock(&self.shards).await
    }

    async fn unknown_keys(&self, keys_max: usize) -> Result<Vec<String>, BrokerError> {
        check::unknown_keys(&self.shards, &self.keys, keys_max).await
    }

    async fn memory(&self) -> Result<Option<BrokerMemory>, BrokerError> {
        check::memory(&self.shards).await
    }

    async fn check(&self) -> Result<Vec<String>, BrokerError> {
        check::warnings(&self.shards).await
    }
}
