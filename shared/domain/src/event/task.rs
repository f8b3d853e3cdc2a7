//! Tasks: created, updated, logged, ended by a result.

use serde_json::{Value, json};

use super::{
    Event, EventKind,
    rejection::{Rejection, require_text},
    state::{State, append_lines, log_lines, take_logs},
};

/// What a task's body must look like: a title when it is created; else any object (contract §3).
pub(super) fn validate(kind: &EventKind, body: &State) -> Result<(), Rejection> {
    match kind {
        EventKind::TaskCreated => require_text(body, "title"),
        _ => Ok(()),
    }
}

/// Merges an event of a task into its state.
///
/// `created_at` is there only for a task that `task_created` announced; seed 001 lists those alone.
/// Times are Unix seconds, as in its tables.
pub fn fold(id: &str, state: Option<State>, event: &Event, recorded: i64) -> State {
    let seconds = recorded / 1000;
    let mut state = state.unwrap_or_else(|| {
        let mut state = State::new();
        state.insert("id".into(), id.into());
        state.insert("status".into(), "pending".into());
        state
    });
    match event.kind {
        EventKind::TaskLog => {
            let mut logs = take_logs(&mut state);
            append_lines(&mut logs, log_lines(event.body()));
            state.insert("logs".into(), Value::Array(logs));
        }
        _ => merge(&mut state, event.body()),
    }
    if event.kind == EventKind::TaskCreated && !state.contains_key("created_at") {
        state.insert("created_at".into(), seconds.into());
    }
    if event.kind == EventKind::TaskResult {
        let failed = event.body().get("status").and_then(Value::as_str).is_none()
            && event.body().get("error").is_some_and(|error| !error.is_null());
        if event.body().get("status").is_none() {
            state.insert("status".into(), json!(if failed { "failed" } else { "completed" }));
        }
        state.entry("result").or_insert(Value::Null);
    }
    state.insert("updated_at".into(), seconds.into());
    state
}

/// Shallow merge; the entity's id and its times are not the event's to say.
fn merge(state: &mut State, body: &State) {
    for (key, value) in body {
        if !matches!(key.as_str(), "id" | "created_at" | "updated_at") {
            state.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_goes_from_pending_to_its_result() {
        let created = Event::new(
            EventKind::TaskCreated,
            Some("t1"),
            r#"{"title":"Test","executor":"codex"}"#,
        );
        let state = fold("t1", None, &created, 5000);
        assert_eq!(state["status"], "pending");
        assert_eq!(state["created_at"], 5);
        let log = Event::new(EventKind::TaskLog, Some("t1"), r#"{"message":"line"}"#);
        let state = fold("t1", Some(state), &log, 6000);
        assert_eq!(state["logs"], json!(["line"]));
        let result = Event::new(
            EventKind::TaskResult,
            Some("t1"),
            r#"{"status":"failed","result":{"a":1}}"#,
        );
        let state = fold("t1", Some(state), &result, 7000);
        assert_eq!(state["status"], "failed");
        assert_eq!(state["result"]["a"], 1);
        assert_eq!(state["title"], "Test");
        assert_eq!(state["updated_at"], 7);
    }
}
