//! `/api/cockpit/tasks`: the table of tasks, and making one.

use axum::{
    Json,
    body::Bytes,
    extract::{RawQuery, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    event::{
        State as Row,
        state::{Entity, EntityKind},
    },
    source::Stream,
    store::EntityFilter,
};

use super::{LIMIT_MAX, authorized, new_id, object, query, record, refuse, unavailable};
use crate::gateway::{Gateway, GatewayState};

/// Who may be asked to carry a task out.
const EXECUTORS: [&str; 5] = ["claude-code", "codex", "glm", "subagent", "gemini"];

/// The longest id that may be part of an `event_id`.
const OWN_ID_BYTES_MAX: usize = 190;

#[derive(Deserialize)]
struct Wanted {
    status: Option<String>,
    executor: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// Tasks that were created, newest first.
pub(super) async fn list(
    State(gateway): State<GatewayState>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Response {
    let wanted = authorized(&gateway, &headers).and_then(|()| query::<Wanted>(asked.as_deref()));
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(refusal) => return refusal,
    };
    let limit = wanted.limit.unwrap_or(50).min(LIMIT_MAX);
    let offset = wanted.offset.unwrap_or(0);
    let filter = EntityFilter {
        status: wanted.status,
        matching: wanted.executor.map(|name| ("executor", name.into())).into_iter().collect(),
        having: Some("created_at"),
        limit,
        offset,
        after: None,
    };
    let Ok(listed) = gateway.store.entities(EntityKind::Task, &filter).await else {
        return unavailable();
    };
    let tasks: Vec<Value> = listed.iter().map(|task| row(&task.state)).collect();
    Json(json!({ "count": tasks.len(), "tasks": tasks, "limit": limit, "offset": offset }))
        .into_response()
}

/// A row of the table.
fn row(task: &Row) -> Value {
    let take = |key: &str| task.get(key).cloned().unwrap_or(Value::Null);
    let logs = match task.get("logs") {
        Some(Value::Array(lines)) => {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            lines.join("\n").into()
        }
        other => other.cloned().unwrap_or(Value::Null),
    };
    json!({
        "id": take("id"),
        "title": take("title"),
        "status": take("status"),
        "executor": take("executor"),
        "created_at": take("created_at"),
        "updated_at": take("updated_at"),
        "logs": logs,
        "result": take("result"),
    })
}

/// Makes a task; the agents of this node have it before the answer.
pub(super) async fn create(
    State(gateway): State<GatewayState>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let created = async {
        authorized(&gateway, &headers)?;
        let asked = object(&body, |fields| {
            fields.filled("title");
            if fields.has("id") {
                fields.id("id");
            }
            fields.maybe_word("executor", &EXECUTORS);
        })?;
        let id = match asked.get("id").and_then(Value::as_str) {
            Some(id) => id.to_owned(),
            None => new_id("task"),
        };
        refuse_known(&gateway, &id).await?;
        let payload = asked.get("payload").filter(|payload| !payload.is_null()).cloned();
        let data = json!({
            "title": asked["title"],
            "executor": asked.get("executor"),
            "payload": payload.unwrap_or_else(|| json!({})),
        });
        // Of two requests with one id at the same moment, one makes the task.
        let event_id = (id.len() <= OWN_ID_BYTES_MAX).then(|| format!("task:{id}"));
        record(&gateway, Stream::Tasks, "task_created", &id, &data, event_id).await?;
        Ok(id)
    };
    match created.await {
        Ok(id) => {
            (StatusCode::CREATED, Json(json!({ "success": true, "taskId": id }))).into_response()
        }
        Err(refusal) => refusal,
    }
}

async fn refuse_known(gateway: &Gateway, id: &str) -> Result<(), Response> {
    let entity = Entity { kind: EntityKind::Task, id: id.into() };
    match gateway.store.entity(&entity).await {
        Ok(Some(task)) if task.contains_key("created_at") => {
            Err(refuse(StatusCode::CONFLICT, "Task already exists"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(unavailable()),
    }
}
