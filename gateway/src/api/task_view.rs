//! A task for one as it is shown: itself, its attempts, and what it waits for.

use domain::{
    event::entity::{Entity, EntityKind},
    work::{TaskStatus, matching::can},
};
use http::StatusCode;
use serde_json::{Value, json};
use store::{AttemptView, ConnectedAgent, Store, TaskView};

use super::problem::Problem;

/// Returns what is known of a task; one for all has neither keys nor attempts.
pub(super) async fn of(store: &dyn Store, id: &str) -> Result<Value, Problem> {
    let unavailable = |error| Problem::store(&error);
    let entity = Entity::new(EntityKind::Task, id);
    let state = store.entity(&entity).await.map_err(unavailable)?;
    let view = store.work().task(id).await.map_err(unavailable)?;
    let state = match (state, &view) {
        (Some(state), _) => state,
        (None, Some(_)) => domain::event::State::new(),
        (None, None) => {
            return Err(Problem::new(StatusCode::NOT_FOUND, "there is no such task"));
        }
    };
    let said = |key: &str| state.get(key).cloned().unwrap_or(Value::Null);
    let seconds = |key: &str| state.get(key).and_then(Value::as_i64).map(|s| s * 1000);
    let mut task = json!({
        "id": id,
        "title": said("title"),
        "executor": said("executor"),
        "status": said("status"),
        "assign": "all",
        "priority": null, "requires": null, "agent": null, "group": null, "depends_on": null,
        "retry": null, "timeout_ms": null, "expires_ms": null, "not_before": null,
        "attempt": null,
        "reason": said("reason"),
        "result": said("result"),
        "created_at": seconds("created_at"),
        "updated_at": seconds("updated_at"),
        "ended_at": null,
    });
    let Some(view) = view else {
        return Ok(json!({ "task": task, "attempts": [], "waits": null }));
    };
    let (row, spec) = (&view.task, &view.task.spec);
    task["assign"] = "one".into();
    task["status"] = row.status.name().into();
    task["priority"] = spec.priority.into();
    task["requires"] = json!(spec.requires);
    task["agent"] = json!(spec.agent);
    task["group"] = json!(spec.group);
    task["depends_on"] = json!(spec.depends_on);
    task["retry"] = json!(spec.retry);
    task["timeout_ms"] = json!(spec.timeout_ms);
    task["expires_ms"] = json!(spec.expires_ms);
    task["not_before"] = json!(spec.not_before);
    task["attempt"] = row.attempt.into();
    task["reason"] = row.reason.as_deref().map_or_else(|| said("reason"), Into::into);
    task["created_at"] = view.created.into();
    task["ended_at"] = json!(row.ended_at);
    let attempts: Vec<Value> = view.attempts.iter().map(attempt).collect();
    Ok(json!({ "task": task, "attempts": attempts, "waits": waits(&view) }))
}

fn attempt(attempt: &AttemptView) -> Value {
    json!({
        "attempt": attempt.number,
        "agent": attempt.agent,
        "assigned_at": attempt.assigned_at,
        "accepted_at": attempt.accepted_at,
        "ended_at": attempt.ended_at,
        "end": attempt.end,
    })
}

/// What a task waits for; null for one that does not wait.
fn waits(view: &TaskView) -> Value {
    let task = &view.task;
    if task.status != TaskStatus::Pending {
        return Value::Null;
    }
    let ended = view.attempts.last().and_then(|attempt| attempt.ended_at);
    let since = ended.unwrap_or(view.created);
    if view.waits > 0 {
        let open = view.on.on.iter().filter(|(_, status)| *status != Some(TaskStatus::Completed));
        let tasks: Vec<&str> = open.map(|(id, _)| &**id).collect();
        return json!({ "for": "dependency", "since": since, "tasks": tasks });
    }
    if task.ready_at > view.now {
        let what = if task.pausing { "backoff" } else { "not_before" };
        return json!({ "for": what, "since": since, "until": task.ready_at });
    }
    let able: Vec<&ConnectedAgent> =
        view.agents.iter().filter(|agent| is_able(agent, view)).collect();
    let free = able.iter().filter(|agent| agent.free() > 0).count();
    let agents = json!({ "can": able.len(), "free": free });
    json!({ "for": "agent", "since": since.max(task.ready_at), "agents": agents })
}

fn is_able(agent: &ConnectedAgent, view: &TaskView) -> bool {
    let spec = &view.task.spec;
    can(&agent.agent, &agent.capabilities, spec.agent.as_deref(), &spec.requires)
        && !view.task.rejected_by.contains(&agent.agent)
}
