//! The frames of seed 002: a type, data, and the time in ISO 8601.

use domain::{event::Event, time::iso};
use serde_json::{Value, json};
use websocket::Frame;

use crate::protocol::PresenceChange;

fn frame(kind: &str, data: &Value, at: i64) -> Frame {
    Frame::text(&json!({ "type": kind, "data": data, "timestamp": iso(at) }).to_string())
}

fn bare(kind: &str, at: i64) -> Frame {
    Frame::text(&json!({ "type": kind, "timestamp": iso(at) }).to_string())
}

/// The first frame: who the client is, or why it is nobody.
pub(super) fn auth(user: Option<&str>, error: Option<&str>, now: i64) -> Frame {
    let data = match user {
        Some(user) => json!({ "success": true, "userId": user }),
        None => json!({ "success": false, "error": error }),
    };
    frame("auth", &data, now)
}

/// The second frame.
pub(super) fn welcome(now: i64) -> Frame {
    let data = json!({ "message": "Connected to Code Cloud Agents WebSocket", "level": "info" });
    frame("notification", &data, now)
}

/// The server's ping.
pub(super) fn ping(now: u64) -> Frame {
    bare("ping", i64::try_from(now).unwrap_or(i64::MAX))
}

/// The answer to a client's ping.
pub(super) fn pong(now: i64) -> Frame {
    bare("pong", now)
}

/// Something is wrong.
pub(super) fn error(error: &str, now: i64) -> Frame {
    frame("error", &json!({ "error": error }), now)
}

/// How a user is there.
pub(super) fn presence(change: &PresenceChange<'_>) -> Frame {
    let data = match change.user {
        Some(user) => json!({ "userId": user, "status": change.status }),
        None => json!({ "status": change.status }),
    };
    frame("user_presence", &data, change.at)
}

/// An agent's status as given; its name is the id, and what it does follows from its status, where it
/// does not say so itself.
pub(super) fn agent_status(shown: &Event) -> Frame {
    let state = match shown.text("status") {
        Some("busy") => "working",
        Some("offline") => "stopped",
        _ => "idle",
    };
    let id = shown.id.as_deref().unwrap_or_default();
    event("agent_status", shown, &[("agentName", id), ("state", state)])
}

/// An event with its body as given, and with what is missing in it.
pub(super) fn event(kind: &str, event: &Event, defaults: &[(&str, &str)]) -> Frame {
    let timestamp = iso(event.at);
    let missing = |(key, _): &&(&str, &str)| !event.body().contains_key(*key);
    let mut missing = defaults.iter().filter(missing).peekable();
    if missing.peek().is_none() {
        let data = &event.data;
        return Frame::text(&format!(
            r#"{{"type":"{kind}","data":{data},"timestamp":"{timestamp}"}}"#
        ));
    }
    let mut data = event.body().clone();
    data.extend(missing.map(|(key, value)| ((*key).to_owned(), Value::from(*value))));
    frame(kind, &Value::Object(data), event.at)
}
