//! Who a credential stands for, and what that allows.

use std::sync::Arc;

use domain::{
    channel::{Channel, ChannelKind, Pattern},
    source::Stream,
};

/// Who a credential stands for, and what they may do. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user; none for strangers and services.
    pub user: Option<Arc<str>>,
    /// When the token expires, ms since 1970.
    pub expires_at: Option<i64>,
    pub(super) rights: Arc<Rights>,
}

#[derive(Debug, Default)]
pub(super) struct Rights {
    pub(super) name: Option<String>,
    pub(super) channels: Vec<Pattern>,
    pub(super) publish: Vec<Pattern>,
    pub(super) admin: bool,
    pub(super) agent: bool,
}

impl Identity {
    /// The same rights under a name that a seed's own rule gives.
    #[must_use]
    pub fn named(mut self, user: &str) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Whether they proved to be anybody.
    pub fn is_known(&self) -> bool {
        self.user.is_some() || self.rights.admin
    }

    /// Whether they may do what an API key may.
    pub fn is_admin(&self) -> bool {
        self.rights.admin
    }

    /// Whether they bring results: a token of the role `agent`.
    pub fn is_agent(&self) -> bool {
        self.rights.agent
    }

    /// Whether they may read a channel.
    pub fn may_read(&self, channel: &Channel) -> bool {
        let own = channel.kind() == ChannelKind::User && channel.id() == self.user.as_deref();
        own || self.rights.admin
            || self.rights.channels.iter().any(|pattern| pattern.matches(channel.as_str()))
    }

    /// Whether there is any channel that they may read.
    pub fn may_read_anything(&self) -> bool {
        self.is_known() || !self.rights.channels.is_empty()
    }

    /// Whether they may publish to a stream, about this id.
    pub fn may_publish(&self, stream: Stream, id: Option<&str>) -> bool {
        let one = id.map(|id| format!("{}:{id}", stream.name()));
        let covers = |pattern: &Pattern| {
            pattern.matches(stream.name()) || one.as_ref().is_some_and(|one| pattern.matches(one))
        };
        self.rights.admin || self.rights.publish.iter().any(covers)
    }

    /// Returns the name of their API key.
    pub fn api_key(&self) -> Option<&str> {
        self.rights.name.as_deref()
    }
}
