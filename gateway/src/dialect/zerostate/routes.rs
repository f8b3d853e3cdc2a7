//! Seed 003's own HTTP endpoints (`protocols.md` §4).

use std::{sync::Arc, time::Duration};

use auth::{Authenticator, CredentialError, Identity};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRef, Path, Request, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use domain::{
    entry::Fields, event::submission::field, id, json::Document, node::NodeId, source::Stream,
};
use http::{StatusCode, header};
use runtime::config::Config;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::Instant;

use super::stats::Statistics;
use crate::{
    cluster::registry::ClusterRegistry,
    http::{address::ClientAddress, bodies, routes::Routes},
    ingest::{
        publish_limits::{EventSender, PublishLimits},
        publisher::{EventPublisher, PublishOutcome},
    },
    metrics::GatewayMetrics,
    node::services::Services,
    protocol,
};

/// How long a message may wait until it is recorded and published.
const DEADLINE: Duration = Duration::from_secs(5);

/// Returns the endpoints.
pub fn routes() -> Routes<Services> {
    Routes::default()
        .get("/api/v1/ws/stats", statistics)
        .post("/api/v1/ws/broadcast", broadcast)
        .post("/api/v1/ws/user/{user}", to_user)
        .post("/api/v1/ws/send", send)
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

    fn forbidden(message: &str) -> Self {
        let body = json!({ "error": "forbidden", "message": message });
        Self(StatusCode::FORBIDDEN, body)
    }

    fn too_fast(wait: Duration) -> Self {
        let message = "more messages per second than are allowed";
        let seconds = wait.as_secs().max(1);
        let error = "rate limit exceeded";
        let body = json!({ "error": error, "message": message, "retry_after": seconds });
        Self(StatusCode::TOO_MANY_REQUESTS, body)
    }

    fn unavailable() -> Self {
        let body = json!({ "error": "WebSocket service not available" });
        Self(StatusCode::SERVICE_UNAVAILABLE, body)
    }
}

impl IntoResponse for ZeroStateRefusal {
    fn into_response(self) -> Response {
        let seconds = self.1["retry_after"].as_u64();
        let mut response = (self.0, Json(self.1)).into_response();
        if let Some(seconds) = seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
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

/// What a message passes on its way in.
#[derive(Clone)]
struct MessageDoor {
    config: Arc<Config>,
    auth: Arc<Authenticator>,
    limits: Arc<PublishLimits>,
    publisher: Arc<EventPublisher>,
}

impl FromRef<Services> for MessageDoor {
    fn from_ref(services: &Services) -> Self {
        Self {
            config: Arc::from_ref(services),
            auth: Arc::from_ref(services),
            limits: Arc::from_ref(services),
            publisher: Arc::from_ref(services),
        }
    }
}

async fn broadcast(
    State(door): State<MessageDoor>,
    client: ClientAddress,
    headers: HeaderMap,
    body: Request,
) -> Answer {
    let sender = door.identify(&headers)?;
    let body = receive(body).await?;
    let document = document(&body)?;
    let message = read(&document)?;
    door.pass(&sender, client, None, &document, &message).await?;
    Ok(Json(json!({ "message": "broadcast sent successfully" })))
}

async fn to_user(
    State(door): State<MessageDoor>,
    client: ClientAddress,
    Path(user): Path<String>,
    headers: HeaderMap,
    body: Request,
) -> Answer {
    let sender = door.identify(&headers)?;
    let body = receive(body).await?;
    let document = document(&body)?;
    let message = read(&document)?;
    door.pass(&sender, client, Some(&user), &document, &message).await?;
    Ok(Json(json!({ "message": "user message sent successfully" })))
}

/// The path of the original, which has the user in the body.
async fn send(
    State(door): State<MessageDoor>,
    client: ClientAddress,
    headers: HeaderMap,
    body: Request,
) -> Answer {
    let sender = door.identify(&headers)?;
    let body = receive(body).await?;
    let document = document(&body)?;
    let message = read(&document)?;
    let user = message.user.map(|user| serde_json::from_str::<String>(document.given(user)));
    let user = user.and_then(Result::ok);
    let user =
        user.ok_or_else(|| ZeroStateRefusal::invalid("user_id is required and must be a text"))?;
    door.pass(&sender, client, Some(&user), &document, &message).await?;
    Ok(Json(json!({ "message": "user message sent successfully" })))
}

impl MessageDoor {
    /// Returns who sends, by a token or an API key.
    fn identify(&self, headers: &HeaderMap) -> Result<Identity, ZeroStateRefusal> {
        let asked = protocol::Request::of("", None, headers);
        let credential = match (asked.credential(), &asked.authorization) {
            (Some(credential), _) => Ok(credential),
            (None, Some(_)) => Err("invalid authorization header format, expected: Bearer <token>"),
            (None, None) => Err("missing authorization header"),
        };
        let credential = credential.map_err(ZeroStateRefusal::unauthorized)?;
        let checked = self.auth.credential(credential);
        checked.map_err(|error| match error {
            CredentialError::Denied => ZeroStateRefusal::forbidden(&error.to_string()),
            CredentialError::Expired | CredentialError::Invalid(_) | CredentialError::Subject => {
                ZeroStateRefusal::unauthorized(&error.to_string())
            }
        })
    }

    /// Publishes a message if its sender may, and has not sent too many.
    async fn pass(
        &self,
        sender: &Identity,
        client: ClientAddress,
        user: Option<&str>,
        document: &Document<'_>,
        message: &Message<'_>,
    ) -> Result<(), ZeroStateRefusal> {
        if self.config.production() && !sender.may_publish(Stream::Messages, user) {
            let error = "the token does not allow to publish messages";
            return Err(ZeroStateRefusal::forbidden(error));
        }
        self.limits
            .take(EventSender::of(sender, client.0), 1)
            .map_err(ZeroStateRefusal::too_fast)?;
        publish(&self.publisher, user, document, message).await
    }
}

/// Reads a body; whose it is was asked before.
async fn receive(body: Request) -> Result<Bytes, ZeroStateRefusal> {
    bodies::receive(body).await.map_err(|error| {
        let mut body = json!({ "error": "invalid request", "message": error.to_string() });
        if let Some(seconds) = error.retry_after() {
            body["retry_after"] = seconds.into();
        }
        ZeroStateRefusal(error.status(), body)
    })
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
) -> Result<(), ZeroStateRefusal> {
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
    let outcomes = publisher.publish("zerostate", entries, Instant::now() + DEADLINE).await;
    match outcomes.into_iter().next() {
        Some(PublishOutcome::Published(_)) => Ok(()),
        Some(PublishOutcome::Rejected(rejection)) => {
            Err(ZeroStateRefusal::invalid(&rejection.to_string()))
        }
        Some(
            PublishOutcome::Accepted | PublishOutcome::Unavailable(_) | PublishOutcome::Unknown(_),
        )
        | None => Err(ZeroStateRefusal::unavailable()),
    }
}
