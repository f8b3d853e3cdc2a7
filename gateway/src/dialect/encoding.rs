//! How frames are written: for each encoding, the frame of each thing that a client may be told.
//!
//! Every function names every encoding: a new one, or a new thing to tell, makes the compiler ask
//! each dialect.

use shared::{channel::Channel, event::State, position::Position};

use super::{cloud_agents, cockpit, containers, deployments, native, zerostate};
use crate::{frame::Frame, hub::catch_up::Cause, publication::Outgoing};

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
