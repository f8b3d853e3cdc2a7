//! The counters: one row for each channel and source that feeds it (rule 4).

use std::collections::{BTreeMap, HashMap};

use domain::{
    channel::Channel,
    position::{Epoch, Position},
    source::Source,
};

use super::{
    StoreError,
    engine::{Engine, Row, SqlSession},
    source,
    sql::{Column, Param, SessionKind, Statement, each},
};

/// A counter after a batch moved it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    /// The number of the row: what publications and events refer to.
    pub(super) id: i64,
    /// The last offset given.
    pub(super) head: u64,
}

const ADVANCE: Statement = each(
    "INSERT INTO channel AS c (source, name, head)
     SELECT $1, * FROM unnest($2::text[], $3::bigint[])
     ON CONFLICT (name, source) DO UPDATE SET head = c.head + excluded.head
     RETURNING name, id, head",
    "INSERT INTO channel AS c (source, name, head)
     SELECT $1, value ->> 0, value ->> 1 FROM json_each($2) WHERE true
     ON CONFLICT (name, source) DO UPDATE SET head = c.head + excluded.head
     RETURNING name, id, head",
);

const HEADS: Statement = each(
    "SELECT epoch.value, c.name, c.source, c.head FROM epoch
     LEFT JOIN channel c ON c.name = ANY ($1::text[])",
    "SELECT epoch.value, c.name, c.source, c.head FROM epoch
     LEFT JOIN channel c ON c.name IN (SELECT value ->> 0 FROM json_each($1))",
);

const NAMES: Statement = each(
    "SELECT id, name FROM channel WHERE id = ANY ($1::bigint[])",
    "SELECT id, name FROM channel WHERE id IN (SELECT value ->> 0 FROM json_each($1))",
);

/// Moves the counters of channels by so many each; what they are then.
pub(super) async fn advance(
    session: &mut SqlSession,
    source: Source,
    counts: &BTreeMap<Channel, u64>,
) -> Result<HashMap<Channel, Counter>, StoreError> {
    let table = [
        Column::Texts(counts.keys().map(Channel::as_str).collect()),
        Column::Ints(counts.values().map(|count| source::int(*count)).collect()),
    ];
    let params = [Param::Int(source::number(source)), Param::Table(&table)];
    let rows = session.rows(&ADVANCE, &params).await?;
    let counter =
        |row: &Row| Ok((row.text(0)?.to_owned(), Counter { id: row.int(1)?, head: row.count(2)? }));
    let by_name: HashMap<String, Counter> =
        rows.iter().map(counter).collect::<Result<_, StoreError>>()?;
    let of = |channel: &Channel| {
        by_name
            .get(channel.as_str())
            .map(|counter| (channel.clone(), *counter))
            .ok_or_else(|| StoreError::Conflict(format!("no counter for {channel}")))
    };
    counts.keys().map(of).collect()
}

/// The newest positions of channels, in their order.
pub(super) async fn positions(
    engine: &Engine,
    channels: &[Channel],
) -> Result<(Epoch, Vec<Position>), StoreError> {
    let table = [Column::Texts(channels.iter().map(Channel::as_str).collect())];
    let rows =
        engine.session(SessionKind::Read).await?.rows(&HEADS, &[Param::List(&table)]).await?;
    let epoch = rows.first().map_or(Ok(Epoch(0)), |row| row.int(0).map(source::epoch))?;
    let mut positions: HashMap<&str, Position> = HashMap::new();
    for row in &rows {
        if let (Some(name), Some(from)) = (row.maybe_text(1)?, row.maybe_int(2)?) {
            let position = positions.entry(name).or_insert_with(|| Position::start(epoch));
            position.offsets.set(source::of(from)?, row.count(3)?);
        }
    }
    let position = |channel: &Channel| {
        positions.get(channel.as_str()).cloned().unwrap_or_else(|| Position::start(epoch))
    };
    Ok((epoch, channels.iter().map(position).collect()))
}

/// The channels of counters' numbers. Names never change, so any session will do.
pub(super) async fn names(
    session: &mut SqlSession,
    ids: Vec<i64>,
) -> Result<HashMap<i64, Channel>, StoreError> {
    let rows = session.rows(&NAMES, &[Param::Table(&[Column::Ints(ids)])]).await?;
    rows.iter()
        .map(|row| {
            let channel = Channel::parse(row.text(1)?);
            Ok((row.int(0)?, channel.map_err(|error| StoreError::Refused(error.to_string()))?))
        })
        .collect()
}
