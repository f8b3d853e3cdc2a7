//! Channel names: the only place that spells or parses one.

use std::{borrow::Cow, fmt, sync::Arc};

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
    /// `topic:ID`: whatever its publishers say.
    Topic,
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

const ENTITIES: [(Kind, &str); 7] = [
    (Kind::Deployment, "deployment"),
    (Kind::Task, "task"),
    (Kind::Agent, "agent"),
    (Kind::Container, "container"),
    (Kind::User, "user"),
    (Kind::Conversation, "conversation"),
    (Kind::Topic, "topic"),
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
         user:ID, conversation:ID, topic:ID, deployments, tasks, agents, repos, alerts, conversations, \
         broadcast, presence"
    )]
    Unknown(String),
    /// The part after the colon is not an id.
    #[error("the channel's id: {0}")]
    Id(#[from] id::IdError),
}

impl Channel {
    /// Parses a channel name as a client writes it. An id that was legal once can still be read.
    ///
    /// # Errors
    /// [`ChannelError`] when it is neither a feed nor `KIND:ID` with a legal id.
    pub fn parse(name: &str) -> Result<Self, ChannelError> {
        let known = match name.split_once(':') {
            Some((kind, id)) if ENTITIES.iter().any(|(_, prefix)| *prefix == kind) => {
                id::check_recorded(id)?;
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
        Source::first(self.kind().stream())
    }

    /// The name in ASCII, as Redis names and SSE ids have it.
    pub fn encoded(&self) -> Cow<'_, str> {
        id::encode(&self.0)
    }

    /// Whether a subscription to it can have a state: it is an entity's own.
    pub fn is_entity(&self) -> bool {
        ENTITIES.iter().any(|(kind, _)| *kind == self.kind())
    }
}

impl ChannelKind {
    /// The stream whose events the channel shows; users' channels get others as well.
    pub const fn stream(self) -> Stream {
        match self {
            Self::Deployment | Self::Deployments => Stream::Deployments,
            Self::Task | Self::Tasks => Stream::Tasks,
            Self::Agent | Self::Agents | Self::Repos | Self::Alerts => Stream::Agents,
            Self::Container => Stream::Containers,
            Self::Topic => Stream::Topics,
            Self::User
            | Self::Conversation
            | Self::Conversations
            | Self::Broadcast
            | Self::Presence => Stream::Messages,
        }
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

    /// A pattern of a comma-separated setting, where ids are percent-encoded.
    pub fn encoded(text: &str) -> Self {
        let text = text.trim();
        Self(id::decode(text).map_or_else(|| text.to_owned(), Cow::into_owned))
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
        for name in [
            "deployment:d-1",
            "user:auth0|5f7c",
            "repos",
            "presence",
            "conversation:x~1",
            "topic:déploi 1",
            "task:-",
        ] {
            assert_eq!(Channel::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "deployment:", "deployment", "rooms", "deployments:1", "task:a\n", "x:y"] {
            assert!(Channel::parse(name).is_err(), "{name}");
        }
        assert_eq!(Channel::entity(Kind::Task, "t1").kind(), Kind::Task);
        assert_eq!(Channel::entity(Kind::Task, "a:b").id(), Some("a:b"));
        assert_eq!(Channel::feed(Kind::Alerts).kind(), Kind::Alerts);
        assert_eq!(Channel::entity(Kind::Tasks, "t1").as_str(), "tasks", "a feed has no id");
        assert_eq!(Channel::feed(Kind::Alerts).id(), None);
        assert!(Channel::parse("topic:x").unwrap().is_entity());
        assert!(!Channel::parse("tasks").unwrap().is_entity());
        assert_eq!(format!("{:?}", Channel::parse("tasks").unwrap()), "Channel(tasks)");
    }

    #[test]
    fn a_channel_knows_its_stream_and_its_name_in_ascii() {
        for (name, stream, encoded) in [
            ("deployment:org/repo", Stream::Deployments, "deployment:org%2Frepo"),
            ("tasks", Stream::Tasks, "tasks"),
            ("alerts", Stream::Agents, "alerts"),
            ("container:c", Stream::Containers, "container:c"),
            ("user:é", Stream::Messages, "user:%C3%A9"),
            ("topic:t", Stream::Topics, "topic:t"),
        ] {
            let channel = Channel::parse(name).unwrap();
            assert_eq!(channel.home(), Source::first(stream));
            assert_eq!(channel.encoded(), encoded);
        }
    }

    #[test]
    fn a_star_at_the_end_matches_any_rest() {
        assert!(Pattern::new("deployment:*").matches("deployment:d1"));
        assert!(!Pattern::new("deployment:*").matches("deployments"));
        assert!(Pattern::new("*").matches("anything"));
        assert!(Pattern::new("tasks").matches("tasks"));
        assert!(!Pattern::new("tasks").matches("tasks2"));
        assert!(Pattern::new(" user:a%7Cb ").matches("user:a%7Cb"));
        assert!(Pattern::encoded(" user:a%7Cb,c ").matches("user:a|b,c"));
        assert!(Pattern::encoded("%ff*").matches("%ff1"), "what is no UTF-8 stays as it is");
    }
}
