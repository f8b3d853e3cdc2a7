//! Deployments: a free shallow merge with a log tail, as seed 000 does it (`protocols.md` §1).

use serde_json::{Value, json};

use super::{
    Event, EventKind,
    rejection::Rejection,
    state::{State, append_lines, iso, log_lines, take_logs},
};

/// What a deployment's body must look like: any object; log lines must be there for a log.
pub(super) fn validate(kind: &EventKind, body: &State) -> Result<(), Rejection> {
    match kind {
        EventKind::DeploymentLog => require_lines(body),
        _ => Ok(()),
    }
}

/// A log event has `lines`, an array of texts, or `message`, a text.
fn require_lines(body: &State) -> Result<(), Rejection> {
    match (body.get("lines"), body.get("message")) {
        (Some(Value::Array(lines)), _) => match lines.iter().position(|line| !line.is_string()) {
            Some(at) => Err(Rejection::new(format!("data.lines.{at}"), "must be a text")),
            None => Ok(()),
        },
        (Some(_), _) => Err(Rejection::new("data.lines", "must be an array of texts")),
        (None, Some(Value::String(_))) => Ok(()),
        (None, Some(_)) => Err(Rejection::new("data.message", "must be a text")),
        (None, None) => {
            Err(Rejection::new("data.lines", "is required: an array of texts, or message, a text"))
        }
    }
}

/// The state of a deployment that nobody has said anything about yet.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn update(data: &str) -> Event {
        Event::new(EventKind::DeploymentUpdate, Some("d1"), data)
    }

    #[test]
    fn an_update_merges_shallowly_and_unknown_keys_stick() {
        let state = fold("d1", None, &update(r#"{"status":"building","custom":{"a":1}}"#), 1000);
        let state = fold("d1", Some(state), &update(r#"{"progress":50}"#), 2000);
        assert_eq!(state["status"], "building");
        assert_eq!(state["progress"], 50);
        assert_eq!(state["custom"]["a"], 1);
        assert_eq!(state["projectId"], "d1");
        assert_eq!(state["timestamp"], 2000);
    }

    #[test]
    fn a_message_becomes_a_log_line_and_given_logs_replace_the_list_first() {
        let state = fold("d1", None, &update(r#"{"message":"one"}"#), 0);
        assert_eq!(state["logs"], json!(["[1970-01-01T00:00:00.000Z] one"]));
        let state = fold("d1", Some(state), &update(r#"{"logs":["x"],"message":"two"}"#), 0);
        assert_eq!(state["logs"], json!(["x", "[1970-01-01T00:00:00.000Z] two"]));
        let state = fold("d1", Some(state), &update(r#"{"message":""}"#), 0);
        assert_eq!(state["logs"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn the_log_tail_holds_a_hundred_lines_and_time_never_runs_backwards() {
        let lines: Vec<String> = (0..150).map(|n| n.to_string()).collect();
        let data = json!({ "lines": lines }).to_string();
        let event = Event::new(EventKind::DeploymentLog, Some("d1"), &data);
        let state = fold("d1", Some(initial("d1", 5000)), &event, 4000);
        let logs = state["logs"].as_array().unwrap();
        assert_eq!(logs.len(), 100);
        assert!(logs[99].as_str().unwrap().ends_with("] 149"));
        assert_eq!(state["timestamp"], 5000);
    }
}
