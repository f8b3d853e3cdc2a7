//! What the endpoints have alike: who may ask, what is read, recorded and refused.

use axum::{
    Json,
    body::Bytes,
    extract,
    response::{IntoResponse, Response},
};
use domain::{entry::Fields, event::submission::field, source::Stream};
use http::{HeaderMap, StatusCode};
use runtime::config::Config;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::super::{is_open_to, zod};
use crate::{
    http::bodies,
    ingest::publisher::{EventPublisher, PublishOutcome},
    protocol::Request,
};

/// How long a change may wait until it is recorded and published.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// The most rows of one page.
pub(super) const LIMIT_MAX: usize = 1000;

/// What is answered when it is not what was asked for: a status and a body.
pub(super) struct CockpitRefusal(StatusCode, Value);

impl CockpitRefusal {
    pub(super) fn because(status: StatusCode, error: &str) -> Self {
        Self(status, json!({ "error": error }))
    }

    pub(super) fn invalid(issues: zod::Issues) -> Self {
        let body = json!({ "error": "Validation failed", "details": issues.listed() });
        Self(StatusCode::BAD_REQUEST, body)
    }

    pub(super) fn unavailable() -> Self {
        Self::because(StatusCode::SERVICE_UNAVAILABLE, "Database not available")
    }
}

impl IntoResponse for CockpitRefusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// Lets in who has a key. It is asked in each endpoint, because a router's layer would wrap those of
/// other dialects as well.
pub(super) fn authorize(config: &Config, headers: &HeaderMap) -> Result<(), CockpitRefusal> {
    let asked = Request::of("", None, headers);
    if is_open_to(config, [asked.bearer(), asked.api_key.as_deref()]) {
        return Ok(());
    }
    Err(CockpitRefusal::because(StatusCode::UNAUTHORIZED, "Unauthorized"))
}

/// The query of a list; what cannot be read is told in the same way as a wrong body.
pub(super) fn query<T: DeserializeOwned>(query: Option<&str>) -> Result<T, CockpitRefusal> {
    serde_urlencoded::from_str(query.unwrap_or_default()).map_err(|error| {
        let issue = json!({ "code": "custom", "message": error.to_string(), "path": ["query"] });
        CockpitRefusal::invalid(issue.into())
    })
}

/// The body of a request of whom is known to have a key.
pub(super) async fn receive(request: extract::Request) -> Result<Bytes, CockpitRefusal> {
    let read = bodies::receive(request).await;
    read.map_err(|error| CockpitRefusal::because(error.status(), &error.to_string()))
}

/// The object in a body, with what `check` finds wrong in it.
pub(super) fn object(
    body: &[u8],
    check: impl FnOnce(&mut zod::FieldChecks<'_>),
) -> Result<Map<String, Value>, CockpitRefusal> {
    let value = serde_json::from_slice::<Value>(body)
        .map_err(|_| CockpitRefusal::invalid(zod::no_json().into()))?;
    let Value::Object(object) = value else {
        let issue = zod::invalid_type("object", Some(&value), &json!([]));
        return Err(CockpitRefusal::invalid(issue.into()));
    };
    let mut issues = zod::Issues::default();
    check(&mut zod::FieldChecks::new(&object, Vec::new(), &mut issues));
    if issues.is_empty() { Ok(object) } else { Err(CockpitRefusal::invalid(issues)) }
}

/// `KIND_MS_` and nine characters, as the original makes its ids.
pub(super) fn new_id(kind: &str) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |_| char::from(DIGITS[rand::random_range(0..DIGITS.len())]);
    let now = jiff::Timestamp::now().as_millisecond();
    format!("{kind}_{now}_{}", (0..9).map(digit).collect::<String>())
}

/// Records an event before anybody is answered.
pub(super) async fn record(
    publisher: &EventPublisher,
    stream: Stream,
    kind: &str,
    id: &str,
    data: &Value,
    event_id: Option<String>,
) -> Result<(), CockpitRefusal> {
    let mut fields = Fields::default();
    fields.push(field::TYPE, kind);
    fields.push(field::ID, id);
    fields.push(field::DATA, data.to_string());
    if let Some(event_id) = event_id {
        fields.push(field::EVENT_ID, event_id);
    }
    let wrong = |message: String| {
        let issue = json!({ "code": "custom", "message": message, "path": [] });
        CockpitRefusal::invalid(issue.into())
    };
    EventPublisher::check(stream, &fields).map_err(|rejection| wrong(rejection.to_string()))?;
    let outcomes =
        publisher.publish("cockpit", vec![(stream, fields)], Instant::now() + DEADLINE).await;
    match outcomes.into_iter().next() {
        Some(PublishOutcome::Published(_)) => Ok(()),
        Some(PublishOutcome::Rejected(rejection)) => Err(wrong(rejection.to_string())),
        Some(PublishOutcome::Unavailable(_)) => Err(CockpitRefusal::unavailable()),
        Some(PublishOutcome::Accepted | PublishOutcome::Unknown(_)) | None => {
            Err(CockpitRefusal::because(StatusCode::GATEWAY_TIMEOUT, "Outcome unknown"))
        }
    }
}
