//! Seed 001's own HTTP endpoints (`protocols.md` §2, REST).

mod agents;
mod alerts;
mod repos;
mod tasks;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use shared::{entry::Fields, event::submission::field, source::Stream};
use tokio::time::Instant;

use super::{is_open_to, zod};
use crate::{
    appender::{Appender, Taken},
    gateway::{Gateway, GatewayState},
    upgrade::Upgrade,
};

/// How long a change may wait until it is recorded and published.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// The most rows of one page.
const LIMIT_MAX: usize = 1000;

/// The endpoints; every other path and method below `/api/cockpit` is not found, in JSON.
pub(super) fn routes() -> Router<GatewayState> {
    Router::new()
        .route("/api/cockpit/tasks", get(tasks::list).post(tasks::create).fallback(not_found))
        .route("/api/cockpit/repos", get(repos::list).fallback(not_found))
        .route("/api/cockpit/alerts", get(alerts::list).post(alerts::create).fallback(not_found))
        .route("/api/cockpit/alerts/ack/{id}", post(alerts::acknowledge).fallback(not_found))
        .route("/api/cockpit/agents", get(agents::list).fallback(not_found))
        .route("/agents", get(agents::list))
        .route("/api/cockpit", any(not_found))
        .route("/api/cockpit/{*rest}", any(not_found))
}

/// What is answered when it is not what was asked for: a status and a body.
struct Refused(StatusCode, Value);

impl Refused {
    fn because(status: StatusCode, error: &str) -> Self {
        Self(status, json!({ "error": error }))
    }

    fn invalid(issues: &[zod::Issue]) -> Self {
        let body = json!({ "error": "Validation failed", "details": issues });
        Self(StatusCode::BAD_REQUEST, body)
    }

    fn unavailable() -> Self {
        Self::because(StatusCode::SERVICE_UNAVAILABLE, "Database not available")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// Lets in who has a key. It is asked in each endpoint, because a router's layer would wrap those of
/// other dialects as well.
fn authorize(gateway: &Gateway, headers: &HeaderMap) -> Result<(), Refused> {
    let asked = Upgrade::of("", None, headers);
    if is_open_to(&gateway.config, [asked.bearer(), asked.api_key.as_deref()]) {
        return Ok(());
    }
    Err(Refused::because(StatusCode::UNAUTHORIZED, "Unauthorized"))
}

async fn not_found(
    State(gateway): State<GatewayState>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    authorize(&gateway, &headers)?;
    Err(Refused::because(StatusCode::NOT_FOUND, "Not found"))
}

/// The query of a list; what cannot be read is told in the same way as a wrong body.
fn query<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Refused> {
    serde_urlencoded::from_str(query.unwrap_or_default()).map_err(|error| {
        let issue = json!({ "code": "custom", "message": error.to_string(), "path": ["query"] });
        Refused::invalid(&[issue])
    })
}

/// The object in a body, with what `check` finds wrong in it.
fn object(
    body: &[u8],
    check: impl FnOnce(&mut zod::Fields<'_>),
) -> Result<Map<String, Value>, Refused> {
    let value =
        serde_json::from_slice::<Value>(body).map_err(|_| Refused::invalid(&[zod::no_json()]))?;
    let Value::Object(object) = value else {
        return Err(Refused::invalid(&[zod::invalid_type("object", Some(&value), &json!([]))]));
    };
    let mut issues = Vec::new();
    check(&mut zod::Fields::new(&object, Vec::new(), &mut issues));
    if issues.is_empty() { Ok(object) } else { Err(Refused::invalid(&issues)) }
}

/// `KIND_MS_` and nine characters, as the original makes its ids.
fn new_id(kind: &str) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let digit = |_| char::from(DIGITS[rand::random_range(0..DIGITS.len())]);
    let now = jiff::Timestamp::now().as_millisecond();
    format!("{kind}_{now}_{}", (0..9).map(digit).collect::<String>())
}

/// Records an event before anybody is answered.
async fn record(
    gateway: &Gateway,
    stream: Stream,
    kind: &str,
    id: &str,
    data: &Value,
    event_id: Option<String>,
) -> Result<(), Refused> {
    let mut fields = Fields::default();
    fields.push(field::TYPE, kind);
    fields.push(field::ID, id);
    fields.push(field::DATA, data.to_string());
    if let Some(event_id) = event_id {
        fields.push(field::EVENT_ID, event_id);
    }
    let wrong = |message: String| {
        Refused::invalid(&[json!({ "code": "custom", "message": message, "path": [] })])
    };
    Appender::check(stream, &fields).map_err(|rejection| wrong(rejection.to_string()))?;
    let taken = gateway.appender.append(vec![(stream, fields)], Instant::now() + DEADLINE).await;
    match taken.into_iter().next() {
        Some(Taken::Published(_)) => Ok(()),
        Some(Taken::Rejected(reason)) => Err(wrong(reason)),
        Some(Taken::Unavailable(_)) => Err(Refused::unavailable()),
        Some(Taken::Accepted | Taken::Unknown(_)) | None => {
            Err(Refused::because(StatusCode::GATEWAY_TIMEOUT, "Outcome unknown"))
        }
    }
}
