//! The probes of an orchestrator, and the metrics.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde_json::json;

use crate::gateway::GatewayState;

/// After so long without an answer the database counts as down; it is asked every second.
const STORE_SILENCE_MAX: Duration = Duration::from_secs(4);

/// The process runs. Touches nothing.
pub async fn livez() -> &'static str {
    "OK"
}

/// Whether clients may be sent here. A broker or store that does not answer leaves it ready: all
/// nodes unready at once would turn every client away.
pub async fn readyz(State(gateway): State<GatewayState>) -> Response {
    let draining = gateway.life.is_draining();
    let full = gateway.session_count() >= gateway.config.limits.connections;
    let deaf = gateway.hub.is_deaf();
    let broker = gateway.hub.is_trusted();
    let store = gateway.hub.store_age() < STORE_SILENCE_MAX;
    let age = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let reason = match (draining, full, deaf) {
        (true, _, _) => Some("draining"),
        (_, true, _) => Some("over capacity"),
        (_, _, true) => Some("deaf"),
        _ => None,
    };
    let state = |up: bool| if up { "up" } else { "down" };
    let mut body = json!({
        "status": reason.unwrap_or("ready"),
        "degraded": !broker || !store,
        "parts": {
            "broker": { "state": state(broker), "age_ms": age(gateway.hub.trust_age()) },
            "store": { "state": state(store), "age_ms": age(gateway.hub.store_age()) },
            "connections": { "open": gateway.session_count() },
        },
    });
    // Old keys are good keys: an issuer that is away makes nobody unready.
    if let Some((keys_age, up)) = gateway.auth.keys_age() {
        body["parts"]["keys"] = json!({ "state": state(up), "age_ms": age(keys_age) });
    }
    let status = if reason.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

/// All metrics of the process.
pub async fn metrics(State(gateway): State<GatewayState>) -> Response {
    let text = shared::telemetry::exposition(&gateway.prometheus);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
