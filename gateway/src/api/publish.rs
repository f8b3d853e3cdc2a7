//! `POST /v1/publish`: events over HTTP, answered when they are recorded and published.

use std::{collections::BTreeMap, fmt::Display, sync::Arc, time::Duration};

use auth::Authenticator;
use axum::{
    Json,
    extract::{FromRef, FromRequest as _, RawQuery, Request, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::{
    entry::Fields,
    event::{Rejection, submission::field},
    json::Document,
    source::Stream,
};
use http::StatusCode;
use runtime::config::Config;
use serde_json::{Value, json, value::RawValue};
use tokio::time::Instant;

use super::{access, body::Body, problem::Problem};
use crate::http::address::ClientAddress;
use crate::ingest::{
    publish_limits::{EventSender, PublishLimits},
    publisher::{EventPublisher, PublishOutcome},
};
use crate::node::services::Services;

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

/// What events pass on their way in.
#[derive(Clone)]
pub struct PublishDoor {
    config: Arc<Config>,
    auth: Arc<Authenticator>,
    limits: Arc<PublishLimits>,
    publisher: Arc<EventPublisher>,
}

impl FromRef<Services> for PublishDoor {
    fn from_ref(services: &Services) -> Self {
        Self {
            config: Arc::from_ref(services),
            auth: Arc::from_ref(services),
            limits: Arc::from_ref(services),
            publisher: Arc::from_ref(services),
        }
    }
}

/// Publishes one event or an array of them.
pub async fn publish(
    State(PublishDoor { config, auth, limits, publisher }): State<PublishDoor>,
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
    let bad = |error: &dyn Display| {
        Problem::new(StatusCode::BAD_REQUEST, format!("the body is no JSON: {error}"))
    };
    let document = Document::read(&body).map_err(|error| bad(&error))?;
    let events = read(document.parse().map_err(|error| bad(&error))?)?;
    let mut entries = Vec::with_capacity(events.len());
    let mut wrong = Vec::new();
    for (index, event) in events.iter().enumerate() {
        match entry(&document, event) {
            Ok(entry) => {
                access::publisher(&config, &identity, entry.0, id(event).as_deref())?;
                entries.push(entry);
            }
            Err(Rejection { path, message, .. }) => {
                wrong.push(EventProblem { index, path, message });
            }
        }
    }
    if !wrong.is_empty() {
        return Err(problems(&wrong));
    }
    if let Err(wait) = limits.take(EventSender::of(&identity, address), entries.len()) {
        return Err(access::too_fast(wait));
    }
    let outcomes = publisher.publish("publish", entries, Instant::now() + DEADLINE).await;
    answer(&outcomes)
}

fn id(event: &EventFields<'_>) -> Option<String> {
    event.get(field::ID).and_then(|id| serde_json::from_str(id.get()).ok())
}

/// An event of a request: its fields, not looked at yet. Of equal names the last counts.
type EventFields<'a> = BTreeMap<String, &'a RawValue>;

fn read(body: &RawValue) -> Result<Vec<EventFields<'_>>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let items: Vec<&RawValue> = if body.get().starts_with('[') {
        serde_json::from_str(body.get())
            .map_err(|error| bad(format!("the body is no JSON: {error}")))?
    } else {
        vec![body]
    };
    if items.is_empty() || items.len() > EVENTS_MAX {
        return Err(bad(format!("1 to {EVENTS_MAX} events are expected")));
    }
    let mut events = Vec::with_capacity(items.len());
    let mut wrong = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match serde_json::from_str(item.get()) {
            Ok(event) => events.push(event),
            Err(_) => wrong.push(EventProblem {
                index,
                path: String::new(),
                message: "an event is a JSON object".into(),
            }),
        }
    }
    if wrong.is_empty() { Ok(events) } else { Err(problems(&wrong)) }
}

/// The stream entry of an event: the same fields as in an XADD, with `data` as it was given.
fn entry(document: &Document<'_>, event: &EventFields<'_>) -> Result<(Stream, Fields), Rejection> {
    // As it was given: half a surrogate pair in a string is an error, not another string.
    let string = |name: &str, given: &str| {
        serde_json::from_str::<String>(given).map_err(|_| Rejection::new(name, "must be a text"))
    };
    let stream = event.get("stream").map(|given| string("stream", document.given(given)));
    let stream = match stream.transpose()? {
        Some(name) => name.parse::<Stream>(),
        None => return Err(Rejection::new("stream", "is required: the bare name of a stream")),
    };
    let stream = stream.map_err(|error| Rejection::new("stream", error.to_string()))?;
    let mut fields = Fields::default();
    for (name, value) in event {
        let given = document.given(value);
        match name.as_str() {
            _ if given == "null" => {}
            "stream" => {}
            field::DATA => fields.push(field::DATA, given),
            field::TYPE | field::ID | field::EVENT_ID => fields.push(name, string(name, given)?),
            // What is wrong with these costs nothing, and is counted where the event is recorded.
            name if field::DECORATIONS.contains(&name) => {
                fields.push(name, string(name, given).unwrap_or_else(|_| given.to_owned()));
            }
            _ => return Err(Rejection::new(name, "is no field of an event")),
        }
    }
    EventPublisher::check(stream, &fields)?;
    Ok((stream, fields))
}

/// The answer to an event that is wrong.
pub(super) fn problem(index: usize, Rejection { path, message, .. }: Rejection) -> Problem {
    problems(&[EventProblem { index, path, message }])
}

fn problems(wrong: &[EventProblem]) -> Problem {
    let detail = "nothing was published: see problems";
    Problem::new(StatusCode::BAD_REQUEST, detail).with("problems", listed(wrong))
}

/// The answer to what fits no state of its task.
fn conflicts(wrong: &[EventProblem]) -> Problem {
    let detail = "this fits no state of its task: see problems";
    Problem::new(StatusCode::CONFLICT, detail).with("problems", listed(wrong))
}

fn listed(wrong: &[EventProblem]) -> Value {
    let list: Vec<Value> = wrong
        .iter()
        .map(|wrong| json!({ "index": wrong.index, "path": wrong.path, "message": wrong.message }))
        .collect();
    list.into()
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
                PublishOutcome::Rejected(Rejection { path, message, .. }) => {
                    Some(EventProblem { index, path: path.clone(), message: message.clone() })
                }
                _ => None,
            })
            .collect();
        let is_conflict = |outcome: &PublishOutcome| matches!(outcome, PublishOutcome::Rejected(rejection) if rejection.is_conflict());
        return Err(if outcomes.iter().any(is_conflict) {
            conflicts(&wrong)
        } else {
            problems(&wrong)
        });
    }
    if all(|outcome| matches!(outcome, PublishOutcome::Unavailable(_))) {
        let reason = outcomes.iter().find_map(|outcome| match outcome {
            PublishOutcome::Unavailable(reason) => Some(&**reason),
            _ => None,
        });
        let detail = format!("{}: nothing was taken in", reason.unwrap_or_default());
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
