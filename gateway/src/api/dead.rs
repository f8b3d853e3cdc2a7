//! Dead letters: what was not accepted, with the reason; seen, corrected and redriven, forgotten.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use domain::{
    entry::Fields,
    event::submission::field,
    source::{Stream, UnknownStream},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::{DeadLetter, DeadLetterOrigin, Store};
use tokio::time::Instant;

use super::{
    access::Operator,
    body::{Body, Params},
    problem::Problem,
    publish,
};
use crate::{
    ingest::publisher::{EventPublisher, PublishOutcome},
    node::audit::Audit,
};

/// Dead letters of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// How long a redrive waits for its outcome, as a publisher does.
const DEADLINE: Duration = Duration::from_secs(5);

/// What may be asked of the list.
#[derive(Debug, Deserialize)]
pub struct DeadQuery {
    stream: Option<String>,
    limit: Option<usize>,
    cursor: Option<i64>,
}

/// `GET /v1/dead`
pub async fn list(
    State(store): State<Arc<dyn Store>>,
    _operator: Operator,
    Params(wanted): Params<DeadQuery>,
) -> Result<Json<Value>, Problem> {
    let origin = origin(wanted.stream.as_deref())?;
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    // One more tells whether there is a next page.
    let read = store.dead_letters(origin, wanted.cursor, limit + 1).await;
    let mut letters = read.map_err(|error| Problem::store(&error))?;
    let more = letters.len() > limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| more).map(|letter| letter.id.to_string());
    let dead: Vec<Value> = letters.iter().map(shown).collect();
    Ok(Json(json!({ "dead": dead, "next": next })))
}

/// The stream that a letter came by; none of a webhook.
pub(super) fn stream_of(letter: &DeadLetter) -> Option<Stream> {
    match letter.origin {
        DeadLetterOrigin::Stream(stream) => Some(stream),
        DeadLetterOrigin::Source(source) => Some(source.stream),
        DeadLetterOrigin::Webhooks => None,
    }
}

/// What to look through: a stream, one partition `NAME:K`, `webhooks`, or everything.
pub(super) fn origin(stream: Option<&str>) -> Result<Option<DeadLetterOrigin>, Problem> {
    let named = stream.filter(|name| !name.is_empty()).map(str::parse).transpose();
    named.map_err(|error: UnknownStream| {
        Problem::new(StatusCode::BAD_REQUEST, error.to_string()).with("parameter", "stream".into())
    })
}

/// `GET /v1/dead/{id}`
pub async fn one(
    State(store): State<Arc<dyn Store>>,
    _operator: Operator,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&find(&*store, &id).await?)))
}

/// `DELETE /v1/dead/{id}`
pub async fn forget(
    State(store): State<Arc<dyn Store>>,
    State(audit): State<Audit>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let number = id.parse().map_err(|_| unknown(&id))?;
    let dropped = store.drop_dead_letter(number).await;
    if dropped.map_err(|error| Problem::store(&error))? {
        audit.note(&operator.who, "drop", &id, json!({})).await;
        Ok(Json(json!({ "dropped": id })))
    } else {
        Err(unknown(&id))
    }
}

/// `POST /v1/dead/{id}/redrive`: appended as corrected, and forgotten once it is recorded.
///
/// A repetition, after an answer that came too late, is recognized by its `event_id`.
pub async fn redrive(
    State(store): State<Arc<dyn Store>>,
    State(publisher): State<Arc<EventPublisher>>,
    State(audit): State<Audit>,
    operator: Operator,
    Path(id): Path<String>,
    Body(body): Body,
) -> Result<Response, Problem> {
    let mut letter = find(&*store, &id).await?;
    let changes = corrections(&body)?;
    let Some(stream) = stream(&letter) else {
        correct(&mut letter.fields, &changes)?;
        return send_again(&*store, &letter).await;
    };
    let number = letter.id;
    let fields = corrected(letter, &changes)?;
    EventPublisher::check(stream, &fields).map_err(|wrong| publish::problem(0, wrong))?;
    let deadline = Instant::now() + DEADLINE;
    let outcomes = publisher.publish("redrive", vec![(stream, fields)], deadline).await;
    audit.note(&operator.who, "redrive", &id, json!({ "stream": stream.name() })).await;
    if matches!(outcomes.as_slice(), [PublishOutcome::Published(_)])
        && let Err(error) = store.drop_dead_letter(number).await
    {
        tracing::warn!(%error, letter = number, "dead letters: redriven but not forgotten, the next redrive does that");
    }
    publish::answer(&outcomes)
}

