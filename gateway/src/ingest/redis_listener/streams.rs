//! XADD, XLEN and XRANGE carried out on the broker in memory.

use auth::Identity;
use broker::{EntryRange, LocalAppendError, LocalStreams};
use bytes::Bytes;
use domain::{
    entry::Entry,
    source::{Source, Stream},
};

use super::{
    RedisListener,
    command::{RangeCommand, XaddCommand},
    reply::Reply,
};

impl RedisListener {
    /// Carries out XADD.
    pub(super) fn xadd(&self, identity: &Identity, command: XaddCommand) -> Reply {
        let (source, streams) = match self.source(identity, &command.key) {
            Ok(found) => found,
            Err(refusal) => return refusal,
        };
        match streams.append_entry(source, command.entry) {
            Ok(Some(id)) => Reply::text(id.to_string()),
            Ok(None) => Reply::Null,
            Err(LocalAppendError::IdTooSmall) => Reply::error(
                "ERR The ID specified in XADD is equal or smaller than the target stream top item",
            ),
            Err(LocalAppendError::IdsExhausted) => Reply::error(
                "ERR The stream has exhausted the last possible ID, unable to add more items",
            ),
            Err(error @ LocalAppendError::Full) => {
                Reply::error(format!("OOM {error}: what waits was not recorded yet, try again"))
            }
        }
    }

    /// Carries out XLEN.
    pub(super) async fn xlen(&self, identity: &Identity, key: &Bytes) -> Reply {
        match self.source(identity, key) {
            Ok((source, _)) => match self.broker.inspect(source).await {
                Ok(info) => Reply::Number(i64::try_from(info.length).unwrap_or(i64::MAX)),
                Err(error) => Reply::error(format!("ERR {error}")),
            },
            Err(refusal) => refusal,
        }
    }

    /// Carries out XRANGE. What everybody published is shown to whoever may see everything.
    pub(super) fn xrange(&self, identity: &Identity, command: &RangeCommand) -> Reply {
        let (source, streams) = match self.source(identity, &command.key) {
            Ok(found) => found,
            Err(refusal) => return refusal,
        };
        if !self.is_open(identity) && !identity.is_admin() {
            return Reply::error("NOPERM reading needs an API key or a token of the role admin");
        }
        let range = EntryRange {
            from: command.from,
            to: command.to,
            entries_max: command.count.unwrap_or(usize::MAX),
            bytes_max: self.limits.reply_bytes,
        };
        match streams.range(source, range) {
            Ok(entries) => Reply::List(entries.into_iter().map(entry).collect()),
            Err(_) => Reply::error(format!(
                "ERR the answer has more than {} bytes (EMBEDDED_REDIS_REPLY_BYTES): ask with COUNT",
                self.limits.reply_bytes
            )),
        }
    }

    /// Returns whether a client that showed nothing may do everything.
    pub(super) fn is_open(&self, identity: &Identity) -> bool {
        self.open && !identity.is_known()
    }

    /// The source behind a key, when there is one and it may be published to.
    fn source(
        &self,
        identity: &Identity,
        key: &Bytes,
    ) -> Result<(Source, &dyn LocalStreams), Reply> {
        let streams = self.broker.local_streams();
        let streams = streams.ok_or_else(|| Reply::error("ERR the broker is not in memory"))?;
        let source = self.named(key)?;
        if self.is_open(identity) || identity.may_publish(source.stream, None) {
            return Ok((source, streams));
        }
        Err(Reply::error(format!("NOPERM you may not publish to {}", source.stream)))
    }

    /// The source that a key names: `PREFIX:STREAM`, or `PREFIX:STREAM:k` for partition k.
    fn named(&self, key: &Bytes) -> Result<Source, Reply> {
        let name = std::str::from_utf8(key).ok();
        let name = name.and_then(|name| name.strip_prefix(&self.key_prefix)?.strip_prefix(':'));
        let source = name.and_then(|name| {
            let source = name.parse::<Source>().ok()?;
            // One key for one source: partition 0 has the bare name.
            (source.to_string() == name).then_some(source)
        });
        let Some(source) = source else {
            let key: String = String::from_utf8_lossy(key).chars().take(64).collect();
            let keys = Stream::ALL.map(|stream| format!("{}:{stream}", self.key_prefix)).join(", ");
            let key = key.escape_debug();
            return Err(Reply::error(format!("ERR '{key}' is no stream of Fanfare: {keys}")));
        };
        let partitions = self.partitions.get();
        if source.partition >= partitions {
            return Err(Reply::error(format!(
                "ERR nobody reads partition {} of {}: INGEST_PARTITIONS is {partitions}",
                source.partition, source.stream
            )));
        }
        Ok(source)
    }
}

/// `[id, [name, value, …]]`
fn entry(entry: Entry) -> Reply {
    let fields = entry.fields.0.into_iter();
    let fields = fields.flat_map(|(name, value)| [Reply::text(name), Reply::Bytes(value.into())]);
    Reply::List(vec![Reply::text(entry.id.to_string()), Reply::List(fields.collect())])
}
