//! What cloud agents are told: agents, chat, notifications and each other's presence.

use domain::{
    channel::ChannelKind, event::EventKind, position::Position, publication::Publication,
};
use websocket::Frame;

use super::frames;
use crate::protocol::{Encoder, Encoding, PresenceChange, encoder::is_addressed};

/// The encoding of clients who see everything that is meant for all.
pub const ENCODING: Encoding = Encoding::new(2, &CloudAgentsEncoder { sees_notifications: true });

/// The encoding of clients whom nobody vouches for: of what is meant for all, what the system says.
pub const ANONYMOUS: Encoding = Encoding::new(8, &CloudAgentsEncoder { sees_notifications: false });

struct CloudAgentsEncoder {
    sees_notifications: bool,
}

impl Encoder for CloudAgentsEncoder {
    fn dialect(&self) -> &'static str {
        "cloud_agents"
    }

    fn event(&self, publication: &Publication, _position: &Position) -> Option<Frame> {
        let channel = &publication.channel;
        let event = &publication.recorded.event;
        match &event.kind {
            EventKind::AgentStatus => (channel.kind() == ChannelKind::Agents)
                .then(|| frames::event("agent_status", event, Some("agentName"))),
            EventKind::ChatMessage => (channel.kind() == ChannelKind::Conversations)
                .then(|| frames::event("chat_message", event, None)),
            EventKind::Notification => (self.sees_notifications
                && is_addressed(channel, event.id.as_deref()))
            .then(|| frames::event("notification", event, None)),
            EventKind::System => (channel.kind() == ChannelKind::Broadcast)
                .then(|| frames::event("notification", event, None)),
            _ => None,
        }
    }

    fn presence(&self, change: &PresenceChange<'_>) -> Option<Frame> {
        Some(frames::presence(change))
    }
}
