//! The port to the broker: streams to append and read, fan-out with heads and history, pub/sub,
//! and the registry of who is where. In memory for one process, Redis for many.

mod local_streams;
mod memory;
mod redis;
mod run;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

pub use self::local_streams::{
    EntryIdRequest, EntryRange, Keep, LocalAppendError, LocalStreams, NewEntry, RangeTooLarge,
    Trimming,
};
use crate::{
    channel::Channel,
    entry::{Entry, EntryId, Fields},
    lifecycle::Lifecycle,
    publication::Publication,
    source::Source,
};

/// What went wrong at the broker, by what the caller can do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// Nothing was done; try again later.
    #[error("the broker is not available: {0}")]
    Unavailable(String),
    /// The broker answered no: it is full, or read-only. Nothing was done; try again later.
    #[error("the broker refused: {0}")]
    Refused(String),
    /// It may or may not have happened: the answer was lost.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
    /// A newer generation has published already: who asked is no longer the owner.
    #[error("a newer generation has published on {0}")]
    Superseded(Channel),
    /// The URL is wrong: trying again does not help.
    #[error("the broker's URL: {0}")]
    Address(String),
}

/// How a broker is set up; the settings of contract §2, and limits that only tests change.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// `KEY_PREFIX`: the first part of every key and pub/sub name.
    pub key_prefix: String,
    /// `HISTORY_LENGTH`: publications per channel and source that are kept for reading again.
    pub history_length: usize,
    /// `HISTORY_TTL_MS`: how long they are kept after the last one.
    pub history_ttl: Duration,
    /// `HISTORY_BYTES`: the memory that they may take.
    pub history_bytes: usize,
    /// How long a node counts as alive after it renewed its lease in the registry.
    pub node_lease: Duration,
    /// How long a command may take.
    pub command_timeout: Duration,
    /// In memory: the bytes of entries that one stream holds; a full one refuses.
    pub memory_stream_bytes: usize,
    /// In memory: the bytes of the histories of all channels together.
    pub memory_history_bytes: usize,
    /// In memory: the bytes of messages that may wait for a subscriber.
    pub memory_queue_bytes: usize,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            key_prefix: "fanfare".to_owned(),
            history_length: 1000,
            history_ttl: Duration::from_hours(1),
            history_bytes: 1 << 20,
            node_lease: Duration::from_secs(10),
            command_timeout: Duration::from_secs(2),
            memory_stream_bytes: 128 << 20,
            memory_history_bytes: 128 << 20,
            memory_queue_bytes: 64 << 20,
        }
    }
}

/// Connects to the broker behind `url`; without one it is in memory.
///
/// `redis://`, `rediss://`, `valkey://` and `valkeys://` `[user[:password]@]host[:port][/db]` lead to
/// one server; `redis+sentinel://[user[:password]@]host:port,host:port/[db]?master=NAME` (or
/// `rediss+sentinel://`) leads to the primary that the Sentinels name, asked anew on every connect.
///
/// # Errors
/// [`BrokerError::Address`] when the URL is wrong; [`BrokerError::Unavailable`] when nobody answers
/// there yet, or none but a replica: call again.
pub async fn connect(
    url: Option<&str>,
    options: BrokerOptions,
    lifecycle: &Lifecycle,
) -> Result<Arc<dyn Broker>, BrokerError> {
    Ok(match url {
        Some(url) => Arc::new(redis::RedisBroker::connect(url, options, lifecycle).await?),
        None => Arc::new(memory::MemoryBroker::new(options, lifecycle)),
    })
}

/// Locks. What a panicking thread left is whole: nothing panics between a lock and its release.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of one process among those that share a broker: letters, digits and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub Arc<str>);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which server answers, and whether it still holds what we left there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The replication id of the primary: another one means another history (`design.md` §3, rule 6).
    pub replid: String,
    /// The generation that [`Broker::mark`] left for the source; none when it was flushed away.
    pub generation: Option<u64>,
}

/// What a stream looks like from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamInfo {
    /// The highest id that the stream ever gave; zero when it does not exist.
    pub last_generated: EntryId,
    /// The oldest entry that is still there.
    pub first: Option<EntryId>,
    /// The highest id among the removed entries.
    pub max_deleted: EntryId,
    /// How many entries it holds.
    pub length: u64,
    /// How many entries were ever added; how far a reader is behind shows by the difference.
    pub added: u64,
}

/// How far a source was published on a channel, and in which generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The generation of the owner that published last.
    pub generation: u64,
    /// The last offset published.
    pub offset: u64,
}

/// What pub/sub messages are about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Publications of a channel; for the channel `presence`, bare JSON.
    Channel(Channel),
    /// Answers and orders to one node.
    Node(NodeId),
    /// Orders to every node.
    Nodes,
    /// A wake-up for workers that wait for a source.
    Workers,
}

/// One pub/sub message.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is about.
    pub topic: Topic,
    /// Its content.
    pub payload: Bytes,
}

/// Where a subscriber hands over what arrives.
#[async_trait]
pub trait Sink: Send + Sync + 'static {
    /// Everything that one read brought, in the order of arrival. Called by the reading task
    /// itself, one call at a time: what it does is what the subscriber waits for.
    async fn deliver(&self, messages: Vec<Message>);

    /// Every wanted topic is subscribed, on a connection that is new: what was published since
    /// [`Sink::disconnected`] may be lost.
    async fn connected(&self);

    /// The connection is gone or deaf; the subscriber is connecting anew.
    fn disconnected(&self, reason: &str);

    /// The probe came back after so long.
    fn canary(&self, delay: Duration);
}

