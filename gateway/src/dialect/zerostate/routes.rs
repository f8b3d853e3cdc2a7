//! Seed 003's own HTTP endpoints (`protocols.md` §4).

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{StatusCode, header};
use serde_json::{Value, json};
use shared::{entry::Fields, event::submission::field, id, source::Stream};
use tokio::time::Instant;

use super::stats;
use crate::{
    appender::{Appender, Taken},
    gateway::{Gateway, GatewayState},
};

/// How long a message may wait until it is recorded and published.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// The endpoints.
pub(super) fn routes() -> Router<GatewayState> {
    Router::new()
        .route("/api/v1/ws/stats", get(statistics))
        .route("/api/v1/ws/broadcast", post(broadcast))
        .route("/api/v1/ws/user/{user}", post(to_user))
        .route("/api/v1/ws/send", post(send))
}

/// What is answered when it is not what was asked for: a status and a body.
struct Refused(StatusCode, Value);

impl Refused {
    fn invalid(message: &str) -> Self {
        let body = json!({ "error": "invalid request", "message": message });
        Self(StatusCode::BAD_REQUEST, body)
    }

    fn unauthorized(message: &str) -> Self {
        let body = json!({ "error": "unauthorized", "message": message });
        Self(StatusCode::UNAUTHORIZED, body)
    }

    fn unavailable() -> Self {
        let body = json!({ "error": "WebSocket service not available" });
        Self(StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

type Answer = Result<Json<Value>, Refused>;

async fn statistics(State(gateway): State<GatewayState>) -> Answer {
    let stats = stats::everywhere(&gateway).await.map_err(|_| Refused::unavailable())?;
    Ok(Json(json!({ "stats": stats })))
}

async fn broadcast(State(gateway): State<GatewayState>, headers: HeaderMap, body: Bytes) -> Answer {
    authorize(&gateway, &headers)?;
    let message = read(&body)?;
    publish(&gateway, None, &message, "broadcast sent successfully").await
}

async fn to_user(
    State(gateway): State<GatewayState>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    authorize(&gateway, &headers)?;
    let message = read(&body)?;
    publish(&gateway, Some(&user), &message, "user message sent successfully").await
}

/// The path of the original, which has the user in the body.
async fn send(State(gateway): State<GatewayState>, headers: HeaderMap, body: Bytes) -> Answer {
    authorize(&gateway, &headers)?;
    let message = read(&body)?;
    let user = message.get("user_id").and_then(Value::as_str);
    let user = user.ok_or_else(|| Refused::invalid("user_id is required and must be a text"))?;
    publish(&gateway, Some(user), &message, "user message sent successfully").await
}

/// Lets in any valid token or API key.
fn authorize(gateway: &Gateway, headers: &HeaderMap) -> Result<(), Refused> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let credential = match (text(header::AUTHORIZATION.as_str()), text("x-api-key")) {
        (Some(authorization), _) => authorization
            .strip_prefix("Bearer ")
            .ok_or("invalid authorization header format, expected: Bearer <token>"),
        (None, Some(key)) => Ok(key),
        (None, None) => Err("missing authorization header"),
    };
    let credential = credential.map_err(Refused::unauthorized)?;
    let checked = gateway.auth.credential(credential);
    checked.map(|_| ()).map_err(|error| Refused::unauthorized(&error.to_string()))
}

fn read(body: &[u8]) -> Result<Value, Refused> {
    let message: Value = serde_json::from_slice(body)
        .map_err(|error| Refused::invalid(&format!("the body is no JSON: {error}")))?;
    let has_type = message.get("type").and_then(Value::as_str).is_some_and(|t| !t.is_empty());
    if !has_type {
        return Err(Refused::invalid("type is required and must be a text"));
    }
    if !message.get("data").is_some_and(Value::is_object) {
        return Err(Refused::invalid("data is required and must be an object"));
    }
    Ok(message)
}

async fn publish(gateway: &Gateway, user: Option<&str>, message: &Value, done: &str) -> Answer {
    let mut fields = Fields::default();
    fields.push(field::TYPE, message["type"].as_str().unwrap_or_default());
    if let Some(user) = user {
        id::check(user).map_err(|error| Refused::invalid(&format!("user_id {error}")))?;
        fields.push(field::ID, user);
    }
    fields.push(field::DATA, message["data"].to_string());
    Appender::check(Stream::Messages, &fields)
        .map_err(|rejection| Refused::invalid(&rejection.to_string()))?;
    let entries = vec![(Stream::Messages, fields)];
    let taken = gateway.appender.append(entries, Instant::now() + DEADLINE).await;
    match taken.into_iter().next() {
        Some(Taken::Published(_)) => Ok(Json(json!({ "message": done }))),
        Some(Taken::Rejected(reason)) => Err(Refused::invalid(&reason)),
        Some(Taken::Accepted | Taken::Unavailable(_) | Taken::Unknown(_)) | None => {
            Err(Refused::unavailable())
        }
    }
}
