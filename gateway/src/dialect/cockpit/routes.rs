//! The cockpit's own HTTP endpoints (`protocols.md` §2, REST).

mod agents;
mod alerts;
mod answer;
mod repos;
mod tasks;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{any, get, post},
};
use http::{HeaderMap, StatusCode};
use runtime::config::Config;

use self::answer::{CockpitRefusal, authorize};
use crate::node::services::Services;

/// Returns the endpoints; every other path and method below `/api/cockpit` is not found, in JSON.
pub fn routes() -> Router<Services> {
    Router::new()
        .route("/api/cockpit/tasks", get(tasks::list).post(tasks::create).fallback(not_found))
        .route("/api/cockpit/repos", get(repos::list).fallback(not_found))
        .route("/api/cockpit/alerts", get(alerts::list).post(alerts::create).fallback(not_found))
        .route("/api/cockpit/alerts/ack/{id}", post(alerts::acknowledge).fallback(not_found))
        .route("/api/cockpit/agents", get(agents::list).fallback(not_found))
        .route("/agents", get(agents::list))
        .route("/api/cockpit", any(not_found))
        .route("/api/cockpit/{*rest}", any(not_found))
}

async fn not_found(
    State(config): State<Arc<Config>>,
    headers: HeaderMap,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    Err(CockpitRefusal::because(StatusCode::NOT_FOUND, "Not found"))
}
