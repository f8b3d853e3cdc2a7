//! `POST /v1/publish`: events over HTTP, answered when they are recorded and published.

use std::{sync::Arc, time::Duration};

use auth::Authenticator;
use axum::{
    Json,
    extract::{FromRequest as _, RawQuery, Request, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::{
    entry::Fields,
    event::{Rejection, submission::field},
    source::Stream,
};
use http::StatusCode;
use runtime::config::Config;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{access, body::Body, problem::Problem};
use crate::http::address::ClientAddress;
use crate::ingest::{
    publish_limits::{EventSender, PublishLimits},
    publisher::{EventPublisher, PublishOutcome},
};

/// How long a publisher waits for the outcome (contract §3).
const DEADLINE: Duration = Duration::from_secs(5);

/// The most events of one request.
const EVENTS_MAX: usize = 1000;

/// What is wrong with an event of a request.
struct EventProblem {
    index: usize,
    path: String,
    message: String,
}

/// Publishes one event or an array of them.
pub async fn publish(
    State(config): State<Arc<Config>>,
    State(auth): State<Arc<Authenticator>>,
    State(limits): State<Arc<PublishLimits>>,
    State(publisher): State<Arc<EventPublisher>>,
    ClientAddress(address): ClientAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Request,
) -> Result<Response, Problem> {
    let identity = access::identify(&auth, &headers, query.as_deref())?;
    if config.production() && !identity.is_known() {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "an API key or a token is required"));
    }
    // Nobody's body is read before it is known whose it is.
    let Body(body) = Body::from_request(body, &()).await?;
    let events = read(&body)?;
    let mut entries = Vec::with_capacity(events.len());
    let mut wrong = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match entry(event) {
            Ok(entry) => {
                access::publisher(&config, &identity, entry.0, id(event))?;
                entries.push(entry);
            }
            Err(Rejection { path, message }) => wrong.push(EventProblem { index, path, message }),
        }
    }
    if !wrong.is_empty() {
        return Err(problems(&wrong));
    }
    if let Err(wait) = limits.take(EventSender::of(&identity, address), entries.len()) {
        return Err(access::too_fast(wait));
    }
    let outcomes = publisher.publish(entries, Instant::now() + DEADLINE).await;
    answer(&outcomes)
}

fn id(event: &Map<String, Value>) -> Option<&str> {
    event.get(field::ID).and_then(Value::as_str)
}

fn read(body: &[u8]) -> Result<Vec<Map<String, Value>>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| bad(format!("the body is no JSON: {error}")))?;
    let items = match body {
        Value::Array(items) => items,
        event => vec![event],
    };
    if items.is_empty() || items.len() > EVENTS_MAX {
        return Err(bad(format!("1 to {EVENTS_MAX} events are expected")));
    }
    let wrong: Vec<EventProblem> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| !item.is_object())
        .map(|(index, _)| EventProblem {
            index,
            path: String::new(),
            message: "an event is a JSON object".into(),
        })
        .collect();
    if !wrong.is_empty() {
        return Err(problems(&wrong));
    }
    let object = |item| match item {
        Value::Object(event) => Some(event),
        _ => None,
    };
    Ok(items.into_iter().filter_map(object).collect())
}

