//! The probes of an orchestrator, and the metrics.

use std::{sync::Arc, time::Duration};

use auth::Authenticator;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use runtime::{config::Config, lifecycle::Lifecycle};
use serde_json::json;

use crate::{
    channel::{history::STORE_SILENCE_MAX, hub::Hub},
    session::sessions::Sessions,
};

/// The process runs. Touches nothing.
pub async fn livez() -> &'static str {
    "OK"
}

/// Whether clients may be sent here. A broker or store that does not answer leaves it ready: all
/// nodes unready at once would turn every client away.
pub async fn readyz(
    State(config): State<Arc<Config>>,
    State(life): State<Lifecycle>,
    State(auth): State<Arc<Authenticator>>,
    State(hub): State<Arc<Hub>>,
    State(sessions): State<Arc<Sessions>>,
) -> Response {
    let draining = life.is_draining();
    let full = sessions.count() >= config.limits.connections;
    let unhealthy = hub.subscriber_unhealthy();
    let broker = hub.is_redis_trusted();
    let store = hub.history().store_age() < STORE_SILENCE_MAX;
    let age = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let reason = match (draining, full, unhealthy) {
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
            "broker": { "state": state(broker), "age_ms": age(hub.trust_age()) },
            "store": { "state": state(store), "age_ms": age(hub.history().store_age()) },
            "connections": { "open": sessions.count() },
        },
    });
    // Old keys are good keys: an issuer that is away makes nobody unready.
    if let Some((keys_age, up)) = auth.keys_age() {
        body["parts"]["keys"] = json!({ "state": state(up), "age_ms": age(keys_age) });
    }
    let status = if reason.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

/// All metrics of the process.
pub async fn metrics(State(prometheus): State<prometheus::Registry>) -> Response {
    let text = runtime::telemetry::exposition(&prometheus);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
