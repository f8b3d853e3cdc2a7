//! `/api/cockpit/repos`: the repositories that agents watch.

use std::{cmp::Reverse, sync::Arc};

use axum::{
    Json,
    extract::{RawQuery, State},
    response::{IntoResponse as _, Response},
};
use domain::event::entity::EntityKind;
use http::HeaderMap;
use runtime::config::Config;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{EntityFilter, Store};

use super::answer::{CockpitRefusal, LIMIT_MAX, authorize, query};

#[derive(Deserialize)]
struct ReposQuery {
    status: Option<String>,
    limit: Option<usize>,
}

/// Repositories, the one checked last first.
pub(super) async fn list(
    State(config): State<Arc<Config>>,
    State(store): State<Arc<dyn Store>>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    let wanted: ReposQuery = query(asked.as_deref())?;
    // The store lists by age; there are few repositories, and their order is another one.
    let filter =
        EntityFilter { status: wanted.status, limit: LIMIT_MAX, ..EntityFilter::default() };
    let listed = store.entities(EntityKind::Repo, &filter).await;
    let mut listed = listed.map_err(|_| CockpitRefusal::unavailable())?;
    listed.sort_by_key(|repo| Reverse(repo.state.get("last_checked").and_then(Value::as_i64)));
    listed.truncate(wanted.limit.unwrap_or(50));
    let repos: Vec<_> = listed.into_iter().map(|repo| repo.state).collect();
    Ok(Json(json!({ "count": repos.len(), "repos": repos })).into_response())
}
