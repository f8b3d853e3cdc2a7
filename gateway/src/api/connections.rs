//! Who is connected, over all nodes; and cutting a user off.

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    broker::{BrokerError, Topic},
    control::Control,
};

use super::{access::Operator, body::Params, problem::Problem};
use crate::gateway::{CONNECTIONS, Gateway, GatewayState};

/// Connections of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// What may be asked of the list.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    user: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /v1/connections`
pub async fn list(
    State(gateway): State<GatewayState>,
    _operator: Operator,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Value>, Problem> {
    let open = open(&gateway, wanted.user.as_deref()).await?;
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let after = wanted.cursor.unwrap_or_default();
    let count = open.len();
    let begin = open.partition_point(|(name, _)| *name <= after);
    let page = &open[begin..count.min(begin + limit)];
    let next = page.last().filter(|_| begin + page.len() < count).map(|(name, _)| name);
    let connections: Vec<&Value> = page.iter().map(|(_, value)| value).collect();
    Ok(Json(json!({ "connections": connections, "count": count, "next": next })))
}

/// `DELETE /v1/users/{id}/connections`: every node closes them with 4003.
pub async fn cut_off(
    State(gateway): State<GatewayState>,
    _operator: Operator,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    let closed = open(&gateway, Some(&user)).await?.len();
    let order = Control::Disconnect { user }.encode();
    gateway.broker.send(&Topic::Nodes, order).await.map_err(|error| unavailable(&error))?;
    Ok(Json(json!({ "closed": closed })))
}

/// The connections of a user, or all, with their names, sorted by these.
async fn open(gateway: &Gateway, user: Option<&str>) -> Result<Vec<(String, Value)>, Problem> {
    let members = gateway.registry.members(CONNECTIONS).await;
    let members = members.map_err(|error| unavailable(&error))?;
    let mut open: Vec<(String, Value)> = members
        .into_iter()
        .filter_map(|member| Some((member.key, serde_json::from_str(&member.value).ok()?)))
        .filter(|(_, value): &(String, Value)| user.is_none_or(|user| value["user"] == user))
        .collect();
    open.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(open)
}

fn unavailable(error: &BrokerError) -> Problem {
    tracing::warn!(%error, "the registry could not be asked");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer").retry_after(1)
}
