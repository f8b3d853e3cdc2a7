//! What a worker serves to its operator: probes and metrics.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use runtime::{
    health::{Health, ServiceHealth, UNREACHABLE},
    lifecycle::Lifecycle,
    telemetry,
};
use serde_json::{Value, json};

#[derive(Clone)]
struct Admin {
    health: Arc<Health>,
    prometheus: prometheus::Registry,
    life: Lifecycle,
}

/// `/livez`, `/readyz` and `/metrics` of a worker.
pub(crate) fn router(
    health: Arc<Health>,
    prometheus: prometheus::Registry,
    life: Lifecycle,
) -> Router {
    Router::new()
        .route("/livez", get(|| async { "OK" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Admin { health, prometheus, life })
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let draining = admin.life.is_draining();
    let reason = admin.health.degraded();
    let body = json!({
        "status": if draining { "draining" } else { "ready" },
        "degraded": reason.is_some(),
        "reason": reason,
        "parts": { "broker": part(&admin.health.broker), "store": part(&admin.health.store) },
    });
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

fn part(service: &ServiceHealth) -> Value {
    let cause = service.out_of_order().map(|out_of_order| out_of_order.cause);
    let state = match cause {
        None => "up",
        Some(UNREACHABLE) => "down",
        Some(_) => "refusing",
    };
    let age_ms = u64::try_from(service.age().as_millis()).unwrap_or(u64::MAX);
    json!({ "state": state, "age_ms": age_ms, "cause": cause })
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let text = telemetry::exposition(&admin.prometheus);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