/// The stream that a letter came by; none where it is a webhook.
pub(super) fn stream(letter: &DeadLetter) -> Option<Stream> {
    match letter.origin {
        DeadLetterOrigin::Stream(stream) => Some(stream),
        DeadLetterOrigin::Source(source) => Some(source.stream),
        DeadLetterOrigin::Webhooks => None,
    }
}

/// Puts a webhook back into the outbox; what is sent is the alert as it is then.
async fn send_again(store: &dyn Store, letter: &DeadLetter) -> Result<Response, Problem> {
    let redriven = store.redrive_delivery(letter).await;
    if redriven.map_err(|error| Problem::store(&error))? {
        Ok(Json(json!({ "redriven": 1 })).into_response())
    } else {
        Err(unknown(&letter.id.to_string()))
    }
}

/// The `fields` of a request: new values by name, null removes.
fn corrections(body: &[u8]) -> Result<Map<String, Value>, Problem> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(default)]
        fields: Map<String, Value>,
    }
    if body.is_empty() {
        return Ok(Map::new());
    }
    let asked: Asked = serde_json::from_slice(body).map_err(|error| {
        let detail = format!("expected {{\"fields\": {{NAME: VALUE or null}}}}: {error}");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    Ok(asked.fields)
}

/// The entry to append: the letter's fields with the corrections over them.
///
/// # Errors
/// A correction is no text, or only the beginning of the entry was kept.
pub(super) fn corrected(
    letter: DeadLetter,
    changes: &Map<String, Value>,
) -> Result<Fields, Problem> {
    let mut fields: BTreeMap<String, String> = letter.fields;
    if fields.contains_key("cut_bytes") && fields.contains_key("cut_digest") {
        let detail = "the entry was so large that only its beginning was kept";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    // Whoever waited for the first outcome has been told.
    fields.remove(field::REPLY);
    correct(&mut fields, changes)?;
    let own = || format!("~redrive:{}:{}", letter.id, letter.entry);
    fields.entry(field::EVENT_ID.to_owned()).or_insert_with(own);
    Ok(Fields(fields.into_iter().map(|(name, value)| (name, value.into_bytes())).collect()))
}

fn correct(
    fields: &mut BTreeMap<String, String>,
    changes: &Map<String, Value>,
) -> Result<(), Problem> {
    for (name, value) in changes {
        match value {
            Value::Null => drop(fields.remove(name)),
            Value::String(text) => drop(fields.insert(name.clone(), text.clone())),
            Value::Number(_) | Value::Object(_) => {
                drop(fields.insert(name.clone(), value.to_string()));
            }
            Value::Bool(_) | Value::Array(_) => {
                let wrong = domain::event::Rejection::new(name, "must be a text");
                return Err(publish::problem(0, wrong));
            }
        }
    }
    Ok(())
}

async fn find(store: &dyn Store, id: &str) -> Result<DeadLetter, Problem> {
    let number = id.parse().map_err(|_| unknown(id))?;
    let found = store.dead_letter(number).await;
    found.map_err(|error| Problem::store(&error))?.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no dead letter {id}"))
}

fn shown(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id.to_string(),
        "stream": letter.origin.to_string(),
        "entry": letter.entry,
        "reason": letter.reason,
        "label": letter.label,
        "at": letter.at,
        "fields": letter.fields,
    })
}

#[cfg(test)]
mod tests {
    use domain::source::Source;

    use super::*;

    fn letter() -> DeadLetter {
        let fields = [("type", "task_created"), ("id", "t"), ("x", "y"), ("reply", "n:1")];
        DeadLetter {
            id: 7,
            origin: DeadLetterOrigin::Source(Source::first(Stream::Tasks)),
            entry: "5-0".into(),
            reason: "data.title is required".into(),
            label: "data".into(),
            at: 5,
            fields: fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        }
    }

    #[test]
    fn corrections_are_merged_and_null_removes() {
        let body = br#"{"fields":{"data":{"title":"again"},"x":null,"at":5}}"#;
        let fields = corrected(letter(), &corrections(body).unwrap()).unwrap();
        let text = |name| fields.get(name).map(String::from_utf8_lossy);
        assert_eq!(text("data").unwrap(), r#"{"title":"again"}"#);
        assert_eq!(text("at").unwrap(), "5");
        assert!(text("x").is_none() && text("reply").is_none());
        assert!(EventPublisher::check(Stream::Tasks, &fields).is_ok());
    }

    #[test]
    fn a_redrive_that_is_repeated_is_the_same_event() {
        let event_id = || corrected(letter(), &Map::new()).unwrap().get("event_id").map(Vec::from);
        assert_eq!(event_id(), event_id());
        assert!(event_id().is_some());
        assert!(corrections(br#"{"feilds":{}}"#).is_err());
        assert!(corrections(b"").unwrap().is_empty());
    }
}
