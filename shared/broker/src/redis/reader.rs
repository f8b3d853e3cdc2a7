//! Reading a source: a connection of its own, because reading blocks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::entry::{Entry, EntryId};
use redis::{RedisError, Value, aio::MultiplexedConnection};

use super::{
    entries,
    link::{self, Link},
};
use crate::{BrokerError, StreamReader};

/// How much longer than asked an answer may take until the connection is given up.
const GRACE: Duration = Duration::from_secs(2);

/// About as much one answer holds at most: the server and we keep it whole in memory.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// What entries are taken to be as long as none was seen.
const ENTRY_BYTES: usize = 32 << 10;

/// Reads one source.
pub(super) struct RedisReader {
    link: Arc<Link>,
    key: String,
    /// The mean of the last answer: XREAD can be bounded in entries only.
    entry_bytes: usize,
    /// With the number of the command connection at that time.
    connection: Option<(u64, MultiplexedConnection)>,
}

impl RedisReader {
    pub(super) fn new(link: Arc<Link>, key: String) -> Self {
        Self { link, key, entry_bytes: ENTRY_BYTES, connection: None }
    }

    /// The connection, taken out: one that is not put back (an error, a deadline, a caller that
    /// gave up) is closed, because an answer may still be on its way.
    ///
    /// Commands and reader must see the same server: when commands have a new connection, so has
    /// the reader.
    async fn take_connection(&mut self) -> Result<(u64, MultiplexedConnection), BrokerError> {
        let primary = self.link.primary().await?;
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
        let mut connection = self.take_connection().await?;
        // BLOCK 0 would wait without end.
        let block_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("XREAD");
        let count = entries_max.min(ANSWER_BYTES_MAX / self.entry_bytes).max(1);
        command.arg("COUNT").arg(count).arg("BLOCK").arg(block_ms);
        command.arg("STREAMS").arg(&self.key).arg(after.to_string());
        let answer = command.query_async::<Value>(&mut connection.1);
        let late = || BrokerError::Unavailable("no answer to a blocking read".to_owned());
        let answer = tokio::time::timeout(wait + GRACE, answer).await.map_err(|_| late())?;
        let answer = answer.map_err(|error: RedisError| match error.is_io_error() {
            true => link::unavailable(error),
            false => link::refusal(&error),
        })?;
        self.connection = Some(connection);
        let entries = entries::read(answer)?;
        let bytes: usize = entries.iter().map(|entry| entry.fields.size_bytes()).sum();
        self.entry_bytes = bytes.checked_div(entries.len()).unwrap_or(ENTRY_BYTES).max(1);
        Ok(entries)
    }
}
