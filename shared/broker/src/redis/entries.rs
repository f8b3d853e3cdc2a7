//! Stream entries as Redis writes them into its answers.

use domain::entry::{Entry, EntryId, Fields};
use redis::{Cmd, Value};

use super::shards::RedisShards;
use crate::{BrokerError, StreamInfo};

/// As many as one XTRIM removes at most, approximately: 100 nodes of 100 entries.
const TRIM_STEPS_MAX: usize = 100;

/// The entries of an XRANGE, or of one stream in an XREAD.
pub(super) fn entries(answer: Value) -> Result<Vec<Entry>, BrokerError> {
    match answer {
        Value::Nil => Ok(Vec::new()),
        Value::Array(items) => items.into_iter().map(entry).collect(),
        other => Err(strange(&other)),
    }
}

/// The entries of an XREAD of one stream: `[[name, entries]]`, or nil.
pub(super) fn read(answer: Value) -> Result<Vec<Entry>, BrokerError> {
    let Value::Array(mut streams) = answer else { return entries(answer) };
    match streams.pop() {
        Some(Value::Array(mut stream)) => entries(stream.pop().unwrap_or(Value::Nil)),
        other => Err(strange(&other.unwrap_or(Value::Nil))),
    }
}

/// `[id, [name, value, name, value …]]`
fn entry(item: Value) -> Result<Entry, BrokerError> {
    let Value::Array(parts) = item else { return Err(strange(&item)) };
    let Ok([id, Value::Array(texts)]) = <[Value; 2]>::try_from(parts) else {
        return Err(strange(&Value::Nil));
    };
    let mut fields = Vec::with_capacity(texts.len() / 2);
    let mut texts = texts.into_iter();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        fields.push((String::from_utf8_lossy(&text(name)?).into_owned(), text(value)?));
    }
    Ok(Entry { id: entry_id(&id)?, fields: Fields(fields) })
}

fn text(value: Value) -> Result<Vec<u8>, BrokerError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        other => Err(strange(&other)),
    }
}

/// An entry id.
pub(super) fn entry_id(value: &Value) -> Result<EntryId, BrokerError> {
    let bytes = match value {
        Value::BulkString(bytes) => bytes.as_slice(),
        Value::SimpleString(text) => text.as_bytes(),
        other => return Err(strange(other)),
    };
    let id = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    id.ok_or_else(|| strange(value))
}

fn strange(value: &Value) -> BrokerError {
    let kind: String = format!("{value:?}").chars().take(60).collect();
    BrokerError::Unavailable(format!("an answer of an unexpected shape: {kind}"))
}

/// Removes entries before `before`, in steps that never hold the server up.
pub(super) async fn trim(
    shards: &RedisShards,
    key: &str,
    before: EntryId,
) -> Result<(), BrokerError> {
    for _ in 0..TRIM_STEPS_MAX {
        let mut command = redis::cmd("XTRIM");
        command.arg(key).arg("MINID").arg("~").arg(before.to_string());
        let removed: u64 = shards.query(key, command).await?;
        if removed == 0 {
            break;
        }
    }
    Ok(())
}

/// The most entries that are counted before one that waits: the server is held up by it.
const COUNTED_MAX: usize = 10_000;

/// Counts at the server: the entries themselves need not travel.
const WAITING: &str = "
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then return -1 end
return #redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], ARGV[2], 'COUNT', ARGV[3]) - 1";

/// How many entries lie between two; none when the stream does not hold the second.
pub(super) async fn waiting_before(
    shards: &RedisShards,
    key: &str,
    after: EntryId,
    entry: EntryId,
) -> Result<Option<u64>, BrokerError> {
    let mut command = redis::cmd("EVAL");
    command.arg(WAITING).arg(1).arg(key);
    command.arg(after.to_string()).arg(entry.to_string()).arg(COUNTED_MAX);
    let count: i64 = shards.query(key, command).await?;
    Ok(u64::try_from(count).ok())
}

/// What the stream looks like; a stream that does not exist is empty.
pub(super) async fn inspect(shards: &RedisShards, key: &str) -> Result<StreamInfo, BrokerError> {
    let mut command = Cmd::new();
    command.arg("XINFO").arg("STREAM").arg(key);
    let answer = match shards.query::<Value>(key, command).await {
        // The server has no other word for it.
        Err(BrokerError::Refused(reason)) if reason.contains("no such key") => {
            return Ok(StreamInfo::default());
        }
        answer => answer?,
    };
    let Value::Array(parts) = answer else { return Err(strange(&answer)) };
    let mut info = StreamInfo::default();
    for pair in parts.chunks_exact(2) {
        let name = text(pair[0].clone())?;
        match name.as_slice() {
            b"length" => info.length = redis::from_redis_value_ref(&pair[1]).unwrap_or(0),
            b"last-generated-id" => info.last_generated = entry_id(&pair[1])?,
            // This one and the next since Redis 7.0.
            b"entries-added" => info.added = redis::from_redis_value_ref(&pair[1]).unwrap_or(0),
            b"max-deleted-entry-id" => info.max_deleted = entry_id(&pair[1])?,
            b"first-entry" if pair[1] != Value::Nil => {
                info.first = Some(entry(pair[1].clone())?.id);
            }
            _ => {}
        }
    }
    Ok(info)
}
