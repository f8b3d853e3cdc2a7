//! Who is connected, over all nodes; and disconnecting a user.

use std::{collections::HashMap, ops::RangeInclusive, sync::Arc, time::Duration};

use auth::Authenticator;
use axum::{
    Json,
    extract::{FromRef, Path, State},
};
use broker::{Broker, BrokerError, Topic};
use domain::{
    channel::Channel,
    control::{Control, ListenerStatus},
    position::Epoch,
};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use store::Store;

use super::{access::Operator, body::Params, problem::Problem};
use crate::{
    cluster::{
        cluster_query::ClusterQuery,
        registry::{CONNECTIONS, ClusterRegistry},
    },
    node::{audit::Audit, services::Services},
};

/// Connections of a page when the client names no limit, and the most it may name.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// What may be asked of the list.
#[derive(Debug, Deserialize)]
pub struct ConnectionsQuery {
    user: Option<String>,
    channel: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// For how long a user may be kept out: up to ten years.
const DENY_MS: RangeInclusive<u64> = 1..=315_360_000_000;

/// The longest name of a user that can be kept out.
const USER_BYTES_MAX: usize = 1024;

/// How a user is disconnected.
#[derive(Debug, Deserialize)]
pub struct DisconnectQuery {
    deny_ms: Option<u64>,
}

/// What cutting a user off works on.
#[derive(Clone)]
pub struct DisconnectDoor {
    cluster: Arc<ClusterQuery>,
    store: Arc<dyn Store>,
    auth: Arc<Authenticator>,
    audit: Audit,
}

impl FromRef<Services> for DisconnectDoor {
    fn from_ref(services: &Services) -> Self {
        Self {
            cluster: Arc::from_ref(services),
            store: Arc::from_ref(services),
            auth: Arc::from_ref(services),
            audit: Audit::from_ref(services),
        }
    }
}

/// `GET /v1/connections`
pub async fn list(
    State(registry): State<Arc<ClusterRegistry>>,
    State(query): State<Arc<ClusterQuery>>,
    _operator: Operator,
    Params(wanted): Params<ConnectionsQuery>,
) -> Result<Json<Value>, Problem> {
    let mut open = open(&registry, wanted.user.as_deref()).await?;
    let mut behind = None;
    if let Some(channel) = wanted.channel.filter(|channel| !channel.is_empty()) {
        let channel = Channel::parse(&channel).map_err(|error| {
            let problem = Problem::new(StatusCode::BAD_REQUEST, error.to_string());
            problem.with("parameter", "channel".into())
        })?;
        let listeners = by_connection(query.listeners(Some(channel.to_string()), vec![]).await);
        open.retain(|(name, _)| listeners.contains_key(name));
        behind = Some(listeners);
    }
    let limit = wanted.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let after = wanted.cursor.unwrap_or_default();
    let count = open.len();
    let begin = open.partition_point(|(name, _)| *name <= after);
    let page = &open[begin..count.min(begin + limit)];
    let next = page.last().filter(|_| begin + page.len() < count).map(|(name, _)| name);
    let behind = match behind {
        Some(behind) => behind,
        None if page.is_empty() => HashMap::new(),
        None => {
            let names = page.iter().map(|(name, _)| name.clone()).collect();
            by_connection(query.listeners(None, names).await)
        }
    };
    let connections: Vec<Value> = page
        .iter()
        .map(|(name, value)| {
            let mut value = value.clone();
            // Unknown where the node did not answer in time.
            value["behind"] = behind.get(name).copied().into();
            value
        })
        .collect();
    Ok(Json(json!({ "connections": connections, "count": count, "next": next })))
}

fn by_connection(listeners: Vec<ListenerStatus>) -> HashMap<String, u64> {
    listeners.into_iter().map(|listener| (listener.connection, listener.behind)).collect()
}

/// `DELETE /v1/users/{id}/connections`: every node closes them with 4003. With `deny_ms` the user
/// is kept out for so long, whatever token they bring; that is in the record before it is answered.
pub async fn disconnect(
    State(door): State<DisconnectDoor>,
    operator: Operator,
    Path(user): Path<String>,
    Params(wanted): Params<DisconnectQuery>,
) -> Result<Json<Value>, Problem> {
    let DisconnectDoor { cluster, store, auth, audit } = door;
    let until = match wanted.deny_ms {
        Some(ms) => Some(deny(&*store, &auth, &user, ms).await?),
        None => None,
    };
    let closed = cluster.disconnect(&user, until).await.map_err(|error| unavailable(&error))?;
    let action = if until.is_some() { "deny" } else { "disconnect" };
    let details = json!({ "closed": closed, "until": until });
    audit.note(&operator.who, action, &user, details).await;
    let mut answer = json!({ "closed": closed });
    if let Some(until) = until {
        answer["denied_until"] = until.into();
    }
    Ok(Json(answer))
}

async fn deny(
    store: &dyn Store,
    auth: &Authenticator,
    user: &str,
    ms: u64,
) -> Result<i64, Problem> {
    if !DENY_MS.contains(&ms) || user.len() > USER_BYTES_MAX || user.contains('\0') {
        let detail = "deny_ms is from 1 to ten years, and the user has at most 1024 bytes, none of \
                      them zero";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let until = store.deny(user, Duration::from_millis(ms)).await;
    let until = until.map_err(|error| Problem::store(&error))?;
    auth.denials().deny(user, until);
    Ok(until)
}

/// `GET /v1/denied`: everybody who is kept out.
pub async fn denied(
    State(store): State<Arc<dyn Store>>,
    _operator: Operator,
) -> Result<Json<Value>, Problem> {
    let all = store.denied().await.map_err(|error| Problem::store(&error))?;
    let shown = all.into_iter().map(|(user, until)| json!({ "user": user, "until": until }));
    Ok(Json(json!({ "denied": shown.collect::<Vec<_>>() })))
}

/// `DELETE /v1/denied/{user}`: lets somebody in again.
pub async fn admit(
    State(store): State<Arc<dyn Store>>,
    State(auth): State<Arc<Authenticator>>,
    State(broker): State<Arc<dyn Broker>>,
    State(audit): State<Audit>,
    operator: Operator,
    Path(user): Path<String>,
) -> Result<Json<Value>, Problem> {
    let was = store.admit(&user).await.map_err(|error| Problem::store(&error))?;
    auth.denials().admit(&user);
    order(&*broker, store.epoch(), Control::Admit { user: user.clone() }).await?;
    audit.note(&operator.who, "admit", &user, json!({ "denied": was })).await;
    Ok(Json(json!({ "admitted": was })))
}

/// Sends an order to every node.
async fn order(broker: &dyn Broker, epoch: Epoch, order: Control) -> Result<(), Problem> {
    let sent = broker.send(&Topic::Nodes, order.encode(epoch)).await;
    sent.map(drop).map_err(|error| unavailable(&error))
}

/// Returns the connections of a user, or all, with their names, sorted by these.
async fn open(
    registry: &ClusterRegistry,
    user: Option<&str>,
) -> Result<Vec<(String, Value)>, Problem> {
    let members = registry.members(CONNECTIONS).await;
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
    tracing::warn!(%error, "connections: the registry was not read, the client is asked to try again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the broker does not answer").retry_after(1)
}
