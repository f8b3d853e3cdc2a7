//! What a worker serves to its operator: probes and metrics.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use broker::Broker;
use runtime::{lifecycle::Lifecycle, telemetry};
use serde_json::json;
use store::Store;

#[derive(Clone)]
struct Admin {
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    prometheus: prometheus::Registry,
    life: Lifecycle,
}

/// `/livez`, `/readyz` and `/metrics` of a worker.
pub(crate) fn router(
    store: Arc<dyn Store>,
    broker: Arc<dyn Broker>,
    prometheus: prometheus::Registry,
    life: Lifecycle,
) -> Router {
    Router::new()
        .route("/livez", get(|| async { "OK" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Admin { store, broker, prometheus, life })
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let draining = admin.life.is_draining();
    let store = admin.store.check().await.is_ok();
    let broker = admin.broker.check().await.is_ok();
    let state = |up: bool| if up { "up" } else { "down" };
    let body = json!({
        "status": if draining { "draining" } else { "ready" },
        "degraded": !broker || !store,
        "parts": { "broker": { "state": state(broker) }, "store": { "state": state(store) } },
    });
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let text = telemetry::exposition(&admin.prometheus);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
