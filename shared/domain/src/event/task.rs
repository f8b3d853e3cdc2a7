//! Tasks: created, updated, logged, handed to agents, ended by a result.

use serde_json::Value;

use super::{
    Event, EventKind,
    state::{State, append_lines, copy, log_lines, take_logs},
};

/// Merges an event of a task into its state.
///
/// `created_at` is there only for a task that `task_created` announced; seed 001 lists those alone.
/// Times are Unix seconds, as in its tables. The steps of a task for one are those of contract §8.
pub fn fold(id: &str, state: Option<State>, event: &Event, recorded: i64) -> State {
    let seconds = recorded / 1000;
    let mut state = state.unwrap_or_else(|| {
        let mut state = State::new();
        state.insert("id".into(), id.into());
        state.insert("status".into(), "pending".into());
        state
    });
    let body = event.body();
    match event.kind {
        EventKind::TaskLog => {
            let mut logs = take_logs(&mut state);
            append_lines(&mut logs, log_lines(body));
            state.insert("logs".into(), Value::Array(logs));
        }
        EventKind::TaskProgress => {
            copy(&mut state, body, &["progress", "message"]);
            if state.get("status").is_some_and(|status| status == "pending" || status == "assigned")
            {
                state.insert("status".into(), "running".into());
            }
        }
        EventKind::TaskAssigned => step(&mut state, body, "assigned", &["attempt", "agent"]),
        EventKind::TaskAccepted => step(&mut state, body, "running", &["attempt", "agent"]),
        EventKind::TaskReleased => {
            step(&mut state, body, "pending", &["attempt"]);
            state.insert("agent".into(), Value::Null);
        }
        EventKind::TaskCancelled => step(&mut state, body, "cancelled", &["attempt", "reason"]),
        EventKind::TaskExpired => step(&mut state, body, "expired", &[]),
        EventKind::TaskRetried => {
            step(&mut state, body, "pending", &[]);
            for key in ["agent", "result", "reason"] {
                state.insert(key.into(), Value::Null);
            }
        }
        _ => merge(&mut state, body),
    }
    if event.kind == EventKind::TaskCreated && !state.contains_key("created_at") {
        state.insert("created_at".into(), seconds.into());
    }
    if event.kind == EventKind::TaskResult {
        if !body.get("status").is_some_and(Value::is_string) {
            let failed = body.get("error").is_some_and(|error| !error.is_null());
            let status = if failed { "failed" } else { "completed" };
            state.insert("status".into(), status.into());
        }
        state.entry("result").or_insert(Value::Null);
    }
    state.insert("updated_at".into(), seconds.into());
    state
}

fn step(state: &mut State, body: &State, status: &str, keys: &[&str]) {
    state.insert("status".into(), status.into());
    copy(state, body, keys);
}

/// Shallow merge; the entity's id and its times are not the event's to say.
fn merge(state: &mut State, body: &State) {
    for (key, value) in body {
        if !matches!(key.as_str(), "id" | "created_at" | "updated_at") {
            state.insert(key.clone(), value.clone());
        }
    }
}
