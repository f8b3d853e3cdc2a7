//! Containers: log, status, error, complete. The state is the last status and the line count.

use serde_json::Value;

use super::{Event, EventKind, rejection::Rejection, state::State};

/// What a container's body must look like: a log has a message, which may be an empty line.
pub(super) fn validate(kind: &EventKind, body: &State) -> Result<(), Rejection> {
    match (kind, body.get("message")) {
        (EventKind::ContainerLog, None) => Err(Rejection::new("data.message", "is required")),
        (EventKind::ContainerLog, Some(message)) if !message.is_string() => {
            Err(Rejection::new("data.message", "must be a text"))
        }
        _ => Ok(()),
    }
}

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
            let failed = body.get("exitCode").and_then(Value::as_i64).is_some_and(|code| code != 0);
            let status = if failed { "failed" } else { "completed" };
            state.insert("status".into(), status.into());
        }
        _ => {}
    }
    state.insert("updated_at".into(), recorded.into());
    state
}

fn copy(state: &mut State, body: &State, keys: &[&str]) {
    for key in keys {
        if let Some(value) = body.get(*key) {
            state.insert((*key).into(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_shows_its_last_status_and_how_many_lines_it_wrote() {
        let event = |kind, data| Event::new(kind, Some("c1"), data);
        let mut state = None;
        for event in [
            event(EventKind::ContainerStatus, r#"{"status":"running"}"#),
            event(EventKind::ContainerLog, r#"{"level":"info","message":"a"}"#),
            event(EventKind::ContainerLog, r#"{"level":"info","message":"b"}"#),
            event(EventKind::ContainerComplete, r#"{"exitCode":2}"#),
        ] {
            state = Some(fold("c1", state, &event, 1));
        }
        let state = state.unwrap();
        assert_eq!((&state["status"], &state["lines"]), (&"failed".into(), &2.into()));
    }
}
