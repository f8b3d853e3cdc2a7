//! The rows of the entities: their states, and lists of them.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    event::{
        State,
        entity::{Entity, EntityKind},
    },
    source::Source,
};
use serde_json::Value;

use super::{
    EntityFilter, Lapsed, Listed, StoreError,
    engine::{Row, SqlSession},
    source,
    sql::{Column, Param, Statement, both, each},
    states::{Changed, STATUS_CHARS_MAX, States, Stored},
};

// Rows are locked in one order by everybody, so that two sources that feed the same entities wait
// for each other instead of blocking each other.
const LOCK: Statement = each(
    "SELECT e.kind, e.id, e.state, e.created, e.ended, e.version, e.lease_ms, e.path
     FROM unnest($1::text[], $2::text[]) AS t (kind, id)
     JOIN entity e ON e.kind = t.kind AND e.id = t.id
     ORDER BY e.kind COLLATE \"C\", e.id COLLATE \"C\" FOR UPDATE OF e",
    "SELECT e.kind, e.id, e.state, e.created, e.ended, e.version, e.lease_ms, e.path
     FROM json_each($1) AS t
     CROSS JOIN entity e ON e.kind = t.value ->> 0 AND e.id = t.value ->> 1",
);

const PATHS: Statement = each(
    "SELECT path, id FROM entity WHERE kind = $1 AND path = ANY ($2::bigint[])",
    "SELECT path, id FROM entity
     WHERE kind = $1 AND path IN (SELECT value ->> 0 FROM json_each($2))",
);

// The version tells a row that was written by nobody since it was read, or was not there then.
const WRITE: Statement = each(
    "INSERT INTO entity AS e (source, updated, kind, id, state, status, created, ended, version,
     lease_ms, lease_until, path)
     SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
     $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
     ON CONFLICT (kind, id) DO UPDATE SET source = excluded.source, updated = excluded.updated,
     state = excluded.state, status = excluded.status, ended = excluded.ended,
     version = excluded.version, lease_ms = excluded.lease_ms, lease_until = excluded.lease_until,
     path = excluded.path
     WHERE e.version = excluded.version - 1",
    "INSERT INTO entity AS e (source, updated, kind, id, state, status, created, ended, version,
     lease_ms, lease_until, path)
     SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
     value ->> 6, value ->> 7, value ->> 8, value ->> 9 FROM json_each($3) WHERE true
     ON CONFLICT (kind, id) DO UPDATE SET source = excluded.source, updated = excluded.updated,
     state = excluded.state, status = excluded.status, ended = excluded.ended,
     version = excluded.version, lease_ms = excluded.lease_ms, lease_until = excluded.lease_until,
     path = excluded.path
     WHERE e.version = excluded.version - 1",
);

const ONE: Statement = both("SELECT state FROM entity WHERE kind = $1 AND id = $2");

/// A list: `$1` kind, `$2` status, `$3` a key, `$4` and `$5` the cursor's time and id, `$6` limit,
/// `$7` offset, `$8` a pattern, `$9` what the text of a state must hold; then keys and values. Cursor and
/// status are conditions that an index answers; a state is parsed where its text may fit.
macro_rules! list {
    ($status:literal, $beyond:literal, $order:literal) => {
        each(
            concat!(
                "SELECT e.id, e.created, e.state FROM entity e
                 WHERE e.kind = $1 AND ",
                $status,
                " AND (e.created, e.id) ",
                $beyond,
                " ($4::bigint, $5::text)
                 AND ($9::text IS NULL OR strpos(e.state, $9) > 0)
                 AND ($3::text IS NULL OR e.state::json -> $3 IS NOT NULL)
                 AND NOT EXISTS (SELECT FROM unnest($10::text[], $11::text[]) AS m (key, value)
                                 WHERE (e.state::json -> m.key)::text IS DISTINCT FROM m.value)
                 AND ($8::text IS NULL OR lower(concat_ws(E'\\n', e.id, e.state::json ->> 'title',
                      e.state::json ->> 'project', e.state::json ->> 'projectName')) LIKE $8)
                 ORDER BY e.created ",
                $order,
                ", e.id ",
                $order,
                " LIMIT $6 OFFSET $7"
            ),
            concat!(
                "SELECT e.id, e.created, e.state FROM entity e
                 WHERE e.kind = $1 AND ",
                $status,
                " AND (e.created, e.id) ",
                $beyond,
                " ($4, $5)
                 AND ($9 IS NULL OR instr(e.state, $9) > 0)
                 AND ($3 IS NULL OR e.state -> $3 IS NOT NULL)
                 AND NOT EXISTS (SELECT 1 FROM json_each($10) AS m
                                 WHERE e.state -> (m.value ->> 0) IS NOT m.value ->> 1)
                 AND ($8 IS NULL OR lower(concat_ws(char(10), e.id, e.state ->> 'title',
                      e.state ->> 'project', e.state ->> 'projectName')) LIKE $8 ESCAPE '\\')
                 ORDER BY e.created ",
                $order,
                ", e.id ",
                $order,
                " LIMIT $6 OFFSET $7"
            ),
        )
    };
}

