//! `/api/cockpit/alerts`: alerts, raising one, and saying that one was seen.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    event::{
        State as Row,
        catalog::SEVERITIES,
        state::{Entity, EntityKind},
    },
    id,
    source::Stream,
    store::EntityFilter,
};

use super::{LIMIT_MAX, Refused, authorize, new_id, object, query, record};
use crate::gateway::{Gateway, GatewayState};

#[derive(Deserialize)]
struct Wanted {
    severity: Option<String>,
    acknowledged: Option<String>,
    limit: Option<usize>,
}

/// Alerts, newest first.
pub(super) async fn list(
    State(gateway): State<GatewayState>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    authorize(&gateway, &headers)?;
    let wanted: Wanted = query(asked.as_deref())?;
    let severity = wanted.severity.map(|severity| ("severity", severity.into()));
    // Only `true` means 1; the original takes any other word for 0.
    let seen = wanted.acknowledged.map(|word| ("acknowledged", i32::from(word == "true").into()));
    let filter = EntityFilter {
        matching: severity.into_iter().chain(seen).collect(),
        limit: wanted.limit.unwrap_or(100).min(LIMIT_MAX),
        ..EntityFilter::default()
    };
    let listed = gateway.store.entities(EntityKind::Alert, &filter).await;
    let listed = listed.map_err(|_| Refused::unavailable())?;
    let alerts: Vec<Row> = listed.into_iter().map(|alert| alert.state).collect();
    Ok(Json(json!({ "count": alerts.len(), "alerts": alerts })).into_response())
}

async fn known(gateway: &Gateway, id: &str) -> Result<Option<Row>, Refused> {
    let entity = Entity { kind: EntityKind::Alert, id: id.into() };
    gateway.store.entity(&entity).await.map_err(|_| Refused::unavailable())
}

/// Raises an alert.
pub(super) async fn create(
    State(gateway): State<GatewayState>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    authorize(&gateway, &headers)?;
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
    if known(&gateway, &id).await?.is_some() {
        return Err(Refused::because(StatusCode::CONFLICT, "Alert already exists"));
    }
    record(&gateway, Stream::Agents, "alert", &id, &Value::Object(asked), None).await?;
    let body = json!({ "success": true, "alertId": id });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Says that an alert was seen; once is as good as twice.
pub(super) async fn acknowledge(
    State(gateway): State<GatewayState>,
    Path(alert): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    authorize(&gateway, &headers)?;
    let state = if id::check(&alert).is_ok() { known(&gateway, &alert).await? } else { None };
    let state = state.ok_or_else(|| Refused::because(StatusCode::NOT_FOUND, "Alert not found"))?;
    if state.get("acknowledged").and_then(Value::as_i64) != Some(1) {
        let data = json!({});
        record(&gateway, Stream::Agents, "alert_acknowledged", &alert, &data, None).await?;
    }
    Ok(Json(json!({ "success": true, "alertId": alert })).into_response())
}
