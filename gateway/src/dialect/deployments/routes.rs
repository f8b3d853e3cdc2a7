//! Seed 000's own HTTP endpoints (`protocols.md` §1).

use std::{collections::BTreeMap, sync::Arc};

use auth::same_secret;
use axum::{
    Json,
    extract::{self, Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use domain::{
    id,
    json::{self, Document},
};
use http::{Method, StatusCode, header};
use runtime::{config::Config, lifecycle::Lifecycle};
use serde_json::{Value, json, value::RawValue};

use super::{mock, update::update as publish};
use crate::{
    http::{
        bodies::{self, BodyError},
        health::health,
        routes::Routes,
    },
    ingest::publisher::{EventPublisher, PublishOutcome},
    node::services::Services,
    protocol::Request,
};

/// Returns the endpoints; those below `/deployment-ws` are the guide's aliases.
pub fn routes() -> Routes<Services> {
    Routes::default()
        .any("/deployment-ws/health", health)
        .any("/test/deploy", test_deploy)
        .post("/internal/deployments/{id}/update", update_deployment)
        .post("/deployment-ws/internal/deployments/{id}/update", update_deployment)
        .any("/internal/{*rest}", unknown_internal)
        .any("/deployment-ws/internal/{*rest}", unknown_internal)
}

async fn unknown_internal() -> Response {
    (StatusCode::BAD_REQUEST, "Invalid internal API path").into_response()
}

async fn test_deploy(
    State(config): State<Arc<Config>>,
    State(publisher): State<Arc<EventPublisher>>,
    State(life): State<Lifecycle>,
    method: Method,
    body: extract::Request,
) -> Response {
    if config.production() {
        return (StatusCode::NOT_FOUND, "Not Found").into_response();
    }
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed").into_response();
    }
    let body = match bodies::receive(body).await {
        Ok(body) => body,
        Err(error) => return unread(error),
    };
    let Ok(body) = json::value(&body) else {
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
    Json(answer).into_response()
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
    body: extract::Request,
) -> Response {
    if !authorized(&config, &headers) {
        return (StatusCode::UNAUTHORIZED, "Unauthorized").into_response();
    }
    if id::check(&deployment).is_err() {
        return (StatusCode::BAD_REQUEST, "Invalid deployment id").into_response();
    }
    // Nobody's body is read before it is known whose it is.
    let body = match bodies::receive(body).await {
        Ok(body) => body,
        Err(error) => return unread(error),
    };
    let Ok(document) = Document::read(&body) else {
        return (StatusCode::BAD_REQUEST, "Invalid JSON").into_response();
    };
    let Ok(update) = document.parse::<BTreeMap<String, &RawValue>>() else {
        let is_json = document.parse::<&RawValue>().is_ok();
        let body = if is_json { "Missing status" } else { "Invalid JSON" };
        return (StatusCode::BAD_REQUEST, body).into_response();
    };
    let status = update.get("status").map(|status| document.given(status));
    let Some(status) = status.filter(|status| status.starts_with('{')) else {
        return (StatusCode::BAD_REQUEST, "Missing status").into_response();
    };
    answer(publish(&publisher, &deployment, status).await)
}

fn unread(error: BodyError) -> Response {
    let mut response = (error.status(), error.to_string()).into_response();
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
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