const LIST: Statement = list!("CAST($2 AS TEXT) IS NULL", "<", "DESC");

const LIST_OF_STATUS: Statement = list!("e.status = $2", "<", "DESC");

const LIST_UP: Statement = list!("CAST($2 AS TEXT) IS NULL", ">", "ASC");

const LIST_OF_STATUS_UP: Statement = list!("e.status = $2", ">", "ASC");

/// How many entities of a kind there are: `$1` kind, `$2` a pattern.
macro_rules! counts {
    ($postgres:literal, $sqlite:literal) => {
        each(
            concat!(
                "SELECT ",
                $postgres,
                ", count(*) FROM entity e WHERE e.kind = $1
                 AND ($2::text IS NULL OR lower(concat_ws(E'\\n', e.id, e.state::json ->> 'title',
                      e.state::json ->> 'project', e.state::json ->> 'projectName')) LIKE $2)
                 GROUP BY 1"
            ),
            concat!(
                "SELECT ",
                $sqlite,
                ", count(*) FROM entity e WHERE e.kind = $1
                 AND ($2 IS NULL OR lower(concat_ws(char(10), e.id, e.state ->> 'title',
                      e.state ->> 'project', e.state ->> 'projectName')) LIKE $2 ESCAPE '\\')
                 GROUP BY 1"
            ),
        )
    };
}

const COUNTS: Statement = counts!("coalesce(e.status, '')", "coalesce(e.status, '')");

/// An alert has no status of its own, it was seen or not.
const COUNTS_OF_ALERTS: Statement = counts!(
    "CASE WHEN e.state::json ->> 'acknowledged' = '1' THEN 'acknowledged' ELSE 'open' END",
    "CASE WHEN e.state ->> 'acknowledged' = 1 THEN 'acknowledged' ELSE 'open' END"
);

const LAPSED: Statement = both(
    "SELECT kind, id, lease_ms, lease_until FROM entity
     WHERE source = $1 AND lease_until < (SELECT ms FROM clock) - $2 AND lease_ms <= $3
     ORDER BY lease_until LIMIT $4",
);

const HOLDS_LEASES: Statement =
    both("SELECT 1 FROM entity WHERE source = $1 AND lease_until IS NOT NULL LIMIT 1");

/// How many states are read first; how large they are says how many the next read may bring.
const FIRST_STATES: usize = 64;

