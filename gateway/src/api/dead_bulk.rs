//! Many dead letters at once: redriven as they are, or forgotten.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use domain::excerpt::excerpt;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{DeadLetterFilter, Store};
use tokio::time::Instant;

use super::{
    access::Operator,
    body::Body,
    dead::{corrected, origin, stream},
    problem::Problem,
};
use crate::{
    ingest::publisher::{EventPublisher, PublishOutcome},
    node::audit::Audit,
};

/// How many are read and appended at once.
const SLICE: usize = 100;

/// How long one call may take; who has more left calls again.
const TIME_MAX: Duration = Duration::from_secs(25);

/// How long a slice waits for its outcomes.
const SLICE_TIME: Duration = Duration::from_secs(5);

/// Reads which letters are meant: at least one condition, because none would mean all.
fn filter(body: &[u8]) -> Result<DeadLetterFilter, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct DeadLetterQuery {
        stream: Option<String>,
        reason: Option<String>,
        before: Option<i64>,
    }
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let asked: DeadLetterQuery = serde_json::from_slice(body).map_err(|error| {
        wrong(format!("expected {{\"stream\", \"reason\", \"before\"}}, at least one: {error}"))
    })?;
    let origin = origin(asked.stream.as_deref())?;
    let filter = DeadLetterFilter { origin, reason: asked.reason, before: asked.before };
    if filter.origin.is_none() && filter.reason.is_none() && filter.before.is_none() {
        return Err(wrong("name at least one of stream, reason and before".to_owned()));
    }
    Ok(filter)
}

/// Returns which letters were meant, as the audit says it.
fn name(filter: &DeadLetterFilter) -> String {
    let stream = filter.origin.map(|origin| format!("stream={origin}"));
    let reason = filter.reason.as_ref().map(|reason| format!("reason={}", excerpt(reason)));
    let before = filter.before.map(|before| format!("before={before}"));
    stream.into_iter().chain(reason).chain(before).collect::<Vec<_>>().join(" ")
}

/// `POST /v1/dead/drop`: forgets those that fit.
pub async fn forget(
    State(store): State<Arc<dyn Store>>,
    State(audit): State<Audit>,
    operator: Operator,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let filter = filter(&body)?;
    let deadline = Instant::now() + TIME_MAX;
    let mut dropped = 0;
    loop {
        let slice = store.drop_dead_letters(&filter).await.map_err(|e| Problem::store(&e))?;
        dropped += slice;
        if slice == 0 || Instant::now() >= deadline {
            audit.note(&operator.who, "drop", &name(&filter), json!({ "count": dropped })).await;
            return Ok(Json(json!({ "dropped": dropped })));
        }
    }
}

/// `POST /v1/dead/redrive`: appends those that fit as they are, oldest first, and forgets those that
/// were recorded. Those that are refused again stay.
pub async fn redrive(
    State(store): State<Arc<dyn Store>>,
    State(publisher): State<Arc<EventPublisher>>,
    State(audit): State<Audit>,
    operator: Operator,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let filter = filter(&body)?;
    let deadline = Instant::now() + TIME_MAX;
    // What fails again is another letter, and not for this call.
    let newest = store.dead_letters(filter.origin, None, 1).await;
    let newest = newest.map_err(|error| Problem::store(&error))?.first().map_or(0, |one| one.id);
    let (mut redriven, mut after) = (0_u64, 0);
    while Instant::now() < deadline {
        let letters = store.dead_letters_like(&filter, after, SLICE).await;
        let mut letters = letters.map_err(|error| Problem::store(&error))?;
        letters.retain(|letter| letter.id <= newest);
        let Some(last) = letters.last() else { break };
        after = last.id;
        let mut ids = Vec::with_capacity(letters.len());
        let mut entries = Vec::with_capacity(letters.len());
        for letter in letters {
            let Some(stream) = stream(&letter) else {
                let again = store.redrive_delivery(&letter).await;
                redriven += u64::from(again.map_err(|error| Problem::store(&error))?);
                continue;
            };
            let id = letter.id;
            let Ok(fields) = corrected(letter, &Map::new()) else { continue };
            if EventPublisher::check(stream, &fields).is_ok() {
                ids.push(id);
                entries.push((stream, fields));
            }
        }
        let outcomes = publisher.publish("redrive", entries, Instant::now() + SLICE_TIME).await;
        for (id, outcome) in ids.into_iter().zip(outcomes) {
            if matches!(outcome, PublishOutcome::Published(_)) {
                redriven += 1;
                store.drop_dead_letter(id).await.map_err(|error| Problem::store(&error))?;
            }
        }
    }
    audit.note(&operator.who, "redrive", &name(&filter), json!({ "count": redriven })).await;
    Ok(Json(json!({ "redriven": redriven })))
}
