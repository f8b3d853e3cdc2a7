//! Sending commands to whoever holds their keys: the only server there is, or one of a cluster.
//!
//! A server of a cluster that does not hold a slot names who does: for good (MOVED), or while the
//! slot is moved there key by key (ASK); then nothing was done, and the command goes there.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
};
use tokio::sync::watch;

use super::{
    link::{Link, RequestLost, refusal},
    seeds::Seeds,
    server::RedisServer,
    slot,
    slot_map::{Shard, SlotMap},
    topology::Topology,
};
use crate::BrokerError;

/// How often a command is sent elsewhere at most.
const REDIRECTIONS_MAX: usize = 16;

/// The pause before a command is sent again whose keys are being moved.
const MOVING_PAUSE: Duration = Duration::from_millis(20);

/// All servers of an installation.
pub(super) enum RedisShards {
    /// One holds everything.
    One(Arc<SlotMap>),
    /// Each holds its slots.
    Cluster(Topology),
}

/// A command, and the slot of its keys.
pub(super) struct KeyedCommand {
    slot: u16,
    command: Cmd,
}

/// Why a command has no good answer.
pub(super) enum CommandFailure {
    /// It was lost.
    Lost(RequestLost),
    /// The server answered with an error.
    Answered(RedisError),
    /// Nobody holds its slot.
    Homeless,
}

/// Where a command goes.
#[derive(Clone)]
enum Destination {
    /// To who holds its slot.
    Holder,
    /// To this server, which holds it now.
    Moved(String),
    /// To this server, to which the slot is being moved.
    Asked(String),
}

/// Commands on their way to one server.
struct Batch {
    link: Arc<Link>,
    asking: bool,
    pipeline: Pipeline,
    /// Each command's place among all, and its slot.
    places: Vec<(usize, u16)>,
}

impl KeyedCommand {
    /// A command whose keys are in the slot of `key`.
    pub(super) fn new(key: &str, command: Cmd) -> Self {
        Self { slot: slot::of(key), command }
    }
}

impl CommandFailure {
    /// What that means for a command that changes something.
    pub(super) fn written(self) -> BrokerError {
        match self {
            Self::Lost(lost) => lost.written(),
            other => other.read(),
        }
    }

    /// What that means for a command that changes nothing, or nothing when repeated.
    pub(super) fn read(self) -> BrokerError {
        match self {
            Self::Lost(lost) => lost.read(),
            Self::Answered(error) => refusal(&error),
            Self::Homeless => {
                BrokerError::Unavailable("no server of the cluster holds the slot".to_owned())
            }
        }
    }
}

impl RedisShards {
    /// Connects to what a URL names.
    ///
    /// # Errors
    /// [`BrokerError::Address`] when the URL is wrong; [`BrokerError::Unavailable`] when no primary
    /// answers there.
    pub(super) async fn connect(url: &str, command_timeout: Duration) -> Result<Self, BrokerError> {
        if let Some(seeds) = Seeds::parse(url)? {
            return Ok(Self::Cluster(Topology::connect(seeds, command_timeout).await?));
        }
        let link = Arc::new(Link::new(RedisServer::parse(url)?, command_timeout));
        link.primary().await?;
        Ok(Self::One(Arc::new(SlotMap::whole(Shard { address: "".into(), link }))))
    }

    /// Whether several servers share the keys.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The servers and their slots as they are now.
    pub(super) fn map(&self) -> Arc<SlotMap> {
        match self {
            Self::One(map) => Arc::clone(map),
            Self::Cluster(topology) => topology.map(),
        }
    }

    /// Hears of each change of the map; none where it never changes.
    pub(super) fn changes(&self) -> Option<watch::Receiver<Arc<SlotMap>>> {
        match self {
            Self::One(_) => None,
            Self::Cluster(topology) => Some(topology.changes()),
        }
    }

    /// Looks for the map again soon.
    pub(super) fn note_stale(&self) {
        if let Self::Cluster(topology) = self {
            topology.note_stale();
        }
    }

    /// Keeps the map current; returns at once where it never changes.
    pub(super) async fn watch(&self) {
        if let Self::Cluster(topology) = self {
            topology.watch().await;
        }
    }

