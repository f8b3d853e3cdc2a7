//! The cockpit's own HTTP endpoints (`protocols.md` §2, REST).

mod agents;
mod alerts;
mod answer;
mod repos;
mod tasks;

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::{HeaderMap, StatusCode};
use runtime::config::Config;

use self::answer::{CockpitRefusal, authorize};
use crate::{http::routes::Routes, node::services::Services};

/// Returns the endpoints; every other path and method below `/api/cockpit` is not found, in JSON.
pub fn routes() -> Routes<Services> {
    Routes::default()
        .get("/api/cockpit/tasks", tasks::list)
        .post("/api/cockpit/tasks", tasks::create)
        .any("/api/cockpit/tasks", not_found)
        .get("/api/cockpit/repos", repos::list)
        .any("/api/cockpit/repos", not_found)
        .get("/api/cockpit/alerts", alerts::list)
        .post("/api/cockpit/alerts", alerts::create)
        .any("/api/cockpit/alerts", not_found)
        .post("/api/cockpit/alerts/ack/{id}", alerts::acknowledge)
        .any("/api/cockpit/alerts/ack/{id}", not_found)
        .get("/api/cockpit/agents", agents::list)
        .any("/api/cockpit/agents", not_found)
        .get("/agents", agents::list)
        .any("/api/cockpit", not_found)
        .any("/api/cockpit/{*rest}", not_found)
}

async fn not_found(
    State(config): State<Arc<Config>>,
    headers: HeaderMap,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    Err(CockpitRefusal::because(StatusCode::NOT_FOUND, "Not found"))
}
