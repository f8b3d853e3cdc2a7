//! What was taken in before: entries by id and content (rule 5), events by their producer's id.

use std::collections::{HashMap, HashSet};

use domain::{
    channel::Channel,
    entry::EntryId,
    source::{Source, Stream},
};

use super::{
    StoreError,
    engine::SqlSession,
    source,
    sql::{Column, Param, Statement, each},
};

/// How long a producer's id is remembered (contract §3), ms.
pub(super) const EVENT_ID_LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// What identifies an entry: its id and the fingerprint of its content.
pub(super) type Key = (EntryId, i64);

/// Channels and the offsets that an event got there.
pub(super) type Placed = Vec<(Channel, u64)>;

// SQLite takes a `CROSS JOIN` in the order in which it is written: the few rows of the batch first.
const AMONG: Statement = each(
    "SELECT k.ms, k.number, k.digest
     FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS t (ms, number, digest)
     JOIN known k ON k.source = $1 AND k.ms = t.ms AND k.number = t.number AND k.digest = t.digest",
    "SELECT k.ms, k.number, k.digest FROM json_each($2) AS t
     CROSS JOIN known k ON k.source = $1 AND k.ms = t.value ->> 0 AND k.number = t.value ->> 1
     AND k.digest = t.value ->> 2",
);

const REMEMBER: Statement = each(
    "INSERT INTO known (source, ms, number, digest, seq)
     SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])",
    "INSERT INTO known (source, ms, number, digest, seq)
     SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($2)",
);

const APPLIED: Statement = each(
    "SELECT a.event_id, a.offsets FROM unnest($3::text[]) AS t (event_id)
     JOIN applied a ON a.stream = $1 AND a.event_id = t.event_id AND a.recorded > $2",
    "SELECT a.event_id, a.offsets FROM json_each($3) AS t
     CROSS JOIN applied a ON a.stream = $1 AND a.event_id = t.value ->> 0 AND a.recorded > $2",
);

const APPLY: Statement = each(
    "INSERT INTO applied AS a (stream, recorded, event_id, offsets)
     SELECT $1, $2, * FROM unnest($4::text[], $5::text[])
     ON CONFLICT (stream, event_id) DO UPDATE
     SET recorded = excluded.recorded, offsets = excluded.offsets WHERE a.recorded <= $3",
    "INSERT INTO applied AS a (stream, recorded, event_id, offsets)
     SELECT $1, $2, value ->> 0, value ->> 1 FROM json_each($4) WHERE true
     ON CONFLICT (stream, event_id) DO UPDATE
     SET recorded = excluded.recorded, offsets = excluded.offsets WHERE a.recorded <= $3",
);

/// Which of these entries were taken in before.
pub(super) async fn among(
    session: &mut SqlSession,
    source: Source,
    keys: &[Key],
) -> Result<HashSet<Key>, StoreError> {
    let table = key_columns(keys.iter().copied());
    let params = [Param::Int(source::number(source)), Param::Table(&table)];
    let rows = session.rows(&AMONG, &params).await?;
    let key = |row: &super::engine::Row| {
        let (ms, number) = (row.int(0)?.cast_unsigned(), row.int(1)?.cast_unsigned());
        Ok((EntryId { ms, number }, row.int(2)?))
    };
    rows.iter().map(key).collect()
}

/// Remembers entries, each with the number of the event that it became.
pub(super) async fn remember(
    session: &mut SqlSession,
    source: Source,
    entries: &[(Key, Option<u64>)],
) -> Result<(), StoreError> {
    let [ms, number, digest] = key_columns(entries.iter().map(|(key, _)| *key));
    let seq = entries.iter().map(|(_, seq)| seq.map(source::int)).collect();
    let table = [ms, number, digest, Column::MaybeInts(seq)];
    let params = [Param::Int(source::number(source)), Param::Table(&table)];
    session.run(&REMEMBER, &params).await.map(drop)
}

/// Ids are unsigned and SQL's numbers are not: they keep their bits, so only equality may be asked
/// of those beyond the middle, which no clock will ever give.
fn key_columns(keys: impl Iterator<Item = Key> + Clone) -> [Column<'static>; 3] {
    [
        Column::Ints(keys.clone().map(|(id, _)| id.ms.cast_signed()).collect()),
        Column::Ints(keys.clone().map(|(id, _)| id.number.cast_signed()).collect()),
        Column::Ints(keys.map(|(_, digest)| digest).collect()),
    ]
}

/// Which of these producers' ids were applied in the last 24 hours, and where that went.
pub(super) async fn applied(
    session: &mut SqlSession,
    stream: Stream,
    event_ids: Vec<&str>,
    recorded: i64,
) -> Result<HashMap<String, Placed>, StoreError> {
    let table = [Column::Texts(event_ids)];
    let since = Param::Int(recorded - EVENT_ID_LIFE_MS);
    let params = [Param::Text(stream.name()), since, Param::Table(&table)];
    let rows = session.rows(&APPLIED, &params).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), placed(row.text(1)?)?))).collect()
}

/// Remembers producers' ids with their channels and offsets.
///
/// # Errors
/// [`StoreError::Conflict`] when another partition of the stream applied one at the same time.
pub(super) async fn apply(
    session: &mut SqlSession,
    stream: Stream,
    recorded: i64,
    event_ids: &[(&str, &Placed)],
) -> Result<(), StoreError> {
    let offsets: Vec<String> = event_ids.iter().map(|(_, placed)| placed_json(placed)).collect();
    let table = [
        Column::Texts(event_ids.iter().map(|(event_id, _)| *event_id).collect()),
        Column::Texts(offsets.iter().map(String::as_str).collect()),
    ];
    let until = Param::Int(recorded - EVENT_ID_LIFE_MS);
    let params = [Param::Text(stream.name()), Param::Int(recorded), until, Param::Table(&table)];
    let applied = session.run(&APPLY, &params).await?;
    if applied == event_ids.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("an event_id of {stream} was applied elsewhere meanwhile")))
}

fn placed_json(placed: &Placed) -> String {
    let pairs: Vec<(&str, u64)> = placed.iter().map(|(name, at)| (name.as_str(), *at)).collect();
    serde_json::to_string(&pairs).unwrap_or_default()
}

fn placed(json: &str) -> Result<Placed, StoreError> {
    let refuse = |error: &dyn std::fmt::Display| StoreError::Refused(error.to_string());
    let pairs: Vec<(String, u64)> = serde_json::from_str(json).map_err(|error| refuse(&error))?;
    pairs
        .into_iter()
        .map(|(name, at)| Ok((Channel::parse(&name).map_err(|error| refuse(&error))?, at)))
        .collect()
}
