//! `/api/cockpit/agents`: who is connected, on all nodes.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Refused, authorize};
use crate::{gateway::GatewayState, registry::AGENTS};

/// The agents, each once: of several sockets of one agent the newest speaks.
pub(super) async fn list(
    State(gateway): State<GatewayState>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    authorize(&gateway, &headers)?;
    let members = gateway.registry.members(AGENTS).await;
    let members = members.map_err(|_| Refused::unavailable())?;
    let mut sockets: Vec<Value> =
        members.iter().filter_map(|member| serde_json::from_str(&member.value).ok()).collect();
    let text = |agent: &Value, key: &str| agent[key].as_str().unwrap_or_default().to_owned();
    sockets.sort_by_key(|agent| text(agent, "connectedAt"));
    let agents: BTreeMap<String, Value> =
        sockets.into_iter().map(|agent| (text(&agent, "agentId"), agent)).collect();
    let agents: Vec<Value> = agents.into_values().collect();
    Ok(Json(json!({ "count": agents.len(), "agents": agents })).into_response())
}
