//! What a subscription yields, and how it is read from the server's frames.

use serde::Deserialize;
use serde_json::Value;

use crate::{Json, frame::Frame};

/// How far a channel was seen. Opaque: keep it, give it back as `since`, compare by equality.
pub type Position = String;

/// One event of a channel. Each comes once and in order.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    /// The channel.
    pub channel: String,
    /// Where it stands.
    pub position: Position,
    /// Its type: `deployment_update`, `task_log`, `notification` …
    #[serde(rename = "event")]
    pub kind: String,
    /// What it is about.
    #[serde(default)]
    pub id: Option<String>,
    /// What it says.
    #[serde(default)]
    pub data: Value,
    /// When it happened, milliseconds since 1970.
    #[serde(default)]
    pub at: i64,
    /// When it was recorded, milliseconds since 1970.
    #[serde(default)]
    pub recorded: Option<i64>,
    /// It is from before the subscription began, and moves no position.
    #[serde(default)]
    pub tail: bool,
    /// A free message: its type says nothing about its meaning.
    #[serde(default)]
    pub free: bool,
    /// The W3C trace context that it was published with.
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// Events that can no longer be had.
#[derive(Clone, Debug, Deserialize)]
pub struct Gap {
    /// The channel.
    pub channel: String,
    /// The first position that is missing.
    pub from: Position,
    /// The last one.
    pub to: Position,
    /// `retention`, `epoch`, `ahead` or `latest`.
    pub cause: String,
}

/// The newest state, whole; it follows a gap.
#[derive(Clone, Debug, Deserialize)]
pub struct State {
    /// The channel.
    pub channel: String,
    /// The position of the state.
    pub position: Option<Position>,
    /// The state; none where nothing is known.
    pub state: Option<Json>,
}

/// The server listens for us from here on; comes again after each reconnection.
#[derive(Clone, Debug, Deserialize)]
pub struct Subscribed {
    /// The channel.
    pub channel: String,
    /// Safe to resume from; none on `presence`, which has no positions.
    pub position: Option<Position>,
    /// The newest position.
    pub head: Option<Position>,
    /// The folded state at `position` where the channel begins anew.
    pub state: Option<Json>,
    /// The channel goes on exactly after the last event that was seen.
    #[serde(skip)]
    pub resumed: bool,
    /// No position was given: `state` is the channel's.
    #[serde(skip)]
    pub anew: bool,
}

/// How a user is there; only on the channel `presence`.
#[derive(Clone, Debug, Deserialize)]
pub struct PresenceChange {
    /// Whose presence it is.
    pub user: Option<String>,
    /// `online`, `away`, `busy` or `offline`.
    pub status: String,
    /// When it was said, milliseconds since 1970.
    pub at: i64,
}

/// Something that keeps the channel from going on for now; it is tried again by itself.
#[derive(Clone, Debug)]
pub struct Interrupted {
    /// The channel.
    pub channel: String,
    /// The server's word.
    pub code: String,
    /// The reason.
    pub message: String,
}

/// What a subscription yields.
#[derive(Clone, Debug)]
pub enum Item {
    /// The server listens.
    Subscribed(Subscribed),
    /// Something happened.
    Event(Event),
    /// Something that happened can no longer be had.
    Gap(Gap),
    /// The newest state.
    State(State),
    /// How a user is there.
    Presence(PresenceChange),
    /// The channel waits.
    Interrupted(Interrupted),
}

impl Item {
    /// Reads an item; none where the frame is none, or is of a later version.
    pub(crate) fn read(frame: &Frame) -> Option<Self> {
        match frame.kind() {
            "event" => frame.read().map(Self::Event),
            "gap" => frame.read().map(Self::Gap),
            "state" => frame.read().map(Self::State),
            "presence" => frame.read().map(Self::Presence),
            _ => None,
        }
    }
}
