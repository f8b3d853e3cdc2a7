//! The names of all keys and pub/sub channels, each spelled here and nowhere else.
//!
//! | name | type | content |
//! | --- | --- | --- |
//! | `P:deployments`, `P:deployments:1` … | stream | ingest (contract §3); bare, for any producer |
//! | `P:{T}:p:CHANNEL:SOURCE` | string | head: `generation:offset:bytes` |
//! | `P:{T}:h:CHANNEL:SOURCE` | stream | history; ids `OFFSET-0`, field `p` |
//! | `P:{T}:c:CHANNEL` | pub/sub | publications of a channel |
//! | `P:{T}:generation:SOURCE` | string | the mark of a source |
//! | `P:{T}:published:SOURCE` | string | how far it may be published: `EPOCH:SEQ` |
//! | `P:{T}:node:NODE`, `P:{T}:nodes`, `P:{T}:workers`, `P:{T}:probe:NODE` | pub/sub | control, probe |
//! | `P:{R}:lease` | sorted set | registry: node → end of its lease, ms |
//! | `P:{R}:topics:NODE` | set | registry: the topics that a node speaks of |
//! | `P:{R}:on:TOPIC:NODE` | hash | registry: key → JSON |
//!
//! `P` is `KEY_PREFIX`, `T` a tag by what the name is about, `R` one tag for the whole registry,
//! because its scripts touch several of its keys. Names of channels are ASCII: `domain::id::encode`.

use domain::{channel::Channel, node::NodeId, source::Source};

use super::tags;
use crate::Topic;

/// Spells names under one `KEY_PREFIX`.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The ingest stream of a source.
    pub(super) fn stream(&self, source: Source) -> String {
        format!("{}:{source}", self.prefix)
    }

    pub(super) fn head(&self, channel: &Channel, source: Source) -> String {
        let name = channel.encoded();
        format!("{}:{{{}}}:p:{name}:{source}", self.prefix, tags::of(&name))
    }

    pub(super) fn history(&self, channel: &Channel, source: Source) -> String {
        let name = channel.encoded();
        format!("{}:{{{}}}:h:{name}:{source}", self.prefix, tags::of(&name))
    }

    pub(super) fn mark(&self, source: Source) -> String {
        let source = source.to_string();
        format!("{}:{{{}}}:generation:{source}", self.prefix, tags::of(&source))
    }

    /// How far a source may be published; in the slot of its mark.
    pub(super) fn published(&self, source: Source) -> String {
        let source = source.to_string();
        format!("{}:{{{}}}:published:{source}", self.prefix, tags::of(&source))
    }

    /// The pub/sub channel of a topic.
    pub(super) fn topic(&self, topic: &Topic) -> String {
        match topic {
            Topic::Channel(channel) => self.about("c", &channel.encoded()),
            Topic::Node(node) => self.about("node", &node.0),
            Topic::Nodes => format!("{}:{{{}}}:nodes", self.prefix, tags::of("nodes")),
            Topic::Workers => format!("{}:{{{}}}:workers", self.prefix, tags::of("workers")),
        }
    }

    /// The pub/sub channel by which a node hears itself.
    pub(super) fn probe(&self, node: &NodeId) -> String {
        self.about("probe", &node.0)
    }

    pub(super) fn leases(&self) -> String {
        self.registry("lease")
    }

    pub(super) fn topics_of(&self, node: &str) -> String {
        self.registry(&format!("topics:{node}"))
    }

    pub(super) fn members(&self, topic: &str, node: &str) -> String {
        self.registry(&format!("on:{topic}:{node}"))
    }

    /// What the registry's scripts put before a name of their own making.
    pub(super) fn registry(&self, name: &str) -> String {
        format!("{}:{{{}}}:{name}", self.prefix, tags::of("registry"))
    }

    fn about(&self, what: &str, name: &str) -> String {
        format!("{}:{{{}}}:{what}:{name}", self.prefix, tags::of(name))
    }
}
