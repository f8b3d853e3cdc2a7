//! Forgetting: slices of what is old, each in a transaction of its own.
//!
//! Of the archive a prefix goes, and what is not certainly published stays. The counters of the
//! channels stay; they note how far the archive was removed.

use std::{collections::BTreeMap, time::Duration};

use super::{
    StoreError, activity,
    engine::{Engine, SqlSession},
    known::EVENT_ID_LIFE_MS,
    source::{self, ms},
    sql::{Column, Param, SessionKind, Statement, both, each},
    worker,
};

/// The most rows that one slice has.
const SLICE_ROWS: i64 = 5000;

/// How long entries are known at least, ms by the broker's clock: a cursor is never set back so far.
const KNOWN_MIN_MS: i64 = 24 * 60 * 60 * 1000;

// Per source the end of its oldest slice. Times of recording rise with `seq`, so where the first
// event is young enough nothing else is looked at.
const OLD_EVENTS: Statement = both(
    "SELECT s.id, s.top, CASE WHEN
         (SELECT e.recorded FROM event e WHERE e.source = s.id ORDER BY e.seq LIMIT 1)
         < (SELECT ms FROM clock) - $1
     THEN
         (SELECT max(o.seq) FROM (SELECT e.seq, e.recorded FROM event e
          WHERE e.source = s.id AND e.seq <= s.published ORDER BY e.seq LIMIT $2) AS o
          WHERE o.recorded < (SELECT ms FROM clock) - $1)
     END FROM source s",
);

const LOCK: Statement =
    each("SELECT id FROM source WHERE id = $1 FOR UPDATE", "SELECT id FROM source WHERE id = $1");

const REMOVE_EVENTS: Statement =
    both("DELETE FROM event WHERE source = $1 AND seq <= $2 RETURNING offsets");

const RAISE_FLOORS: Statement = each(
    "UPDATE channel c SET floor = t.floor
     FROM unnest($1::bigint[], $2::bigint[]) AS t (id, floor)
     WHERE c.id = t.id AND c.floor < t.floor",
    "UPDATE channel AS c SET floor = t.value ->> 1 FROM json_each($1) AS t
     WHERE c.id = t.value ->> 0 AND c.floor < t.value ->> 1",
);

const REMOVE_PUBLICATIONS: Statement = each(
    "DELETE FROM publication p USING unnest($1::bigint[], $2::bigint[]) AS t (id, floor)
     WHERE p.channel = t.id AND p.number <= t.floor",
    "DELETE FROM publication WHERE (channel, number) IN
     (SELECT p.channel, p.number FROM json_each($1) AS t
      CROSS JOIN publication p ON p.channel = t.value ->> 0 AND p.number <= t.value ->> 1)",
);

// PostgreSQL finds the rows of a slice again by their place in the table: by their keys it may
// prefer to read all of a large table.
const REMOVE_KNOWN: Statement = each(
    "DELETE FROM known WHERE ctid = ANY (ARRAY(
         SELECT k.ctid FROM known k WHERE k.source = $1 AND k.ms < $2 ORDER BY k.ms LIMIT $3))",
    "DELETE FROM known WHERE source = $1 AND (ms, number, digest) IN
     (SELECT k.ms, k.number, k.digest FROM known k WHERE k.source = $1 AND k.ms < $2
      ORDER BY k.ms LIMIT $3)",
);

const REMOVE_APPLIED: Statement = each(
    "DELETE FROM applied WHERE ctid = ANY (ARRAY(
         SELECT a.ctid FROM applied a WHERE a.recorded < (SELECT ms FROM clock) - $1
         ORDER BY a.recorded LIMIT $2 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM applied WHERE (stream, event_id) IN
     (SELECT a.stream, a.event_id FROM applied a
      WHERE a.recorded < (SELECT ms FROM clock) - $1 ORDER BY a.recorded LIMIT $2)",
);

const REMOVE_STATES: Statement = each(
    "DELETE FROM entity WHERE ctid = ANY (ARRAY(
         SELECT e.ctid FROM entity e WHERE e.ended < (SELECT ms FROM clock) - $1
         ORDER BY e.ended LIMIT $2 FOR UPDATE SKIP LOCKED))",
    "DELETE FROM entity WHERE (kind, id) IN
     (SELECT e.kind, e.id FROM entity e WHERE e.ended < (SELECT ms FROM clock) - $1
      ORDER BY e.ended LIMIT $2)",
);

/// Removes what is too old until a slice is full; whether more is left.
pub(super) async fn retain(
    engine: &Engine,
    archive: Duration,
    state: Duration,
) -> Result<bool, StoreError> {
    let params = [Param::Int(ms(archive)), Param::Int(SLICE_ROWS)];
    let sources = engine.session(SessionKind::Read).await?.rows(&OLD_EVENTS, &params).await?;
    let mut left = SLICE_ROWS;
    for row in &sources {
        let id = row.int(0)?;
        if let Some(last) = row.maybe_int(2)? {
            let mut session = engine.session(SessionKind::Transaction).await?;
            left -= remove_events(&mut session, id, last).await?;
            session.commit().await?;
            if left <= 0 {
                return Ok(true);
            }
        }
        let kept_ms = ms(archive).max(KNOWN_MIN_MS);
        let until = source::entry_id(row.text(1)?)?.ms.cast_signed().saturating_sub(kept_ms);
        left -= remove(engine, &REMOVE_KNOWN, &[Param::Int(id), Param::Int(until)], left).await?;
    }
    for (statement, age_ms) in [(REMOVE_APPLIED, EVENT_ID_LIFE_MS), (REMOVE_STATES, ms(state))] {
        left -= remove(engine, &statement, &[Param::Int(age_ms)], left).await?;
    }
    let mut session = engine.session(SessionKind::Write).await?;
    worker::remove_expired(&mut session).await?;
    activity::forget(&mut session).await?;
    Ok(left <= 0)
}

/// Removes at most `rows_max` rows by a statement whose last parameter that is; how many it were.
async fn remove(
    engine: &Engine,
    statement: &Statement,
    params: &[Param<'_>],
    rows_max: i64,
) -> Result<i64, StoreError> {
    if rows_max <= 0 {
        return Ok(0);
    }
    let params = [params, &[Param::Int(rows_max)]].concat();
    let removed = engine.session(SessionKind::Write).await?.run(statement, &params).await?;
    Ok(i64::try_from(removed).unwrap_or(rows_max))
}

/// Removes the events of a source up to a number, with their publications; raises the floors.
///
/// The source's row is locked first, as in a batch's transaction: whoever changes anything of a
/// source holds its row.
async fn remove_events(session: &mut SqlSession, id: i64, last: i64) -> Result<i64, StoreError> {
    session.rows(&LOCK, &[Param::Int(id)]).await?;
    let rows = session.rows(&REMOVE_EVENTS, &[Param::Int(id), Param::Int(last)]).await?;
    let mut floors: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &rows {
        let offsets: Vec<(i64, i64)> = serde_json::from_str(row.text(0)?).unwrap_or_default();
        for (channel, offset) in offsets {
            let floor = floors.entry(channel).or_default();
            *floor = offset.max(*floor);
        }
    }
    let table = [
        Column::Ints(floors.keys().copied().collect()),
        Column::Ints(floors.values().copied().collect()),
    ];
    session.run(&RAISE_FLOORS, &[Param::Table(&table)]).await?;
    session.run(&REMOVE_PUBLICATIONS, &[Param::Table(&table)]).await?;
    Ok(i64::try_from(rows.len()).unwrap_or(SLICE_ROWS))
}
