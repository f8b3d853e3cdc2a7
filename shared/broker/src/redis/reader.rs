//! Reading a source: a connection of its own, because reading blocks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::entry::{Entry, EntryId};
use redis::{
    ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value,
    aio::MultiplexedConnection,
};

use super::{
    entries,
    link::{self, Link},
    shards::RedisShards,
};
use crate::{BrokerError, StreamReader};

/// How much longer than asked an answer may take until the connection is given up; twice as long
/// after each that was late, because a single entry may be larger than what comes in that time.
const GRACE: Duration = Duration::from_secs(2);
const GRACE_MAX: Duration = Duration::from_secs(32);

/// About as much one answer holds at most: the server and we keep it whole in memory.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How many entries the first read asks for. XREAD can be bounded in entries only, so reads begin
/// small and grow with what they bring.
const FIRST_ENTRIES: usize = 4;

/// How many a read asks for at least where the last ones brought few: a burst of the largest entries
/// still fits.
const QUIET_ENTRIES: usize = 16;

/// How often a read is sent to another server at most.
const REDIRECTIONS_MAX: usize = 5;

/// Reads one source.
pub(super) struct RedisReader {
    shards: Arc<RedisShards>,
    key: String,
    /// How many entries the next read may ask for.
    entries_max: usize,
    grace: Duration,
    /// With the number of the command connection at that time.
    connection: Option<(u64, MultiplexedConnection)>,
}

impl RedisReader {
    pub(super) fn new(shards: Arc<RedisShards>, key: String) -> Self {
        Self { shards, key, entries_max: FIRST_ENTRIES, grace: GRACE, connection: None }
    }

    /// Reads at one server, which may answer that another one has the stream.
    async fn read_at(
        &mut self,
        link: &Link,
        asking: bool,
        after: EntryId,
        entries_max: usize,
        wait: Duration,
    ) -> Result<RedisResult<Value>, BrokerError> {
        let mut connection = self.take_connection(link).await?;
        // BLOCK 0 would wait without end.
        let block_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.ignore_errors();
        if asking {
            pipeline.cmd("ASKING");
        }
        let count = entries_max.min(self.entries_max).max(1);
        pipeline.cmd("XREAD").arg("COUNT").arg(count).arg("BLOCK").arg(block_ms);
        pipeline.arg("STREAMS").arg(&self.key).arg(after.to_string());
        let answers = pipeline.query_async::<Vec<RedisResult<Value>>>(&mut connection.1);
        let Ok(answers) = tokio::time::timeout(wait + self.grace, answers).await else {
            self.entries_max = 1;
            self.grace = (self.grace * 2).min(GRACE_MAX);
            self.shards.note_stale();
            return Err(BrokerError::Unavailable("no answer to a blocking read".to_owned()));
        };
        let answers = answers.map_err(|error: RedisError| {
            self.shards.note_stale();
            link::unavailable(error)
        })?;
        self.connection = Some(connection);
        Ok(answers.into_iter().last().unwrap_or(Ok(Value::Nil)))
    }

    /// Adapts the next read to what this one brought: half of what an answer may hold, were all
    /// entries as large as the largest one, and at most twice as many as these.
    fn adapt(&mut self, entries: &[Entry]) {
        if let Some(largest) = entries.iter().map(|entry| entry.fields.size_bytes()).max() {
            let fitting = ANSWER_BYTES_MAX / 2 / largest.max(1);
            let grown = (entries.len() * 2).max(QUIET_ENTRIES);
            self.entries_max = fitting.min(grown).max(1);
        }
        self.grace = GRACE;
    }

    /// The connection, taken out: one that is not put back (an error, a deadline, a caller that
    /// gave up) is closed, because an answer may still be on its way.
    ///
    /// Commands and reader must see the same server: when commands have a new connection, so has
    /// the reader.
    async fn take_connection(
        &mut self,
        link: &Link,
    ) -> Result<(u64, MultiplexedConnection), BrokerError> {
        let primary = link.primary().await?;
        match self.connection.take().filter(|(number, _)| *number == primary.number()) {
            Some(connection) => Ok(connection),
            None => Ok((primary.number(), link::open(primary.info()).await?)),
        }
    }
}

#[async_trait]
impl StreamReader for RedisReader {
    async fn read(
        &mut self,
        after: EntryId,
        entries_max: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError> {
        let (mut link, mut asking) = (self.shards.holder(&self.key)?, false);
        for _ in 0..REDIRECTIONS_MAX {
            let answer = self.read_at(&link, asking, after, entries_max, wait).await?;
            let error = match answer {
                Ok(answer) => {
                    let entries = entries::read(answer)?;
                    self.adapt(&entries);
                    return Ok(entries);
                }
                Err(error) => error,
            };
            let Some((address, _)) = error.redirect_node() else {
                return Err(link::refusal(&error));
            };
            // The stream lives elsewhere now, or is on its way there.
            asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            link = self.shards.link(address)?;
            self.shards.note_stale();
        }
        Err(BrokerError::Unavailable("the servers send us round in a circle".to_owned()))
    }
}
