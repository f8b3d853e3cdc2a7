//! How many partitions each stream has: what is in force, what workers wish for, and the change.
//!
//! A change has three steps. Every source loses its owner and none may be claimed; whoever changes
//! tells the broker and notes where each stream ends; then sources are claimed again, and each
//! waits at its end until all partitions of its stream have come so far. So events of one id keep
//! their order although they go to another partition.

use std::time::Duration;

use domain::{
    entry::EntryId,
    node::NodeId,
    source::{Source, Stream},
};

use super::{
    StoreError,
    answers::Partitions,
    engine::{Row, SqlSession},
    source::{ms, number},
    sql::{Column, Param, Statement, both, each},
};

const WISH: Statement = both("UPDATE worker SET partitions = $2 WHERE name = $1");

const BEGIN_WITH: Statement =
    both("INSERT INTO partitions (id, in_force) VALUES (1, $1) ON CONFLICT DO NOTHING");

const READ: Statement = both(
    "SELECT in_force, switching, (SELECT ms FROM clock) - since,
     (SELECT CASE WHEN count(*) = count(partitions) AND min(partitions) = max(partitions)
      THEN min(partitions) END FROM worker WHERE lease_until > (SELECT ms FROM clock))
     FROM partitions",
);

// One begins; another one takes over what was left unfinished for so long.
const BEGIN: Statement = both(
    "UPDATE partitions SET switching = $2, since = (SELECT ms FROM clock)
     WHERE in_force = $1 AND (switching IS NULL OR since <= (SELECT ms FROM clock) - $3)",
);

const REVOKE: Statement = both(
    "UPDATE source SET owner = NULL, lease_until = 0, fence = fence + 1, barrier = NULL, drained = 0",
);

const END: Statement =
    both("UPDATE partitions SET in_force = $1, switching = NULL WHERE switching = $1");

const GIVE_UP: Statement = both("UPDATE partitions SET switching = NULL WHERE switching = $1");

const BARRIERS: Statement = each(
    "UPDATE source SET barrier = it.barrier, drained = 0
     FROM unnest($1::bigint[], $2::text[]) AS it(id, barrier) WHERE source.id = it.id",
    "UPDATE source SET barrier = it.value ->> 1, drained = 0
     FROM json_each($1) AS it WHERE source.id = it.value ->> 0",
);

const DRAINED: Statement = both("UPDATE source SET drained = 1 WHERE id = $1 AND fence = $2");

const LIFT: Statement = both(
    "UPDATE source SET barrier = NULL, drained = 0 WHERE id / 65536 = $1 AND barrier IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM source AS other
     WHERE other.id / 65536 = $1 AND other.barrier IS NOT NULL AND other.drained = 0)",
);

/// Notes what a worker wishes for, and reads what is in force; at first that is the same.
pub(super) async fn wish(
    session: &mut SqlSession,
    worker: &NodeId,
    wish: u16,
) -> Result<Partitions, StoreError> {
    session.run(&WISH, &[Param::Text(&worker.0), Param::Int(wish.into())]).await?;
    if let Some(row) = session.row(&READ, &[]).await? {
        return partitions(&row);
    }
    session.run(&BEGIN_WITH, &[Param::Int(wish.into())]).await?;
    let row = session.row(&READ, &[]).await?;
    row.as_ref().map_or(Ok(Partitions::of(wish)), partitions)
}

/// Begins a change, in a transaction that the caller commits; whether it is this caller's.
pub(super) async fn begin(
    session: &mut SqlSession,
    from: u16,
    to: u16,
    unfinished: Duration,
) -> Result<bool, StoreError> {
    let params = [Param::Int(from.into()), Param::Int(to.into()), Param::Int(ms(unfinished))];
    let begun = session.run(&BEGIN, &params).await? > 0;
    if begun {
        session.run(&REVOKE, &[]).await?;
    }
    Ok(begun)
}

/// Ends a change, in a transaction that the caller commits: from now on sources are claimed again.
pub(super) async fn end(
    session: &mut SqlSession,
    to: u16,
    barriers: &[(Source, EntryId)],
) -> Result<bool, StoreError> {
    if session.run(&END, &[Param::Int(to.into())]).await? == 0 {
        return Ok(false);
    }
    let ids: Vec<String> = barriers.iter().map(|(_, entry)| entry.to_string()).collect();
    let table = [
        Column::Ints(barriers.iter().map(|(source, _)| number(*source)).collect()),
        Column::Texts(ids.iter().map(String::as_str).collect()),
    ];
    session.run(&BARRIERS, &[Param::Table(&table)]).await?;
    Ok(true)
}

/// Leaves everything as it was.
pub(super) async fn give_up(session: &mut SqlSession, to: u16) -> Result<(), StoreError> {
    session.run(&GIVE_UP, &[Param::Int(to.into())]).await.map(drop)
}

/// Notes that a source was read up to its barrier; whether all partitions of its stream were, and
/// go on.
pub(super) async fn drained(
    session: &mut SqlSession,
    source: Source,
    fence: u64,
) -> Result<bool, StoreError> {
    let fence = i64::try_from(fence).unwrap_or(i64::MAX);
    let params = [Param::Int(number(source)), Param::Int(fence)];
    if session.run(&DRAINED, &params).await? == 0 {
        return Err(StoreError::Fenced(source));
    }
    let stream = Stream::ALL.iter().position(|stream| *stream == source.stream).unwrap_or(0);
    let stream = i64::try_from(stream).unwrap_or(0);
    Ok(session.run(&LIFT, &[Param::Int(stream)]).await? > 0)
}

fn partitions(row: &Row) -> Result<Partitions, StoreError> {
    let number = |value: i64| u16::try_from(value).unwrap_or(1);
    Ok(Partitions {
        in_force: number(row.int(0)?),
        switching: row.maybe_int(1)?.map(number),
        switching_for: Duration::from_millis(u64::try_from(row.int(2)?).unwrap_or(0)),
        wished: row.maybe_int(3)?.map(number),
    })
}
