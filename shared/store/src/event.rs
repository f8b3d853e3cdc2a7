//! The events themselves, and the thin rows by which channels carry them.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use domain::{
    channel::Channel,
    entry::EntryId,
    position::{Epoch, Position},
    publication::{Publication, Recorded},
    source::{Source, Stream},
};

use super::{
    StoreError, Traced, channel,
    engine::{Row, SqlSession},
    source,
    sql::{Column, Param, Statement, both, each},
};

/// An event as its row.
#[derive(Clone, Debug)]
pub(super) struct EventRow {
    /// The event with its number and time.
    pub(super) recorded: Arc<Recorded>,
    /// The JSON of `recorded`, as it travels.
    pub(super) payload: Bytes,
    /// Numbers of counters, and the offsets that they gave.
    pub(super) offsets: Vec<(i64, u64)>,
}

const INSERT: Statement = each(
    "INSERT INTO event (source, recorded, seq, entry, subject, user_id, offsets, payload)
     SELECT $1, $2, * FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
     $8::text[])",
    "INSERT INTO event (source, recorded, seq, entry, subject, user_id, offsets, payload)
     SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
     FROM json_each($3)",
);

const PUBLISH: Statement = each(
    "INSERT INTO publication (channel, number, seq)
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])",
    "INSERT INTO publication (channel, number, seq)
     SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)",
);

/// The most bytes of payloads that are read at once to be published again.
const AFTER_BYTES_MAX: i64 = 8 * 1024 * 1024;

const AFTER: Statement = both(
    "SELECT a.seq, a.offsets, a.payload, epoch.value FROM epoch, (
         SELECT e.seq, e.offsets, e.payload,
         sum(octet_length(e.payload)) OVER (ORDER BY e.seq) - octet_length(e.payload) AS before
         FROM event e WHERE e.source = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3
     ) AS a WHERE a.before < $4 ORDER BY a.seq",
);

const BY_ENTRY: Statement = both(
    "SELECT e.seq, e.offsets, e.payload, e.source FROM known k
     JOIN event e ON e.source = k.source AND e.seq = k.seq
     WHERE k.source IN (SELECT id FROM source WHERE id BETWEEN $3 AND $4)
     AND k.ms = $1 AND k.number = $2
     ORDER BY e.recorded DESC LIMIT 1",
);

const BY_OFFSET: Statement = both(
    "SELECT e.seq, e.offsets, e.payload, e.source FROM channel c
     JOIN publication p ON p.channel = c.id AND p.number = $3
     JOIN event e ON e.source = c.source AND e.seq = p.seq
     WHERE c.name = $1 AND c.source = $2 AND (SELECT value FROM epoch) = $4",
);

/// Writes events and the thin rows of their channels.
pub(super) async fn insert(
    session: &mut SqlSession,
    source: Source,
    recorded: i64,
    events: &[EventRow],
) -> Result<(), StoreError> {
    let offsets: Vec<String> = events
        .iter()
        .map(|event| serde_json::to_string(&event.offsets).unwrap_or_default())
        .collect();
    let what = |of: fn(&Recorded) -> Option<&str>| {
        Column::MaybeTexts(events.iter().map(|event| of(&event.recorded)).collect())
    };
    let seqs = events.iter().map(|event| source::int(event.recorded.seq));
    let table = [
        Column::Ints(seqs.collect()),
        Column::Texts(events.iter().map(|event| event.recorded.entry.as_str()).collect()),
        what(|recorded| recorded.event.id.as_deref()),
        what(|recorded| recorded.event.user.as_deref()),
        Column::Texts(offsets.iter().map(String::as_str).collect()),
        Column::Texts(events.iter().map(|event| text(&event.payload)).collect()),
    ];
    let params = [Param::Int(source::number(source)), Param::Int(recorded), Param::Table(&table)];
    session.run(&INSERT, &params).await?;

    let places = || {
        events.iter().flat_map(|event| {
            event.offsets.iter().map(|(channel, offset)| (*channel, *offset, event.recorded.seq))
        })
    };
    let table = [
        Column::Ints(places().map(|(channel, ..)| channel).collect()),
        Column::Ints(places().map(|(_, offset, _)| source::int(offset)).collect()),
        Column::Ints(places().map(|(.., seq)| source::int(seq)).collect()),
    ];
    session.run(&PUBLISH, &[Param::Table(&table)]).await.map(drop)
}

/// A payload is JSON that we made.
fn text(payload: &Bytes) -> &str {
    std::str::from_utf8(payload).unwrap_or_default()
}

/// An event that was read.
struct StoredEvent {
    source: Source,
    seq: u64,
    offsets: Vec<(i64, u64)>,
    payload: Bytes,
}

