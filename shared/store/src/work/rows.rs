//! The rows of tasks and of their attempts, as a batch's transaction reads and writes them.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    source::Source,
    work::{Task, TaskStatus},
};

use crate::{
    StoreError,
    engine::SqlSession,
    source,
    sql::{Column, Param, Statement, both, each},
};

// Everybody locks tasks in the order of their ids, those that they only look at too: whoever ends one
// waits for whoever begins to depend on it, and the other way round.
const LOCK: Statement = each(
    "SELECT w.id, w.life FROM work w WHERE w.id = ANY ($1::text[])
     ORDER BY w.id COLLATE \"C\" FOR UPDATE",
    "SELECT w.id, w.life FROM work w
     WHERE w.id IN (SELECT value ->> 0 FROM json_each($1))",
);

const WRITE: Statement = each(
    "INSERT INTO work AS w (source, created, id, status, lane, priority, group_id, ready_at, waits,
     rejections, attempt, due_at, reason, ended, life)
     SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[],
     $14::bigint[], $15::text[])
     ON CONFLICT (id) DO UPDATE SET status = excluded.status, ready_at = excluded.ready_at,
     waits = CASE WHEN excluded.waits < 0 THEN w.waits ELSE excluded.waits END,
     rejections = excluded.rejections, attempt = excluded.attempt, due_at = excluded.due_at,
     reason = excluded.reason, ended = excluded.ended, life = excluded.life",
    "INSERT INTO work AS w (source, created, id, status, lane, priority, group_id, ready_at, waits,
     rejections, attempt, due_at, reason, ended, life)
     SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
     value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12
     FROM json_each($3) WHERE true
     ON CONFLICT (id) DO UPDATE SET status = excluded.status, ready_at = excluded.ready_at,
     waits = CASE WHEN excluded.waits < 0 THEN w.waits ELSE excluded.waits END,
     rejections = excluded.rejections, attempt = excluded.attempt, due_at = excluded.due_at,
     reason = excluded.reason, ended = excluded.ended, life = excluded.life",
);

const BEGIN: Statement = each(
    "INSERT INTO attempt (source, assigned_at, task, number, agent, connection, accepts)
     SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])",
    "INSERT INTO attempt (source, assigned_at, task, number, agent, connection, accepts)
     SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
     FROM json_each($3)",
);

const HEAR: Statement = each(
    "UPDATE attempt a SET connection = coalesce(t.connection, a.connection),
     orphaned_at = CASE WHEN t.connection IS NULL THEN a.orphaned_at END,
     accepted_at = CASE WHEN t.accepted = 1 THEN coalesce(a.accepted_at, $1) ELSE a.accepted_at END
     FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[])
         AS t (task, number, connection, accepted)
     WHERE a.task = t.task AND a.number = t.number",
    "UPDATE attempt AS a SET connection = coalesce(t.value ->> 2, a.connection),
     orphaned_at = CASE WHEN t.value ->> 2 IS NULL THEN a.orphaned_at END,
     accepted_at = CASE WHEN t.value ->> 3 = 1 THEN coalesce(a.accepted_at, $1)
                   ELSE a.accepted_at END
     FROM json_each($2) AS t WHERE a.task = t.value ->> 0 AND a.number = t.value ->> 1",
);

// A frame that was never written is no work that anybody does.
const END: Statement = each(
    "UPDATE attempt a SET ended_at = $1, ending = t.ending,
     slot = CASE WHEN a.written_at IS NULL THEN 0 ELSE t.slot END,
     tell = CASE WHEN a.written_at IS NOT NULL AND t.slot = 1 THEN t.ending END
     FROM unnest($2::text[], $3::bigint[], $4::text[], $5::bigint[])
         AS t (task, number, ending, slot)
     WHERE a.task = t.task AND a.number = t.number",
    "UPDATE attempt AS a SET ended_at = $1, ending = t.value ->> 2,
     slot = CASE WHEN a.written_at IS NULL THEN 0 ELSE t.value ->> 3 END,
     tell = CASE WHEN a.written_at IS NOT NULL AND t.value ->> 3 = 1 THEN t.value ->> 2 END
     FROM json_each($2) AS t WHERE a.task = t.value ->> 0 AND a.number = t.value ->> 1",
);

