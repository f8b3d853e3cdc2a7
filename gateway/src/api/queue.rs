//! `GET /v1/queue` and `/v1/groups/{id}`: who waits, who is there, and tasks that belong together.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{FromRequest as _, Path, RawQuery, Request, State},
    http::HeaderMap,
};
use domain::{
    channel::{Channel, ChannelKind},
    id,
};
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    access::{self, Operator},
    body::Body,
    problem::Problem,
    task_door::{TaskDoor, asker},
};
use crate::http::address::ClientAddress;

/// Shows who waits for what, what is held back, and how many agents there are.
pub async fn queue(_: Operator, State(door): State<TaskDoor>) -> Result<Json<Value>, Problem> {
    let view = door.store.work().queue().await.map_err(|error| Problem::store(&error))?;
    let waiting: Vec<Value> = view
        .waiting
        .iter()
        .map(|one| {
            json!({
                "requires": one.requires,
                "agent": one.agent,
                "priority": one.priority,
                "count": one.count,
                "oldest_at": one.oldest_at,
            })
        })
        .collect();
    let (not_before, dependency, backoff) = view.held;
    let free = view.agents.iter().filter(|agent| agent.free() > 0).count();
    let slots: u64 = view.agents.iter().map(|agent| u64::from(agent.slots)).sum();
    let taken: u64 = view.agents.iter().map(|agent| u64::from(agent.taken)).sum();
    Ok(Json(json!({
        "pending": view.pending,
        "waiting": waiting,
        "held": { "not_before": not_before, "dependency": dependency, "backoff": backoff },
        "agents": {
            "free": free,
            "busy": view.agents.len() - free,
            "slots": slots,
            "taken": taken,
        },
    })))
}

/// Counts the tasks of a group by status.
pub async fn group(
    State(door): State<TaskDoor>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let tasks = Channel::feed(ChannelKind::Tasks);
    access::reader(&door.auth, &headers, query.as_deref(), &tasks)?;
    let view = door.store.work().group(&id).await.map_err(|error| Problem::store(&error))?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "there is no such group");
    let view = view.ok_or_else(unknown)?;
    let total: u64 = view.by_status.values().sum();
    let by_status: BTreeMap<&str, u64> =
        view.by_status.iter().map(|(status, count)| (status.as_str(), *count)).collect();
    Ok(Json(json!({
        "group": id, "closed": view.closed, "total": total, "by_status": by_status,
    })))
}

/// Closes a group and ends its tasks: no task joins it any more.
pub async fn cancel(
    State(door): State<TaskDoor>,
    ClientAddress(address): ClientAddress,
    Path(group): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Request,
) -> Result<Json<Value>, Problem> {
    let identity = access::identify(&door.auth, &headers, query.as_deref())?;
    door.admit(&identity, address, &group)?;
    let Body(_) = Body::from_request(body, &()).await?;
    if let Err(error) = id::check(&group) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, format!("the group's id {error}")));
    }
    let asked = json!({ "by": asker(&identity) }).to_string();
    let closed = door.store.work().close_group(&group, &asked).await;
    let cancelled = closed.map_err(|error| Problem::store(&error))?;
    Ok(Json(json!({ "group": group, "closed": true, "cancelled": cancelled })))
}
