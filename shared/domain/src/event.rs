//! The envelope of an event: what happened to whom, as it is recorded and travels.

pub mod agent;
pub mod alert;
pub mod bound;
pub mod catalog;
pub mod container;
pub mod deployment;
pub mod entity;
pub mod fold;
pub mod kind;
pub mod rejection;
pub mod repo;
pub mod schema;
pub mod state;
pub mod submission;
pub mod task;

use std::{collections::BTreeMap, sync::OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

pub use self::{catalog::EventKind, rejection::Rejection, state::State, submission::Submission};
use crate::{
    channel::{Channel, ChannelKind},
    json,
};

/// The largest `data` of an event, in bytes (contract §3).
pub const DATA_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The body of an event that was erased.
pub const ERASED: &str = r#"{"erased":true}"#;

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
    /// Whether it is a message of seed 003's door, whose type is free however it is spelled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free: bool,
    /// A container's own frame, to be forwarded byte for byte (`protocols.md` §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<Box<RawValue>>,
    /// The body: a JSON object in one line, otherwise as it was given.
    pub data: Box<RawValue>,
    /// The body, parsed when first needed.
    #[serde(skip)]
    parsed: OnceLock<Map<String, Value>>,
    /// Where in the body each repository is, by its id; found when first needed.
    #[serde(skip)]
    repos: OnceLock<BTreeMap<Box<str>, usize>>,
}

impl Event {
    /// Makes an event of a kind with a body of JSON text, an object without line breaks.
    ///
    /// # Panics
    /// When `data` is not JSON: callers checked it.
    #[expect(clippy::expect_used, reason = "the caller checked the text")]
    pub fn new(kind: EventKind, id: Option<&str>, data: &str) -> Self {
        Self {
            kind,
            id: id.map(Into::into),
            user: None,
            at: 0,
            traceparent: None,
            free: false,
            frame: None,
            data: RawValue::from_string(data.to_owned()).expect("checked JSON"),
            parsed: OnceLock::new(),
            repos: OnceLock::new(),
        }
    }

    /// Takes out what it says: its number and what it is about stay.
    ///
    /// # Panics
    /// Never: the new body is JSON.
    #[expect(clippy::expect_used, reason = "the text is JSON")]
    pub fn erase(&mut self) {
        self.data = RawValue::from_string(ERASED.to_owned()).expect("JSON");
        (self.frame, self.parsed, self.repos) = (None, OnceLock::new(), OnceLock::new());
    }

    /// Returns the body as a map, in which what no Unicode string can hold reads U+FFFD.
    pub fn body(&self) -> &Map<String, Value> {
        self.parsed.get_or_init(|| json::object(self.data.get()).unwrap_or_default())
    }

    /// Returns a string of the body, if it is there and a string.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.body().get(key).and_then(Value::as_str)
    }

    /// Returns the repositories of the body: for each id the place of the last with it.
    pub fn repos(&self) -> &BTreeMap<Box<str>, usize> {
        self.repos.get_or_init(|| {
            let repos = self.body().get("repos").and_then(Value::as_array);
            let placed = repos.into_iter().flatten().enumerate();
            let id = |repo: &Value| repo.get("id").and_then(Value::as_str).map(Into::into);
            placed.filter_map(|(at, repo)| Some((id(repo)?, at))).collect()
        })
    }

    /// Returns what the body says of a repository.
    pub fn repo(&self, id: &str) -> Option<&Value> {
        let at = self.repos().get(id)?;
        self.body().get("repos")?.get(*at)
    }

    /// Returns the channels that carry the event, each once (contract §3, table of streams).
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
