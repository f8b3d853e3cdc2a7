//! Who is connected, over all nodes; and cutting a user off.

use std::{ops::RangeInclusive, time::Duration};

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

/// For how long a user may be kept out: up to ten years.
const DENY_MS: RangeInclusive<u64> = 1..=315_360_000_000;

/// The longest name of a user that can be kept out.
const USER_BYTES_MAX: usize = 1024;

/// How a user is cut off.
#[derive(Debug, Deserialize)]
pub struct CutOff {
    deny_ms: Option<u64>,
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

/// `DELETE /v1/users/{id}/connections`: every node closes them with 4003. With `deny_ms` the user
/// is kept out for so long, whatever token they bring; that is in the record before it is answered.
pub async fn cut_off(
    State(gateway): State<GatewayState>,
    _operator: Operator,
    Path(user): Path<String>,
    Params(wanted): Params<CutOff>,
) -> Result<Json<Value>, Problem> {
    let until = match wanted.deny_ms {
        Some(ms) => Some(deny(&gateway, &user, ms).await?),
        None => None,
    };
    let closed = open(&gateway, Some(&user)).await?.len();
    tell(&gateway, Control::Disconnect { user, until }).await?;
    let mut answer = json!({ "closed": closed });
    if let Some(until) = until {
        answer["denied_until"] = until.into();
    }
    Ok(Json(answer))
}

async fn deny(gateway: &Gateway, user: &str, ms: u64) -> Result<i64, Problem> {
    if !DENY_MS.contains(&ms) || user.len() > USER_BYTES_MAX || user.contains('\0') {
        let detail = "deny_ms is from 1 to ten years, and the user has at most 1024 bytes, none of \
                      them zero";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let until = gateway.store.deny(user, Duration::from_millis(ms)).await;
    let until = until.map_err(|error| Problem::store(&error))?;
    gateway.auth.denials().deny(user, until);
    Ok(until)
}

/// `GET /v1/denied`: everybody who is kept out.
pub async fn denied(
    State(gateway): State<GatewayState>,
    _operator: Operator,
) -> Result<Json<Value>, Problem> {
    let all = gateway.store.denied().await.map_err(|error| Problem::store(&error))?;
    let shown = all.into_iter().map(|(user, until)| json!({ "user": user, "until": until }));
    Ok(Json(json!({ "denied": shown.collect::<Vec<_>>() })))
}

/// `DELETE /v1/denied/{user}`: lets somebody in again.
pub async fn admit(
    State(gateway): State<GatewayState>,
    _operator: Operator,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    let was = gateway.store.admit(&user).await.map_err(|error| Problem::store(&error))?;
    gateway.auth.denials().admit(&user);
    tell(&gateway, Control::Admit { user }).await?;
    Ok(Json(json!({ "admitted": was })))
}

/// Tells every node.
async fn tell(gateway: &Gateway, order: Control) -> Result<(), Problem> {
    let sent = gateway.broker.send(&Topic::Nodes, order.encode()).await;
    sent.map(drop).map_err(|error| unavailable(&error))
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
