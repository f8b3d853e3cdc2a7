//! The frames of seed 002: a type, data, and the time in ISO 8601.

use domain::event::{Event, state::iso};
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

/// An event with its body as given; the event's id stands for a `name` that is missing in it.
pub(super) fn event(kind: &str, event: &Event, name: Option<&str>) -> Frame {
    let timestamp = iso(event.at);
    match name.filter(|name| !event.body().contains_key(*name)) {
        None => {
            let data = &event.data;
            Frame::text(&format!(r#"{{"type":"{kind}","data":{data},"timestamp":"{timestamp}"}}"#))
        }
        Some(name) => {
            let mut data = event.body().clone();
            data.insert(name.to_owned(), event.id.as_deref().into());
            frame(kind, &Value::Object(data), event.at)
        }
    }
}
