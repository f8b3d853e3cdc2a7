//! Containers: log, status, error, complete. The state is the last status and the line count.

use serde_json::Value;

use super::{
    Event, EventKind,
    state::{State, copy, double},
};

/// Counts lines and remembers the last status.
pub fn fold(id: &str, state: Option<State>, event: &Event, recorded: i64) -> State {
    let mut state = state.unwrap_or_else(|| {
        let mut state = State::new();
        state.insert("id".into(), id.into());
        state.insert("status".into(), "starting".into());
        state.insert("lines".into(), 0.into());
        state
    });
    let body = event.body();
    match event.kind {
        EventKind::ContainerLog => {
            let lines = state.get("lines").and_then(Value::as_u64).unwrap_or(0);
            state.insert("lines".into(), lines.saturating_add(1).into());
        }
        EventKind::ContainerStatus => copy(&mut state, body, &["status", "message"]),
        EventKind::ContainerError => copy(&mut state, body, &["error", "code"]),
        EventKind::ContainerComplete => {
            copy(&mut state, body, &["exitCode", "message", "duration"]);
            let failed = body.get("exitCode").is_some_and(is_failure);
            let status = if failed { "failed" } else { "completed" };
            state.insert("status".into(), status.into());
        }
        _ => {}
    }
    state.insert("updated_at".into(), recorded.into());
    state
}

/// Whether an exit code says failure: a number other than 0, or the decimal digits of one.
fn is_failure(code: &Value) -> bool {
    match code {
        Value::Number(number) => double(number) != 0.0,
        Value::String(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            digits.bytes().all(|digit| digit.is_ascii_digit())
                && digits.bytes().any(|digit| digit != b'0')
        }
        _ => false,
    }
}
