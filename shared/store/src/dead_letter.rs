//! Entries that were not accepted.

use std::{collections::BTreeMap, time::Duration};

use domain::source::Source;

use super::{
    DeadLetter, DeadLetterFilter, DeadLetterOrigin, DeadReason, Judged, StoreError,
    engine::{Row, SqlSession},
    source,
    sql::{Column, Param, Statement, both, each},
};

const INSERT: Statement = each(
    "INSERT INTO dead_letter (source, recorded, entry, label, reason, fields)
     SELECT $1, $2, * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[])",
    "INSERT INTO dead_letter (source, recorded, entry, label, reason, fields)
     SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($3)",
);

const INSERT_WEBHOOK: Statement = both(
    "INSERT INTO dead_letter (source, recorded, entry, label, reason, fields)
     VALUES ($1, $2, $3, $4, $5, $6)",
);

const LIST: Statement = both(
    "SELECT id, source, entry, reason, recorded, fields, label FROM dead_letter
     WHERE id < $1 AND source BETWEEN $2 AND $3 ORDER BY id DESC LIMIT $4",
);

const ONE: Statement = both(
    "SELECT id, source, entry, reason, recorded, fields, label FROM dead_letter WHERE id = $1",
);

const OF: Statement = both(
    "SELECT id, source, entry, reason, recorded, fields, label FROM dead_letter WHERE entry = $1
     ORDER BY id DESC LIMIT 1",
);

/// The conditions of a [`DeadLetterFilter`]: `$1` to `$4`.
macro_rules! like {
    ($before:literal, $after:literal) => {
        both(concat!(
            $before,
            " FROM dead_letter WHERE source BETWEEN $1 AND $2 AND recorded < $3
             AND (CAST($4 AS TEXT) IS NULL OR label = $4 OR reason = $4)",
            $after
        ))
    };
}

const LIKE: Statement = like!(
    "SELECT id, source, entry, reason, recorded, fields, label",
    " AND id > $5 ORDER BY id LIMIT $6"
);

const DROP_LIKE: Statement =
    like!("DELETE FROM dead_letter WHERE id IN (SELECT id", " ORDER BY id LIMIT 5000)");

const RETAIN: Statement = both(
    "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter
     WHERE recorded < (SELECT ms FROM clock) - $1 ORDER BY id LIMIT 5000)",
);

const DELETE: Statement = both("DELETE FROM dead_letter WHERE id = $1");

/// Keeps entries with the reason why they were not accepted.
pub(super) async fn insert(
    session: &mut SqlSession,
    source: Source,
    recorded: i64,
    dead: &[(&Judged, DeadReason)],
) -> Result<(), StoreError> {
    let entries: Vec<String> = dead.iter().map(|(judged, _)| judged.entry.to_string()).collect();
    let fields: Vec<String> = dead.iter().map(|(judged, _)| fields_json(judged)).collect();
    let reasons: Vec<String> =
        dead.iter().map(|(_, reason)| reason.text.replace('\0', "\u{fffd}")).collect();
    let table = [
        Column::Texts(entries.iter().map(String::as_str).collect()),
        Column::Texts(dead.iter().map(|(_, reason)| reason.label).collect()),
        Column::Texts(reasons.iter().map(String::as_str).collect()),
        Column::Texts(fields.iter().map(String::as_str).collect()),
    ];
    let params = [Param::Int(source::number(source)), Param::Int(recorded), Param::Table(&table)];
    session.run(&INSERT, &params).await.map(drop)
}

/// What stands for the outbox in the place of a source: beyond the streams that there can be.
const WEBHOOKS: i64 = (u16::MAX as i64) << 16;

/// Keeps a webhook that was not delivered.
pub(super) async fn insert_webhook(
    session: &mut SqlSession,
    recorded: i64,
    webhook: &str,
    reason: &DeadReason,
    fields: &BTreeMap<&str, String>,
) -> Result<(), StoreError> {
    let text = reason.text.replace('\0', "\u{fffd}");
    let fields = serde_json::to_string(fields).unwrap_or_default();
    let params = [
        Param::Int(WEBHOOKS),
        Param::Int(recorded),
        Param::Text(webhook),
        Param::Text(reason.label),
        Param::Text(&text),
        Param::Text(&fields),
    ];
    session.run(&INSERT_WEBHOOK, &params).await.map(drop)
}

/// The most bytes of an entry that are kept whole: more than any that could be accepted.
const WHOLE_BYTES_MAX: usize = 4 << 20;

/// What is kept of a larger one.
const KEPT_BYTES: usize = 64 << 10;

