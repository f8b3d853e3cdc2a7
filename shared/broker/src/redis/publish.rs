//! Publishing: one script call per run, calls pipelined, and a barrier.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{LazyLock, Mutex},
    time::Duration,
};

use domain::{channel::Channel, publication::Publication, source::Source};
use futures_util::future::join_all;
use redis::{Cmd, ErrorKind, Script, ServerErrorKind, Value};
use runtime::lock::LockExt as _;
use tokio::time::Instant;

use super::{
    keys::Keys,
    shards::{CommandFailure, KeyedCommand, RedisShards},
    slot_map::Shard,
};
use crate::{
    BrokerError, BrokerOptions, Lagging, PublishedUpTo, Topic,
    run::{self, Run},
};

/// The script; its hash is computed once.
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("publish.lua")));

/// The script that comes before it.
static PUBLISHED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("published.lua")));

/// The most bytes of payload that are sent before their answers are awaited.
const WINDOW_BYTES: usize = 2 << 20;

/// The most calls that are sent before their answers are awaited.
const WINDOW_CALLS: usize = 1000;

/// The most channels of which we remember when their expiry was refreshed; beyond, all are forgotten
/// and refreshed once more.
const REFRESHED_MAX: usize = 100_000;

/// What the script answers when a higher generation has published.
const SUPERSEDED: Value = Value::Int(-1);

/// A script call.
enum PublishCall<'a> {
    /// Notes how far a source may be published.
    Note(Source, PublishedUpTo),
    /// Publishes.
    Run(&'a Run<'a>),
}

/// Publishes with the settings of one broker.
#[derive(Debug)]
pub(super) struct Publisher {
    history_length: usize,
    history_bytes: usize,
    history_ttl: Duration,
    /// When the expiry of a channel's keys was last set: not each call needs to do it.
    refreshed: Mutex<HashMap<(Channel, Source), Instant>>,
}

impl Publisher {
    pub(super) fn new(options: &BrokerOptions) -> Self {
        Self {
            history_length: options.history_length,
            history_bytes: options.history_bytes,
            history_ttl: options.history_ttl,
            refreshed: Mutex::default(),
        }
    }

