//! What is published, and where it was recorded.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Position;

/// One event to publish. Its `event_id` makes it safe to repeat: it is applied once.
#[derive(Clone, Debug, Serialize)]
pub struct Publication {
    /// `deployments`, `tasks`, `agents`, `containers`, `messages` or `topics`.
    pub stream: String,
    /// The event type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about; none for messages to all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it says.
    pub data: Value,
    /// It also goes to this user's channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The same one within 24 hours is applied once.
    pub event_id: String,
    /// Tasks and deployments: without another event for so long, it ends as `abandoned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// When it happened, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// W3C trace context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

impl Publication {
    /// An event about something.
    pub fn new(
        stream: impl Into<String>,
        kind: impl Into<String>,
        id: impl Into<String>,
        data: Value,
    ) -> Self {
        Self { id: Some(id.into()), ..Self::to_all(stream, kind, data) }
    }

    /// A message to all.
    pub fn to_all(stream: impl Into<String>, kind: impl Into<String>, data: Value) -> Self {
        let event_id = format!("{:032x}", rand::random::<u128>());
        let data = if data.is_null() { json!({}) } else { data };
        Self {
            stream: stream.into(),
            kind: kind.into(),
            id: None,
            data,
            user: None,
            event_id,
            lease_ms: None,
            at: None,
            traceparent: None,
        }
    }
}

/// Where an event was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Published {
    /// Which of the publications.
    pub index: usize,
    /// The channel.
    pub channel: String,
    /// The position in the channel.
    pub position: Position,
}
