//! Taking out what events and states say: their numbers stay, so that no client sees a hole.

use std::collections::BTreeSet;

use domain::{
    channel::Channel,
    entry::EntryId,
    event::{State, entity::Entity},
    publication::Recorded,
    source::Source,
};
use serde_json::Value;

use super::{
    StoreError,
    answers::{ErasePoint, ErasedEvents},
    channel,
    engine::SqlSession,
    source,
    sql::{Column, Param, Statement, both, each},
};

/// How many events one transaction erases.
const SLICE: i64 = 500;

const EVENTS: Statement = both(
    "SELECT c.source, p.number, e.seq, e.offsets, e.payload FROM channel c
     JOIN publication p ON p.channel = c.id
     JOIN event e ON e.source = c.source AND e.seq = p.seq
     WHERE c.name = $1 AND (c.source > $2 OR (c.source = $2 AND p.number > $3))
     ORDER BY c.source, p.number LIMIT $4",
);

const WRITE: Statement = each(
    "UPDATE event e SET payload = t.payload
     FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS t (source, seq, payload)
     WHERE e.source = t.source AND e.seq = t.seq",
    "UPDATE event AS e SET payload = t.value ->> 2 FROM json_each($1) AS t
     WHERE e.source = t.value ->> 0 AND e.seq = t.value ->> 1",
);

const STATE: Statement = each(
    "SELECT state FROM entity WHERE kind = $1 AND id = $2 FOR UPDATE",
    "SELECT state FROM entity WHERE kind = $1 AND id = $2",
);

const WRITE_STATE: Statement =
    both("UPDATE entity SET state = $3, version = version + 1 WHERE kind = $1 AND id = $2");

const REMOVE_STATE: Statement = both("DELETE FROM entity WHERE kind = $1 AND id = $2");

/// Erases a slice of a channel's events, in a transaction that the caller commits.
pub(super) async fn events(
    session: &mut SqlSession,
    of: &Channel,
    after: ErasePoint,
) -> Result<ErasedEvents, StoreError> {
    let params =
        [Param::Text(of.as_str()), Param::Int(after.0), Param::Int(after.1), Param::Int(SLICE)];
    let rows = session.rows(&EVENTS, &params).await?;
    let mut erased = ErasedEvents { next: None, ..ErasedEvents::default() };
    let (mut sources, mut seqs, mut payloads) = (Vec::new(), Vec::new(), Vec::new());
    let mut counters = BTreeSet::new();
    for row in &rows {
        let (number, point) = (row.int(0)?, (row.int(0)?, row.int(1)?));
        erased.next = Some(point);
        let offsets: Vec<(i64, u64)> = serde_json::from_str(row.text(3)?).unwrap_or_default();
        counters.extend(offsets.iter().map(|(counter, _)| (*counter, number)));
        let from = source::of(number)?;
        let Ok(mut recorded) = Recorded::from_payload(from, row.text(4)?.as_bytes()) else {
            continue;
        };
        if let Ok(entry) = recorded.entry.parse::<EntryId>() {
            erased.entries.push((from, entry));
        }
        recorded.event.erase();
        sources.push(number);
        seqs.push(row.int(2)?);
        payloads.push(String::from_utf8_lossy(&recorded.to_payload()).into_owned());
    }
    let payloads = Column::Texts(payloads.iter().map(String::as_str).collect());
    let table = [Column::Ints(sources), Column::Ints(seqs), payloads];
    erased.events = session.run(&WRITE, &[Param::Table(&table)]).await?;
    let ids = counters.iter().map(|(counter, _)| *counter).collect();
    let names = channel::names(session, ids).await?;
    let named = counters.into_iter().filter_map(|(counter, number)| {
        Some((names.get(&counter)?.clone(), source::of(number).ok()?))
    });
    erased.channels = named.collect::<Vec<(Channel, Source)>>();
    Ok(erased)
}

/// Removes the state of an entity; whether it had one.
pub(super) async fn state(session: &mut SqlSession, entity: &Entity) -> Result<bool, StoreError> {
    let params = [Param::Text(entity.kind.name()), Param::Text(&entity.id)];
    Ok(session.run(&REMOVE_STATE, &params).await? > 0)
}

/// Leaves of a state only its status, numbers and flags, in a transaction that the caller commits:
/// somebody is erased who is among those that it speaks of.
pub(super) async fn words(session: &mut SqlSession, entity: &Entity) -> Result<bool, StoreError> {
    let (kind, id) = (Param::Text(entity.kind.name()), Param::Text(&entity.id));
    let Some(row) = session.row(&STATE, &[kind, id]).await? else { return Ok(false) };
    let mut state: State = serde_json::from_str(row.text(0)?).unwrap_or_default();
    state.retain(|name, value| name == "status" || value.is_number() || value.is_boolean());
    state.insert("erased".to_owned(), Value::Bool(true));
    let state = serde_json::to_string(&state).unwrap_or_default();
    Ok(session.run(&WRITE_STATE, &[kind, id, Param::Text(&state)]).await? > 0)
}
