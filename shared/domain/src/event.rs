//! The envelope of an event: what happened to whom, as it is recorded and travels.

pub mod agent;
pub mod container;
pub mod deployment;
pub mod entity;
pub mod fold;
pub mod kind;
pub mod message;
pub mod rejection;
pub mod state;
pub mod submission;
pub mod task;

use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, value::RawValue};

pub use self::{kind::EventKind, rejection::Rejection, state::State, submission::Submission};
use crate::channel::{Channel, ChannelKind};

/// The largest `data` of an event, in bytes (contract §3).
pub const DATA_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Something that happened, in the words of whoever published it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// What kind of thing happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// What it is about; none for events that concern everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<str>>,
    /// The user whose channel gets the event as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Box<str>>,
    /// The producer's time, ms since 1970.
    #[serde(default)]
    pub at: i64,
    /// W3C trace context of the producer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<Box<str>>,
    /// A container's own frame, to be forwarded byte for byte (`protocols.md` §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Box<RawValue>>,
    /// The body: a JSON object in one line, otherwise as it was given.
    pub data: Box<RawValue>,
    /// The body, parsed when first needed.
    #[serde(skip)]
    parsed: OnceLock<Map<String, Value>>,
}

impl Event {
    /// An event with a body of JSON text; the text must be an object without line breaks.
    ///
    /// # Panics
    /// When `data` is no JSON: callers checked it.
    #[expect(clippy::expect_used, reason = "the caller checked the text")]
    pub fn new(kind: EventKind, id: Option<&str>, data: &str) -> Self {
        Self {
            kind,
            id: id.map(Into::into),
            user: None,
            at: 0,
            traceparent: None,
            frame: None,
            data: RawValue::from_string(data.to_owned()).expect("checked JSON"),
            parsed: OnceLock::new(),
        }
    }

    /// The body as a map.
    pub fn body(&self) -> &Map<String, Value> {
        self.parsed.get_or_init(|| serde_json::from_str(self.data.get()).unwrap_or_default())
    }

    /// A text of the body, if it is there and a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.body().get(key).and_then(Value::as_str)
    }

    /// The channels that carry the event, each once (contract §3, table of streams).
    pub fn channels(&self) -> Vec<Channel> {
        let mut channels = self.kind.channels(self.id.as_deref());
        if let Some(user) = &self.user {
            let own = Channel::entity(ChannelKind::User, user);
            if !channels.contains(&own) {
                channels.push(own);
            }
        }
        channels
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from_name(&name))
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
