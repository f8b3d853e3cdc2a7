//! The rows of the sources: who owns them and how far they are (rules 1, 3, 6 and 7).

use std::time::Duration;

use domain::{
    entry::EntryId,
    node::NodeId,
    position::Epoch,
    source::{Source, Stream},
};

use super::{
    EntryBatch, SourceRow, StoreError,
    engine::{Engine, Row, SqlSession},
    sql::{Column, Param, SessionKind, Statement, both, each},
};

/// The number of a source in SQL: the stream's place in the contract's table and the partition.
pub(super) fn number(source: Source) -> i64 {
    let stream = Stream::ALL.iter().position(|stream| *stream == source.stream).unwrap_or(0);
    i64::try_from(stream << 16).unwrap_or(0) + i64::from(source.partition)
}

/// The source of a number.
pub(super) fn of(number: i64) -> Result<Source, StoreError> {
    let stream = usize::try_from(number >> 16).ok().and_then(|at| Stream::ALL.get(at));
    let partition = u16::try_from(number & 0xffff).unwrap_or(0);
    stream
        .map(|stream| Source { stream: *stream, partition })
        .ok_or_else(|| StoreError::Refused(format!("{number} is no source of ours")))
}

/// The numbers of the sources of a stream, from the first to the last; of all, without one.
pub(super) fn range(stream: Option<Stream>) -> (i64, i64) {
    let first = stream.map(|stream| number(Source::first(stream)));
    (first.unwrap_or(0), first.map_or(i64::MAX, |first| first + i64::from(u16::MAX)))
}

/// Milliseconds as SQL counts them.
pub(super) fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A count as SQL counts.
pub(super) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The columns of a [`SourceRow`], read by [`source_row`].
macro_rules! row {
    () => {
        "id, CASE WHEN lease_until > (SELECT ms FROM clock) THEN owner END, fence, cursor, seq, \
         published, replid, generation, epoch, attempts, added, (SELECT promoted FROM lineage), \
         (SELECT value FROM epoch), barrier"
    };
}

const ALL: Statement = both(concat!("SELECT ", row!(), " FROM source ORDER BY id"));

const CREATE: Statement = each(
    "INSERT INTO source (id, name) SELECT * FROM unnest($1::bigint[], $2::text[])
     ON CONFLICT DO NOTHING",
    "INSERT INTO source (id, name) SELECT value ->> 0, value ->> 1 FROM json_each($1) WHERE true
     ON CONFLICT DO NOTHING",
);

// A row that is locked is in use: a claim does not wait for it.
const CLAIM: Statement = each(
    concat!(
        "UPDATE source SET owner = $2, lease_until = (SELECT ms FROM clock) + $3,
         fence = fence + 1
         WHERE id = (SELECT id FROM source WHERE id = $1 AND (owner IS NULL OR owner = $2
         OR lease_until <= (SELECT ms FROM clock)) FOR UPDATE SKIP LOCKED)
         AND NOT EXISTS (SELECT 1 FROM partitions WHERE switching IS NOT NULL) RETURNING ",
        row!()
    ),
    concat!(
        "UPDATE source SET owner = $2, lease_until = (SELECT ms FROM clock) + $3,
         fence = fence + 1
         WHERE id = $1 AND (owner IS NULL OR owner = $2
         OR lease_until <= (SELECT ms FROM clock))
         AND NOT EXISTS (SELECT 1 FROM partitions WHERE switching IS NOT NULL) RETURNING ",
        row!()
    ),
);

// Who has published more than there is looks at an older database.
const RENEW: Statement = both(concat!(
    "UPDATE source SET lease_until = (SELECT ms FROM clock) + $4,
     published = CASE WHEN $3 > published THEN $3 ELSE published END
     WHERE id = $1 AND fence = $2 AND seq >= $3 RETURNING ",
    row!()
));

// Who says goodbye did not die of what comes after the cursor.
const RELEASE: Statement = both(
    "UPDATE source SET owner = NULL, lease_until = 0,
     attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END,
     published = CASE WHEN $3 > published THEN $3 ELSE published END
     WHERE id = $1 AND fence = $2",
);

const ATTEMPT: Statement = both(
    "UPDATE source SET attempts = attempts + 1 WHERE id = $1 AND fence = $2 RETURNING attempts",
);

