//! Channel names: the only place that spells or parses one.

use std::{fmt, sync::Arc};

use crate::{
    excerpt::excerpt,
    id,
    source::{Source, Stream},
};

/// A named place that clients subscribe to: an entity's own channel (`deployment:ID`) or a feed.
///
/// Cheap to clone: the name is shared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(Arc<str>);

/// What a channel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelKind {
    /// `deployment:ID`
    Deployment,
    /// `task:ID`
    Task,
    /// `agent:ID`
    Agent,
    /// `container:ID`
    Container,
    /// `user:ID`
    User,
    /// `conversation:ID`
    Conversation,
    /// `deployments`
    Deployments,
    /// `tasks`
    Tasks,
    /// `agents`
    Agents,
    /// `repos`
    Repos,
    /// `alerts`
    Alerts,
    /// `conversations`
    Conversations,
    /// `broadcast`
    Broadcast,
    /// `presence`: travels by pub/sub alone and has no positions.
    Presence,
}

use ChannelKind as Kind;

const ENTITIES: [(Kind, &str); 6] = [
    (Kind::Deployment, "deployment"),
    (Kind::Task, "task"),
    (Kind::Agent, "agent"),
    (Kind::Container, "container"),
    (Kind::User, "user"),
    (Kind::Conversation, "conversation"),
];

const FEEDS: [(Kind, &str); 8] = [
    (Kind::Deployments, "deployments"),
    (Kind::Tasks, "tasks"),
    (Kind::Agents, "agents"),
    (Kind::Repos, "repos"),
    (Kind::Alerts, "alerts"),
    (Kind::Conversations, "conversations"),
    (Kind::Broadcast, "broadcast"),
    (Kind::Presence, "presence"),
];

/// Why a string does not name a channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Neither a feed nor an entity's channel.
    #[error(
        "unknown channel {0:?}: expected one of deployment:ID, task:ID, agent:ID, container:ID, \
         user:ID, conversation:ID, deployments, tasks, agents, repos, alerts, conversations, \
         broadcast, presence"
    )]
    Unknown(String),
    /// The part after the colon is not an id.
    #[error("the channel's id: {0}")]
    Id(#[from] id::IdError),
}

impl Channel {
    /// Parses a channel name as a client writes it.
    ///
    /// # Errors
    /// [`ChannelError`] when it is neither a feed nor `KIND:ID` with a legal id.
    pub fn parse(name: &str) -> Result<Self, ChannelError> {
        let known = match name.split_once(':') {
            Some((kind, id)) if ENTITIES.iter().any(|(_, prefix)| *prefix == kind) => {
                id::check(id)?;
                true
            }
            Some(_) => false,
            None => FEEDS.iter().any(|(_, feed)| *feed == name),
        };
        if known {
            Ok(Self(name.into()))
        } else {
            Err(ChannelError::Unknown(excerpt(name).into_owned()))
        }
    }

    /// The channel of one entity. `kind` must be an entity's kind; `id` was checked before.
    pub fn entity(kind: Kind, id: &str) -> Self {
        match ENTITIES.iter().find(|(entity, _)| *entity == kind) {
            Some((_, prefix)) => Self(format!("{prefix}:{id}").into()),
            None => Self::feed(kind),
        }
    }

    /// A feed. `kind` must be a feed's kind.
    pub fn feed(kind: Kind) -> Self {
        let name = FEEDS.iter().find(|(feed, _)| *feed == kind).map_or("broadcast", |(_, n)| n);
        Self(name.into())
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the channel is about.
    pub fn kind(&self) -> Kind {
        let table: &[(Kind, &str)] = if self.0.contains(':') { &ENTITIES } else { &FEEDS };
        let prefix = self.0.split(':').next().unwrap_or_default();
        table.iter().find(|(_, name)| *name == prefix).map_or(Kind::Broadcast, |(kind, _)| *kind)
    }

    /// The id of the entity, none for a feed.
    pub fn id(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, id)| id)
    }

    /// The source that feeds the channel in a house of one partition: positions that hold this
    /// source alone are written as one number.
    pub fn home(&self) -> Source {
        Source::first(match self.kind() {
            Kind::Deployment | Kind::Deployments => Stream::Deployments,
            Kind::Task | Kind::Tasks => Stream::Tasks,
            Kind::Agent | Kind::Agents | Kind::Repos | Kind::Alerts => Stream::Agents,
            Kind::Container => Stream::Containers,
            Kind::User
            | Kind::Conversation
            | Kind::Conversations
            | Kind::Broadcast
            | Kind::Presence => Stream::Messages,
        })
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({})", self.0)
    }
}

/// A pattern over channel or stream names: a final `*` matches any rest, `*` alone everything.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// A pattern as written in a token or a setting.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Whether the pattern covers the name.
    pub fn matches(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.0 == name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_of_the_contract_is_known_and_nothing_else() {
        for name in ["deployment:d-1", "user:a@b.c", "repos", "presence", "conversation:x~1"] {
            assert_eq!(Channel::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "deployment:", "deployment", "rooms", "deployments:1", "task:a b", "x:y"] {
            assert!(Channel::parse(name).is_err(), "{name}");
        }
        assert_eq!(Channel::entity(Kind::Task, "t1").kind(), Kind::Task);
        assert_eq!(Channel::entity(Kind::Task, "a:b").id(), Some("a:b"));
        assert_eq!(Channel::feed(Kind::Alerts).kind(), Kind::Alerts);
    }

    #[test]
    fn a_star_at_the_end_matches_any_rest() {
        assert!(Pattern::new("deployment:*").matches("deployment:d1"));
        assert!(!Pattern::new("deployment:*").matches("deployments"));
        assert!(Pattern::new("*").matches("anything"));
        assert!(Pattern::new("tasks").matches("tasks"));
        assert!(!Pattern::new("tasks").matches("tasks2"));
    }
}