/// The subscriptions of this process: one task over one connection.
#[async_trait]
pub trait Subscriber: Send + Sync + 'static {
    /// Wants a topic from now on, over all reconnects, and waits until the broker confirmed it.
    ///
    /// # Errors
    /// [`BrokerError::Unavailable`] when there is no connection at the moment; the topic stays
    /// wanted and [`Sink::connected`] follows. Not to be called from within the sink: the task
    /// that would bring the confirmation waits for the sink.
    async fn subscribe(&self, topic: Topic) -> Result<(), BrokerError>;

    /// Wants a topic no longer.
    fn unsubscribe(&self, topic: &Topic);

    /// How many times in a row connecting failed or the probe did not come back; 0 when all is well.
    fn failures(&self) -> u32;
}

/// Reads one source in order, on a connection of its own: reading blocks.
#[async_trait]
pub trait Reader: Send {
    /// Entries after `after`, at most `entries_max`, waiting up to `wait` for the first one.
    ///
    /// # Errors
    /// [`BrokerError`]; the reader may be used again and connects anew.
    async fn read(
        &mut self,
        after: EntryId,
        entries_max: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError>;
}

/// Something that a node says of itself in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node that says it.
    pub node: NodeId,
    /// The key within the topic: a connection, a user …
    pub key: String,
    /// JSON.
    pub value: String,
}

/// A change of what a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The topic: `connections`, `agents` …
    pub topic: &'static str,
    /// The key within the topic.
    pub key: String,
    /// The new value, JSON; none removes the key.
    pub value: Option<String>,
}

/// A node that was removed from the registry because its lease had run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The node.
    pub node: NodeId,
    /// What it said: topics and keys.
    pub said: Vec<(&'static str, String)>,
}

/// The broker.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Appends entries, in order, in one pipeline. One answer for each.
    async fn append(&self, entries: &[(Source, Fields)]) -> Vec<Result<EntryId, BrokerError>>;

    /// Returns the streams as a Redis server shows them; none when a real one does.
    fn local_streams(&self) -> Option<&dyn LocalStreams> {
        None
    }

    /// A reader of a source.
    fn reader(&self, source: Source) -> Box<dyn Reader>;

    /// Removes entries before `before`.
    async fn trim(&self, source: Source, before: EntryId) -> Result<(), BrokerError>;

    /// What the stream of a source looks like.
    async fn inspect(&self, source: Source) -> Result<StreamInfo, BrokerError>;

    /// Which server this is, and the mark of the source.
    async fn identity(&self, source: Source) -> Result<Identity, BrokerError>;

    /// Leaves the generation of a source with the broker: a flush takes it away, and shows by that.
    async fn mark(&self, source: Source, generation: u64) -> Result<(), BrokerError>;

    /// Publishes: per channel and source what is above its head goes into head, history and
    /// pub/sub, in one step (`design.md` §2, step 5). Publications of one channel and source must be
    /// in the order of their offsets. Repeats do nothing.
    ///
    /// A higher generation first deletes head and history; a first accepted offset that is not
    /// head + 1 deletes the history.
    ///
    /// # Errors
    /// When not every channel was served: call again with the same publications.
    async fn publish(
        &self,
        generation: u64,
        publications: &[Publication],
    ) -> Result<(), BrokerError>;

    /// How far each was published; none where nobody knows.
    async fn heads(&self, of: &[(Channel, Source)]) -> Result<Vec<Option<Head>>, BrokerError>;

    /// Publications after `after`, at most `limit`, contiguous from `after + 1`; empty when the
    /// history does not reach back so far.
    async fn history(
        &self,
        channel: &Channel,
        source: Source,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Publication>, BrokerError>;

    /// Sends a message that nobody keeps. Answers how many subscribers got it.
    async fn send(&self, topic: &Topic, payload: Bytes) -> Result<u64, BrokerError>;

    /// Starts the subscriber of this node and hands what arrives to `sink`, until the process's
    /// shutdown.
    async fn subscriber(
        &self,
        node: &NodeId,
        sink: Arc<dyn Sink>,
    ) -> Result<Arc<dyn Subscriber>, BrokerError>;

    /// Renews the node's lease in the registry and applies changes to what it says of itself.
    ///
    /// Answers whether the registry knew the node: not so at first, after its lease had run out and
    /// it was reaped, or after a flush. Then everything else that it has to say must be said again.
    async fn register(&self, node: &NodeId, changes: &[Registration]) -> Result<bool, BrokerError>;

    /// What all live nodes say on a topic.
    async fn members(&self, topic: &str) -> Result<Vec<Member>, BrokerError>;

    /// Takes a node out of the registry at once, with everything that it said.
    async fn deregister(&self, node: &NodeId) -> Result<(), BrokerError>;

    /// Removes nodes that are gone with everything that they said. Whoever removes a node, and nobody
    /// else, learns what it said on each of `topics`, in their order.
    async fn reap(&self, topics: &[&'static str]) -> Result<Vec<Gone>, BrokerError>;

    /// Whether the broker answers, and what an operator should know of how it is set up.
    async fn check(&self) -> Result<Vec<String>, BrokerError>;
}
