//! The kinds of events: a closed list, so that the compiler names every place that must decide
//! about a new one.

use std::sync::Arc;

use crate::{
    channel::{Channel, ChannelKind},
    source::Stream,
};

/// What kind of thing happened (contract §3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `deployment_update`
    DeploymentUpdate,
    /// `deployment_log`
    DeploymentLog,
    /// `task_created`
    TaskCreated,
    /// `task_update`
    TaskUpdate,
    /// `task_log`
    TaskLog,
    /// `task_result`
    TaskResult,
    /// `agent_status`
    AgentStatus,
    /// `agent_update`
    AgentUpdate,
    /// `git_status`
    GitStatus,
    /// `alert`
    Alert,
    /// `alert_acknowledged`
    AlertAcknowledged,
    /// `log` of a container
    ContainerLog,
    /// `status` of a container
    ContainerStatus,
    /// `error` of a container
    ContainerError,
    /// `complete` of a container
    ContainerComplete,
    /// `notification`
    Notification,
    /// `chat_message`
    ChatMessage,
    /// `system`
    System,
    /// Any other type on the stream `messages`, passed through.
    Free(Arc<str>),
}

impl EventKind {
    const NAMED: [Self; 18] = [
        Self::DeploymentUpdate,
        Self::DeploymentLog,
        Self::TaskCreated,
        Self::TaskUpdate,
        Self::TaskLog,
        Self::TaskResult,
        Self::AgentStatus,
        Self::AgentUpdate,
        Self::GitStatus,
        Self::Alert,
        Self::AlertAcknowledged,
        Self::ContainerLog,
        Self::ContainerStatus,
        Self::ContainerError,
        Self::ContainerComplete,
        Self::Notification,
        Self::ChatMessage,
        Self::System,
    ];

    /// The name on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::DeploymentUpdate => "deployment_update",
            Self::DeploymentLog => "deployment_log",
            Self::TaskCreated => "task_created",
            Self::TaskUpdate => "task_update",
            Self::TaskLog => "task_log",
            Self::TaskResult => "task_result",
            Self::AgentStatus => "agent_status",
            Self::AgentUpdate => "agent_update",
            Self::GitStatus => "git_status",
            Self::Alert => "alert",
            Self::AlertAcknowledged => "alert_acknowledged",
            Self::ContainerLog => "log",
            Self::ContainerStatus => "status",
            Self::ContainerError => "error",
            Self::ContainerComplete => "complete",
            Self::Notification => "notification",
            Self::ChatMessage => "chat_message",
            Self::System => "system",
            Self::Free(name) => name,
        }
    }

    /// The kind of that name; [`EventKind::Free`] when it is none of ours.
    pub fn from_name(name: &str) -> Self {
        Self::NAMED
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or_else(|| Self::Free(name.into()))
    }

    /// The kind of that name on that stream; none when the stream does not know it.
    ///
    /// On `messages` a name that means something on another stream is free: seed 003 broadcasts
    /// any type, `task_update` among them, and it must not be taken for a task's event.
    pub fn on(stream: Stream, name: &str) -> Option<Self> {
        let kind = Self::from_name(name);
        if kind.stream() == stream {
            Some(kind)
        } else {
            (stream == Stream::Messages).then(|| Self::Free(name.into()))
        }
    }

    /// The stream that carries events of this kind.
    pub const fn stream(&self) -> Stream {
        match self {
            Self::DeploymentUpdate | Self::DeploymentLog => Stream::Deployments,
            Self::TaskCreated | Self::TaskUpdate | Self::TaskLog | Self::TaskResult => {
                Stream::Tasks
            }
            Self::AgentStatus
            | Self::AgentUpdate
            | Self::GitStatus
            | Self::Alert
            | Self::AlertAcknowledged => Stream::Agents,
            Self::ContainerLog
            | Self::ContainerStatus
            | Self::ContainerError
            | Self::ContainerComplete => Stream::Containers,
            Self::Notification | Self::ChatMessage | Self::System | Self::Free(_) => {
                Stream::Messages
            }
        }
    }

    /// Whether an event of this kind must say what it is about.
    pub const fn needs_id(&self) -> bool {
        !matches!(self, Self::Notification | Self::System | Self::Free(_))
    }

    /// The channels that carry an event of this kind about `id`.
    pub(super) fn channels(&self, id: Option<&str>) -> Vec<Channel> {
        let own = |kind| Channel::entity(kind, id.unwrap_or_default());
        match self {
            Self::DeploymentUpdate => {
                vec![own(ChannelKind::Deployment), Channel::feed(ChannelKind::Deployments)]
            }
            Self::DeploymentLog => vec![own(ChannelKind::Deployment)],
            Self::TaskCreated | Self::TaskUpdate | Self::TaskLog | Self::TaskResult => {
                vec![own(ChannelKind::Task), Channel::feed(ChannelKind::Tasks)]
            }
            Self::AgentStatus | Self::AgentUpdate => {
                vec![own(ChannelKind::Agent), Channel::feed(ChannelKind::Agents)]
            }
            Self::GitStatus => vec![Channel::feed(ChannelKind::Repos)],
            Self::Alert | Self::AlertAcknowledged => vec![Channel::feed(ChannelKind::Alerts)],
            Self::ContainerLog
            | Self::ContainerStatus
            | Self::ContainerError
            | Self::ContainerComplete => vec![own(ChannelKind::Container)],
            Self::ChatMessage => {
                vec![own(ChannelKind::Conversation), Channel::feed(ChannelKind::Conversations)]
            }
            Self::Notification | Self::System | Self::Free(_) => match id {
                Some(_) => vec![own(ChannelKind::User)],
                None => vec![Channel::feed(ChannelKind::Broadcast)],
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stream_knows_its_own_types_and_messages_takes_free_ones() {
        assert_eq!(
            EventKind::on(Stream::Deployments, "deployment_log"),
            Some(EventKind::DeploymentLog)
        );
        assert_eq!(EventKind::on(Stream::Deployments, "task_update"), None);
        assert_eq!(EventKind::on(Stream::Containers, "nonsense"), None);
        for name in ["nonsense", "task_update"] {
            let free = Some(EventKind::Free(name.into()));
            assert_eq!(EventKind::on(Stream::Messages, name), free);
        }
        for kind in EventKind::NAMED {
            assert_eq!(EventKind::from_name(kind.name()), kind);
        }
    }
}
