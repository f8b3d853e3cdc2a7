//! The dialects: one wire protocol each, on one port.
//!
//! A dialect only translates. [`Dialect::open`], [`Dialect::decode`] and the encoding functions are
//! pure: they see what arrived and answer with commands or frames; the session carries commands
//! out. `ALL` is the order in which an upgrade request is offered to them: **who owns which request
//! is decided there and nowhere else** (`protocols.md` §0.1, contract "Where the pages meet").

pub mod cloud_agents;
pub mod cockpit;
pub mod containers;
pub mod deployments;
pub mod encoding;
pub mod native;
#[cfg(test)]
mod noise;
#[cfg(test)]
mod table;
#[cfg(test)]
mod trials;
pub mod zerostate;

use axum::Router;
use shared::{
    auth::{Authenticator, Identity},
    broker::Registration,
    channel::{Channel, ChannelKind},
    config::{Config, Rhythms},
    entry::Fields,
    event::state::Entity,
    source::Stream,
};

pub use self::encoding::{
    Encoding, PresenceChange, Subscribed, encode, gap, needs_state, presence, state, status,
    subscribed, tail,
};
use crate::{
    connection::Message, frame::Frame, gateway::GatewayState, heartbeat::Heartbeat,
    hub::listener::Mode, upgrade::Upgrade,
};

/// All dialects, in the order in which they are asked whether a request is theirs.
///
/// Exact paths come first, agents before the clients with whom they share `/ws`; then what the query
/// of `/` says; last the containers, whose programs dial any path that nobody else owns.
pub const ALL: [&dyn Dialect; 6] = [
    &native::Native,
    &cockpit::Cockpit,
    &cloud_agents::CloudAgents,
    &zerostate::ZeroState,
    &deployments::Deployments,
    &containers::Containers,
];

/// A wire protocol.
pub trait Dialect: Send + Sync + 'static {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Whether an upgrade request is for this dialect.
    fn recognizes(&self, upgrade: &Upgrade) -> bool;

    /// Who is there, and what happens first.
    ///
    /// # Errors
    /// [`Refusal`], before or after the 101 as the dialect's clients expect it.
    fn open(&self, upgrade: &Upgrade, doors: &Doors<'_>) -> Result<Opening, Refusal>;

    /// The rhythm of its pings, and what counts as life.
    fn heartbeat(&self, rhythms: &Rhythms) -> Heartbeat;

    /// The same after [`Command::Watch`], when it is another for clients that said who they are.
    fn heartbeat_of_known(&self, _rhythms: &Rhythms) -> Option<Heartbeat> {
        None
    }

    /// What a message of the client asks for.
    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command>;

    /// The last frame before a drain closes the socket, and the close.
    fn drain(&self, _after_ms: u64) -> (Option<Frame>, u16, &'static str) {
        (None, crate::connection::close::GOING_AWAY, "going away")
    }

    /// The frame that tells a client that there is no room for it, after the 101 and before a close.
    fn turned_away(&self, _why: TurnedAway, _message: &str) -> Option<Frame> {
        None
    }

    /// The frame that tells a client that it sends too much. `None`: it is slowed by not reading.
    fn too_fast(&self) -> Option<Frame> {
        None
    }

    /// The HTTP endpoints of its own.
    fn routes(&self) -> Router<GatewayState> {
        Router::new()
    }
}

/// What a dialect may look at when it decides who comes in.
pub struct Doors<'a> {
    /// Checks tokens and keys.
    pub auth: &'a Authenticator,
    /// The settings.
    pub config: &'a Config,
    /// The name of the connection to be, unlike any other's on any node.
    pub connection: &'a str,
    /// Now, ms since 1970.
    pub now: i64,
}

/// A socket that may come in.
pub struct Opening {
    /// How its frames are written.
    pub encoding: Encoding,
    /// Who it is.
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
        /// The status.
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
            Self::Socket { code, .. } => *code == crate::connection::close::UNAUTHORIZED,
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
    /// Who it is.
    pub identity: &'a Identity,
    /// How its frames are written now.
    pub encoding: Encoding,
    /// What the dialect noted about the socket: [`Command::Remember`].
    pub memo: Option<&'a str>,
    /// Whether the process runs in production mode.
    pub production: bool,
    /// Now, ms since 1970.
    pub now: i64,
    /// The settings.
    pub config: &'a Config,
}

/// What a session is to do.
#[derive(Debug)]
pub enum Command {
    /// Sends a frame to this socket.
    Send(Frame),
    /// Listens to a channel.
    Subscribe(Subscribe),
    /// Listens no longer.
    Unsubscribe(Channel),
    /// Waits a moment until these channels are there to be listened to, so that who is greeted
    /// next can be subscribed without delay.
    Prepare(Vec<Channel>),
    /// Takes an event in, to be recorded in its turn; nothing waits for it.
    Append(Append),
    /// Checks a new token for the open socket.
    Token(String),
    /// Tells everybody how a user is there; remembered for the end of the last connection.
    Presence(String),
    /// Notes something about the socket, instead of what was noted before.
    Remember(Box<str>),
    /// Writes its frames in another way from now on.
    Encode(Encoding),
    /// Enters or leaves the registry of who is where.
    Register(Registration),
    /// Has to do with a container: goes on if its session is there, or there is room for one.
    Attend(Box<str>),
    /// A sign of life that only the dialect understands.
    Alive,
    /// The client said who it is: its silence is judged by [`Dialect::heartbeat_of_known`].
    Watch,
    /// Closes.
    Close {
        /// The code.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
}

/// A wish to listen.
#[derive(Debug)]
pub struct Subscribe {
    /// The channel's name as the client wrote it.
    pub channel: String,
    /// Where to go on, as the client wrote it.
    pub since: Option<String>,
    /// What is wanted when the socket is slow.
    pub mode: Mode,
    /// So many of the last events first.
    pub tail: usize,
    /// Whether the dialect itself grants it: its page lets this socket read the channel.
    pub granted: bool,
}

impl Subscribe {
    /// A wish of the dialect's own: newest position, granted by its page.
    pub fn granted(channel: &Channel, mode: Mode) -> Self {
        Self { channel: channel.to_string(), since: None, mode, tail: 0, granted: true }
    }
}

/// An event that a socket hands in.
#[derive(Debug)]
pub struct Append {
    /// Where to.
    pub stream: Stream,
    /// The fields of the entry.
    pub fields: Fields,
    /// What must hold when its turn comes; else it is left out.
    pub condition: Option<Condition>,
}

/// What must hold for an event of a socket.
#[derive(Debug)]
pub enum Condition {
    /// The entity is known.
    Known(Entity),
    /// The socket may have to do with the container.
    Attends(Box<str>),
}

/// Whether a message to people came by the way that it is delivered on. One that names a user in
/// passing is on that user's channel as well as on the channel of all, and must not come twice.
fn is_addressed(channel: &Channel, id: Option<&str>) -> bool {
    match channel.kind() {
        ChannelKind::User => id.is_some(),
        kind => kind == ChannelKind::Broadcast,
    }
}

/// The text of a message; the seeds whose servers parse JSON take binary messages as well.
fn json_text(message: Message<'_>) -> Option<&str> {
    match message {
        Message::Text(text) => Some(text),
        Message::Binary(bytes) => std::str::from_utf8(bytes).ok(),
    }
}