/// Reads the states of entities and locks them until the transaction ends, in the order in which
/// everybody does.
///
/// # Errors
/// [`StoreError::TooMuch`] when they are larger than `bytes_max` together (rule 10).
pub(super) async fn lock(
    session: &mut SqlSession,
    entities: BTreeSet<Entity>,
    paths: BTreeSet<i64>,
    bytes_max: usize,
) -> Result<States, StoreError> {
    let mut states = States::default();
    let mut entities: Vec<(&str, &str)> =
        entities.iter().map(|entity| (entity.kind.name(), &*entity.id)).collect();
    // As their rows are ordered: by the names of the kinds.
    entities.sort_unstable();
    let (mut read, mut bytes) = (0_usize, 0_usize);
    while read < entities.len() {
        let mean = bytes.checked_div(read).unwrap_or(0).max(1);
        let next = if read == 0 { FIRST_STATES } else { (bytes_max - bytes) / mean };
        let part = &entities[read..entities.len().min(read + next.max(1))];
        bytes += lock_part(session, &mut states, part).await?;
        read += part.len();
        if bytes > bytes_max {
            let text = format!("{bytes} bytes of state in {read} entities, {bytes_max} at once");
            return Err(StoreError::TooMuch(text));
        }
    }
    let table = [Column::Ints(paths.into_iter().collect())];
    let params = [Param::Text(EntityKind::Repo.name()), Param::Table(&table)];
    for row in session.rows(&PATHS, &params).await? {
        states.hold_path(row.int(0)?, row.text(1)?);
    }
    Ok(states)
}

/// Locks some of them; the bytes of their states.
async fn lock_part(
    session: &mut SqlSession,
    states: &mut States,
    part: &[(&str, &str)],
) -> Result<usize, StoreError> {
    let mut bytes = 0;
    let table = [
        Column::Texts(part.iter().map(|(kind, _)| *kind).collect()),
        Column::Texts(part.iter().map(|(_, id)| *id).collect()),
    ];
    for row in session.rows(&LOCK, &[Param::Table(&table)]).await? {
        let entity = Entity { kind: kind(row.text(0)?)?, id: row.text(1)?.into() };
        let stored = Stored {
            created: row.int(3)?,
            ended: row.maybe_int(4)?,
            version: row.int(5)?,
            lease_ms: row.maybe_int(6)?,
            path: row.maybe_int(7)?,
        };
        let json = row.text(2)?;
        bytes += json.len();
        states.hold(entity, stored, state(json)?, json.len());
    }
    Ok(bytes)
}

/// Writes states.
///
/// # Errors
/// [`StoreError::Conflict`] when another source wrote one of them since it was read, which can
/// only be one that was not there to be locked.
pub(super) async fn write(
    session: &mut SqlSession,
    source: Source,
    recorded: i64,
    changed: &[Changed],
) -> Result<(), StoreError> {
    let ints = |of: fn(&Changed) -> i64| Column::Ints(changed.iter().map(of).collect());
    let maybe_ints =
        |of: fn(&Changed) -> Option<i64>| Column::MaybeInts(changed.iter().map(of).collect());
    let table = [
        Column::Texts(changed.iter().map(|row| row.entity.kind.name()).collect()),
        Column::Texts(changed.iter().map(|row| &*row.entity.id).collect()),
        Column::Texts(changed.iter().map(|row| row.state.as_str()).collect()),
        Column::MaybeTexts(changed.iter().map(|row| row.status.as_deref()).collect()),
        ints(|row| row.row.created),
        maybe_ints(|row| row.row.ended),
        ints(|row| row.row.version),
        maybe_ints(|row| row.row.lease_ms),
        maybe_ints(|row| row.lease_until),
        maybe_ints(|row| row.row.path),
    ];
    let params = [Param::Int(source::number(source)), Param::Int(recorded), Param::Table(&table)];
    let written = session.run(&WRITE, &params).await?;
    if written == changed.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Conflict(String::from("another source wrote a state meanwhile")))
}

/// The state of an entity.
pub(super) async fn one(
    session: &mut SqlSession,
    entity: &Entity,
) -> Result<Option<State>, StoreError> {
    let params = [Param::Text(entity.kind.name()), Param::Text(&entity.id)];
    let row = session.row(&ONE, &params).await?;
    row.as_ref().map(|row| state(row.text(0)?)).transpose()
}

