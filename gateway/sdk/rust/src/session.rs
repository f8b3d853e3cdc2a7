//! The connections of a client: what was said in each, at which pace, and whether it still lives.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    error::{Closed, LOST, SILENT},
    frame::Frame,
    pace::Pace,
    wire::{Id, Kind, Writer},
};

/// How long the answer to our `ping` may take.
const PROBE: Duration = Duration::from_secs(10);
/// How many frames may wait to be written; whoever wants more has lost touch.
const OUTGOING_MAX: usize = 10_000;

/// What the server says of itself and of us when a connection opens.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Welcome {
    /// The name of the connection.
    #[serde(default)]
    pub connection: String,
    /// The node that serves it.
    #[serde(default)]
    pub node: String,
    /// Who we are; none for strangers.
    #[serde(default)]
    pub user: Option<String>,
    /// `broker`, `store` or `both`: what the server has lost for now.
    #[serde(default)]
    pub degraded: Option<String>,
    /// The server's version.
    #[serde(default)]
    pub version: String,
    /// How often the server gives a sign of life, in milliseconds.
    #[serde(default = "ping_ms")]
    pub ping_ms: u64,
    /// How many partitions each stream has.
    #[serde(default)]
    pub partitions: u32,
    /// What the server takes.
    #[serde(default)]
    pub limits: Limits,
    /// What the server knows beyond the first version.
    #[serde(default)]
    pub features: Vec<String>,
}

/// What a server takes from one connection.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Frames a second.
    pub frames_per_second: u32,
    /// Channels.
    pub subscriptions: usize,
    /// Bytes of a frame.
    pub frame_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frames_per_second: 50, subscriptions: 128, frame_bytes: 65_536 }
    }
}

fn ping_ms() -> u64 {
    25_000
}

/// What waits to be written.
pub(crate) enum Outgoing {
    Frame(Value),
    /// The question for a channel, made at the moment of writing: it says the newest position.
    Question(String),
}

/// A channel that a connection was asked for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ask {
    /// When the question was written; none while it waits for its turn, or is answered.
    pub at: Option<Instant>,
    /// It was asked before, without an answer.
    pub again: bool,
}

/// One connection.
pub(crate) struct Session {
    pub id: Id,
    pub kind: Kind,
    pub welcome: Option<Welcome>,
    pub heard: Instant,
    pub degraded: Option<String>,
    pub said_bye: bool,
    /// Silence before a ping, for those whose work depends on being heard.
    pub ping_every: Option<Duration>,
    pub asks: HashMap<String, Ask>,
    /// By channel: answers to `unsubscribe` that are still to come. What comes before is void.
    left: HashMap<String, u32>,
    pub queue: VecDeque<Outgoing>,
    pub pace: Pace,
    writer: Writer,
    pinged: Option<Instant>,
    /// It has ended, whatever the other side thinks.
    pub over: Option<Closed>,
}

impl Session {
    pub(crate) fn new(id: Id, kind: Kind, writer: Writer) -> Self {
        let now = Instant::now();
        Self {
            id,
            kind,
            welcome: None,
            heard: now,
            degraded: None,
            said_bye: false,
            ping_every: None,
            asks: HashMap::new(),
            left: HashMap::new(),
            queue: VecDeque::new(),
            pace: Pace::new(1, now),
            writer,
            pinged: None,
            over: None,
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.welcome.as_ref().map(|welcome| welcome.limits).unwrap_or_default()
    }

    /// Takes the greeting.
    pub(crate) fn greet(&mut self, frame: &Frame) {
        let welcome: Welcome = frame.read().unwrap_or_default();
        self.pace = Pace::new(welcome.limits.frames_per_second, Instant::now());
        self.degraded.clone_from(&welcome.degraded);
        self.welcome = Some(welcome);
    }

    pub(crate) fn send(&mut self, frame: Value) {
        self.enqueue(Outgoing::Frame(frame));
    }

    pub(crate) fn enqueue(&mut self, outgoing: Outgoing) {
        if self.queue.len() >= OUTGOING_MAX {
            self.end(Closed::new(LOST, "too much waits to be written"));
        } else {
            self.queue.push_back(outgoing);
        }
    }

    /// Puts a frame before all that wait.
    pub(crate) fn send_first(&mut self, frame: Value) {
        self.queue.push_front(Outgoing::Frame(frame));
    }

    pub(crate) fn write(&mut self, frame: &Value) {
        if !self.writer.write(frame.to_string()) {
            self.end(Closed::new(LOST, "too much waits to be written"));
        }
    }

    pub(crate) fn end(&mut self, why: Closed) {
        self.over.get_or_insert(why);
    }

    /// A sign of life has come.
    pub(crate) fn alive(&mut self) {
        self.heard = Instant::now();
        self.pinged = None;
    }

    /// Asks after silence, and gives up when nothing answers.
    pub(crate) fn watch(&mut self, now: Instant) {
        let Some(welcome) = &self.welcome else { return };
        let patience = self.ping_every.unwrap_or(Duration::from_millis(2 * welcome.ping_ms));
        match self.pinged {
            None if now.saturating_duration_since(self.heard) >= patience => {
                self.pinged = Some(now);
                self.send_first(json!({ "type": "ping" }));
            }
            Some(at) if now.saturating_duration_since(at) >= PROBE => {
                self.end(Closed::new(SILENT, ""));
            }
            _ => {}
        }
    }

    /// Whether another channel may be asked for.
    pub(crate) fn has_place(&self) -> bool {
        self.kind == Kind::EventStream || self.asks.len() < self.limits().subscriptions
    }

    /// Gives a channel's place back.
    pub(crate) fn leave(&mut self, channel: &str) {
        if self.asks.remove(channel).is_some() {
            *self.left.entry(channel.to_owned()).or_default() += 1;
            self.send(json!({ "type": "unsubscribe", "channel": channel }));
        }
    }

    /// Whether a frame belongs to a subscription that was left.
    pub(crate) fn is_void(&mut self, kind: &str, channel: &str) -> bool {
        let Some(left) = self.left.get_mut(channel) else { return false };
        if kind == "unsubscribed" {
            *left -= 1;
            if *left == 0 {
                self.left.remove(channel);
            }
        }
        true
    }
}

/// All connections that live: the one in use, those that are left, one that opens.
#[derive(Default)]
pub(crate) struct Sessions {
    all: Vec<Session>,
    /// The one in use.
    pub current: Option<Id>,
}

impl Sessions {
    pub(crate) fn add(&mut self, session: Session) {
        self.all.push(session);
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<Session> {
        let at = self.all.iter().position(|session| session.id == id)?;
        Some(self.all.remove(at))
    }

    pub(crate) fn get(&mut self, id: Id) -> Option<&mut Session> {
        self.all.iter_mut().find(|session| session.id == id)
    }

    pub(crate) fn current(&mut self) -> Option<&mut Session> {
        self.current.and_then(|id| self.get(id))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.all.iter_mut()
    }
}