/// The first value of each name counts, as when the entry was read. Of an entry that is too large the
/// beginning is kept, with `cut_bytes`, its whole size, and `cut_digest`, its fingerprint.
fn fields_json(judged: &Judged) -> String {
    let fields = &judged.fields;
    let cut = fields.size_bytes() > WHOLE_BYTES_MAX;
    let mut left = if cut { KEPT_BYTES } else { usize::MAX };
    let mut texts = BTreeMap::new();
    for (name, value) in &fields.0 {
        let name = &name[..name.floor_char_boundary(left)];
        left -= name.len();
        let value = &value[..value.len().min(left)];
        left -= value.len();
        texts.entry(name).or_insert_with(|| String::from_utf8_lossy(value));
        if left == 0 {
            break;
        }
    }
    if cut {
        texts.insert(CUT_BYTES, fields.size_bytes().to_string().into());
        texts.insert("cut_digest", format!("{:016x}", judged.digest).into());
    }
    serde_json::to_string(&texts).unwrap_or_default()
}

/// The field that says how large an entry was of which only the beginning is kept.
const CUT_BYTES: &str = "cut_bytes";

/// Dead letters, newest first.
pub(super) async fn list(
    session: &mut SqlSession,
    origin: Option<DeadLetterOrigin>,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let (from, to) = numbers(origin);
    let params = [
        Param::Int(before.unwrap_or(i64::MAX)),
        Param::Int(from),
        Param::Int(to),
        Param::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    session.rows(&LIST, &params).await?.iter().map(dead_letter).collect()
}

/// One dead letter.
pub(super) async fn one(
    session: &mut SqlSession,
    id: i64,
) -> Result<Option<DeadLetter>, StoreError> {
    session.row(&ONE, &[Param::Int(id)]).await?.as_ref().map(dead_letter).transpose()
}

/// What became of an entry.
pub(super) async fn of(
    session: &mut SqlSession,
    entry: &str,
) -> Result<Option<DeadLetter>, StoreError> {
    session.row(&OF, &[Param::Text(entry)]).await?.as_ref().map(dead_letter).transpose()
}

/// The first and the last number of an origin.
fn numbers(origin: Option<DeadLetterOrigin>) -> (i64, i64) {
    match origin {
        None => (0, i64::MAX),
        Some(DeadLetterOrigin::Webhooks) => (WEBHOOKS, WEBHOOKS),
        Some(DeadLetterOrigin::Source(source)) => {
            let number = source::number(source);
            (number, number)
        }
        Some(DeadLetterOrigin::Stream(stream)) => {
            let first = source::number(Source::first(stream));
            (first, first + i64::from(u16::MAX))
        }
    }
}

fn conditions(filter: &DeadLetterFilter) -> [Param<'_>; 4] {
    let (from, to) = numbers(filter.origin);
    [
        Param::Int(from),
        Param::Int(to),
        Param::Int(filter.before.unwrap_or(i64::MAX)),
        Param::MaybeText(filter.reason.as_deref()),
    ]
}

/// Those that fit, oldest first.
pub(super) async fn like(
    session: &mut SqlSession,
    filter: &DeadLetterFilter,
    after: i64,
    limit: usize,
) -> Result<Vec<DeadLetter>, StoreError> {
    let limit = Param::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    let params = [&conditions(filter)[..], &[Param::Int(after), limit]].concat();
    session.rows(&LIKE, &params).await?.iter().map(dead_letter).collect()
}

/// Forgets a slice of those that fit; how many.
pub(super) async fn drop_like(
    session: &mut SqlSession,
    filter: &DeadLetterFilter,
) -> Result<u64, StoreError> {
    session.run(&DROP_LIKE, &conditions(filter)).await
}

/// Forgets a slice of those that are too old; whether more is left.
pub(super) async fn retain(session: &mut SqlSession, age: Duration) -> Result<bool, StoreError> {
    Ok(session.run(&RETAIN, &[Param::Int(source::ms(age))]).await? >= 5000)
}

/// Forgets one; whether it was there.
pub(super) async fn delete(session: &mut SqlSession, id: i64) -> Result<bool, StoreError> {
    Ok(session.run(&DELETE, &[Param::Int(id)]).await? > 0)
}

fn dead_letter(row: &Row) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        id: row.int(0)?,
        origin: match row.int(1)? {
            WEBHOOKS => DeadLetterOrigin::Webhooks,
            number => DeadLetterOrigin::Source(source::of(number)?),
        },
        entry: row.text(2)?.to_owned(),
        reason: row.text(3)?.to_owned(),
        at: row.int(4)?,
        fields: serde_json::from_str(row.text(5)?).unwrap_or_default(),
        label: row.text(6)?.to_owned(),
    })
}