// An agent that answers is not at it any more.
const FREE: Statement = each(
    "UPDATE attempt a SET slot = 0, tell = NULL FROM unnest($1::text[], $2::text[]) AS t (task, agent)
     WHERE a.task = t.task AND a.agent = t.agent AND a.ended_at IS NOT NULL AND a.slot = 1",
    "UPDATE attempt AS a SET slot = 0, tell = NULL FROM json_each($1) AS t
     WHERE a.task = t.value ->> 0 AND a.agent = t.value ->> 1 AND a.ended_at IS NOT NULL
     AND a.slot = 1",
);

const DEPEND: Statement = each(
    "INSERT INTO dependency (task, place, on_id)
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING",
    "INSERT INTO dependency (task, place, on_id)
     SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1) WHERE true
     ON CONFLICT DO NOTHING",
);

// Whoever closes a group waits for those that join it, and the other way round.
const GROUPS: Statement = each(
    "INSERT INTO work_group AS g (id) SELECT * FROM unnest($1::text[])
     ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING id, closed, asked",
    "INSERT INTO work_group AS g (id) SELECT value ->> 0 FROM json_each($1) WHERE true
     ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING id, closed, asked",
);

const TOUCHED: Statement = both("SELECT 1 FROM work WHERE source = $1 AND ended IS NULL LIMIT 1");

/// Locks tasks until the transaction ends.
pub(crate) async fn lock(
    session: &mut SqlSession,
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<Box<str>, Task>, StoreError> {
    let table = [Column::Texts(ids.iter().copied().collect())];
    let rows = session.rows(&LOCK, &[Param::Table(&table)]).await?;
    let read = |row: &crate::engine::Row| Ok((row.text(0)?.into(), task(row.text(1)?)?));
    rows.iter().map(read).collect()
}

/// Reads a task as it is kept.
pub(crate) fn task(life: &str) -> Result<Task, StoreError> {
    serde_json::from_str(life).map_err(|error| StoreError::Refused(format!("a task: {error}")))
}

/// A task to be written.
#[derive(Debug)]
pub(crate) struct Written<'a> {
    pub(crate) id: &'a str,
    pub(crate) task: &'a Task,
    /// How many tasks it waits for; none: as before.
    pub(crate) waits: Option<i64>,
}

/// Writes tasks.
pub(crate) async fn write(
    session: &mut SqlSession,
    source: Source,
    recorded: i64,
    written: &[Written<'_>],
) -> Result<(), StoreError> {
    let lives: Vec<String> =
        written.iter().map(|row| serde_json::to_string(row.task).unwrap_or_default()).collect();
    let lanes: Vec<String> = written.iter().map(|row| row.task.spec.lane()).collect();
    let ints =
        |of: fn(&Task) -> i64| Column::Ints(written.iter().map(|row| of(row.task)).collect());
    let texts = |of: fn(&Task) -> Option<&str>| {
        Column::MaybeTexts(written.iter().map(|row| of(row.task)).collect())
    };
    let maybe = |of: fn(&Task) -> Option<i64>| {
        Column::MaybeInts(written.iter().map(|row| of(row.task)).collect())
    };
    let table = [
        Column::Texts(written.iter().map(|row| row.id).collect()),
        Column::Texts(written.iter().map(|row| row.task.status.name()).collect()),
        Column::Texts(lanes.iter().map(String::as_str).collect()),
        ints(|task| task.spec.priority.into()),
        texts(|task| task.spec.group.as_deref()),
        ints(|task| task.ready_at),
        Column::Ints(written.iter().map(|row| row.waits.unwrap_or(-1)).collect()),
        ints(|task| i64::try_from(task.rejected_by.len()).unwrap_or(i64::MAX)),
        ints(|task| source::int(task.attempt)),
        maybe(Task::due_at),
        texts(|task| task.reason.as_deref()),
        maybe(|task| task.ended_at),
        Column::Texts(lives.iter().map(String::as_str).collect()),
    ];
    let params = [Param::Int(source::number(source)), Param::Int(recorded), Param::Table(&table)];
    session.run(&WRITE, &params).await.map(drop)
}

/// The status of a word.
pub(crate) fn status(word: &str) -> Option<TaskStatus> {
    TaskStatus::ALL.into_iter().find(|status| status.name() == word)
}

/// An attempt that begins.
#[derive(Debug)]
pub(crate) struct BegunAttempt {
    pub(crate) task: Box<str>,
    pub(crate) number: u64,
    pub(crate) agent: Box<str>,
    pub(crate) connection: Box<str>,
    pub(crate) accepts: bool,
}

/// An attempt whose agent was heard.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) task: Box<str>,
    pub(crate) number: u64,
    /// By which connection; none where it came another way.
    pub(crate) connection: Option<Box<str>>,
    pub(crate) accepted: bool,
}

