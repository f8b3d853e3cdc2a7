//! The port to the broker: the traits that Redis and memory implement, and what they answer.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::{Entry, EntryId, Fields},
    node::NodeId,
    position::Epoch,
    publication::Publication,
    source::Source,
};

use crate::{
    error::BrokerError,
    local_streams::LocalStreams,
    pubsub::{Sink, Subscriber, Topic},
    registry::{ExpiredNode, Member, Registration},
};

/// Which servers answer for a source, and whether they still hold what we left there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerIdentity {
    /// The replication id of the primary that holds the source's stream: another one means another
    /// history (`design.md` §3, rule 6).
    pub replid: String,
    /// Those of a cluster's other primaries, which hold what was published of the source.
    pub others: Vec<String>,
    /// Whether all of them are known: none is away.
    pub is_whole: bool,
    /// The generation that [`Broker::mark`] left for the source; none when it was flushed away.
    pub generation: Option<u64>,
    /// How far the source may be published; none when nobody knows.
    pub published: Option<PublishedUpTo>,
}

impl ServerIdentity {
    /// Whether the stream lies where it lay when `remembered` was written.
    pub fn has_known_stream(&self, remembered: &str) -> bool {
        knows(remembered, &self.replid)
    }

    /// Whether every server that answers is among those that `remembered` names.
    pub fn is_known(&self, remembered: &str) -> bool {
        self.has_known_stream(remembered)
            && self.others.iter().all(|replid| knows(remembered, replid))
    }

    /// What is to be remembered after `before`: everybody who answers; and who may come back as they
    /// were, while a part is away.
    pub fn remembered(&self, before: &str) -> String {
        let back = if self.is_whole { "" } else { before };
        let mut replids = vec![self.replid.as_str()];
        for replid in self.others.iter().map(String::as_str).chain(back.split_whitespace()) {
            if !replids.contains(&replid) {
                replids.push(replid);
            }
        }
        replids.truncate(REPLIDS_MAX);
        replids.join(" ")
    }
}

/// The most replication ids that are remembered of a source: twice the servers of a large cluster.
const REPLIDS_MAX: usize = 500;

fn knows(remembered: &str, replid: &str) -> bool {
    remembered.split_whitespace().any(|known| known == replid)
}

/// How far a source may have been published (`design.md` §3, rule 6): a database of this epoch that
/// ends before it has lost what somebody may have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishedUpTo {
    /// The epoch of those publications.
    pub epoch: Epoch,
    /// The highest `seq` among them.
    pub seq: u64,
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

/// What the broker uses of its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerMemory {
    /// What it uses.
    pub used_bytes: u64,
    /// What it may use; 0: as much as there is.
    pub limit_bytes: u64,
}

/// How far a source was published on a channel, and in which generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The generation of the owner that published last.
    pub generation: u64,
    /// The last offset published.
    pub offset: u64,
}

/// Reads one source in order, on a connection of its own: reading blocks.
#[async_trait]
pub trait StreamReader: Send {
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

/// What gateways and workers ask of a broker.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Appends entries, in order, in one pipeline. One answer for each.
    async fn append(&self, entries: &[(Source, Fields)]) -> Vec<Result<EntryId, BrokerError>>;

    /// Returns the streams as a Redis server shows them; none when a real one does.
    fn local_streams(&self) -> Option<&dyn LocalStreams> {
        None
    }

    /// A reader of a source.
    fn reader(&self, source: Source) -> Box<dyn StreamReader>;

    /// Removes entries before `before`.
    async fn trim(&self, source: Source, before: EntryId) -> Result<(), BrokerError>;

    /// What the stream of a source looks like.
    async fn inspect(&self, source: Source) -> Result<StreamInfo, BrokerError>;

    /// Which server this is, and the mark of the source.
    async fn identity(&self, source: Source) -> Result<ServerIdentity, BrokerError>;

    /// Leaves the generation of a source with the broker, and how far it may be published: a flush
    /// takes both away, and shows by that.
    async fn mark(
        &self,
        source: Source,
        generation: u64,
        published: PublishedUpTo,
    ) -> Result<(), BrokerError>;

    /// Publishes: per channel and source what is above its head goes into head, history and
    /// pub/sub, in one step (`design.md` §2, step 5). Publications of one channel and source must be
    /// in the order of their offsets. Repeats do nothing.
    ///
    /// First of all it notes how far each source is published then ([`ServerIdentity::published`]).
    /// A higher generation first deletes head and history; a first accepted offset that is not
    /// head + 1 deletes the history.
    ///
    /// # Errors
    /// When not every channel was served: call again with the same publications.
    /// [`BrokerError::Partial`] names the channels that were not.
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
    async fn reap(&self, topics: &[&'static str]) -> Result<Vec<ExpiredNode>, BrokerError>;

    /// How many partitions each stream has, as all who publish read it; none when nobody has said so.
    async fn partitions(&self) -> Result<Option<u16>, BrokerError>;

    /// Says how many partitions each stream has from now on.
    async fn set_partitions(&self, partitions: u16) -> Result<(), BrokerError>;

    /// The newest samples of an agent's health, at most `limit`, oldest first. They last an hour.
    async fn health_samples(&self, agent: &str, limit: usize) -> Result<Vec<String>, BrokerError>;

    /// Adds a sample of an agent's health behind `last`, the newest that the caller has seen. Answers
    /// whether it was still the newest; otherwise nothing is added.
    async fn add_health_sample(
        &self,
        agent: &str,
        last: Option<&str>,
        sample: &str,
    ) -> Result<bool, BrokerError>;

    /// Returns how many entries lie between `after` and `entry`, counted up to a bound; none when the
    /// stream does not hold that entry.
    async fn waiting_before(
        &self,
        _source: Source,
        _after: EntryId,
        _entry: EntryId,
    ) -> Result<Option<u64>, BrokerError> {
        Ok(None)
    }

    /// Forgets histories, and entries of streams: what they said was erased from the record.
    async fn erase(
        &self,
        _histories: &[(Channel, Source)],
        _entries: &[(Source, EntryId)],
    ) -> Result<(), BrokerError> {
        Ok(())
    }

    /// Returns the clock of the broker, ms since 1970; none where it is that of this process.
    async fn clock(&self) -> Result<Option<i64>, BrokerError> {
        Ok(None)
    }

    /// Returns keys under our prefix that are none of ours, at most so many: a misspelled stream.
    async fn unknown_keys(&self, _keys_max: usize) -> Result<Vec<String>, BrokerError> {
        Ok(Vec::new())
    }

    /// Returns what the broker uses of its memory; none where nobody can say.
    async fn memory(&self) -> Result<Option<BrokerMemory>, BrokerError> {
        Ok(None)
    }

    /// Whether the broker answers, and what an operator should know of how it is set up.
    async fn check(&self) -> Result<Vec<String>, BrokerError>;
}
