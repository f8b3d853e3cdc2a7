//! The probes of an orchestrator, and the metrics.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde_json::json;

use crate::gateway::GatewayState;

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
    let store = gateway.metrics.store_up.get() > 0.0;
    let reason = match (draining, full, deaf) {
        (true, _, _) => Some("draining"),
        (_, true, _) => Some("over capacity"),
        (_, _, true) => Some("deaf"),
        _ => None,
    };
    let state = |up: bool| if up { "up" } else { "down" };
    let body = json!({
        "status": reason.unwrap_or("ready"),
        "degraded": !broker || !store,
        "parts": {
            "broker": { "state": state(broker) },
            "store": { "state": state(store) },
            "connections": { "open": gateway.session_count() },
        },
    });
    let status = if reason.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

/// All metrics of the process.
pub async fn metrics(State(gateway): State<GatewayState>) -> Response {
    let text = shared::telemetry::exposition(&gateway.prometheus);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
