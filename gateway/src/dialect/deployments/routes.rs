//! Seed 000's own HTTP endpoints (`protocols.md` §1).

use std::sync::Arc;

use auth::same_secret;
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
    routing::{any, post},
};
use domain::id;
use http::{Method, StatusCode};
use runtime::{config::Config, lifecycle::Lifecycle};
use serde_json::{Value, json};

use super::{mock, update::update};
use crate::{
    http::health::health,
    ingest::publisher::{EventPublisher, PublishOutcome},
    node::services::Services,
    protocol::Request,
};

/// Returns the endpoints; those below `/deployment-ws` are the guide's aliases.
pub fn routes() -> Router<Services> {
    let update = "/internal/deployments/{id}/update";
    Router::new()
        .route("/deployment-ws/health", any(health))
        .route("/test/deploy", any(test_deploy))
        .route(update, post(update_deployment))
        .route(&format!("/deployment-ws{update}"), post(update_deployment))
        .route("/internal/{*rest}", any(unknown_internal))
        .route("/deployment-ws/internal/{*rest}", any(unknown_internal))
}

async fn unknown_internal() -> Response {
    (StatusCode::BAD_REQUEST, "Invalid internal API path").into_response()
}

async fn test_deploy(
    State(config): State<Arc<Config>>,
    State(publisher): State<Arc<EventPublisher>>,
    State(life): State<Lifecycle>,
    method: Method,
    body: Bytes,
) -> Response {
    if config.production() {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    }
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "Invalid JSON").into_response();
    };
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(deployment), Some(project)) = (text("deploymentId"), text("projectName")) else {
        return (StatusCode::BAD_REQUEST, "Missing deploymentId or projectName").into_response();
    };
    if id::check(deployment).is_err() {
        return (StatusCode::BAD_REQUEST, "Invalid deploymentId").into_response();
    }
    mock::start(&life, publisher, config.rhythm.mock_step, deployment, project);
    let answer = json!({ "message": "Mock deployment started", "deploymentId": deployment });
    axum::Json(answer).into_response()
}

/// Whether the header is `Bearer INTERNAL_API_KEY`, in exactly this case; without a key only development is open.
fn authorized(config: &Config, headers: &HeaderMap) -> bool {
    let keys = &config.access.internal_keys;
    if keys.is_empty() {
        return !config.production();
    }
    let asked = Request::of("", None, headers);
    let given = asked.authorization.as_deref().and_then(|text| text.strip_prefix("Bearer "));
    given.is_some_and(|given| keys.iter().any(|key| same_secret(given, key)))
}

async fn update_deployment(
    State(config): State<Arc<Config>>,
    State(publisher): State<Arc<EventPublisher>>,
    Path(deployment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !authorized(&config, &headers) {
        return (StatusCode::UNAUTHORIZED, "Unauthorized").into_response();
    }
    if id::check(&deployment).is_err() {
        return (StatusCode::BAD_REQUEST, "Invalid deployment id").into_response();
    }
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "Invalid JSON").into_response();
    };
    let Some(status) = body.get("status").filter(|status| status.is_object()) else {
        return (StatusCode::BAD_REQUEST, "Missing status").into_response();
    };
    answer(update(&publisher, &deployment, status).await)
}

fn answer(outcome: PublishOutcome) -> Response {
    match outcome {
        PublishOutcome::Published(_) => "OK".into_response(),
        PublishOutcome::Rejected(rejection) => {
            (StatusCode::BAD_REQUEST, rejection.to_string()).into_response()
        }
        PublishOutcome::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response()
        }
        PublishOutcome::Accepted | PublishOutcome::Unknown(_) => {
            (StatusCode::GATEWAY_TIMEOUT, "Outcome unknown").into_response()
        }
    }
}