const CURSOR: Statement = each(
    "SELECT cursor FROM source WHERE id = $1 AND fence = $2 FOR UPDATE",
    "SELECT cursor FROM source WHERE id = $1 AND fence = $2",
);

const REGENERATE: Statement = both(concat!(
    "UPDATE source SET cursor = $2, replid = $4, epoch = (SELECT value FROM epoch),
     generation = CASE WHEN $3 > generation THEN $3 ELSE generation END,
     published = CASE WHEN published > seq THEN seq ELSE published END, added = NULL,
     attempts = CASE WHEN cursor = $2 THEN attempts ELSE 0 END
     WHERE id = $1 RETURNING ",
    row!()
));

const ADVANCE: Statement = both(
    "UPDATE source SET cursor = $4,
     published = CASE WHEN $5 > published THEN $5 ELSE published END,
     recorded = (SELECT CASE WHEN ms > recorded THEN ms ELSE recorded END FROM clock),
     attempts = CASE WHEN cursor = $4 THEN attempts ELSE 0 END, added = added + $6
     WHERE id = $1 AND fence = $2 AND cursor = $3 AND seq >= $5
     AND (SELECT promoted FROM lineage) = 0 AND epoch IN (0, (SELECT value FROM epoch))
     RETURNING seq, recorded, top, (SELECT value FROM epoch)",
);

const COUNT_ADDED: Statement = both("UPDATE source SET added = $3 WHERE id = $1 AND fence = $2");

const REACH: Statement = both("UPDATE source SET seq = $2, top = $3 WHERE id = $1");

/// The rows of all sources; creates those that are wanted and missing.
pub(super) async fn all(engine: &Engine, wanted: &[Source]) -> Result<Vec<SourceRow>, StoreError> {
    let rows = engine.session(SessionKind::Read).await?.rows(&ALL, &[]).await?;
    let rows: Vec<SourceRow> = rows.iter().map(source_row).collect::<Result<_, _>>()?;
    let missing: Vec<Source> = wanted
        .iter()
        .copied()
        .filter(|source| rows.iter().all(|row| row.source != *source))
        .collect();
    if missing.is_empty() {
        return Ok(rows);
    }
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    let table = [
        Column::Ints(missing.iter().map(|source| number(*source)).collect()),
        Column::Texts(names.iter().map(String::as_str).collect()),
    ];
    let mut session = engine.session(SessionKind::Write).await?;
    session.run(&CREATE, &[Param::Table(&table)]).await?;
    session.rows(&ALL, &[]).await?.iter().map(source_row).collect()
}

/// Takes a source that is free, its lease run out, or the same owner's.
pub(super) async fn claim(
    session: &mut SqlSession,
    source: Source,
    owner: &NodeId,
    lease: Duration,
) -> Result<Option<SourceRow>, StoreError> {
    let params = [Param::Int(number(source)), Param::Text(&owner.0), Param::Int(ms(lease))];
    session.row(&CLAIM, &params).await?.as_ref().map(source_row).transpose()
}

/// Prolongs a lease.
pub(super) async fn renew(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
    published: u64,
    lease: Duration,
) -> Result<SourceRow, StoreError> {
    let params = [
        Param::Int(number(source)),
        Param::Int(int(fence)),
        Param::Int(int(published)),
        Param::Int(ms(lease)),
    ];
    let row = session.row(&RENEW, &params).await?;
    source_row(&row.ok_or(StoreError::Fenced(source))?)
}

/// Notes how many entries the stream ever had up to the cursor.
pub(super) async fn count_added(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
    added: u64,
) -> Result<(), StoreError> {
    let params = [Param::Int(number(source)), Param::Int(int(fence)), Param::Int(int(added))];
    let changed = session.run(&COUNT_ADDED, &params).await?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Fenced(source)) }
}

/// Gives a source back.
pub(super) async fn release(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
    published: u64,
) -> Result<(), StoreError> {
    let params = [Param::Int(number(source)), Param::Int(int(fence)), Param::Int(int(published))];
    let changed = session.run(&RELEASE, &params).await?;
    if changed == 1 { Ok(()) } else { Err(StoreError::Fenced(source)) }
}

