//! A task on its way to agents, in the documented shape and in the one that real agents read.

use domain::event::{Event, State};
use serde_json::{Map, Value, json};
use websocket::Frame;

/// The kinds of work that real agents know.
const TYPES: [&str; 4] = ["git", "claude-code", "codex", "bash"];

/// The frame of a new task: flat keys, and the same under `task`.
pub(super) fn frame(event: &Event) -> Option<Frame> {
    let id = event.id.as_deref()?;
    Some(Frame::text(&shape(id, event.body()).to_string()))
}

/// The keys of a task's frame, by what is known of it.
pub(super) fn shape(id: &str, task: &State) -> Value {
    let executor = task.get("executor").and_then(Value::as_str);
    let payload = task.get("payload").filter(|payload| !payload.is_null());
    let payload = payload.cloned().unwrap_or_else(|| json!({}));
    json!({
        "type": "task",
        "taskId": id,
        "taskType": executor.unwrap_or("unknown"),
        "payload": payload,
        "task": nested(id, executor, &payload),
    })
}

/// What real agents read: a command with its arguments apart, because the newer ones run it without
/// a shell.
fn nested(id: &str, executor: Option<&str>, payload: &Value) -> Value {
    let text = |key: &str| payload.get(key).and_then(Value::as_str);
    let kind = text("type")
        .filter(|kind| TYPES.contains(kind))
        .or(executor.filter(|executor| matches!(*executor, "codex" | "claude-code")))
        .unwrap_or("bash");
    let mut task = Map::new();
    task.insert("id".to_owned(), id.into());
    task.insert("type".to_owned(), kind.into());
    let command = text("command").unwrap_or_default();
    let mut words = command.split_whitespace();
    let given = payload.get("args").filter(|args| args.is_array()).cloned();
    let first = if given.is_some() { command } else { words.next().unwrap_or_default() };
    task.insert("command".to_owned(), first.into());
    task.insert("args".to_owned(), given.unwrap_or_else(|| words.collect()));
    for key in ["workingDir", "timeout"] {
        if let Some(value) = payload.get(key).filter(|value| !value.is_null()) {
            task.insert(key.to_owned(), value.clone());
        }
    }
    Value::Object(task)
}