    /// Publishes all, step by step. A step begins when all before it was answered with OK, so that a
    /// later publication of a channel never overtakes an earlier one that failed. In a cluster the
    /// channels that were not served are left out from then on, and named at the end.
    pub(super) async fn publish(
        &self,
        shards: &RedisShards,
        keys: &Keys,
        generation: u64,
        publications: &[Publication],
    ) -> Result<(), BrokerError> {
        let is_cluster = shards.is_cluster();
        let runs = run::cut(publications);
        let (mut lagging, mut reason) = (Lagging::default(), String::new());
        for mut step in steps(&runs, notes(publications), is_cluster) {
            if is_cluster {
                step.retain(|call| call.is_served(shards, keys, &mut lagging, &mut reason));
            }
            let answers = self.send(shards, keys, generation, &step).await;
            let mut failure = None;
            for (call, answer) in step.iter().zip(answers) {
                match (call, answer) {
                    (_, Ok(answer)) if answer == SUPERSEDED => {
                        let channel = call.channel().unwrap_or(&publications[0].channel);
                        return Err(BrokerError::Superseded(channel.clone()));
                    }
                    (_, Ok(_)) => {}
                    (PublishCall::Run(run), Err(error)) => {
                        lagging.add(run.channel);
                        reason = error.to_string();
                        failure = failure.or((!is_cluster).then_some(error));
                    }
                    (PublishCall::Note(..), Err(error)) => failure = Some(error),
                }
            }
            if !reason.is_empty() {
                self.forget(&step);
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        if lagging.is_empty() { Ok(()) } else { Err(BrokerError::Partial(lagging, reason)) }
    }

    /// Calls the scripts; servers that do not know them (restarted, failed over, flushed) are taught
    /// and get everything again: what they have done already is a repeat.
    async fn send(
        &self,
        shards: &RedisShards,
        keys: &Keys,
        generation: u64,
        step: &[PublishCall<'_>],
    ) -> Vec<Result<Value, BrokerError>> {
        let requests =
            || step.iter().map(|call| self.request(shards, keys, generation, call)).collect();
        let mut answers = shards.run(requests()).await;
        let unknown = |answer: &Result<Value, CommandFailure>| {
            let Err(CommandFailure::Answered(error)) = answer else { return false };
            error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        };
        if answers.iter().any(unknown) {
            teach(shards).await;
            self.forget(step);
            answers = shards.run(requests()).await;
        }
        answers.into_iter().map(|answer| answer.map_err(CommandFailure::written)).collect()
    }

    fn request(
        &self,
        shards: &RedisShards,
        keys: &Keys,
        generation: u64,
        call: &PublishCall<'_>,
    ) -> KeyedCommand {
        match call {
            PublishCall::Note(source, PublishedUpTo { epoch, seq }) => {
                let mark = keys.mark(*source);
                let mut command = redis::cmd("EVALSHA");
                command.arg(PUBLISHED.get_hash()).arg(2);
                command.arg(&mark).arg(keys.published(*source));
                command.arg(generation).arg(epoch.0).arg(*seq);
                KeyedCommand::new(&mark, command)
            }
            PublishCall::Run(run) => self.request_run(shards, keys, generation, run),
        }
    }

    fn request_run(
        &self,
        shards: &RedisShards,
        keys: &Keys,
        generation: u64,
        run: &Run<'_>,
    ) -> KeyedCommand {
        let (channel, source) = (run.channel, run.source);
        let texts = run.publications.len();
        let head = keys.head(channel, source);
        let mut command = Cmd::with_capacity(13 + texts, run.bytes + 100 * texts + 400);
        command.arg("EVALSHA").arg(SCRIPT.get_hash()).arg(2);
        command.arg(&head).arg(keys.history(channel, source));
        command.arg(generation).arg(run.first_offset());
        command.arg(keys.topic(&Topic::Channel(channel.clone())));
        command.arg(self.history_length).arg(self.history_bytes);
        command.arg(u64::try_from(self.history_ttl.as_millis()).unwrap_or(u64::MAX));
        command.arg(u8::from(self.refresh_is_due(channel, source)));
        command.arg(shards.publish_command());
        for publication in &run.publications {
            command.arg(publication.encode());
        }
        KeyedCommand::new(&head, command)
    }

    /// Whether the expiry was last set more than a tenth of its time ago; it is now.
    fn refresh_is_due(&self, channel: &Channel, source: Source) -> bool {
        let now = Instant::now();
        let mut refreshed = self.refreshed.lock_unpoisoned();
        let key = (channel.clone(), source);
        if refreshed.get(&key).is_some_and(|at| now - *at < self.history_ttl / 10) {
            return false;
        }
        if refreshed.len() >= REFRESHED_MAX {
            refreshed.clear();
        }
        refreshed.insert(key, now);
        true
    }

    /// A call failed: perhaps its refresh did not happen.
    fn forget(&self, step: &[PublishCall<'_>]) {
        let mut refreshed = self.refreshed.lock_unpoisoned();
        for call in step {
            if let PublishCall::Run(run) = call {
                refreshed.remove(&(run.channel.clone(), run.source));
            }
        }
    }
}

impl PublishCall<'_> {
    fn channel(&self) -> Option<&Channel> {
        match self {
            Self::Note(..) => None,
            Self::Run(run) => Some(run.channel),
        }
    }

    /// Whether a call may be made: nothing failed before on its channel, and its server answers. One
    /// that does not would hold up all others for as long as a command may take.
    fn is_served(
        &self,
        shards: &RedisShards,
        keys: &Keys,
        lagging: &mut Lagging,
        reason: &mut String,
    ) -> bool {
        let Self::Run(run) = self else { return true };
        if lagging.contains(run.channel) {
            return false;
        }
        let holder = shards.holder(&keys.head(run.channel, run.source));
        let answers = holder.is_ok_and(|link| !link.is_silent());
        if !answers {
            lagging.add(run.channel);
            "its server does not answer".clone_into(reason);
        }
        answers
    }
}

/// How far each source may be published after these publications.
fn notes(publications: &[Publication]) -> Vec<PublishCall<'static>> {
    let mut last: BTreeMap<Source, PublishedUpTo> = BTreeMap::new();
    for publication in publications {
        let (epoch, seq) = (publication.epoch, publication.recorded.seq);
        let noted = last.entry(publication.source).or_insert(PublishedUpTo { epoch, seq });
        noted.seq = noted.seq.max(seq);
    }
    last.into_iter().map(|(source, published)| PublishCall::Note(source, published)).collect()
}

/// What is sent before the next answers are awaited. Where one server holds everything, it does first
/// what comes first, so the notes need no step of their own.
fn steps<'a>(
    runs: &'a [Run<'a>],
    mut notes: Vec<PublishCall<'a>>,
    is_cluster: bool,
) -> Vec<Vec<PublishCall<'a>>> {
    let mut steps = Vec::new();
    if is_cluster {
        steps.push(std::mem::take(&mut notes));
    }
    for window in windows(runs) {
        let runs = window.iter().map(PublishCall::Run);
        steps.push(std::mem::take(&mut notes).into_iter().chain(runs).collect());
    }
    steps
}

/// Gives every server the scripts; one that does not answer says so when they are called.
async fn teach(shards: &RedisShards) {
    let map = shards.map();
    let teach = async |shard: &Shard| {
        for script in [include_str!("published.lua"), include_str!("publish.lua")] {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script);
            let taught: Result<String, _> = shard.link.query(load).await;
            if let Err(error) = taught {
                tracing::debug!(%error, "publish: a server was not taught the scripts");
            }
        }
    };
    join_all(map.shards().iter().map(teach)).await;
}

/// Cuts runs into windows that end where a round ends or a bound is reached.
fn windows<'a, 'b>(runs: &'b [Run<'a>]) -> Vec<&'b [Run<'a>]> {
    let mut windows = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, run) in runs.iter().enumerate() {
        let full = bytes + run.bytes > WINDOW_BYTES || index - start >= WINDOW_CALLS;
        if index > start && (full || run.round != runs[start].round) {
            windows.push(&runs[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += run.bytes;
    }
    if start < runs.len() {
        windows.push(&runs[start..]);
    }
    windows
}