impl StoredEvent {
    fn row(source: Source, row: &Row) -> Result<Self, StoreError> {
        let offsets = serde_json::from_str(row.text(1)?)
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let payload = Bytes::copy_from_slice(row.text(2)?.as_bytes());
        Ok(Self { source, seq: row.count(0)?, offsets, payload })
    }

    fn places(&self, names: &HashMap<i64, Channel>) -> Vec<(Channel, u64)> {
        let place = |(id, offset): &(i64, u64)| Some((names.get(id)?.clone(), *offset));
        self.offsets.iter().filter_map(place).collect()
    }
}

async fn name_all(
    session: &mut SqlSession,
    events: &[StoredEvent],
) -> Result<HashMap<i64, Channel>, StoreError> {
    let mut ids: Vec<i64> =
        events.iter().flat_map(|event| event.offsets.iter().map(|(id, _)| *id)).collect();
    ids.sort_unstable();
    ids.dedup();
    channel::names(session, ids).await
}

/// Events after `seq` with all their channels, in order: at most `events_max` and about
/// [`AFTER_BYTES_MAX`], but one at least if there is one.
pub(super) async fn after(
    session: &mut SqlSession,
    source: Source,
    after_seq: u64,
    events_max: usize,
) -> Result<Vec<Publication>, StoreError> {
    let limit = Param::Int(i64::try_from(events_max).unwrap_or(i64::MAX));
    let (from, bytes) = (Param::Int(source::int(after_seq)), Param::Int(AFTER_BYTES_MAX));
    let params = [Param::Int(source::number(source)), from, limit, bytes];
    let rows = session.rows(&AFTER, &params).await?;
    let epoch = rows.first().map_or(Ok(Epoch(0)), |row| row.int(3).map(source::epoch))?;
    let events: Vec<StoredEvent> =
        rows.iter().map(|row| StoredEvent::row(source, row)).collect::<Result<_, _>>()?;
    let names = name_all(session, &events).await?;
    let mut publications = Vec::new();
    for event in events {
        let recorded = Arc::new(parse(source, &event.payload)?);
        publications.extend(event.places(&names).into_iter().map(|(channel, offset)| {
            let (recorded, payload) = (recorded.clone(), event.payload.clone());
            Publication { channel, epoch, source, offset, recorded, payload }
        }));
    }
    Ok(publications)
}

/// Reads a payload of our own.
pub(super) fn parse(source: Source, payload: &Bytes) -> Result<Recorded, StoreError> {
    Recorded::from_payload(source, payload)
        .map_err(|error| StoreError::Refused(format!("a payload of {source}: {error}")))
}

/// The event of an entry, `MS-NUMBER`, or of a position in a channel, `CHANNEL@EPOCH-OFFSET`.
pub(super) async fn trace(
    session: &mut SqlSession,
    what: &str,
    stream: Option<Stream>,
) -> Result<Option<Traced>, StoreError> {
    let row = match what.rsplit_once('@') {
        Some((channel, position)) => by_offset(session, channel, position).await?,
        None => by_entry(session, what, stream).await?,
    };
    let Some(row) = row else { return Ok(None) };
    let event = [StoredEvent::row(source::of(row.int(3)?)?, &row)?];
    let names = name_all(session, &event).await?;
    let [event] = event;
    let offsets = event.places(&names);
    Ok(Some(Traced { source: event.source, seq: event.seq, payload: event.payload, offsets }))
}

async fn by_entry(
    session: &mut SqlSession,
    entry: &str,
    stream: Option<Stream>,
) -> Result<Option<Row>, StoreError> {
    let Ok(EntryId { ms, number }) = entry.parse() else { return Ok(None) };
    let (from, to) = source::range(stream);
    let params = [
        Param::Int(ms.cast_signed()),
        Param::Int(number.cast_signed()),
        Param::Int(from),
        Param::Int(to),
    ];
    session.row(&BY_ENTRY, &params).await
}

async fn by_offset(
    session: &mut SqlSession,
    channel: &str,
    position: &str,
) -> Result<Option<Row>, StoreError> {
    let Ok(channel) = Channel::parse(channel) else { return Ok(None) };
    let Ok(position) = Position::parse(&channel, position) else { return Ok(None) };
    let Some((of, offset)) = position.offsets.iter().last() else { return Ok(None) };
    let params = [
        Param::Text(channel.as_str()),
        Param::Int(source::number(of)),
        Param::Int(source::int(offset)),
        Param::Int(i64::from(position.epoch.0)),
    ];
    session.row(&BY_OFFSET, &params).await
}
