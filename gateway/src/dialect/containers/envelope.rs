//! What a container or a watcher sends: type, containerID, timestamp and data.

use std::borrow::Cow;

use domain::json::Document;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A frame as it was read; `data` stays as it is.
#[derive(Debug, Deserialize)]
struct RawEnvelope<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "containerID", default)]
    container: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    auth: Option<&'a RawValue>,
}

/// A frame of the protocol.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    /// What it says.
    pub(super) kind: EnvelopeKind,
    /// The container; empty when there is none.
    pub(super) container: Cow<'a, str>,
    /// Its body.
    pub(super) data: Option<&'a RawValue>,
    word: Cow<'a, str>,
    timestamp: Option<&'a RawValue>,
    auth: Option<&'a RawValue>,
}

/// What frames say, whatever their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EnvelopeKind {
    /// The name of an event of the stream `containers`.
    Event(&'static str),
    /// A sign of life, answered and not passed on.
    Heartbeat,
    /// A wish to watch.
    Subscribe,
    /// Its end.
    Unsubscribe,
    /// Of the older protocol.
    Ping,
    /// Of the older protocol.
    Pong,
    /// Anything else.
    Unknown,
}

impl<'a> Envelope<'a> {
    /// Reads a frame.
    pub(super) fn read(document: &'a Document<'_>) -> Result<Self, &'static str> {
        // Field by field a list would pass for an object.
        let object = document.text().starts_with('{').then_some(document);
        let read = object.and_then(|document| document.parse::<RawEnvelope<'a>>().ok());
        let read = read.ok_or("a frame is a JSON object whose type and containerID are texts")?;
        let word = read.kind.filter(|word| !word.is_empty()).ok_or("type is required")?;
        Ok(Self {
            kind: EnvelopeKind::of(&word),
            container: read.container.unwrap_or_default(),
            data: read.data,
            word,
            timestamp: read.timestamp,
            auth: read.auth,
        })
    }

    /// Whether the type was written in lower case, as the document has it. The ping and pong of the
    /// older protocol say nothing: they have no other case.
    pub(super) fn is_lower(&self) -> bool {
        !matches!(self.kind, EnvelopeKind::Ping | EnvelopeKind::Pong)
            && self.word.starts_with(|first: char| first.is_ascii_lowercase())
    }

    /// Whether there is a timestamp that means something.
    pub(super) fn has_timestamp(&self) -> bool {
        self.timestamp.is_some_and(|at| !matches!(at.get(), "null" | "false" | "0" | "\"\""))
    }

    /// The token of `auth`, when one is given.
    pub(super) fn auth_token(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Auth {
            token: Option<serde_json::Value>,
        }
        let auth: Auth = serde_json::from_str(self.auth?.get()).ok()?;
        let token = auth.token?;
        Some(token.as_str().map_or_else(|| token.to_string(), str::to_owned))
    }
}

impl EnvelopeKind {
    fn of(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "log" => Self::Event("log"),
            "status" => Self::Event("status"),
            "error" => Self::Event("error"),
            "complete" => Self::Event("complete"),
            "heartbeat" => Self::Heartbeat,
            "subscribe" => Self::Subscribe,
            "unsubscribe" => Self::Unsubscribe,
            "ping" => Self::Ping,
            "pong" => Self::Pong,
            _ => Self::Unknown,
        }
    }
}
