//! Seed 003's own HTTP endpoints (`protocols.md` §4).

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use domain::{
    entry::Fields, event::submission::field, id, json::Document, node::NodeId, source::Stream,
};
use http::{StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::Instant;

use super::stats::Statistics;
use crate::{
    cluster::registry::ClusterRegistry,
    ingest::publisher::{EventPublisher, PublishOutcome},
    metrics::GatewayMetrics,
    node::services::Services,
};

/// How long a message may wait until it is recorded and published.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// Returns the endpoints.
pub fn routes() -> Router<Services> {
    Router::new()
        .route("/api/v1/ws/stats", get(statistics))
        .route("/api/v1/ws/broadcast", post(broadcast))
        .route("/api/v1/ws/user/{user}", post(to_user))
        .route("/api/v1/ws/send", post(send))
}

/// What is answered when it is not what was asked for: a status and a body.
struct ZeroStateRefusal(StatusCode, Value);

impl ZeroStateRefusal {
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

impl IntoResponse for ZeroStateRefusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

type Answer = Result<Json<Value>, ZeroStateRefusal>;

async fn statistics(
    State(node): State<NodeId>,
    State(registry): State<Arc<ClusterRegistry>>,
    State(metrics): State<Arc<GatewayMetrics>>,
) -> Answer {
    let statistics = Statistics::new(node, registry, metrics);
    let stats = statistics.everywhere().await.map_err(|_| ZeroStateRefusal::unavailable())?;
    Ok(Json(json!({ "stats": stats })))
}

async fn broadcast(
    State(auth): State<Arc<Authenticator>>,
    State(publisher): State<Arc<EventPublisher>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    authorize(&auth, &headers)?;
    let document = document(&body)?;
    let message = read(&document)?;
    publish(&publisher, None, &document, &message, "broadcast sent successfully").await
}

async fn to_user(
    State(auth): State<Arc<Authenticator>>,
    State(publisher): State<Arc<EventPublisher>>,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    authorize(&auth, &headers)?;
    let document = document(&body)?;
    let message = read(&document)?;
    publish(&publisher, Some(&user), &document, &message, "user message sent successfully").await
}

/// The path of the original, which has the user in the body.
async fn send(
    State(auth): State<Arc<Authenticator>>,
    State(publisher): State<Arc<EventPublisher>>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    authorize(&auth, &headers)?;
    let document = document(&body)?;
    let message = read(&document)?;
    let user = message.user.map(|user| serde_json::from_str::<String>(document.given(user)));
    let user = user.and_then(Result::ok);
    let user =
        user.ok_or_else(|| ZeroStateRefusal::invalid("user_id is required and must be a text"))?;
    publish(&publisher, Some(&user), &document, &message, "user message sent successfully").await
}

/// Lets in any valid token or API key.
fn authorize(auth: &Authenticator, headers: &HeaderMap) -> Result<(), ZeroStateRefusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let credential = match (text(header::AUTHORIZATION.as_str()), text("x-api-key")) {
        (Some(authorization), _) => authorization
            .strip_prefix("Bearer ")
            .ok_or("invalid authorization header format, expected: Bearer <token>"),
        (None, Some(key)) => Ok(key),
        (None, None) => Err("missing authorization header"),
    };
    let credential = credential.map_err(ZeroStateRefusal::unauthorized)?;
    let checked = auth.credential(credential);
    checked.map(|_| ()).map_err(|error| ZeroStateRefusal::unauthorized(&error.to_string()))
}

/// A message, not looked at yet.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, rename = "user_id", default)]
    user: Option<&'a RawValue>,
}

fn document(body: &[u8]) -> Result<Document<'_>, ZeroStateRefusal> {
    Document::read(body)
        .map_err(|error| ZeroStateRefusal::invalid(&format!("the body is no JSON: {error}")))
}

fn read<'d>(document: &'d Document<'_>) -> Result<Message<'d>, ZeroStateRefusal> {
    let message: Message<'_> = document
        .parse()
        .map_err(|error| ZeroStateRefusal::invalid(&format!("the body is no JSON: {error}")))?;
    if kind(&message).is_none() {
        return Err(ZeroStateRefusal::invalid("type is required and must be a text"));
    }
    if !message.data.is_some_and(|data| data.get().starts_with('{')) {
        return Err(ZeroStateRefusal::invalid("data is required and must be an object"));
    }
    Ok(message)
}

fn kind(message: &Message<'_>) -> Option<String> {
    let kind: String = serde_json::from_str(message.kind?.get()).ok()?;
    Some(kind).filter(|kind| !kind.is_empty())
}

/// Records a free message: whatever its type is called, it is for that user, or for all.
async fn publish(
    publisher: &EventPublisher,
    user: Option<&str>,
    document: &Document<'_>,
    message: &Message<'_>,
    done: &str,
) -> Answer {
    let mut fields = Fields::default();
    fields.push(field::TYPE, kind(message).unwrap_or_default());
    fields.push(field::FREE, "1");
    if let Some(user) = user {
        id::check(user).map_err(|error| ZeroStateRefusal::invalid(&format!("user_id {error}")))?;
        fields.push(field::ID, user);
    }
    fields.push(field::DATA, message.data.map(|data| document.given(data)).unwrap_or_default());
    EventPublisher::check(Stream::Messages, &fields)
        .map_err(|rejection| ZeroStateRefusal::invalid(&rejection.to_string()))?;
    let entries = vec![(Stream::Messages, fields)];
    let outcomes = publisher.publish(entries, Instant::now() + DEADLINE).await;
    match outcomes.into_iter().next() {
        Some(PublishOutcome::Published(_)) => Ok(Json(json!({ "message": done }))),
        Some(PublishOutcome::Rejected(rejection)) => {
            Err(ZeroStateRefusal::invalid(&rejection.to_string()))
        }
        Some(
            PublishOutcome::Accepted | PublishOutcome::Unavailable(_) | PublishOutcome::Unknown(_),
        )
        | None => Err(ZeroStateRefusal::unavailable()),
    }
}
