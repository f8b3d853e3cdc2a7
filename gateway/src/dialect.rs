//! The dialects: one wire protocol each, on one port.
//!
//! A dialect only translates. [`Dialect::open`], [`Dialect::decode`] and the encoding functions are
//! pure: they see what arrived and answer with commands or frames; the session carries commands
//! out. `ALL` is the order in which an upgrade request is offered to them: **who owns which request
//! is decided there and nowhere else** (`protocols.md` §0.1, contract "Where the pages meet").

pub mod deployments;
pub mod native;

use axum::Router;
use shared::{
    auth::{Authenticator, Identity},
    broker::Registration,
    channel::Channel,
    config::{Config, Rhythms},
    entry::Fields,
    event::State,
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
pub const ALL: [&dyn Dialect; 2] = [&deployments::Deployments, &native::Native];

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

    /// What a message of the client asks for.
    fn decode(&self, message: Message<'_>, view: &View<'_>) -> Vec<Command>;

    /// What follows when the socket is gone.
    fn farewell(&self, _view: &View<'_>) -> Vec<Command> {
        Vec::new()
    }

    /// The last frame before a drain closes the socket, and the close.
    fn drain(&self, _after_ms: u64) -> (Option<Frame>, u16, &'static str) {
        (None, crate::connection::close::GOING_AWAY, "going away")
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

/// What a dialect may know of the session when it decodes.
pub struct View<'a> {
    /// The name of the connection, unlike any other's on any node.
    pub connection: &'a str,
    /// Who it is.
    pub identity: &'a Identity,
    /// How its frames are written now.
    pub encoding: Encoding,
    /// What the socket called itself: an agent's or a container's id.
    pub name: Option<&'a str>,
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
    /// Takes an event in; goes on when it is recorded and published.
    Append(Append),
    /// Checks a new token for the open socket.
    Token(String),
    /// Tells everybody how a user is there; remembered for the end of the last connection.
    Presence(String),
    /// Remembers what the socket calls itself.
    Remember(Box<str>),
    /// Writes its frames in another way from now on.
    Encode(Encoding),
    /// Enters or leaves the registry of who is where.
    Register(Registration),
    /// Goes on only while the registry's topic holds fewer than so many other keys.
    Admit(Admit),
    /// A sign of life that only the dialect understands.
    Alive,
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
    /// Makes the frame that is sent when the entry is not accepted, of the reason.
    pub refused: Option<fn(&str) -> Frame>,
}

/// A bound over all nodes.
#[derive(Debug)]
pub struct Admit {
    /// The registry's topic.
    pub topic: &'static str,
    /// The key that is to come in; one that is in already is admitted.
    pub key: String,
    /// How many keys there may be.
    pub keys_max: usize,
    /// What is sent when there is no room.
    pub refused: Frame,
    /// The close code then.
    pub code: u16,
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
        Encoding::Native => Some(native::event(outgoing, position, false)),
        _ => None,
    }
}

/// The frame that begins a subscription.
pub fn subscribed(encoding: Encoding, subscribed: &Subscribed<'_>) -> Option<Frame> {
    match encoding {
        Encoding::Deployments => deployments::state(subscribed.channel, subscribed.state),
        Encoding::Native => Some(native::subscribed(subscribed)),
        _ => None,
    }
}

/// The frame that says that publications are missing for good, from the first to the last.
pub fn gap(
    encoding: Encoding,
    channel: &Channel,
    from: &Position,
    to: &Position,
    cause: Cause,
) -> Option<Frame> {
    match encoding {
        Encoding::Native => Some(native::gap(channel, from, to, cause)),
        _ => None,
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
        _ => None,
    }
}

/// The frame of one of the last events before a subscription's position.
pub fn tail(encoding: Encoding, outgoing: &Outgoing) -> Option<Frame> {
    match encoding {
        Encoding::Native => Some(native::event(outgoing, &outgoing.position, true)),
        _ => None,
    }
}

/// The frame that says that the node reads from the database, or no longer does.
pub fn status(encoding: Encoding, reason: Option<&str>) -> Option<Frame> {
    match encoding {
        Encoding::Native => Some(native::status(reason)),
        _ => None,
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
        Encoding::Native => Some(native::presence(change)),
        _ => None,
    }
}
