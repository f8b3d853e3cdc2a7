//! Deployments: a free shallow merge with a log tail, as seed 000 does it (`protocols.md` §1).

use serde_json::{Value, json};

use super::{
    Event, EventKind,
    state::{State, append_lines, log_lines, take_logs},
};
use crate::time::iso;

/// Returns the state of a deployment that nobody has said anything about yet.
pub fn initial(id: &str, recorded: i64) -> State {
    let initial = json!({
        "id": id,
        "projectId": id,
        "status": "pending",
        "progress": 0,
        "stage": "Initializing",
        "timestamp": recorded,
        "logs": [],
    });
    match initial {
        Value::Object(state) => state,
        _ => State::new(),
    }
}

/// Merges an update or appends log lines.
///
/// A `logs` in the update replaces the list before its `message` is appended; the time is always
/// the time of recording and never runs backwards.
pub fn fold(id: &str, state: Option<State>, event: &Event, recorded: i64) -> State {
    let mut state = state.unwrap_or_else(|| initial(id, recorded));
    let mut logs = take_logs(&mut state);
    let body = event.body();
    let line = |message: &str| format!("[{}] {message}", iso(recorded));
    if event.kind == EventKind::DeploymentLog {
        append_lines(&mut logs, log_lines(body).iter().map(|message| line(message)));
    } else {
        for (key, value) in body {
            match (key.as_str(), value) {
                ("logs", Value::Array(given)) => logs.clone_from(given),
                ("logs" | "timestamp", _) => {}
                _ => {
                    state.insert(key.clone(), value.clone());
                }
            }
        }
        let message = body.get("message").and_then(Value::as_str).filter(|text| !text.is_empty());
        append_lines(&mut logs, message.map(line));
    }
    state.insert("logs".into(), Value::Array(logs));
    let before = state.get("timestamp").and_then(Value::as_i64).unwrap_or(0);
    state.insert("timestamp".into(), before.max(recorded).into());
    state
}
