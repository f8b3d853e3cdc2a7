//! `/api/cockpit/repos`: the repositories that agents watch.

use std::cmp::Reverse;

use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse as _, Response},
};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{event::state::EntityKind, store::EntityFilter};

use super::{LIMIT_MAX, Refused, authorize, query};
use crate::gateway::GatewayState;

#[derive(Deserialize)]
struct Wanted {
    status: Option<String>,
    limit: Option<usize>,
}

/// Repositories, the one checked last first.
pub(super) async fn list(
    State(gateway): State<GatewayState>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    authorize(&gateway, &headers)?;
    let wanted: Wanted = query(asked.as_deref())?;
    // The store lists by age; there are few repositories, and their order is another one.
    let filter =
        EntityFilter { status: wanted.status, limit: LIMIT_MAX, ..EntityFilter::default() };
    let listed = gateway.store.entities(EntityKind::Repo, &filter).await;
    let mut listed = listed.map_err(|_| Refused::unavailable())?;
    listed.sort_by_key(|repo| Reverse(repo.state.get("last_checked").and_then(Value::as_i64)));
    listed.truncate(wanted.limit.unwrap_or(50));
    let repos: Vec<_> = listed.into_iter().map(|repo| repo.state).collect();
    Ok(Json(json!({ "count": repos.len(), "repos": repos })).into_response())
}
