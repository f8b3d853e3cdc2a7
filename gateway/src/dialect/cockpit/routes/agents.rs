//! `/api/cockpit/agents`: who is connected, on all nodes.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use runtime::config::Config;
use serde_json::{Value, json};

use super::{
    super::incoming::AGENTS,
    answer::{CockpitRefusal, authorize},
};
use crate::cluster::registry::ClusterRegistry;

/// The agents, each once: of several sockets of one agent the newest speaks.
pub(super) async fn list(
    State(config): State<Arc<Config>>,
    State(registry): State<Arc<ClusterRegistry>>,
    headers: HeaderMap,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    let members = registry.members(AGENTS).await;
    let members = members.map_err(|_| CockpitRefusal::unavailable())?;
    let mut sockets: Vec<Value> =
        members.iter().filter_map(|member| serde_json::from_str(&member.value).ok()).collect();
    let text = |agent: &Value, key: &str| agent[key].as_str().unwrap_or_default().to_owned();
    sockets.sort_by_key(|agent| text(agent, "connectedAt"));
    let agents: BTreeMap<String, Value> =
        sockets.into_iter().map(|agent| (text(&agent, "agentId"), agent)).collect();
    let agents: Vec<Value> = agents.into_values().collect();
    Ok(Json(json!({ "count": agents.len(), "agents": agents })).into_response())
}
