//! The frames of our own protocol.

use domain::{
    channel::Channel, event::State, excerpt::excerpt, position::Position, publication::Publication,
};
use serde_json::{Value, json};
use websocket::{Frame, close};

use crate::protocol::{Cause, OpenContext, PresenceChange, Sender, Subscribed};

fn frame(value: &Value) -> Frame {
    Frame::text(&value.to_string())
}

/// What a client may ask for in this version, beside what the first one knew.
const FEATURES: [&str; 3] = ["limits", "tail_count", "replace"];

/// The first frame of a connection: what is its node's, and what it may send.
pub fn welcome(context: &OpenContext<'_>, user: Option<&str>, sender: Sender) -> Frame {
    let limits = &context.config.limits;
    let ping = context.config.rhythm.ping;
    frame(&json!({
        "type": "welcome",
        "connection": context.connection,
        "node": context.node,
        "user": user,
        "ping_ms": u64::try_from(ping.as_millis()).unwrap_or(u64::MAX),
        "degraded": context.degraded,
        "limits": {
            "frames_per_second": sender.frames_per_second(limits),
            "subscriptions": limits.subscriptions,
            "frame_bytes": sender.frame_bytes(limits),
        },
        "features": FEATURES,
        "partitions": context.partitions,
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

/// The answer to a subscription.
pub(super) fn subscribed(subscribed: &Subscribed<'_>) -> Frame {
    let channel = subscribed.channel;
    let mut json = json!({
        "type": "subscribed",
        "channel": channel.as_str(),
        "position": subscribed.position.show(channel),
        "head": subscribed.head.show(channel),
        "state": subscribed.state,
    });
    if let Some(tail) = subscribed.tail {
        json["tail"] = tail.into();
    }
    frame(&json)
}

/// The answer to a subscription to presence, which has no positions.
pub(super) fn subscribed_without_position(channel: &Channel) -> Frame {
    frame(&json!({
        "type": "subscribed",
        "channel": channel.as_str(),
        "position": null,
        "head": null,
        "state": null,
    }))
}

/// The answer to the end of a subscription.
pub(super) fn unsubscribed(channel: &str) -> Frame {
    frame(&json!({ "type": "unsubscribed", "channel": channel }))
}

/// A publication, for a listener that is at `position` after it.
///
/// The body goes in as it came, byte for byte: it is neither parsed nor written again.
pub(super) fn event(publication: &Publication, position: &Position, tail: bool) -> Frame {
    let text = event_json(publication, position, tail);
    Frame::text(&text)
}

/// The JSON of `event`.
pub fn event_json(publication: &Publication, position: &Position, tail: bool) -> String {
    let event = &publication.recorded.event;
    let channel = &publication.channel;
    let text = |text: &str| Value::from(text).to_string();
    let mut json = format!(
        r#"{{"type":"event","channel":{},"position":"{}","event":{},"id":{},"data":{},"at":{},"recorded":{}"#,
        text(channel.as_str()),
        position.show(channel),
        text(event.kind.name()),
        event.id.as_deref().map_or_else(|| "null".into(), text),
        event.data.get(),
        event.at,
        publication.recorded.recorded,
    );
    if event.free {
        json.push_str(r#","free":true"#);
    }
    if let Some(traceparent) = &event.traceparent {
        json.push_str(r#","traceparent":"#);
        json.push_str(&text(traceparent));
    }
    if tail {
        json.push_str(r#","tail":true"#);
    }
    json.push('}');
    json
}

/// Publications that are missing for good, from the first to the last.
pub(super) fn gap(channel: &Channel, from: &Position, to: &Position, cause: Cause) -> Frame {
    frame(&json!({
        "type": "gap",
        "channel": channel.as_str(),
        "from": from.show(channel),
        "to": to.show(channel),
        "cause": cause.name(),
    }))
}

/// The newest state, after a gap.
pub(super) fn state(channel: &Channel, position: &Position, state: Option<&State>) -> Frame {
    frame(&json!({
        "type": "state",
        "channel": channel.as_str(),
        "position": position.show(channel),
        "state": state,
    }))
}

/// Whether something is missing at the node.
pub(super) fn status(reason: Option<&str>) -> Frame {
    match reason {
        Some(reason) => frame(&json!({ "type": "status", "degraded": true, "reason": reason })),
        None => frame(&json!({ "type": "status", "degraded": false })),
    }
}

/// The answer to a fresh token.
pub(super) fn token(expires_at: Option<i64>) -> Frame {
    frame(&json!({ "type": "token", "expires_at": expires_at }))
}

/// How a user is there.
pub(super) fn presence(change: &PresenceChange<'_>) -> Frame {
    frame(&json!({
        "type": "presence",
        "user": change.user,
        "status": change.status,
        "at": change.at,
    }))
}

/// The last frame before a close.
pub fn bye(reason: &str, reconnect: bool, after_ms: u64) -> Frame {
    frame(&json!({
        "type": "bye",
        "reason": reason,
        "reconnect": reconnect,
        "after_ms": after_ms,
    }))
}

/// Something is wrong; `details` are paths and messages. A channel that is none is shown as far as
/// anything given is.
pub fn error(
    code: &str,
    message: &str,
    details: &[(String, String)],
    channel: Option<&str>,
) -> Frame {
    let mut error = json!({ "type": "error", "code": code, "message": message });
    if !details.is_empty() {
        let details: Vec<Value> = details
            .iter()
            .map(|(path, message)| json!({ "path": path, "message": message }))
            .collect();
        error["details"] = details.into();
    }
    if let Some(channel) = channel {
        let is_one = Channel::parse(channel).is_ok();
        error["channel"] = if is_one { channel.into() } else { excerpt(channel).into() };
    }
    frame(&error)
}

/// The `bye` right before a close: whether and when to come back.
pub fn close_frame(code: u16, reason: &str) -> Frame {
    let reconnect = matches!(
        code,
        close::GOING_AWAY
            | close::INTERNAL
            | close::RESTARTING
            | close::OVER_CAPACITY
            | close::HEARTBEAT_TIMEOUT
    );
    bye(reason, reconnect, if reconnect { COME_BACK_MS } else { 0 })
}

/// When a client should come back after a close that is not a drain's.
const COME_BACK_MS: u64 = 1000;
