//! The names of all keys and pub/sub channels, each spelled here and nowhere else.
//!
//! | name | type | content |
//! | --- | --- | --- |
//! | `P:deployments`, `P:deployments:1` … | stream | ingest (contract §3); bare, for any producer |
//! | `P:partitions` | string | how many partitions each stream has (contract §2); bare, for any producer |
//! | `P:{T}:p:CHANNEL:SOURCE` | string | head: `generation:offset:bytes` |
//! | `P:{T}:h:CHANNEL:SOURCE` | stream | history; ids `OFFSET-0`, field `p` |
//! | `P:{T}:c:CHANNEL` | pub/sub | publications of a channel |
//! | `P:{T}:generation:SOURCE` | string | the mark of a source |
//! | `P:{T}:published:SOURCE` | string | how far it may be published: `EPOCH:SEQ` |
//! | `P:{P:SOURCE}:generation`, `…:published` | string | the same in a cluster, where they live with their stream |
//! | `P:{T}:node:NODE`, `P:{T}:nodes`, `P:{T}:workers`, `P:{T}:probe:NODE` | pub/sub | control, probe |
//! | `P:{R}:lease` | sorted set | registry: node → end of its lease, ms |
//! | `P:{R}:topics:NODE` | set | registry: the topics that a node speaks of |
//! | `P:{T}:health:AGENT` | list | samples of an agent's health, oldest first |
//! | `P:{R}:on:TOPIC:NODE` | hash | registry: key → JSON |
//!
//! `P` is `KEY_PREFIX`, `T` a tag by what the name is about, `R` one tag for the whole registry,
//! because its scripts touch several of its keys. Names of channels are ASCII: `domain::id::encode`.

use domain::{channel::Channel, id, node::NodeId, source::Source};

use crate::{Topic, tags};

/// The key that says how many partitions are in force.
const PARTITIONS: &str = "partitions";

/// Spells names under one `KEY_PREFIX`.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
    /// Whether several servers share the keys.
    spread: bool,
}

impl Keys {
    pub(super) fn new(prefix: &str, spread: bool) -> Self {
        Self { prefix: prefix.to_owned(), spread }
    }

    /// What all keys begin with.
    pub(super) fn all(&self) -> String {
        format!("{}:", self.prefix)
    }

    /// Whether a key is of our making, or a stream that producers append to. Ours have a tag.
    pub(super) fn knows(&self, key: &str) -> bool {
        let Some(name) = key.strip_prefix(&self.all()) else { return false };
        name.starts_with('{') || name == PARTITIONS || name.parse::<Source>().is_ok()
    }

    /// The ingest stream of a source.
    pub(super) fn stream(&self, source: Source) -> String {
        format!("{}:{source}", self.prefix)
    }

    /// How many partitions each stream has.
    pub(super) fn partitions(&self) -> String {
        format!("{}:partitions", self.prefix)
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
        self.beside_stream(source, "generation")
    }

    /// How far a source may be published; in the slot of its mark.
    pub(super) fn published(&self, source: Source) -> String {
        self.beside_stream(source, "published")
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

    /// The pub/sub channel by which a node hears itself; `tag` says at which server, else its name.
    pub(super) fn probe(&self, node: &NodeId, tag: Option<&str>) -> String {
        let tag = tag.unwrap_or_else(|| tags::of(&node.0));
        format!("{}:{{{tag}}}:probe:{node}", self.prefix)
    }

    /// The samples of an agent's health.
    pub(super) fn samples(&self, agent: &str) -> String {
        self.about("health", &id::encode(agent))
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

    fn registry(&self, name: &str) -> String {
        format!("{}:{{{}}}:{name}", self.prefix, tags::of("registry"))
    }

    /// What is remembered of a source: it must be lost with its stream, and only then.
    fn beside_stream(&self, source: Source, what: &str) -> String {
        if self.spread {
            return format!("{}:{{{}}}:{what}", self.prefix, self.stream(source));
        }
        let source = source.to_string();
        format!("{}:{{{}}}:{what}:{source}", self.prefix, tags::of(&source))
    }

    fn about(&self, what: &str, name: &str) -> String {
        format!("{}:{{{}}}:{what}:{name}", self.prefix, tags::of(name))
    }
}
