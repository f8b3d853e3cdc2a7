//! `POST /v1/alerts/{id}/ack`: somebody has seen an alert.

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Json,
    extract::{FromRef, Path, RawQuery, State},
};
use domain::{
    entry::Fields,
    event::{
        entity::{Entity, EntityKind},
        submission::field,
    },
    source::Stream,
};
use http::{HeaderMap, StatusCode};
use runtime::config::Config;
use serde_json::{Value, json};
use store::Store;
use tokio::time::{Duration, Instant};

use super::{access, problem::Problem};
use crate::{
    http::address::ClientAddress,
    ingest::{
        publish_limits::{EventSender, PublishLimits},
        publisher::{EventPublisher, PublishOutcome},
    },
    node::{audit::Audit, services::Services},
};

/// How long the outcome is waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// What an acknowledgement passes on its way in.
#[derive(Clone)]
pub struct AlertDoor {
    config: Arc<Config>,
    auth: Arc<Authenticator>,
    limits: Arc<PublishLimits>,
    store: Arc<dyn Store>,
    publisher: Arc<EventPublisher>,
    audit: Audit,
}

impl FromRef<Services> for AlertDoor {
    fn from_ref(services: &Services) -> Self {
        Self {
            config: Arc::from_ref(services),
            auth: Arc::from_ref(services),
            limits: Arc::from_ref(services),
            store: Arc::from_ref(services),
            publisher: Arc::from_ref(services),
            audit: Audit::from_ref(services),
        }
    }
}

/// Records that an alert was seen; once is as good as twice.
pub async fn acknowledge(
    State(door): State<AlertDoor>,
    ClientAddress(address): ClientAddress,
    Path(alert): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let identity = access::identify(&door.auth, &headers, query.as_deref())?;
    access::publisher(&door.config, &identity, Stream::Agents, Some(&alert))?;
    if let Err(wait) = door.limits.take(EventSender::of(&identity, address), 1) {
        return Err(access::too_fast(wait));
    }
    let entity = Entity { kind: EntityKind::Alert, id: alert.as_str().into() };
    let state = door.store.entity(&entity).await.map_err(|error| Problem::store(&error))?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such alert");
    if state.ok_or_else(unknown)?.get("acknowledged").and_then(Value::as_i64) != Some(1) {
        let by = identity.user.as_deref().or(identity.api_key());
        record(&door.publisher, &alert, by).await?;
        door.audit.note(by.unwrap_or("anonymous"), "acknowledge", &alert, json!({})).await;
    }
    Ok(Json(json!({ "alert": alert, "acknowledged": true })))
}

async fn record(publisher: &EventPublisher, alert: &str, by: Option<&str>) -> Result<(), Problem> {
    let mut fields = Fields::default();
    fields.push(field::TYPE, "alert_acknowledged");
    fields.push(field::ID, alert);
    if let Some(by) = by {
        fields.push(field::DATA, json!({ "by": by }).to_string());
    }
    let entries = vec![(Stream::Agents, fields)];
    let outcomes = publisher.publish("alerts", entries, Instant::now() + DEADLINE).await;
    match outcomes.into_iter().next() {
        Some(PublishOutcome::Published(_)) => Ok(()),
        Some(PublishOutcome::Rejected(rejection)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, rejection.to_string()))
        }
        Some(PublishOutcome::Accepted | PublishOutcome::Unknown(_)) => {
            Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "the outcome is not known: repeat"))
        }
        Some(PublishOutcome::Unavailable(_)) | None => {
            let detail = "the broker does not answer: nothing was taken in";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1))
        }
    }
}
