//! Publishing: one script call per run, calls pipelined, and a barrier.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{LazyLock, Mutex},
    time::Duration,
};

use domain::{channel::Channel, publication::Publication, source::Source};
use redis::{Cmd, ErrorKind, Pipeline, Script, ServerErrorKind, Value};
use runtime::lock::LockExt as _;
use tokio::time::Instant;

use super::{
    keys::Keys,
    link::{Link, RequestLost, refusal},
};
use crate::{
    BrokerError, BrokerOptions, PublishedUpTo, Topic,
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

    /// Publishes all, window by window. A window begins when all before it was answered with OK, so
    /// that a later publication of a channel never overtakes an earlier one that failed.
    pub(super) async fn publish(
        &self,
        link: &Link,
        keys: &Keys,
        generation: u64,
        publications: &[Publication],
    ) -> Result<(), BrokerError> {
        let mut notes = notes(keys, generation, publications);
        for window in windows(&run::cut(publications)) {
            let before = notes.len();
            let pipeline = self.pipeline(keys, generation, window, std::mem::take(&mut notes));
            let answers = match call(link, &pipeline).await {
                Ok(answers) => answers,
                Err(error) => {
                    self.forget(window);
                    return Err(error);
                }
            };
            if let Some(at) = answers.iter().position(|answer| *answer == SUPERSEDED) {
                let run = &window[at.saturating_sub(before)];
                return Err(BrokerError::Superseded(run.channel.clone()));
            }
        }
        Ok(())
    }

    fn pipeline(
        &self,
        keys: &Keys,
        generation: u64,
        window: &[Run<'_>],
        notes: Vec<Cmd>,
    ) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(window.len() + notes.len());
        pipeline.ignore_errors();
        for note in notes {
            pipeline.add_command(note);
        }
        for run in window {
            pipeline.add_command(self.command(keys, generation, run));
        }
        pipeline
    }

    fn command(&self, keys: &Keys, generation: u64, run: &Run<'_>) -> Cmd {
        let (channel, source) = (run.channel, run.source);
        let texts = run.publications.len();
        let mut command = Cmd::with_capacity(12 + texts, run.bytes + 100 * texts + 400);
        command.arg("EVALSHA").arg(SCRIPT.get_hash()).arg(2);
        command.arg(keys.head(channel, source)).arg(keys.history(channel, source));
        command.arg(generation).arg(run.first_offset());
        command.arg(keys.topic(&Topic::Channel(channel.clone())));
        command.arg(self.history_length).arg(self.history_bytes);
        command.arg(u64::try_from(self.history_ttl.as_millis()).unwrap_or(u64::MAX));
        command.arg(u8::from(self.refresh_is_due(channel, source)));
        for publication in &run.publications {
            command.arg(publication.encode());
        }
        command
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

    /// A window failed: perhaps its refreshes did not happen.
    fn forget(&self, window: &[Run<'_>]) {
        let mut refreshed = self.refreshed.lock_unpoisoned();
        for run in window {
            refreshed.remove(&(run.channel.clone(), run.source));
        }
    }
}

/// What is noted before the first publication: how far each source may be published then.
fn notes(keys: &Keys, generation: u64, publications: &[Publication]) -> Vec<Cmd> {
    let mut last: BTreeMap<Source, PublishedUpTo> = BTreeMap::new();
    for publication in publications {
        let (epoch, seq) = (publication.epoch, publication.recorded.seq);
        let noted = last.entry(publication.source).or_insert(PublishedUpTo { epoch, seq });
        noted.seq = noted.seq.max(seq);
    }
    let note = |(source, PublishedUpTo { epoch, seq }): (Source, PublishedUpTo)| {
        let mut command = redis::cmd("EVALSHA");
        command.arg(PUBLISHED.get_hash()).arg(2);
        command.arg(keys.mark(source)).arg(keys.published(source));
        command.arg(generation).arg(epoch.0).arg(seq);
        command
    };
    last.into_iter().map(note).collect()
}

/// Calls the script; a server that does not know it (restarted, failed over, flushed) is taught and
/// gets the whole window again: what it has done already is a repeat.
async fn call(link: &Link, pipeline: &Pipeline) -> Result<Vec<Value>, BrokerError> {
    for attempt in 0..2 {
        let answers = link.run(pipeline).await.map_err(RequestLost::written)?;
        let unknown = |error: &redis::RedisError| {
            error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        };
        if attempt == 0 && answers.iter().any(|answer| answer.as_ref().is_err_and(unknown)) {
            for script in [include_str!("published.lua"), include_str!("publish.lua")] {
                let mut load = redis::cmd("SCRIPT");
                load.arg("LOAD").arg(script);
                let _hash: String = link.query(load).await?;
            }
            continue;
        }
        return answers.into_iter().map(|answer| answer.map_err(|e| refusal(&e))).collect();
    }
    Err(BrokerError::Refused("the publish script is forgotten at once".to_owned()))
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
