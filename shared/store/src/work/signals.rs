//! What the owner of a source has to look at: tasks whose dependencies changed, groups that closed.
//!
//! Whoever changes something writes a signal into the source of whom it concerns, in the same
//! transaction; the owner of that source looks and removes it. No task of another source is written.

use domain::{source::Source, work::TaskStatus};

use super::rows;
use crate::{
    StoreError,
    engine::SqlSession,
    source,
    sql::{Column, Param, Statement, both, each},
};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalKind {
    /// To look at what a task depends on.
    Check,
    /// To end a task that is part of a cycle.
    Cycle,
    /// To take up a task again that failed by a dependency.
    Revive,
    /// To cancel the tasks of a closed group.
    Group,
}

impl SignalKind {
    const ALL: [Self; 4] = [Self::Check, Self::Cycle, Self::Revive, Self::Group];

    const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Cycle => "cycle",
            Self::Revive => "revive",
            Self::Group => "group",
        }
    }
}

/// A signal.
#[derive(Clone, Debug)]
pub struct Signal {
    /// The number of the row.
    pub id: i64,
    /// What it asks for.
    pub kind: SignalKind,
    /// The task, or the group.
    pub about: Box<str>,
}

/// A task that waits for others, and how these are.
#[derive(Clone, Debug, Default)]
pub struct Dependent {
    /// Those that it waits for, and their status; none for one that nobody recorded.
    pub on: Vec<(Box<str>, Option<TaskStatus>)>,
}

const READ: Statement =
    both("SELECT id, kind, task FROM work_signal WHERE source = $1 ORDER BY id LIMIT $2");

const REMOVE: Statement = each(
    "DELETE FROM work_signal WHERE id = ANY ($1::bigint[])",
    "DELETE FROM work_signal WHERE id IN (SELECT value ->> 0 FROM json_each($1))",
);

const SEND: Statement = each(
    "INSERT INTO work_signal (source, kind, task)
     SELECT w.source, $1, w.id FROM work w WHERE w.id = ANY ($2::text[])",
    "INSERT INTO work_signal (source, kind, task)
     SELECT w.source, $1, w.id FROM work w WHERE w.id IN (SELECT value ->> 0 FROM json_each($2))",
);

// Whoever waits looks again; what failed because of one that waits again begins anew.
const DEPENDENTS: Statement = each(
    "INSERT INTO work_signal (source, kind, task)
     SELECT w.source, CASE WHEN w.status = 'pending' THEN 'check' ELSE 'revive' END, w.id
     FROM unnest($1::text[], $2::bigint[]) AS t (id, revives)
     JOIN dependency d ON d.on_id = t.id JOIN work w ON w.id = d.task
     WHERE w.status = 'pending'
     OR (t.revives = 1 AND w.status = 'failed' AND w.reason = 'dependency')",
    "INSERT INTO work_signal (source, kind, task)
     SELECT w.source, CASE WHEN w.status = 'pending' THEN 'check' ELSE 'revive' END, w.id
     FROM json_each($1) AS t
     CROSS JOIN dependency d ON d.on_id = t.value ->> 0 CROSS JOIN work w ON w.id = d.task
     WHERE w.status = 'pending'
     OR (t.value ->> 1 = 1 AND w.status = 'failed' AND w.reason = 'dependency')",
);

const SETTLE: Statement = each(
    "UPDATE work w SET waits = (SELECT count(*) FROM dependency d LEFT JOIN work o ON o.id = d.on_id
         WHERE d.task = w.id AND o.status IS DISTINCT FROM 'completed')
     WHERE w.id = ANY ($1::text[]) AND w.status = 'pending'",
    "UPDATE work AS w SET waits = (SELECT count(*) FROM dependency d LEFT JOIN work o ON o.id = d.on_id
         WHERE d.task = w.id AND o.status IS NOT 'completed')
     WHERE w.id IN (SELECT value ->> 0 FROM json_each($1)) AND w.status = 'pending'",
);

const DEPENDENCIES: Statement = each(
    "SELECT d.task, d.on_id, o.status FROM dependency d LEFT JOIN work o ON o.id = d.on_id
     WHERE d.task = ANY ($1::text[]) ORDER BY d.task, d.place",
    "SELECT d.task, d.on_id, o.status FROM dependency d LEFT JOIN work o ON o.id = d.on_id
     WHERE d.task IN (SELECT value ->> 0 FROM json_each($1)) ORDER BY d.task, d.place",
);

