//! The probes of an orchestrator, and the metrics.

use std::{sync::Arc, time::Duration};

use auth::Authenticator;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use runtime::{
    config::Config,
    health::{OutOfOrder, UNREACHABLE},
    lifecycle::Lifecycle,
};
use serde_json::{Value, json};

use crate::{
    channel::hub::Hub,
    session::{context::SessionContext, sessions::Sessions},
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
    State(context): State<Arc<SessionContext>>,
) -> Response {
    let draining = life.is_draining();
    let full = sessions.count() >= config.limits.connections;
    let unhealthy = hub.subscriber_unhealthy();
    let health = &context.health;
    let broker = health.broker.out_of_order();
    let store = health.store.out_of_order();
    let age = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let reason = match (draining, full, unhealthy) {
        (true, _, _) => Some("draining"),
        (_, true, _) => Some("over capacity"),
        (_, _, true) => Some("deaf"),
        _ => None,
    };
    let mut body = json!({
        "status": reason.unwrap_or("ready"),
        "degraded": broker.is_some() || store.is_some(),
        "reason": health.degraded(),
        "parts": {
            "broker": part(broker.as_ref(), age(hub.trust_age())),
            "store": part(store.as_ref(), age(hub.history().store_age())),
            "connections": { "open": sessions.count() },
        },
    });
    // Old keys are good keys: an issuer that is away makes nobody unready.
    if let Some((keys_age, up)) = auth.keys_age() {
        body["parts"]["keys"] =
            json!({ "state": if up { "up" } else { "down" }, "age_ms": age(keys_age) });
    }
    let status = if reason.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

/// A service as a probe is told of it.
fn part(out_of_order: Option<&OutOfOrder>, age_ms: u64) -> Value {
    let cause = out_of_order.map(|out_of_order| out_of_order.cause);
    let state = match cause {
        None => "up",
        Some(UNREACHABLE) => "down",
        Some(_) => "refusing",
    };
    json!({ "state": state, "age_ms": age_ms, "cause": cause })
}

/// All metrics of the process.
pub async fn metrics(State(prometheus): State<prometheus::Registry>) -> Response {
    let text = runtime::telemetry::exposition(&prometheus);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
