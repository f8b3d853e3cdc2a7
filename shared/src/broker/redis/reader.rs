//! Reading a source: a connection of its own, because reading blocks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use redis::{ConnectionAddr, RedisError, Value, aio::MultiplexedConnection};

use super::{
    entries,
    link::{self, Link},
};
use crate::{
    broker::{BrokerError, Reader},
    entry::{Entry, EntryId},
};

/// How much longer than asked an answer may take until the connection is given up.
const GRACE: Duration = Duration::from_secs(2);

/// Reads one source.
pub(super) struct RedisReader {
    link: Arc<Link>,
    key: String,
    connection: Option<(ConnectionAddr, MultiplexedConnection)>,
}

impl RedisReader {
    pub(super) fn new(link: Arc<Link>, key: String) -> Self {
        Self { link, key, connection: None }
    }

    /// The connection, taken out: one that is not put back (an error, a deadline, a caller that
    /// gave up) is closed, because an answer may still be on its way.
    ///
    /// Commands and reader must see the same server: the reader goes where commands go.
    async fn take_connection(
        &mut self,
    ) -> Result<(ConnectionAddr, MultiplexedConnection), BrokerError> {
        let primary = self.link.primary().await?;
        match self.connection.take() {
            Some(connection) if connection.0 == *primary.address() => Ok(connection),
            _ => {
                let connection = link::open(primary.info()).await?;
                Ok((primary.address().clone(), connection))
            }
        }
    }
}

#[async_trait]
impl Reader for RedisReader {
    async fn read(
        &mut self,
        after: EntryId,
        entries_max: usize,
        wait: Duration,
    ) -> Result<Vec<Entry>, BrokerError> {
        let mut connection = self.take_connection().await?;
        // BLOCK 0 would wait for ever.
        let block_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(entries_max).arg("BLOCK").arg(block_ms);
        command.arg("STREAMS").arg(&self.key).arg(after.to_string());
        let answer = command.query_async::<Value>(&mut connection.1);
        let late = || BrokerError::Unavailable("no answer to a blocking read".to_owned());
        let answer = tokio::time::timeout(wait + GRACE, answer).await.map_err(|_| late())?;
        let answer = answer.map_err(|error: RedisError| match error.is_io_error() {
            true => link::unavailable(error),
            false => link::refusal(&error),
        })?;
        self.connection = Some(connection);
        entries::read(answer)
    }
}
