//! What operators did: who, what, to whom, and by which process.

use std::time::Duration;

use super::{
    StoreError,
    answers::{AuditEntry, AuditRecord},
    engine::{Row, SqlSession},
    source::ms,
    sql::{Param, Statement, both},
};

const INSERT: Statement = both(
    "INSERT INTO audit (at, who, action, target, node, details)
     SELECT ms, $1, $2, $3, $4, $5 FROM clock WHERE true",
);

const LIST: Statement = both(
    "SELECT id, at, who, action, target, node, details FROM audit WHERE id < $1
     ORDER BY id DESC LIMIT $2",
);

const RETAIN: Statement = both(
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit
     WHERE at < (SELECT ms FROM clock) - $1 ORDER BY id LIMIT 5000)",
);

/// Keeps what an operator did.
pub(super) async fn insert(session: &mut SqlSession, entry: &AuditEntry) -> Result<(), StoreError> {
    let details = entry.details.to_string().replace("\\u0000", "\\ufffd");
    let [who, target] = [&entry.who, &entry.target].map(|text| text.replace('\0', "\u{fffd}"));
    let params = [
        Param::Text(&who),
        Param::Text(entry.action),
        Param::Text(&target),
        Param::Text(&entry.node.0),
        Param::Text(&details),
    ];
    session.run(&INSERT, &params).await.map(drop)
}

/// What operators did, newest first.
pub(super) async fn list(
    session: &mut SqlSession,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<AuditRecord>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let params = [Param::Int(before.unwrap_or(i64::MAX)), Param::Int(limit)];
    session.rows(&LIST, &params).await?.iter().map(record).collect()
}

/// Forgets a slice of what is older; whether more is left.
pub(super) async fn retain(session: &mut SqlSession, age: Duration) -> Result<bool, StoreError> {
    Ok(session.run(&RETAIN, &[Param::Int(ms(age))]).await? >= 5000)
}

fn record(row: &Row) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        id: row.int(0)?,
        at: row.int(1)?,
        who: row.text(2)?.to_owned(),
        action: row.text(3)?.to_owned(),
        target: row.text(4)?.to_owned(),
        node: row.text(5)?.to_owned(),
        details: serde_json::from_str(row.text(6)?).unwrap_or_default(),
    })
}
