//! What nodes register about themselves, for as long as they live.

use domain::node::NodeId;

/// Something that a node says of itself in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node that says it.
    pub node: NodeId,
    /// The key within the topic: a connection, a user …
    pub key: String,
    /// The value as JSON text.
    pub value: String,
}

/// A change of what a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The topic: `connections`, `agents` …
    pub topic: &'static str,
    /// The key within the topic.
    pub key: String,
    /// The new value, JSON; none removes the key.
    pub value: Option<String>,
}

/// A node that was removed from the registry because its lease had run out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredNode {
    /// The node whose lease ran out.
    pub node: NodeId,
    /// What it said: topics and keys.
    pub said: Vec<(&'static str, String)>,
}