/// An attempt that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) task: Box<str>,
    pub(crate) number: u64,
    pub(crate) ending: &'static str,
    pub(crate) keeps_slot: bool,
}

fn numbers(of: impl Iterator<Item = u64>) -> Column<'static> {
    Column::Ints(of.map(source::int).collect())
}

/// Writes attempts that begin.
pub(crate) async fn begin(
    session: &mut SqlSession,
    source: Source,
    recorded: i64,
    begun: &[BegunAttempt],
) -> Result<(), StoreError> {
    let table = [
        Column::Texts(begun.iter().map(|one| &*one.task).collect()),
        numbers(begun.iter().map(|one| one.number)),
        Column::Texts(begun.iter().map(|one| &*one.agent).collect()),
        Column::Texts(begun.iter().map(|one| &*one.connection).collect()),
        Column::Ints(begun.iter().map(|one| one.accepts.into()).collect()),
    ];
    let params = [Param::Int(source::number(source)), Param::Int(recorded), Param::Table(&table)];
    session.run(&BEGIN, &params).await.map(drop)
}

/// Notes that agents were heard.
pub(crate) async fn hear(
    session: &mut SqlSession,
    recorded: i64,
    heard: &[Heard],
) -> Result<(), StoreError> {
    let table = [
        Column::Texts(heard.iter().map(|one| &*one.task).collect()),
        numbers(heard.iter().map(|one| one.number)),
        Column::MaybeTexts(heard.iter().map(|one| one.connection.as_deref()).collect()),
        Column::Ints(heard.iter().map(|one| one.accepted.into()).collect()),
    ];
    session.run(&HEAR, &[Param::Int(recorded), Param::Table(&table)]).await.map(drop)
}

/// Ends attempts.
pub(crate) async fn end(
    session: &mut SqlSession,
    recorded: i64,
    ended: &[Ended],
) -> Result<(), StoreError> {
    let table = [
        Column::Texts(ended.iter().map(|one| &*one.task).collect()),
        numbers(ended.iter().map(|one| one.number)),
        Column::Texts(ended.iter().map(|one| one.ending).collect()),
        Column::Ints(ended.iter().map(|one| one.keeps_slot.into()).collect()),
    ];
    session.run(&END, &[Param::Int(recorded), Param::Table(&table)]).await.map(drop)
}

/// Gives agents back the slots of attempts that ended, because they answered: tasks and agents.
pub(crate) async fn free(
    session: &mut SqlSession,
    answered: &[(Box<str>, Box<str>)],
) -> Result<(), StoreError> {
    let table = [
        Column::Texts(answered.iter().map(|(task, _)| &**task).collect()),
        Column::Texts(answered.iter().map(|(_, agent)| &**agent).collect()),
    ];
    session.run(&FREE, &[Param::Table(&table)]).await.map(drop)
}

/// Writes what tasks depend on.
pub(crate) async fn depend(
    session: &mut SqlSession,
    created: &[(&str, &Task)],
) -> Result<(), StoreError> {
    let all = || {
        created.iter().flat_map(|(id, task)| {
            (0_i64..).zip(&task.spec.depends_on).map(move |(place, on)| (*id, place, &**on))
        })
    };
    let table = [
        Column::Texts(all().map(|(id, ..)| id).collect()),
        Column::Ints(all().map(|(_, place, _)| place).collect()),
        Column::Texts(all().map(|(.., on)| on).collect()),
    ];
    session.run(&DEPEND, &[Param::Table(&table)]).await.map(drop)
}

/// Locks groups; those that are closed, with who asked for it and why as JSON.
pub(crate) async fn groups(
    session: &mut SqlSession,
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<Box<str>, String>, StoreError> {
    let table = [Column::Texts(ids.iter().copied().collect())];
    let mut closed = BTreeMap::new();
    for row in session.rows(&GROUPS, &[Param::Table(&table)]).await? {
        if row.maybe_int(1)?.is_some() {
            closed.insert(row.text(0)?.into(), row.maybe_text(2)?.unwrap_or("{}").to_owned());
        }
    }
    Ok(closed)
}

/// Whether a source has tasks that did not end.
pub(crate) async fn has_open(session: &mut SqlSession, source: Source) -> Result<bool, StoreError> {
    let row = session.row(&TOUCHED, &[Param::Int(source::number(source))]).await?;
    Ok(row.is_some())
}
