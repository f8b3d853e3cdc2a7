//! The entities that have a state: which kinds there are, and when one has ended.

use serde_json::Value;

use super::state::State;
use crate::channel::{Channel, ChannelKind};

/// The kinds of entities that have a state of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    /// A deployment.
    Deployment,
    /// A task.
    Task,
    /// An agent.
    Agent,
    /// A container.
    Container,
    /// A git repository that an agent watches.
    Repo,
    /// An alert.
    Alert,
}

impl EntityKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Deployment, Self::Task, Self::Agent, Self::Container, Self::Repo, Self::Alert];

    /// The name in SQL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Task => "task",
            Self::Agent => "agent",
            Self::Container => "container",
            Self::Repo => "repo",
            Self::Alert => "alert",
        }
    }
}

/// Which entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// Its kind.
    pub kind: EntityKind,
    /// Its id.
    pub id: Box<str>,
}

impl Entity {
    /// The entity whose state a channel shows; none for feeds, users and conversations.
    pub fn of(channel: &Channel) -> Option<Self> {
        let kind = match channel.kind() {
            ChannelKind::Deployment => EntityKind::Deployment,
            ChannelKind::Task => EntityKind::Task,
            ChannelKind::Agent => EntityKind::Agent,
            ChannelKind::Container => EntityKind::Container,
            ChannelKind::User
            | ChannelKind::Conversation
            | ChannelKind::Deployments
            | ChannelKind::Tasks
            | ChannelKind::Agents
            | ChannelKind::Repos
            | ChannelKind::Alerts
            | ChannelKind::Conversations
            | ChannelKind::Broadcast
            | ChannelKind::Presence => return None,
        };
        channel.id().map(|id| Self { kind, id: id.into() })
    }
}

/// Whether a state says that its entity has come to its end: its state is kept for
/// `STATE_RETENTION_MS` from then on, and no lease can end it again.
pub fn ended(kind: EntityKind, state: &State) -> bool {
    let status = state.get("status").and_then(Value::as_str).unwrap_or_default();
    match kind {
        EntityKind::Deployment => matches!(status, "success" | "error" | "abandoned"),
        EntityKind::Task => matches!(status, "completed" | "failed" | "abandoned"),
        EntityKind::Container => matches!(status, "completed" | "failed" | "error"),
        EntityKind::Alert => state.get("acknowledged").and_then(Value::as_i64) == Some(1),
        EntityKind::Agent | EntityKind::Repo => false,
    }
}