    /// PUBLISH, or what a cluster has for it: messages that only the shard of their name sees.
    pub(super) fn publish_command(&self) -> &'static str {
        if self.is_cluster() { "SPUBLISH" } else { "PUBLISH" }
    }

    /// The connection for commands to the server at `HOST:PORT`, or to the only one.
    pub(super) fn link(&self, address: &str) -> Result<Arc<Link>, BrokerError> {
        match self {
            Self::One(map) => Ok(Arc::clone(&map.shards()[0].link)),
            Self::Cluster(topology) => topology.link(address),
        }
    }

    /// The connection for commands to who holds a key.
    pub(super) fn holder(&self, key: &str) -> Result<Arc<Link>, BrokerError> {
        let map = self.map();
        let shard = map.shard(slot::of(key)).ok_or(CommandFailure::Homeless);
        shard.map(|shard| Arc::clone(&shard.link)).map_err(CommandFailure::read)
    }

    /// Sends one command that changes nothing when repeated.
    pub(super) async fn query<T: FromRedisValue>(
        &self,
        key: &str,
        command: Cmd,
    ) -> Result<T, BrokerError> {
        let mut answers = self.run(vec![KeyedCommand::new(key, command)]).await;
        let answer = answers.pop().unwrap_or(Ok(Value::Nil)).map_err(CommandFailure::read)?;
        redis::from_redis_value(answer).map_err(|error| BrokerError::Refused(error.to_string()))
    }

    /// Asks for something large on a connection of its own.
    pub(super) async fn page(&self, key: &str, command: &Cmd) -> Result<Value, BrokerError> {
        let mut destination = Destination::Holder;
        let mut answer = Err(CommandFailure::Homeless);
        for _ in 0..REDIRECTIONS_MAX {
            let link = self.destination(slot::of(key), &destination)?;
            let asking = matches!(destination, Destination::Asked(_));
            let mut pipeline = Pipeline::with_capacity(2);
            pipeline.ignore_errors();
            if asking {
                pipeline.cmd("ASKING");
            }
            pipeline.add_command(command.clone());
            let answers = link.page(&pipeline).await.map_err(RequestLost::read)?;
            answer = answers
                .into_iter()
                .last()
                .unwrap_or(Ok(Value::Nil))
                .map_err(CommandFailure::Answered);
            match &answer {
                Err(CommandFailure::Answered(error)) if self.redirects(error).is_some() => {
                    destination = self.elsewhere(error).await;
                }
                _ => break,
            }
        }
        answer.map_err(CommandFailure::read)
    }

    /// Sends commands, those to one server in one go and in their order, to all servers at once; one
    /// answer for each.
    pub(super) async fn run(
        &self,
        requests: Vec<KeyedCommand>,
    ) -> Vec<Result<Value, CommandFailure>> {
        let mut answers: Vec<_> = requests.iter().map(|_| Err(CommandFailure::Homeless)).collect();
        let requests = requests.into_iter().enumerate();
        let mut open: Vec<_> = requests.map(|(at, it)| (at, it, Destination::Holder)).collect();
        for _ in 0..REDIRECTIONS_MAX {
            let batches = self.batches(open);
            let sent = join_all(batches.iter().map(|batch| batch.link.run(&batch.pipeline))).await;
            open = Vec::new();
            for (batch, sent) in batches.iter().zip(sent) {
                match sent {
                    Ok(told) => open.extend(self.settle(batch, told, &mut answers).await),
                    Err(lost) => {
                        self.note_stale();
                        for (at, _) in &batch.places {
                            answers[*at] = Err(CommandFailure::Lost(lost.clone()));
                        }
                    }
                }
            }
            if open.is_empty() {
                break;
            }
            open.sort_by_key(|(at, ..)| *at);
        }
        answers
    }

    /// Takes the answers of one server in; what it sent elsewhere is left to do.
    async fn settle(
        &self,
        batch: &Batch,
        told: Vec<RedisResult<Value>>,
        answers: &mut [Result<Value, CommandFailure>],
    ) -> Vec<(usize, KeyedCommand, Destination)> {
        let each = 1 + usize::from(batch.asking);
        let told = told.into_iter().skip(each - 1).step_by(each);
        let commands = batch.pipeline.cmd_iter().skip(each - 1).step_by(each);
        let (mut left, mut elsewhere) = (Vec::new(), None);
        for (((at, slot), answer), command) in batch.places.iter().zip(told).zip(commands) {
            if let Err(error) = &answer
                && self.redirects(error).is_some()
            {
                // One of a slot says it for all.
                let destination = match &elsewhere {
                    Some((of, destination)) if of == slot => Destination::clone(destination),
                    _ => self.elsewhere(error).await,
                };
                elsewhere = Some((*slot, destination.clone()));
                left.push((
                    *at,
                    KeyedCommand { slot: *slot, command: command.clone() },
                    destination,
                ));
            }
            answers[*at] = answer.map_err(CommandFailure::Answered);
        }
        left
    }

    /// Commands by the servers that they go to; those of slots that nobody holds are left out.
    fn batches(&self, open: Vec<(usize, KeyedCommand, Destination)>) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let room = open.len();
        for (at, KeyedCommand { slot, command }, destination) in open {
            let Ok(link) = self.destination(slot, &destination) else { continue };
            let asking = matches!(destination, Destination::Asked(_));
            let same = |batch: &Batch| Arc::ptr_eq(&batch.link, &link) && batch.asking == asking;
            let known = batches.iter().position(same);
            let place = known.unwrap_or_else(|| {
                let mut pipeline = Pipeline::with_capacity(room);
                pipeline.ignore_errors();
                batches.push(Batch { link, asking, pipeline, places: Vec::with_capacity(room) });
                batches.len() - 1
            });
            let batch = &mut batches[place];
            if asking {
                batch.pipeline.cmd("ASKING");
            }
            batch.pipeline.add_command(command);
            batch.places.push((at, slot));
        }
        batches
    }

    fn destination(&self, slot: u16, destination: &Destination) -> Result<Arc<Link>, BrokerError> {
        match destination {
            Destination::Holder => {
                let map = self.map();
                let shard = map.shard(slot).map(|shard| Arc::clone(&shard.link));
                shard.ok_or(CommandFailure::Homeless).map_err(CommandFailure::read)
            }
            Destination::Moved(address) | Destination::Asked(address) => self.link(address),
        }
    }

    /// What kind of answer sends a command elsewhere.
    fn redirects(&self, error: &RedisError) -> Option<ServerErrorKind> {
        let ErrorKind::Server(kind) = error.kind() else { return None };
        let redirects = matches!(
            kind,
            ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
        );
        (redirects && self.is_cluster()).then_some(kind)
    }

    /// Where an answer sends a command; back to who holds its slot, after a pause, while that is
    /// being moved.
    async fn elsewhere(&self, error: &RedisError) -> Destination {
        let address = error.redirect_node().map(|(address, _)| address.to_owned());
        match (self.redirects(error), address) {
            (Some(ServerErrorKind::Moved), Some(address)) => {
                self.note_stale();
                Destination::Moved(address)
            }
            (Some(ServerErrorKind::Ask), Some(address)) => Destination::Asked(address),
            _ => {
                self.note_stale();
                tokio::time::sleep(MOVING_PAUSE).await;
                Destination::Holder
            }
        }
    }
}
