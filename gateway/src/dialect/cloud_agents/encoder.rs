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
pub const ANONYMOUS: Encoding = Encoding::new(9, &CloudAgentsEncoder { sees_notifications: false });

struct CloudAgentsEncoder {
    sees_notifications: bool,
}

fn is_notification(name: &str) -> bool {
    matches!(name, "notification" | "system")
}

impl Encoder for CloudAgentsEncoder {
    fn dialect(&self) -> &'static str {
        "cloud_agents"
    }

    fn event(&self, publication: &Publication, _position: &Position) -> Option<Frame> {
        let channel = &publication.channel;
        let event = &publication.recorded.event;
        match &event.kind {
            EventKind::AgentStatus => {
                (channel.kind() == ChannelKind::Agents).then(|| frames::agent_status(event))
            }
            EventKind::ChatMessage => (channel.kind() == ChannelKind::Conversations)
                .then(|| frames::event("chat_message", event, &[])),
            EventKind::Notification => (self.sees_notifications
                && is_addressed(channel, event.id.as_deref()))
            .then(|| frames::event("notification", event, &[])),
            EventKind::System => (channel.kind() == ChannelKind::Broadcast && event.id.is_none())
                .then(|| frames::event("notification", event, &[])),
            // Seed 003's door: what it calls a notification is one here as well.
            EventKind::Free(name) if event.free && is_notification(name) => {
                let is_heard = self.sees_notifications || &**name == "system";
                (is_heard && is_addressed(channel, event.id.as_deref()))
                    .then(|| frames::event("notification", event, &[("message", "")]))
            }
            _ => None,
        }
    }

    fn presence(&self, change: &PresenceChange<'_>) -> Option<Frame> {
        Some(frames::presence(change))
    }
}
