//! The frames of seed 003: type, time, data, and whom it is for.

use domain::{
    channel::{Channel, ChannelKind},
    event::Event,
    time::iso,
};
use serde_json::{Value, json};
use websocket::Frame;

use super::tasks::Summary;

fn frame(kind: &str, at: i64, data: &Value) -> Frame {
    Frame::text(&json!({ "type": kind, "timestamp": iso(at), "data": data }).to_string())
}

/// The first frame.
pub(super) fn welcome(connection: &str, now: i64) -> Frame {
    let time = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    let data = json!({
        "message": "connected to ZeroState WebSocket",
        "client_id": format!("{}-{connection}", time.strftime("%Y%m%d%H%M%S")),
        "server_time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    });
    frame("system", now, &data)
}

/// The answer to a ping, with the time that it bore.
pub(super) fn pong(received: &str, now: i64) -> Frame {
    frame("pong", now, &json!({ "received": received }))
}

/// How a task stands.
pub(super) fn task_update(event: &Event, summary: &Summary) -> Frame {
    let data = json!({
        "task_id": event.id,
        "status": summary.status(),
        "query": summary.query(),
        "progress": summary.progress(),
    });
    frame("task_update", event.at, &data)
}

/// An agent said how it is.
pub(super) fn agent_status(event: &Event) -> Frame {
    let name = event.text("agentName").or(event.id.as_deref());
    frame(
        "agent_update",
        event.at,
        &json!({ "agent_id": event.id, "name": name, "action": "updated" }),
    )
}

/// Something about an agent, as given; what is missing is filled in.
pub(super) fn agent_update(event: &Event) -> Frame {
    let mut data = event.body().clone();
    let name = data.get("agentName").cloned().unwrap_or_else(|| event.id.as_deref().into());
    data.entry("agent_id").or_insert_with(|| event.id.as_deref().into());
    data.entry("name").or_insert(name);
    data.entry("action").or_insert_with(|| "updated".into());
    frame("agent_update", event.at, &Value::Object(data))
}

/// A message to people, as given; on a user's channel it says whom it is for.
pub(super) fn message(channel: &Channel, event: &Event) -> Frame {
    let kind = Value::from(event.kind.name());
    let (at, data) = (iso(event.at), &event.data);
    let user = match channel.kind() {
        ChannelKind::User => format!(r#","user_id":{}"#, json!(channel.id())),
        _ => String::new(),
    };
    Frame::text(&format!(r#"{{"type":{kind},"timestamp":"{at}","data":{data}{user}}}"#))
}
