//! `/api/cockpit/alerts`: alerts, raising one, and saying that one was seen.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, Request, State},
    response::{IntoResponse as _, Response},
};
use domain::{
    event::{
        State as Row,
        catalog::SEVERITIES,
        entity::{Entity, EntityKind},
    },
    id,
    source::Stream,
};
use http::{HeaderMap, StatusCode};
use runtime::config::Config;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{EntityFilter, Store};

use super::answer::{CockpitRefusal, LIMIT_MAX, authorize, new_id, object, query, receive, record};
use crate::ingest::publisher::EventPublisher;

#[derive(Deserialize)]
struct AlertsQuery {
    severity: Option<String>,
    acknowledged: Option<String>,
    limit: Option<usize>,
}

/// Alerts, newest first.
pub(super) async fn list(
    State(config): State<Arc<Config>>,
    State(store): State<Arc<dyn Store>>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    let wanted: AlertsQuery = query(asked.as_deref())?;
    let severity = wanted.severity.map(|severity| ("severity", severity.into()));
    // Only `true` means 1; the original takes any other word for 0.
    let seen = wanted.acknowledged.map(|word| ("acknowledged", i32::from(word == "true").into()));
    let filter = EntityFilter {
        matching: severity.into_iter().chain(seen).collect(),
        limit: wanted.limit.unwrap_or(100).min(LIMIT_MAX),
        ..EntityFilter::default()
    };
    let listed = store.entities(EntityKind::Alert, &filter).await;
    let listed = listed.map_err(|_| CockpitRefusal::unavailable())?;
    let alerts: Vec<Row> = listed.into_iter().map(|alert| alert.state).collect();
    Ok(Json(json!({ "count": alerts.len(), "alerts": alerts })).into_response())
}

async fn known(store: &dyn Store, id: &str) -> Result<Option<Row>, CockpitRefusal> {
    let entity = Entity { kind: EntityKind::Alert, id: id.into() };
    store.entity(&entity).await.map_err(|_| CockpitRefusal::unavailable())
}

/// Raises an alert.
pub(super) async fn create(
    State(config): State<Arc<Config>>,
    State(store): State<Arc<dyn Store>>,
    State(publisher): State<Arc<EventPublisher>>,
    headers: HeaderMap,
    body: Request,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    let body = receive(body).await?;
    let mut asked = object(&body, |fields| {
        fields.word("severity", &SEVERITIES, true);
        fields.filled("title");
        fields.maybe_text("message");
        fields.maybe_text("source");
        if fields.has("id") {
            fields.id("id");
        }
    })?;
    let id = match asked.remove("id") {
        Some(Value::String(id)) => id,
        _ => new_id("alert"),
    };
    if known(&*store, &id).await?.is_some() {
        return Err(CockpitRefusal::because(StatusCode::CONFLICT, "Alert already exists"));
    }
    record(&publisher, Stream::Agents, "alert", &id, &Value::Object(asked), None).await?;
    let body = json!({ "success": true, "alertId": id });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Says that an alert was seen; once is as good as twice.
pub(super) async fn acknowledge(
    State(config): State<Arc<Config>>,
    State(store): State<Arc<dyn Store>>,
    State(publisher): State<Arc<EventPublisher>>,
    Path(alert): Path<String>,
    headers: HeaderMap,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    let state = if id::check(&alert).is_ok() { known(&*store, &alert).await? } else { None };
    let state =
        state.ok_or_else(|| CockpitRefusal::because(StatusCode::NOT_FOUND, "Alert not found"))?;
    if state.get("acknowledged").and_then(Value::as_i64) != Some(1) {
        let data = json!({});
        record(&publisher, Stream::Agents, "alert_acknowledged", &alert, &data, None).await?;
    }
    Ok(Json(json!({ "success": true, "alertId": alert })).into_response())
}
