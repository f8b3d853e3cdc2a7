//! `POST /v1/publish`: events over HTTP, answered when they are recorded and published.

use std::time::Duration;

use axum::{
    Json,
    extract::{RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use http::StatusCode;
use serde_json::{Map, Value, json};
use shared::{
    entry::Fields,
    event::{Rejection, submission::field},
    source::Stream,
};
use tokio::time::Instant;

use super::{access, body::Body, problem::Problem};
use crate::{
    appender::{Appender, Taken},
    gateway::GatewayState,
};

/// How long a publisher waits for the outcome (contract §3).
const DEADLINE: Duration = Duration::from_secs(5);

/// The most events of one request.
const EVENTS_MAX: usize = 1000;

/// What is wrong with an event of a request.
struct Wrong {
    index: usize,
    path: String,
    message: String,
}

/// Publishes one event or an array of them.
pub async fn publish(
    State(gateway): State<GatewayState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let identity = access::identify(&gateway, &headers, query.as_deref())?;
    let open = !gateway.config.production() && !identity.is_known();
    if !open && !identity.is_known() {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "an API key or a token is required"));
    }
    let events = read(&body)?;
    let mut entries = Vec::with_capacity(events.len());
    let mut wrong = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match entry(event) {
            Ok((stream, _)) if !open && !identity.may_publish(stream) => {
                let detail = format!("you may not publish to {stream}");
                return Err(Problem::new(StatusCode::FORBIDDEN, detail));
            }
            Ok(entry) => entries.push(entry),
            Err(Rejection { path, message, .. }) => wrong.push(Wrong { index, path, message }),
        }
    }
    if !wrong.is_empty() {
        return Err(problems(&wrong));
    }
    if let Err(wait) = gateway.publish_limits.take(identity.name(), entries.len()) {
        let detail = "more events per second than PUBLISH_PER_SECOND allows";
        return Err(
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(wait.as_secs().max(1))
        );
    }
    let taken = gateway.appender.append(entries, Instant::now() + DEADLINE).await;
    answer(&taken)
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
    let wrong: Vec<Wrong> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| !item.is_object())
        .map(|(index, _)| Wrong {
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
    Appender::check(stream, &fields)?;
    Ok((stream, fields))
}

/// The answer to an event that is wrong.
pub(super) fn problem(index: usize, Rejection { path, message, .. }: Rejection) -> Problem {
    problems(&[Wrong { index, path, message }])
}

fn problems(wrong: &[Wrong]) -> Problem {
    let list: Vec<Value> = wrong
        .iter()
        .map(|wrong| json!({ "index": wrong.index, "path": wrong.path, "message": wrong.message }))
        .collect();
    let detail = "nothing was published: see problems";
    Problem::new(StatusCode::BAD_REQUEST, detail).with("problems", list.into())
}

/// The answer to a publisher whose events became this.
pub(super) fn answer(taken: &[Taken]) -> Result<Response, Problem> {
    let all = |wanted: fn(&Taken) -> bool| taken.iter().all(wanted);
    if all(|taken| matches!(taken, Taken::Published(_))) {
        return Ok(Json(json!({ "published": published(taken) })).into_response());
    }
    if all(|taken| matches!(taken, Taken::Published(_) | Taken::Accepted)) {
        let body = json!({ "accepted": taken.len(), "published": published(taken) });
        return Ok((StatusCode::ACCEPTED, Json(body)).into_response());
    }
    if all(|taken| matches!(taken, Taken::Rejected(_))) {
        let wrong: Vec<Wrong> = (0..)
            .zip(taken)
            .filter_map(|(index, taken)| match taken {
                Taken::Rejected(reason) => {
                    // A reason is a sentence that begins with its field.
                    let (path, message) = reason.split_once(' ').unwrap_or(("", reason));
                    Some(Wrong { index, path: path.to_owned(), message: message.to_owned() })
                }
                _ => None,
            })
            .collect();
        return Err(problems(&wrong));
    }
    if all(|taken| matches!(taken, Taken::Unavailable(_))) {
        let detail = "the broker does not answer: nothing was taken in";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1));
    }
    let states: Vec<Value> = taken.iter().enumerate().map(state).collect();
    let detail = "the outcome is not known for all: repeat with the same event_id";
    Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).with("items", states.into()))
}

fn published(taken: &[Taken]) -> Vec<Value> {
    let mut list = Vec::new();
    for (index, taken) in taken.iter().enumerate() {
        if let Taken::Published(positions) = taken {
            list.extend(positions.iter().map(|(channel, position)| {
                json!({ "index": index, "channel": channel, "position": position })
            }));
        }
    }
    list
}

fn state((index, taken): (usize, &Taken)) -> Value {
    let (state, message) = match taken {
        Taken::Published(_) => ("published", None),
        Taken::Accepted => ("accepted", None),
        Taken::Rejected(reason) => ("rejected", Some(reason)),
        Taken::Unavailable(reason) => ("refused", Some(reason)),
        Taken::Unknown(reason) => ("unknown", Some(reason)),
    };
    json!({ "index": index, "state": state, "message": message })
}
