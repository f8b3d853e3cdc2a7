//! The entities that have a state: which kinds there are, and when one has ended.

use serde_json::Value;

use super::state::State;
use crate::channel::{Channel, ChannelKind};

/// The kinds of entities that have a state of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKind {
    /// `deployment:ID`
    Deployment,
    /// `task:ID`
    Task,
    /// `agent:ID`
    Agent,
    /// `container:ID`
    Container,
    /// A git repository that an agent watches.
    Repo,
    /// An alert, shown on the feed `alerts`.
    Alert,
}

impl EntityKind {
    /// Every kind, in the order of the contract's table.
    pub const ALL: [Self; 6] =
        [Self::Deployment, Self::Task, Self::Agent, Self::Container, Self::Repo, Self::Alert];

    /// Returns the name in SQL.
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

/// The name of an entity: its kind and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    /// The kind: ids are unique within one.
    pub kind: EntityKind,
    /// The id, 1–200 bytes (contract §3).
    pub id: Box<str>,
}

impl Entity {
    /// Names an entity.
    pub fn new(kind: EntityKind, id: &str) -> Self {
        Self { kind, id: id.into() }
    }

    /// Returns the entity whose state a channel shows; none for feeds, users, conversations, topics.
    pub fn of(channel: &Channel) -> Option<Self> {
        let kind = match channel.kind() {
            ChannelKind::Deployment => EntityKind::Deployment,
            ChannelKind::Task => EntityKind::Task,
            ChannelKind::Agent => EntityKind::Agent,
            ChannelKind::Container => EntityKind::Container,
            ChannelKind::User
            | ChannelKind::Conversation
            | ChannelKind::Topic
            | ChannelKind::Deployments
            | ChannelKind::Tasks
            | ChannelKind::Agents
            | ChannelKind::Repos
            | ChannelKind::Alerts
            | ChannelKind::Conversations
            | ChannelKind::Broadcast
            | ChannelKind::Presence => return None,
        };
        channel.id().map(|id| Self::new(kind, id))
    }
}

/// Whether a state says that its entity has come to its end: its state is kept for
/// `STATE_RETENTION_MS` from then on, and no lease can end it again.
pub fn ended(kind: EntityKind, state: &State) -> bool {
    let status = state.get("status").and_then(Value::as_str).unwrap_or_default();
    match kind {
        EntityKind::Deployment => matches!(status, "success" | "error" | "abandoned"),
        EntityKind::Task => {
            matches!(status, "completed" | "failed" | "abandoned" | "cancelled" | "expired")
        }
        EntityKind::Container => matches!(status, "completed" | "failed" | "error"),
        EntityKind::Alert => state.get("acknowledged").and_then(Value::as_i64) == Some(1),
        EntityKind::Agent | EntityKind::Repo => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_channels_of_entities_show_a_state() {
        for (name, kind) in [
            ("deployment:x", Some(EntityKind::Deployment)),
            ("task:x", Some(EntityKind::Task)),
            ("agent:x", Some(EntityKind::Agent)),
            ("container:x", Some(EntityKind::Container)),
            ("user:x", None),
            ("topic:x", None),
            ("tasks", None),
        ] {
            let entity = Entity::of(&Channel::parse(name).unwrap());
            assert_eq!(entity, kind.map(|kind| Entity::new(kind, "x")), "{name}");
        }
    }

    #[test]
    fn an_end_is_told_by_the_status_of_its_kind() {
        let is_end =
            |kind, status: &str| ended(kind, json!({ "status": status }).as_object().unwrap());
        for (kind, ends) in [
            (EntityKind::Deployment, &["success", "error", "abandoned"][..]),
            (EntityKind::Task, &["completed", "failed", "abandoned", "cancelled", "expired"]),
            (EntityKind::Container, &["completed", "failed", "error"]),
            (EntityKind::Agent, &[]),
            (EntityKind::Repo, &[]),
        ] {
            for status in [
                "success",
                "error",
                "abandoned",
                "completed",
                "failed",
                "cancelled",
                "expired",
                "x",
            ] {
                assert_eq!(is_end(kind, status), ends.contains(&status), "{kind:?} {status}");
            }
        }
        let alert = |acknowledged: i64| json!({ "acknowledged": acknowledged });
        assert!(ended(EntityKind::Alert, alert(1).as_object().unwrap()));
        assert!(!ended(EntityKind::Alert, alert(0).as_object().unwrap()));
        let names: Vec<&str> = EntityKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names, ["deployment", "task", "agent", "container", "repo", "alert"]);
    }
}