/// The stream entry of an event: the same fields as in an XADD, with `data` as JSON.
fn entry(event: &Map<String, Value>) -> Result<(Stream, Fields), Rejection> {
    let stream = match event.get("stream").and_then(Value::as_str) {
        Some(name) => name.parse::<Stream>(),
        None => return Err(Rejection::new("stream", "is required: the bare name of a stream")),
    };
    let stream = stream.map_err(|error| Rejection::new("stream", error.to_string()))?;
    let mut fields = Fields::default();
    for (name, value) in event {
        match (name.as_str(), value) {
            ("stream", _) | (_, Value::Null) => {}
            (field::DATA, data @ Value::Object(_)) => fields.push(field::DATA, data.to_string()),
            (field::DATA, _) => return Err(Rejection::new("data", "must be a JSON object")),
            (field::LEASE_MS | field::AT, Value::Number(number)) => {
                fields.push(name, number.to_string());
            }
            (
                field::TYPE
                | field::ID
                | field::USER
                | field::EVENT_ID
                | field::TRACEPARENT
                | field::LEASE_MS
                | field::AT,
                Value::String(text),
            ) => fields.push(name, text.as_str()),
            (field::TYPE | field::ID | field::USER | field::EVENT_ID | field::TRACEPARENT, _) => {
                return Err(Rejection::new(name, "must be a text"));
            }
            (field::LEASE_MS | field::AT, _) => {
                return Err(Rejection::new(name, "must be a number of milliseconds"));
            }
            _ => return Err(Rejection::new(name, "is no field of an event")),
        }
    }
    EventPublisher::check(stream, &fields)?;
    Ok((stream, fields))
}

/// The answer to an event that is wrong.
pub(super) fn problem(index: usize, Rejection { path, message }: Rejection) -> Problem {
    problems(&[EventProblem { index, path, message }])
}

fn problems(wrong: &[EventProblem]) -> Problem {
    let list: Vec<Value> = wrong
        .iter()
        .map(|wrong| json!({ "index": wrong.index, "path": wrong.path, "message": wrong.message }))
        .collect();
    let detail = "nothing was published: see problems";
    Problem::new(StatusCode::BAD_REQUEST, detail).with("problems", list.into())
}

/// The answer to a publisher whose events became this.
pub(super) fn answer(outcomes: &[PublishOutcome]) -> Result<Response, Problem> {
    let all = |wanted: fn(&PublishOutcome) -> bool| outcomes.iter().all(wanted);
    if all(|outcome| matches!(outcome, PublishOutcome::Published(_))) {
        return Ok(Json(json!({ "published": published(outcomes) })).into_response());
    }
    if all(|outcome| matches!(outcome, PublishOutcome::Published(_) | PublishOutcome::Accepted)) {
        let body = json!({ "accepted": outcomes.len(), "published": published(outcomes) });
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    if all(|outcome| matches!(outcome, PublishOutcome::Rejected(_))) {
        let wrong: Vec<EventProblem> = (0..)
            .zip(outcomes)
            .filter_map(|(index, outcome)| match outcome {
                PublishOutcome::Rejected(Rejection { path, message }) => {
                    Some(EventProblem { index, path: path.clone(), message: message.clone() })
                }
                _ => None,
            })
            .collect();
        return Err(problems(&wrong));
    }
    if all(|outcome| matches!(outcome, PublishOutcome::Unavailable(_))) {
        let detail = "the broker does not answer: nothing was taken in";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1));
    }
    let states: Vec<Value> = outcomes.iter().enumerate().map(state).collect();
    let detail = "the outcome is not known for all: repeat with the same event_id";
    Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).with("items", states.into()))
}

fn published(outcomes: &[PublishOutcome]) -> Vec<Value> {
    let mut list = Vec::new();
    for (index, outcome) in outcomes.iter().enumerate() {
        if let PublishOutcome::Published(positions) = outcome {
            list.extend(positions.iter().map(|(channel, position)| {
                json!({ "index": index, "channel": channel, "position": position })
            }));
        }
    }
    list
}

fn state((index, outcome): (usize, &PublishOutcome)) -> Value {
    let (state, message) = match outcome {
        PublishOutcome::Published(_) => ("published", None),
        PublishOutcome::Accepted => ("accepted", None),
        PublishOutcome::Rejected(rejection) => ("rejected", Some(rejection.to_string())),
        PublishOutcome::Unavailable(reason) => ("refused", Some(reason.clone())),
        PublishOutcome::Unknown(reason) => ("unknown", Some(reason.clone())),
    };
    json!({ "index": index, "state": state, "message": message })
}