/// Entities of a kind, newest first.
pub(super) async fn list(
    session: &mut SqlSession,
    kind: EntityKind,
    filter: &EntityFilter,
) -> Result<Vec<Listed>, StoreError> {
    let status = filter.status.as_ref();
    let status: Option<String> =
        status.map(|status| status.chars().take(STATUS_CHARS_MAX).collect());
    let count = |count: usize| Param::Int(i64::try_from(count).unwrap_or(i64::MAX));
    let values: Vec<String> = filter.matching.iter().map(|(_, value)| value.to_string()).collect();
    let matching = [
        Column::Texts(filter.matching.iter().map(|(key, _)| *key).collect()),
        Column::Texts(values.iter().map(String::as_str).collect()),
    ];
    let first = if filter.is_oldest_first { (i64::MIN, "") } else { (i64::MAX, "") };
    let (created, id) =
        filter.after.as_ref().map_or(first, |after| (after.created, after.id.as_str()));
    let text = filter.text.as_deref().map(pattern);
    // States are written by the same serializer, so one that matches holds the pair as it stands here.
    let needle =
        filter.matching.first().map(|(key, value)| format!("{}:{value}", Value::from(*key)));
    let params = [
        Param::Text(kind.name()),
        Param::MaybeText(status.as_deref()),
        Param::MaybeText(filter.having),
        Param::Int(created),
        Param::Text(id),
        count(filter.limit),
        count(filter.offset),
        Param::MaybeText(text.as_deref()),
        Param::MaybeText(needle.as_deref()),
        Param::List(&matching),
    ];
    let listed = |row: &Row| {
        let (id, created) = (row.text(0)?.to_owned(), row.int(1)?);
        Ok(Listed { id, created, state: state(row.text(2)?)? })
    };
    let statement = match (status.is_some(), filter.is_oldest_first) {
        (true, false) => &LIST_OF_STATUS,
        (false, false) => &LIST,
        (true, true) => &LIST_OF_STATUS_UP,
        (false, true) => &LIST_UP,
    };
    session.rows(statement, &params).await?.iter().map(listed).collect()
}

/// How many entities of a kind there are, by status; empty where they have none.
pub(super) async fn counts(
    session: &mut SqlSession,
    kind: EntityKind,
    text: Option<&str>,
) -> Result<Vec<(String, u64)>, StoreError> {
    let text = text.map(pattern);
    let params = [Param::Text(kind.name()), Param::MaybeText(text.as_deref())];
    let statement = if kind == EntityKind::Alert { &COUNTS_OF_ALERTS } else { &COUNTS };
    let counted =
        |row: &Row| Ok((row.text(0)?.to_owned(), u64::try_from(row.int(1)?).unwrap_or_default()));
    session.rows(statement, &params).await?.iter().map(counted).collect()
}

/// What finds a text anywhere, whatever its case.
fn pattern(text: &str) -> String {
    let literal = text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%");
    format!("%{}%", literal.replace('_', "\\_"))
}

/// Entities of a source whose lease ran out.
pub(super) async fn lapsed(
    session: &mut SqlSession,
    source: Source,
    read_to_end: Duration,
    reachable: Duration,
    limit: usize,
) -> Result<Vec<Lapsed>, StoreError> {
    let params = [
        Param::Int(source::number(source)),
        Param::Int(source::ms(read_to_end)),
        Param::Int(source::ms(reachable)),
        Param::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    let lapsed = |row: &Row| {
        let entity = Entity { kind: kind(row.text(0)?)?, id: row.text(1)?.into() };
        Ok(Lapsed { entity, lease_ms: row.int(2)?, lease_until: row.int(3)? })
    };
    session.rows(&LAPSED, &params).await?.iter().map(lapsed).collect()
}

/// Whether an entity last heard of by a source holds a lease.
pub(super) async fn holds_leases(
    session: &mut SqlSession,
    source: Source,
) -> Result<bool, StoreError> {
    let params = [Param::Int(source::number(source))];
    Ok(session.row(&HOLDS_LEASES, &params).await?.is_some())
}

/// A state as it is kept.
pub(super) fn state(json: &str) -> Result<State, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Refused(format!("a state: {error}")))
}

fn kind(name: &str) -> Result<EntityKind, StoreError> {
    EntityKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| StoreError::Refused(format!("{name:?} is no kind of entity")))
}
