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
    event::{State, state::Entity},
    position::Position,
    source::Stream,
};

use crate::{
    connection::Message,
    frame::Frame,
    gateway::GatewayState,
    heartbeat::Heartbeat,
    hub::{catch_up::Cause, listener::Mode},
    publication::Outgoing,
    upgrade::Upgrade,
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

/// How a session's frames are written: one for each dialect, or two where it depends on who reads.
/// A publication is encoded at most once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// Seed 000.
    Deployments,
    /// Seed 001.
    Cockpit,
    /// Seed 002.
    CloudAgents,
    /// Seed 003, for sockets that see everything.
    ZeroState,
    /// Seed 003, for sockets that nobody vouches for, in production.
    ZeroStateAnonymous,
    /// Seed 004 in upper case.
    ContainersUpper,
    /// Seed 004 in lower case.
    ContainersLower,
    /// Our own protocol.
    Native,
}

impl Encoding {
    /// Every encoding, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Deployments,
        Self::Cockpit,
        Self::CloudAgents,
        Self::ZeroState,
        Self::ZeroStateAnonymous,
        Self::ContainersUpper,
        Self::ContainersLower,
        Self::Native,
    ];

    /// The name of its dialect.
    pub const fn dialect(self) -> &'static str {
        match self {
            Self::Deployments => "deployments",
            Self::Cockpit => "cockpit",
            Self::CloudAgents => "cloud_agents",
            Self::ZeroState | Self::ZeroStateAnonymous => "zerostate",
            Self::ContainersUpper | Self::ContainersLower => "containers",
            Self::Native => "native",
        }
    }
}

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

/// What a client is told when it begins to listen.
pub struct Subscribed<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// The position that is safe to resume from.
    pub position: &'a Position,
    /// The newest position.
    pub head: &'a Position,
    /// The state at the position, when the client did not come with one of its own.
    pub state: Option<&'a State>,
}

/// Whether listeners of this encoding are sent whole states, so that every publication needs one.
pub const fn needs_state(encoding: Encoding) -> bool {
    matches!(encoding, Encoding::Deployments)
}

/// The frame of a publication, for a listener that is at `position` after it.
pub fn encode(encoding: Encoding, outgoing: &Outgoing, position: &Position) -> Option<Frame> {
    match encoding {
        // Its frames are whole states: the room makes them (see `needs_state`).
        Encoding::Deployments => None,
        Encoding::Cockpit => cockpit::encode(outgoing),
        Encoding::CloudAgents => cloud_agents::encode(outgoing),
        Encoding::ZeroState => zerostate::encode(outgoing, zerostate::Reader::Known),
        Encoding::ZeroStateAnonymous => zerostate::encode(outgoing, zerostate::Reader::Stranger),
        Encoding::ContainersUpper => containers::encode(outgoing, containers::Case::Upper),
        Encoding::ContainersLower => containers::encode(outgoing, containers::Case::Lower),
        Encoding::Native => Some(native::event(outgoing, position, false)),
    }
}

/// The frame that begins a subscription.
pub fn subscribed(encoding: Encoding, subscribed: &Subscribed<'_>) -> Option<Frame> {
    match encoding {
        Encoding::Deployments => deployments::state(subscribed.channel, subscribed.state),
        Encoding::ContainersUpper => containers::greeting(subscribed, containers::Case::Upper),
        Encoding::ContainersLower => containers::greeting(subscribed, containers::Case::Lower),
        Encoding::Native => Some(native::subscribed(subscribed)),
        Encoding::Cockpit
        | Encoding::CloudAgents
        | Encoding::ZeroState
        | Encoding::ZeroStateAnonymous => None,
    }
}

/// The frame that says that publications are missing for good, from the first to the last. The
/// seeds' protocols have no word for it.
pub fn gap(
    encoding: Encoding,
    channel: &Channel,
    from: &Position,
    to: &Position,
    cause: Cause,
) -> Option<Frame> {
    match encoding {
        Encoding::Native => Some(native::gap(channel, from, to, cause)),
        Encoding::Deployments
        | Encoding::Cockpit
        | Encoding::CloudAgents
        | Encoding::ZeroState
        | Encoding::ZeroStateAnonymous
        | Encoding::ContainersUpper
        | Encoding::ContainersLower => None,
    }
}

/// The frame of a state at a position, after a gap.
pub fn state(
    encoding: Encoding,
    channel: &Channel,
    position: &Position,
    state: Option<&State>,
) -> Option<Frame> {
    match encoding {
        Encoding::Deployments => deployments::state(channel, state),
        Encoding::Native => Some(native::state(channel, position, state)),
        Encoding::Cockpit
        | Encoding::CloudAgents
        | Encoding::ZeroState
        | Encoding::ZeroStateAnonymous
        | Encoding::ContainersUpper
        | Encoding::ContainersLower => None,
    }
}

/// The frame of one of the last events before a subscription's position, which only clients of our
/// own protocol ask for.
pub fn tail(encoding: Encoding, outgoing: &Outgoing) -> Option<Frame> {
    match encoding {
        Encoding::Native => Some(native::event(outgoing, &outgoing.position, true)),
        Encoding::Deployments
        | Encoding::Cockpit
        | Encoding::CloudAgents
        | Encoding::ZeroState
        | Encoding::ZeroStateAnonymous
        | Encoding::ContainersUpper
        | Encoding::ContainersLower => None,
    }
}

/// The frame that says that the node reads from the database, or no longer does.
pub fn status(encoding: Encoding, reason: Option<&str>) -> Option<Frame> {
    match encoding {
        Encoding::Native => Some(native::status(reason)),
        Encoding::Deployments
        | Encoding::Cockpit
        | Encoding::CloudAgents
        | Encoding::ZeroState
        | Encoding::ZeroStateAnonymous
        | Encoding::ContainersUpper
        | Encoding::ContainersLower => None,
    }
}

/// How a user is there, on its way to those who may see it.
pub struct PresenceChange<'a> {
    /// The user; none when nobody vouched for the socket.
    pub user: Option<&'a str>,
    /// `online`, `away`, `busy`, `offline`.
    pub status: &'a str,
    /// When, ms since 1970.
    pub at: i64,
}

/// The frame of a change of presence.
pub fn presence(encoding: Encoding, change: &PresenceChange<'_>) -> Option<Frame> {
    match encoding {
        Encoding::CloudAgents => Some(cloud_agents::presence(change)),
        Encoding::Native => Some(native::presence(change)),
        Encoding::Deployments
        | Encoding::Cockpit
        | Encoding::ZeroState
        | Encoding::ZeroStateAnonymous
        | Encoding::ContainersUpper
        | Encoding::ContainersLower => None,
    }
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
