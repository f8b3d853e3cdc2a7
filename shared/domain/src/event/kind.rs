//! What a kind of event says of itself, by its row of the catalog.

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    catalog::{CATALOG, EventKind, EventType, Kept, Subject, Writer},
    entity::EntityKind,
    schema::{ANY, Schema},
};
use crate::{
    channel::{Channel, ChannelKind},
    source::Stream,
};

impl EventKind {
    /// Returns the row of the catalog; none for free types.
    pub fn row(&self) -> Option<&'static EventType> {
        CATALOG.iter().find(|row| row.kind == *self)
    }

    /// Returns the name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Free(name) | Self::Topic(name) => name,
            named => named.row().map_or("", |row| row.name),
        }
    }

    /// Returns the kind of that name; [`EventKind::Free`] when the catalog does not have it.
    pub fn from_name(name: &str) -> Self {
        let row = CATALOG.iter().find(|row| row.name == name);
        row.map_or_else(|| Self::Free(name.into()), |row| row.kind.clone())
    }

    /// Returns the kind of that name on that stream; none when the stream does not know it.
    ///
    /// On `messages` a name that means something on another stream is free, and on `topics` every
    /// name is.
    pub fn on(stream: Stream, name: &str) -> Option<Self> {
        let row = CATALOG.iter().find(|row| row.name == name && row.stream == stream);
        match (row, stream) {
            (Some(row), _) => Some(row.kind.clone()),
            (None, Stream::Topics) => Some(Self::Topic(name.into())),
            (None, Stream::Messages) => Some(Self::Free(name.into())),
            (None, _) => None,
        }
    }

    /// Returns the kind that was recorded on a stream; what the stream does not know is free.
    pub fn recorded(stream: Stream, name: &str) -> Self {
        Self::on(stream, name).unwrap_or_else(|| Self::Free(name.into()))
    }

    /// Returns the stream that carries events of this kind.
    pub fn stream(&self) -> Stream {
        match self {
            Self::Free(_) => Stream::Messages,
            Self::Topic(_) => Stream::Topics,
            named => named.row().map_or(Stream::Messages, |row| row.stream),
        }
    }

    /// Whether an event of this kind must say what it is about.
    pub fn needs_id(&self) -> bool {
        match self {
            Self::Free(_) => false,
            named => named.row().is_none_or(|row| row.subject != Subject::User),
        }
    }

    /// Whether only the worker writes events of this kind.
    pub fn is_reserved(&self) -> bool {
        self.row().is_some_and(|row| row.writer == Writer::Worker)
    }

    /// Whether it asks for something and is no event itself.
    pub fn is_request(&self) -> bool {
        self.row().is_some_and(|row| row.kept == Kept::Request)
    }

    /// Returns what its `data` must look like.
    pub fn schema(&self) -> &'static Schema {
        self.row().map_or(&ANY, |row| &row.schema)
    }

    /// Returns the kind of entity whose state an event of this kind changes, that of its own id.
    pub fn entity(&self) -> Option<EntityKind> {
        match self.row()?.subject {
            Subject::Entity(kind) => Some(kind),
            Subject::Repos | Subject::Conversation | Subject::User => None,
        }
    }

    /// Returns the channels that carry an event of this kind about `id`.
    pub(super) fn channels(&self, id: Option<&str>) -> Vec<Channel> {
        let channels = match self {
            Self::Free(_) => &[ChannelKind::User][..],
            Self::Topic(_) => &[ChannelKind::Topic],
            named => named.row().map_or(&[][..], |row| row.channels),
        };
        let channel = |kind: &ChannelKind| match (kind, id) {
            (ChannelKind::User, None) => Channel::feed(ChannelKind::Broadcast),
            (kind, id) => Channel::entity(*kind, id.unwrap_or_default()),
        };
        channels.iter().map(channel).collect()
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::from_name(&name))
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_knows_its_own_types_and_only_two_take_free_ones() {
        for row in CATALOG {
            assert_eq!(EventKind::on(row.stream, row.name), Some(row.kind.clone()));
            assert_eq!(EventKind::from_name(row.name), row.kind);
            assert_eq!((row.kind.name(), row.kind.stream()), (row.name, row.stream));
        }
        assert_eq!(EventKind::on(Stream::Deployments, "task_update"), None);
        assert_eq!(EventKind::on(Stream::Containers, "nonsense"), None);
        for name in ["nonsense", "task_update"] {
            assert_eq!(EventKind::on(Stream::Messages, name), Some(EventKind::Free(name.into())));
            assert_eq!(EventKind::on(Stream::Topics, name), Some(EventKind::Topic(name.into())));
            assert_eq!(EventKind::recorded(Stream::Agents, name), EventKind::Free(name.into()));
        }
        assert_eq!(EventKind::recorded(Stream::Tasks, "task_log"), EventKind::TaskLog);
    }

    #[test]
    fn a_type_is_routed_by_its_row() {
        let channels = |kind: EventKind, id: Option<&str>| -> Vec<String> {
            kind.channels(id).iter().map(ToString::to_string).collect()
        };
        let free = || EventKind::Free("party".into());
        assert_eq!(
            channels(EventKind::DeploymentUpdate, Some("d")),
            ["deployment:d", "deployments"]
        );
        assert_eq!(channels(EventKind::DeploymentLog, Some("d")), ["deployment:d"]);
        assert_eq!(channels(EventKind::TaskAssigned, Some("t")), ["task:t", "tasks"]);
        assert_eq!(channels(EventKind::GitStatus, Some("a")), ["repos"]);
        assert_eq!(channels(EventKind::Notification, Some("u")), ["user:u"]);
        assert_eq!(channels(EventKind::Notification, None), ["broadcast"]);
        assert_eq!(channels(free(), Some("u")), ["user:u"]);
        assert_eq!(channels(free(), None), ["broadcast"]);
        assert_eq!(channels(EventKind::Topic("x".into()), Some("weather")), ["topic:weather"]);
    }

    #[test]
    fn only_what_may_be_for_all_needs_no_id() {
        let without: Vec<&str> =
            CATALOG.iter().filter(|row| !row.kind.needs_id()).map(|row| row.name).collect();
        assert_eq!(without, ["notification", "system"]);
        assert!(!EventKind::Free("x".into()).needs_id());
        assert!(EventKind::Topic("x".into()).needs_id());
    }

    #[test]
    fn what_is_reserved_and_what_asks_is_said_by_the_row() {
        assert!(EventKind::TaskExpired.is_reserved() && !EventKind::TaskResult.is_reserved());
        assert!(EventKind::TaskRetry.is_request() && !EventKind::TaskRetried.is_request());
        assert!(!EventKind::Free("task_expired".into()).is_reserved());
        assert_eq!(EventKind::Alert.entity(), Some(EntityKind::Alert));
        assert_eq!(EventKind::System.entity(), None);
    }

    #[test]
    fn a_kind_travels_by_its_name() {
        let text = serde_json::to_string(&EventKind::ContainerLog).unwrap();
        assert_eq!(text, r#""log""#);
        assert_eq!(serde_json::from_str::<EventKind>(&text).unwrap(), EventKind::ContainerLog);
        let free: EventKind = serde_json::from_str(r#""a\u0062""#).unwrap();
        assert_eq!(free, EventKind::Free("ab".into()));
    }
}
