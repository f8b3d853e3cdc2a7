//! Seed 000's own HTTP endpoints (`protocols.md` §1).

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse as _, Response},
    routing::{any, post},
};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use shared::{
    auth::same_secret, config::Config, entry::Fields, event::submission::field, id, source::Stream,
};
use tokio::time::Instant;

use super::mock;
use crate::{
    appender::{Appender, Taken},
    gateway::{Gateway, GatewayState},
};

/// How long an update may wait until it is recorded and published.
const UPDATE_DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// The endpoints; those below `/deployment-ws` are the guide's aliases.
pub(super) fn routes() -> Router<GatewayState> {
    let update = "/internal/deployments/{id}/update";
    Router::new()
        .route("/health", any(health))
        .route("/deployment-ws/health", any(health))
        .route("/test/deploy", any(test_deploy))
        .route(update, post(update_deployment))
        .route(&format!("/deployment-ws{update}"), post(update_deployment))
        .route("/internal/{*rest}", any(unknown_internal))
        .route("/deployment-ws/internal/{*rest}", any(unknown_internal))
}

async fn health() -> &'static str {
    "OK"
}

async fn unknown_internal() -> Response {
    (StatusCode::BAD_REQUEST, "Invalid internal API path").into_response()
}

async fn test_deploy(State(gateway): State<GatewayState>, method: Method, body: Bytes) -> Response {
    if gateway.config.production() {
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
    mock::start(&gateway, deployment, project);
    let answer = json!({ "message": "Mock deployment started", "deploymentId": deployment });
    axum::Json(answer).into_response()
}

/// Whether the header is `Bearer INTERNAL_API_KEY`, exactly; without a key only development is open.
fn authorized(config: &Config, headers: &HeaderMap) -> bool {
    match &config.access.internal_api_key {
        Some(key) => headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|given| same_secret(given, &format!("Bearer {key}"))),
        None => !config.production(),
    }
}

async fn update_deployment(
    State(gateway): State<GatewayState>,
    Path(deployment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !authorized(&gateway.config, &headers) {
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
    answer(update(&gateway, &deployment, status).await)
}

fn answer(taken: Taken) -> Response {
    match taken {
        Taken::Published(_) => "OK".into_response(),
        Taken::Rejected(reason) => (StatusCode::BAD_REQUEST, reason).into_response(),
        Taken::Unavailable(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable").into_response()
        }
        Taken::Accepted | Taken::Unknown(_) => {
            (StatusCode::GATEWAY_TIMEOUT, "Outcome unknown").into_response()
        }
    }
}

/// The entry of an update.
pub(super) fn entry(deployment: &str, status: &Value) -> Fields {
    let mut fields = Fields::default();
    fields.push(field::TYPE, "deployment_update");
    fields.push(field::ID, deployment);
    fields.push(field::DATA, status.to_string());
    fields
}

async fn update(gateway: &Gateway, deployment: &str, status: &Value) -> Taken {
    let fields = entry(deployment, status);
    if let Err(rejection) = Appender::check(Stream::Deployments, &fields) {
        return Taken::Rejected(rejection.to_string());
    }
    let deadline = Instant::now() + UPDATE_DEADLINE;
    let taken = gateway.appender.append(vec![(Stream::Deployments, fields)], deadline).await;
    taken.into_iter().next().unwrap_or(Taken::Accepted)
}
