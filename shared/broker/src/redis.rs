//! The broker on Redis or Valkey; the only folder that knows the library.
//!
//! Redis is the nervous system and holds no record: it may be flushed, fail over or come back empty
//! at any time (`design.md` §3). Connections: one for commands (`link`) with a small pool for pages,
//! one per reader, one for subscriptions. What the keys are called and mean is in `keys`.

mod check;
mod entries;
mod keys;
mod link;
mod publish;
mod reader;
mod registry;
mod resp;
mod server;
mod subscriber;
mod tags;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::{EntryId, Fields},
    node::NodeId,
    publication::Publication,
    source::Source,
};
use redis::{Pipeline, RedisResult, Value};
use runtime::lifecycle::Lifecycle;

use self::{
    keys::Keys,
    link::{Link, RequestLost, refusal},
    publish::Publisher,
    reader::RedisReader,
    server::RedisServer,
    subscriber::RedisSubscriber,
};
use super::{
    Broker, BrokerError, BrokerOptions, ExpiredNode, Head, Member, PublishedUpTo, Registration,
    ServerIdentity, Sink, StreamInfo, StreamReader, Subscriber, Topic,
};

/// The most entries in one pipeline, and bytes in one of more than one entry.
const APPEND_ENTRIES_MAX: usize = 1000;
const APPEND_BYTES_MAX: usize = 2 << 20;

/// The most keys in one MGET, which holds the server up, and the most in one pipeline.
const HEADS_MAX: usize = 500;
const HEADS_PIPELINE_MAX: usize = 20 * HEADS_MAX;

/// The broker on Redis.
pub(super) struct RedisBroker {
    link: Arc<Link>,
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
        let link = Arc::new(Link::new(RedisServer::parse(url)?, options.command_timeout));
        link.primary().await?;
        Ok(Self {
            link,
            keys: Keys::new(&options.key_prefix),
            publisher: Publisher::new(&options),
            lifecycle: lifecycle.clone(),
            options,
        })
    }

    async fn append_part(&self, part: &[(Source, Fields)]) -> Vec<Result<EntryId, BrokerError>> {
        let mut pipeline = Pipeline::with_capacity(part.len());
        pipeline.ignore_errors();
        for (source, fields) in part {
            pipeline.cmd("XADD").arg(self.keys.stream(*source)).arg("*");
            for (name, value) in &fields.0 {
                pipeline.arg(name).arg(value);
            }
        }
        match self.link.run(&pipeline).await {
            Ok(answers) => answers.into_iter().map(appended).collect(),
            Err(lost) => vec![Err(lost.written()); part.len()],
        }
    }
}

fn appended(answer: RedisResult<Value>) -> Result<EntryId, BrokerError> {
    entries::entry_id(&answer.map_err(|error| refusal(&error))?)
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
        Box::new(RedisReader::new(Arc::clone(&self.link), self.keys.stream(source)))
    }

    async fn trim(&self, source: Source, before: EntryId) -> Result<(), BrokerError> {
        entries::trim(&self.link, &self.keys.stream(source), before).await
    }

    async fn inspect(&self, source: Source) -> Result<StreamInfo, BrokerError> {
        entries::inspect(&self.link, &self.keys.stream(source)).await
    }

    async fn identity(&self, source: Source) -> Result<ServerIdentity, BrokerError> {
        check::identity(&self.link, &self.keys, source).await
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
        self.link.query(command).await
    }

    async fn publish(
        &self,
        generation: u64,
        publications: &[Publication],
    ) -> Result<(), BrokerError> {
        self.publisher.publish(&self.link, &self.keys, generation, publications).await
    }

    async fn heads(&self, of: &[(Channel, Source)]) -> Result<Vec<Option<Head>>, BrokerError> {
        let mut heads = Vec::with_capacity(of.len());
        for window in of.chunks(HEADS_PIPELINE_MAX) {
            let mut pipeline = Pipeline::new();
            pipeline.ignore_errors();
            for part in window.chunks(HEADS_MAX) {
                pipeline.cmd("MGET");
                for (channel, source) in part {
                    pipeline.arg(self.keys.head(channel, *source));
                }
            }
            for answer in self.link.run(&pipeline).await.map_err(RequestLost::read)? {
                let texts: Vec<Option<String>> = answer
                    .and_then(|texts| Ok(redis::from_redis_value(texts)?))
                    .map_err(|error| refusal(&error))?;
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
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys.history(channel, source));
        command.arg(format!("{}-0", after + 1)).arg("+").arg("COUNT").arg(limit);
        let entries = entries::entries(self.link.page(&command).await?)?;
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
        let mut command = redis::cmd("PUBLISH");
        command.arg(self.keys.topic(topic)).arg(&payload[..]);
        self.link.query(command).await
    }

    async fn subscriber(
        &self,
        node: &NodeId,
        sink: Arc<dyn Sink>,
    ) -> Result<Arc<dyn Subscriber>, BrokerError> {
        let link = Arc::clone(&self.link);
        Ok(Arc::new(RedisSubscriber::start(link, self.keys.clone(), node, sink, &self.lifecycle)))
    }

    async fn register(&self, node: &NodeId, changes: &[Registration]) -> Result<bool, BrokerError> {
        registry::register(&self.link, &self.keys, node, self.options.node_lease, changes).await
    }

    async fn members(&self, topic: &str) -> Result<Vec<Member>, BrokerError> {
        registry::members(&self.link, &self.keys, topic).await
    }

    async fn deregister(&self, node: &NodeId) -> Result<(), BrokerError> {
        registry::deregister(&self.link, &self.keys, node).await
    }

    async fn reap(&self, topics: &[&'static str]) -> Result<Vec<ExpiredNode>, BrokerError> {
        registry::reap(&self.link, &self.keys, topics).await
    }

    async fn check(&self) -> Result<Vec<String>, BrokerError> {
        check::warnings(&self.link).await
    }
}
