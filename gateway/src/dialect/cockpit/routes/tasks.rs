//! `/api/cockpit/tasks`: the table of tasks, and making one.

use std::sync::Arc;

use axum::{
    Json,
    extract::{RawQuery, Request, State},
    response::{IntoResponse as _, Response},
};
use domain::{
    event::{
        State as Row,
        entity::{Entity, EntityKind},
    },
    source::Stream,
};
use http::{HeaderMap, StatusCode};
use runtime::config::Config;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{EntityFilter, Store};

use super::answer::{CockpitRefusal, LIMIT_MAX, authorize, new_id, object, query, receive, record};
use crate::ingest::publisher::EventPublisher;

/// Who may be asked to carry a task out.
const EXECUTORS: [&str; 5] = ["claude-code", "codex", "glm", "subagent", "gemini"];

/// The longest id that may be part of an `event_id`.
const OWN_ID_BYTES_MAX: usize = 190;

#[derive(Deserialize)]
struct TasksQuery {
    status: Option<String>,
    executor: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// Tasks that were created, newest first.
pub(super) async fn list(
    State(config): State<Arc<Config>>,
    State(store): State<Arc<dyn Store>>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    let wanted: TasksQuery = query(asked.as_deref())?;
    let limit = wanted.limit.unwrap_or(50).min(LIMIT_MAX);
    let offset = wanted.offset.unwrap_or(0);
    let filter = EntityFilter {
        status: wanted.status,
        matching: wanted.executor.map(|name| ("executor", name.into())).into_iter().collect(),
        having: Some("created_at"),
        limit,
        offset,
        ..EntityFilter::default()
    };
    let listed = store.entities(EntityKind::Task, &filter).await;
    let listed = listed.map_err(|_| CockpitRefusal::unavailable())?;
    let tasks: Vec<Value> = listed.iter().map(|task| row(&task.state)).collect();
    Ok(Json(json!({ "count": tasks.len(), "tasks": tasks, "limit": limit, "offset": offset }))
        .into_response())
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
    let (status, result) = super::super::work::as_row(task);
    json!({
        "id": take("id"),
        "title": take("title"),
        "status": status,
        "executor": take("executor"),
        "created_at": take("created_at"),
        "updated_at": take("updated_at"),
        "logs": logs,
        "result": result,
    })
}

/// Makes a task; the agents of this node have it before the answer.
pub(super) async fn create(
    State(config): State<Arc<Config>>,
    State(store): State<Arc<dyn Store>>,
    State(publisher): State<Arc<EventPublisher>>,
    headers: HeaderMap,
    body: Request,
) -> Result<Response, CockpitRefusal> {
    authorize(&config, &headers)?;
    let body = receive(body).await?;
    let asked = object(&body, |fields| {
        fields.filled("title");
        if fields.has("id") {
            fields.id("id");
        }
        fields.maybe_word("executor", &EXECUTORS);
    })?;
    let given = asked.get("id").and_then(Value::as_str).map(str::to_owned);
    let id = given.unwrap_or_else(|| new_id("task"));
    refuse_known(&*store, &id).await?;
    let payload = asked.get("payload").filter(|payload| !payload.is_null()).cloned();
    let data = json!({
        "title": asked["title"],
        "executor": asked.get("executor"),
        "payload": payload.unwrap_or_else(|| json!({})),
    });
    // Of two requests with one id at the same moment, one makes the task.
    let event_id = (id.len() <= OWN_ID_BYTES_MAX).then(|| format!("task:{id}"));
    record(&publisher, Stream::Tasks, "task_created", &id, &data, event_id).await?;
    let body = json!({ "success": true, "taskId": id });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

async fn refuse_known(store: &dyn Store, id: &str) -> Result<(), CockpitRefusal> {
    let entity = Entity { kind: EntityKind::Task, id: id.into() };
    match store.entity(&entity).await {
        Ok(Some(task)) if task.contains_key("created_at") => {
            Err(CockpitRefusal::because(StatusCode::CONFLICT, "Task already exists"))
        }
        Ok(_) => Ok(()),
        Err(_) => Err(CockpitRefusal::unavailable()),
    }
}