/// Counts that an owner begins to work after the cursor; how many did since it last moved.
pub(super) async fn attempt(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
) -> Result<u32, StoreError> {
    let params = [Param::Int(number(source)), Param::Int(int(fence))];
    let row = session.row(&ATTEMPT, &params).await?.ok_or(StoreError::Fenced(source))?;
    Ok(u32::try_from(row.int(0)?).unwrap_or(u32::MAX))
}

/// Enters a generation, in a transaction that the caller commits.
pub(super) async fn regenerate(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
    generation: u64,
    replid: &str,
    cursor: EntryId,
) -> Result<SourceRow, StoreError> {
    let id = Param::Int(number(source));
    let row = session.row(&CURSOR, &[id, Param::Int(int(fence))]).await?;
    let row = row.ok_or(StoreError::Fenced(source))?;
    let cursor = cursor.min(entry_id(row.text(0)?)?).to_string();
    let params = [id, Param::Text(&cursor), Param::Int(int(generation)), Param::Text(replid)];
    let row = session.row(&REGENERATE, &params).await?;
    source_row(&row.ok_or(StoreError::Fenced(source))?)
}

/// A batch's transaction as it begins.
pub(super) struct BatchStart {
    /// The source's last number.
    pub(super) seq: u64,
    /// The time of recording of the whole batch.
    pub(super) recorded: i64,
    /// The highest entry ever taken in: none above it can be known.
    pub(super) top: EntryId,
    /// The epoch of the connection.
    pub(super) epoch: Epoch,
}

/// Moves the cursor: the first statement of a batch's transaction (rule 3).
///
/// It locks the source's row until the end, so that nothing else of this source changes meanwhile.
pub(super) async fn advance(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
    batch: &EntryBatch,
) -> Result<BatchStart, StoreError> {
    let (before, cursor) = (batch.before.to_string(), batch.cursor.to_string());
    // A batch that moves no cursor holds nothing of the stream.
    let added = if batch.cursor > batch.before { batch.entries.len() as u64 } else { 0 };
    let params = [
        Param::Int(number(source)),
        Param::Int(int(fence)),
        Param::Text(&before),
        Param::Text(&cursor),
        Param::Int(int(batch.published)),
        Param::Int(int(added)),
    ];
    let row = session.row(&ADVANCE, &params).await?.ok_or(StoreError::Fenced(source))?;
    Ok(BatchStart {
        seq: row.count(0)?,
        recorded: row.int(1)?,
        top: entry_id(row.text(2)?)?,
        epoch: epoch(row.int(3)?),
    })
}

/// Notes the last number and the highest entry.
pub(super) async fn reach(
    session: &mut SqlSession,
    source: Source,
    seq: u64,
    top: EntryId,
) -> Result<(), StoreError> {
    let top = top.to_string();
    let params = [Param::Int(number(source)), Param::Int(int(seq)), Param::Text(&top)];
    session.run(&REACH, &params).await.map(drop)
}

/// An epoch as SQL keeps it.
pub(super) fn epoch(value: i64) -> Epoch {
    Epoch(u32::try_from(value).unwrap_or(0))
}

fn source_row(row: &Row) -> Result<SourceRow, StoreError> {
    Ok(SourceRow {
        source: of(row.int(0)?)?,
        owner: row.maybe_text(1)?.map(|owner| NodeId(owner.into())),
        fence: row.count(2)?,
        cursor: entry_id(row.text(3)?)?,
        seq: row.count(4)?,
        published: row.count(5)?,
        replid: row.text(6)?.to_owned(),
        generation: row.count(7)?,
        epoch: epoch(row.int(8)?),
        attempts: u32::try_from(row.int(9)?).unwrap_or(u32::MAX),
        added: row.maybe_int(10)?.map(|added| u64::try_from(added).unwrap_or(0)),
        promoted: row.int(11)? != 0,
        database_epoch: epoch(row.int(12)?),
        barrier: row.maybe_text(13)?.map(entry_id).transpose()?,
    })
}

pub(super) fn entry_id(text: &str) -> Result<EntryId, StoreError> {
    text.parse().map_err(|error| StoreError::Refused(format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_source_leads_back_to_it() {
        for source in Source::all(3) {
            assert_eq!(of(number(source)).unwrap(), source);
        }
        assert!(of(6 << 16).is_err());
        assert!(of(-1).is_err());
    }
}
