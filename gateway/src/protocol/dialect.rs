//! A wire protocol, as the core sees it.

use std::{sync::Arc, time::Duration};

use auth::{Authenticator, Identity};
use domain::{entry::Fields, source::Stream};
use runtime::config::{Config, HeartbeatSettings};
use websocket::{Frame, Heartbeat, Message, close};

use super::{
    attendance::Attendance, command::Command, drain_notice::DrainNotice, encoder::Encoding,
    request::Request, sender::Sender,
};

/// A wire protocol. It only translates: `open` and `decode` are pure and return commands, which the
/// session executes; its frames are written by its encoders.
pub trait Dialect: Send + Sync + 'static {
    /// Returns the name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Returns the ways in which its frames are written; a socket that says nothing gets the first.
    fn encodings(&self) -> &'static [Encoding];

    /// Whether an upgrade request is for this dialect, while it is served.
    fn recognizes(&self, request: &Request, config: &Config) -> bool;

    /// Decides who is there, and what happens first.
    ///
    /// # Errors
    /// [`Refusal`], before or after the 101 as the dialect's clients expect it.
    fn open(&self, request: &Request, context: &OpenContext<'_>) -> Result<Opening, Refusal>;

    /// Returns when its sockets are pinged, and what counts as life.
    fn heartbeat(&self, settings: &HeartbeatSettings) -> Heartbeat;

    /// Returns the same after [`Command::Watch`], when it is another for clients that said who they
    /// are.
    fn heartbeat_of_known(&self, _settings: &HeartbeatSettings) -> Option<Heartbeat> {
        None
    }

    /// Returns what a message of the client asks for.
    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command>;

    /// Returns how a socket is let go at a drain, to come back elsewhere after so many milliseconds;
    /// `is_known` when something was remembered about it ([`Command::Remember`]).
    fn drain_notice(&self, _after_ms: u64, _is_known: bool) -> DrainNotice {
        DrainNotice::default()
    }

    /// Returns what clients that said who they are are sent again and again, and how often.
    fn reminder(&self, _settings: &HeartbeatSettings) -> Option<(Duration, Frame)> {
        None
    }

    /// Returns the frame that tells a client that there is no room for it, after the 101 and before a
    /// close.
    fn turned_away(&self, _why: TurnedAway, _message: &str) -> Option<Frame> {
        None
    }

    /// Returns what a client is that came in as somebody: bounds what it may send.
    fn sender(&self, identity: &Identity, production: bool) -> Sender {
        Sender::of(identity, production)
    }

    /// Returns how many sockets beyond `MAX_CONNECTIONS` it may open.
    fn capacity_reserve(&self, _connections_max: usize) -> usize {
        0
    }

    /// Whether its sockets count among the connections and credentials of their address.
    fn is_limited_by_address(&self) -> bool {
        true
    }

    /// Returns the topics of the registry whose names it wants to know gone.
    fn topics(&self) -> &'static [WatchedTopic] {
        &[]
    }

    /// Returns who attends its names, if its sockets attend any.
    fn attendance(&self) -> Option<Arc<dyn Attendance>> {
        None
    }
}

/// A topic of the registry: when the last connection of a name is gone on all nodes, an event says so.
#[derive(Clone, Copy, Debug)]
pub struct WatchedTopic {
    /// The topic.
    pub topic: &'static str,
    /// Returns the entry that says that the name has gone.
    pub gone: fn(&str) -> (Stream, Fields),
    /// Returns the entry that says again how a name is, by what is registered for it: others may have
    /// taken it for gone.
    pub returned: fn(&str, &str) -> Option<(Stream, Fields)>,
}

/// What a dialect may look at when it decides who comes in.
pub struct OpenContext<'a> {
    /// Checks tokens and keys.
    pub auth: &'a Authenticator,
    /// The settings.
    pub config: &'a Config,
    /// The name of the node.
    pub node: &'a str,
    /// What is missing at the node: `broker`, `store`, or nothing.
    pub degraded: Option<&'static str>,
    /// How many partitions each stream has.
    pub partitions: u16,
    /// The name of the connection to be, unlike any other's on any node.
    pub connection: &'a str,
    /// The time, ms since 1970.
    pub now: i64,
}

/// A socket that may come in.
pub struct Opening {
    /// How its frames are written.
    pub encoding: Encoding,
    /// The identity that its credential proves.
    pub identity: Identity,
    /// The subprotocol that is chosen, one that was offered.
    pub protocol: Option<String>,
    /// What happens first, in order.
    pub commands: Vec<Command>,
}

/// A socket that may not come in.
#[derive(Debug)]
pub enum Refusal {
    /// Answered over HTTP, before the 101.
    Http {
        /// The status of the answer.
        status: http::StatusCode,
        /// The body, plain text.
        body: &'static str,
    },
    /// Answered after the 101: browsers cannot read an HTTP status.
    Socket {
        /// Frames that say why.
        frames: Vec<Frame>,
        /// The close code.
        code: u16,
        /// The close reason.
        reason: &'static str,
    },
}

impl Refusal {
    /// Whether another credential might help.
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Http { status, .. } => *status == http::StatusCode::UNAUTHORIZED,
            Self::Socket { code, .. } => *code == close::UNAUTHORIZED,
        }
    }
}

/// Why there is no room for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// `MAX_CONNECTIONS`
    NodeFull,
    /// `MAX_CONNECTIONS_PER_USER`
    UserFull,
}

/// What a dialect may know of the session when it decodes.
pub struct View<'a> {
    /// The name of the connection, unlike any other's on any node.
    pub connection: &'a str,
    /// The identity of the client.
    pub identity: &'a Identity,
    /// How its frames are written now.
    pub encoding: Encoding,
    /// What the dialect noted about the socket: [`Command::Remember`].
    pub memo: Option<&'a str>,
    /// Whether the process runs in production mode.
    pub production: bool,
    /// The time, ms since 1970.
    pub now: i64,
    /// The settings.
    pub config: &'a Config,
}

/// Returns the text of a message; servers that parse JSON take binary messages as well.
pub fn json_text(message: Message<'_>) -> Option<&str> {
    match message {
        Message::Text(text) => Some(text),
        Message::Binary(bytes) => std::str::from_utf8(bytes).ok(),
    }
}
