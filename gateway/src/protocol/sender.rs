//! What a client is to the node that reads it: how much and how fast it may send.

use auth::Identity;
use runtime::config::LimitSettings;

/// A kind of sender, by its door and by what it has shown there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Who has shown no credential, in production.
    Anonymous,
    /// Whoever only says what it wants.
    Client,
    /// Who brings results (seed 001).
    Agent,
    /// Who brings logs (seed 004).
    Container,
}

impl Sender {
    /// Returns what somebody is at a door where clients come.
    pub fn of(identity: &Identity, production: bool) -> Self {
        if production && !identity.is_known() { Self::Anonymous } else { Self::Client }
    }

    /// Returns the largest message that it may send, in bytes; more is 1009 before it is decoded.
    pub const fn frame_bytes(self, limits: &LimitSettings) -> usize {
        match self {
            Self::Anonymous => limits.anonymous_frame_bytes,
            Self::Client => limits.client_frame_bytes,
            Self::Agent => limits.agent_frame_bytes,
            Self::Container => limits.container_frame_bytes,
        }
    }

    /// Returns how many messages it may send per second; more are read later.
    pub const fn frames_per_second(self, limits: &LimitSettings) -> u32 {
        match self {
            Self::Anonymous | Self::Client => limits.frames_per_second,
            Self::Agent | Self::Container => limits.container_frames_per_second,
        }
    }
}
