//! `GET /v1/agents/{id}/health`: how an agent was in the last hour.

use std::sync::Arc;

use auth::Authenticator;
use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use domain::{
    channel::{Channel, ChannelKind},
    health::HealthSample,
    id,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{access, problem::Problem};
use crate::cluster::agent_health::AgentHealth;

/// Lists the samples, oldest first; none of an agent that says nothing of its health.
pub async fn samples(
    State(auth): State<Arc<Authenticator>>,
    State(health): State<Arc<AgentHealth>>,
    Path(agent): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    id::check(&agent)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("id {error}")))?;
    let channel = Channel::entity(ChannelKind::Agent, &agent);
    access::reader(&auth, &headers, query.as_deref(), &channel)?;
    let samples = health.samples(&agent).await.map_err(|error| {
        tracing::debug!(%error, "health: samples not read");
        let detail = "the broker does not answer";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
    })?;
    let samples: Vec<Value> =
        samples.into_iter().map(HealthSample::into_json).map(Value::Object).collect();
    Ok(Json(json!({ "agent": agent, "samples": samples })))
}