// Whom each of these leads to, by tasks that wait.
const REACH: Statement = each(
    "WITH RECURSIVE reach (root, id) AS (
         SELECT w.id, d.on_id FROM work w JOIN dependency d ON d.task = w.id
         WHERE w.id = ANY ($1::text[]) AND w.status = 'pending'
         UNION
         SELECT r.root, d.on_id FROM reach r JOIN work w ON w.id = r.id AND w.status = 'pending'
         JOIN dependency d ON d.task = w.id)
     SELECT root, id FROM reach",
    "WITH RECURSIVE reach (root, id) AS (
         SELECT w.id, d.on_id FROM work w JOIN dependency d ON d.task = w.id
         WHERE w.id IN (SELECT value ->> 0 FROM json_each($1)) AND w.status = 'pending'
         UNION
         SELECT r.root, d.on_id FROM reach r JOIN work w ON w.id = r.id AND w.status = 'pending'
         JOIN dependency d ON d.task = w.id)
     SELECT root, id FROM reach",
);

fn texts<'a>(of: &[&'a str]) -> [Column<'a>; 1] {
    [Column::Texts(of.to_vec())]
}

/// Signals of a source, oldest first.
pub(crate) async fn read(
    session: &mut SqlSession,
    source: Source,
    limit: i64,
) -> Result<Vec<Signal>, StoreError> {
    let params = [Param::Int(source::number(source)), Param::Int(limit)];
    let mut signals = Vec::new();
    for row in session.rows(&READ, &params).await? {
        let name = row.text(1)?;
        if let Some(kind) = SignalKind::ALL.into_iter().find(|kind| kind.name() == name) {
            signals.push(Signal { id: row.int(0)?, kind, about: row.text(2)?.into() });
        }
    }
    Ok(signals)
}

/// Removes signals, and counts anew what these tasks wait for.
pub(crate) async fn settle(session: &mut SqlSession, signals: &[Signal]) -> Result<(), StoreError> {
    let tasks: Vec<&str> = signals.iter().map(|signal| &*signal.about).collect();
    session.run(&SETTLE, &[Param::Table(&texts(&tasks))]).await?;
    let ids = [Column::Ints(signals.iter().map(|signal| signal.id).collect())];
    session.run(&REMOVE, &[Param::Table(&ids)]).await.map(drop)
}

/// Signals to the owners of tasks.
pub(crate) async fn send(
    session: &mut SqlSession,
    kind: SignalKind,
    tasks: &[&str],
) -> Result<(), StoreError> {
    let table = texts(tasks);
    session.run(&SEND, &[Param::Text(kind.name()), Param::Table(&table)]).await.map(drop)
}

/// Signals to whoever depends on tasks that ended, or that wait again (`revives`).
pub(crate) async fn dependents(
    session: &mut SqlSession,
    changed: &[(&str, bool)],
) -> Result<(), StoreError> {
    let table = [
        Column::Texts(changed.iter().map(|(id, _)| *id).collect()),
        Column::Ints(changed.iter().map(|(_, revives)| (*revives).into()).collect()),
    ];
    session.run(&DEPENDENTS, &[Param::Table(&table)]).await.map(drop)
}

/// What tasks depend on, in the order of the tasks.
pub(crate) async fn dependencies(
    session: &mut SqlSession,
    tasks: &[&str],
) -> Result<Vec<(Box<str>, Dependent)>, StoreError> {
    let mut found: Vec<(Box<str>, Dependent)> = Vec::new();
    for row in session.rows(&DEPENDENCIES, &[Param::Table(&texts(tasks))]).await? {
        let task = row.text(0)?;
        if found.last().is_none_or(|(last, _)| **last != *task) {
            found.push((task.into(), Dependent::default()));
        }
        let status = row.maybe_text(2)?.and_then(rows::status);
        if let Some((_, dependent)) = found.last_mut() {
            dependent.on.push((row.text(1)?.into(), status));
        }
    }
    Ok(found)
}

/// Pairs of a task and one that it leads to by what it depends on.
pub(crate) async fn reach(
    session: &mut SqlSession,
    tasks: &[&str],
) -> Result<Vec<(Box<str>, Box<str>)>, StoreError> {
    let rows = session.rows(&REACH, &[Param::Table(&texts(tasks))]).await?;
    rows.iter().map(|row| Ok((row.text(0)?.into(), row.text(1)?.into()))).collect()
}
