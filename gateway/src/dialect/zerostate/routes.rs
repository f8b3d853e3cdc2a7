//! Seed 003's own HTTP endpoints (`protocols.md` §4).

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
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

async fn statistics(State(gateway): State<GatewayState>) -> Response {
    match stats::everywhere(&gateway).await {
        Ok(stats) => Json(json!({ "stats": stats })).into_response(),
        Err(_) => unavailable(),
    }
}

async fn broadcast(
    State(gateway): State<GatewayState>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let message = match authorized(&gateway, &headers).and_then(|()| read(&body)) {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    publish(&gateway, None, &message, "broadcast sent successfully").await
}

async fn to_user(
    State(gateway): State<GatewayState>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let message = match authorized(&gateway, &headers).and_then(|()| read(&body)) {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    publish(&gateway, Some(&user), &message, "user message sent successfully").await
}

/// The path of the original, which has the user in the body.
async fn send(State(gateway): State<GatewayState>, headers: HeaderMap, body: Bytes) -> Response {
    let message = match authorized(&gateway, &headers).and_then(|()| read(&body)) {
        Ok(message) => message,
        Err(refusal) => return refusal,
    };
    let Some(user) = message.get("user_id").and_then(Value::as_str) else {
        return invalid("user_id is required and must be a text");
    };
    publish(&gateway, Some(user), &message, "user message sent successfully").await
}

fn unavailable() -> Response {
    let body = json!({ "error": "WebSocket service not available" });
    (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
}

fn invalid(message: &str) -> Response {
    let body = json!({ "error": "invalid request", "message": message });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// Any valid token or an API key.
fn authorized(gateway: &Gateway, headers: &HeaderMap) -> Result<(), Response> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let given = match (text(header::AUTHORIZATION.as_str()), text("x-api-key")) {
        (Some(authorization), _) => match authorization.split_once(' ') {
            Some(("Bearer", token)) => Ok(token),
            _ => Err(String::from("invalid authorization header format, expected: Bearer <token>")),
        },
        (None, Some(key)) => Ok(key),
        (None, None) => Err(String::from("missing authorization header")),
    };
    let checked = given.and_then(|credential| {
        gateway.auth.credential(credential).map_err(|error| error.to_string())
    });
    checked.map(|_| ()).map_err(|message| {
        let body = json!({ "error": "unauthorized", "message": message });
        (StatusCode::UNAUTHORIZED, Json(body)).into_response()
    })
}

fn read(body: &[u8]) -> Result<Value, Response> {
    let message: Value = serde_json::from_slice(body)
        .map_err(|error| invalid(&format!("the body is no JSON: {error}")))?;
    let has_type = message.get("type").and_then(Value::as_str).is_some_and(|t| !t.is_empty());
    if !has_type {
        return Err(invalid("type is required and must be a text"));
    }
    if !message.get("data").is_some_and(Value::is_object) {
        return Err(invalid("data is required and must be an object"));
    }
    Ok(message)
}

async fn publish(gateway: &Gateway, user: Option<&str>, message: &Value, done: &str) -> Response {
    let mut fields = Fields::default();
    fields.push(field::TYPE, message["type"].as_str().unwrap_or_default());
    if let Some(user) = user {
        if let Err(error) = id::check(user) {
            return invalid(&format!("user_id {error}"));
        }
        fields.push(field::ID, user);
    }
    fields.push(field::DATA, message["data"].to_string());
    if let Err(rejection) = Appender::check(Stream::Messages, &fields) {
        return invalid(&rejection.to_string());
    }
    let entries = vec![(Stream::Messages, fields)];
    let taken = gateway.appender.append(entries, Instant::now() + DEADLINE).await;
    match taken.into_iter().next() {
        Some(Taken::Published(_)) => Json(json!({ "message": done })).into_response(),
        Some(Taken::Rejected(reason)) => invalid(&reason),
        Some(Taken::Accepted | Taken::Unavailable(_) | Taken::Unknown(_)) | None => unavailable(),
    }
}
