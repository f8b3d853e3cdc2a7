//! The folded state of an entity: what all its events together say, as one JSON object.
//!
//! A fold is pure: it knows the state before, the event and the time of recording, nothing else.
//! Worker and gateway call the same function, so events travel small and both come to the same
//! state.

use serde_json::{Map, Value};

use super::{Event, EventKind, agent, container, deployment, task};
use crate::channel::{Channel, ChannelKind};

/// The most log lines that a state keeps (`protocols.md` §0.2, trap 7).
pub const LOG_LINES_MAX: usize = 100;

/// The most bytes of log lines that a state keeps; older lines go first.
///
/// Half of the default `STATE_BYTES`: a talkative build must not keep its ending from fitting.
pub const LOG_BYTES_MAX: usize = 128 * 1024;

/// The state of an entity.
pub type State = Map<String, Value>;

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

impl Event {
    /// The entities whose states the event changes.
    pub fn entities(&self) -> Vec<Entity> {
        let own = |kind| {
            let id = self.id.clone().unwrap_or_default();
            vec![Entity { kind, id }]
        };
        match &self.kind {
            EventKind::DeploymentUpdate | EventKind::DeploymentLog => own(EntityKind::Deployment),
            EventKind::TaskCreated
            | EventKind::TaskUpdate
            | EventKind::TaskLog
            | EventKind::TaskResult => own(EntityKind::Task),
            EventKind::AgentStatus | EventKind::AgentUpdate => own(EntityKind::Agent),
            EventKind::GitStatus => agent::repos(self.body()),
            EventKind::Alert | EventKind::AlertAcknowledged => own(EntityKind::Alert),
            EventKind::ContainerLog
            | EventKind::ContainerStatus
            | EventKind::ContainerError
            | EventKind::ContainerComplete => own(EntityKind::Container),
            EventKind::Notification
            | EventKind::ChatMessage
            | EventKind::System
            | EventKind::Free(_) => Vec::new(),
        }
    }
}

/// Folds one event into the state of one of its entities.
///
/// `state` is none before the entity's first event; the answer is none when the event says nothing
/// about an entity that nobody knows. `recorded` is the time of recording, ms since 1970.
pub fn fold(entity: &Entity, state: Option<State>, event: &Event, recorded: i64) -> Option<State> {
    match entity.kind {
        EntityKind::Deployment => Some(deployment::fold(&entity.id, state, event, recorded)),
        EntityKind::Task => Some(task::fold(&entity.id, state, event, recorded)),
        EntityKind::Agent => Some(agent::fold(&entity.id, state, event, recorded)),
        EntityKind::Container => Some(container::fold(&entity.id, state, event, recorded)),
        EntityKind::Repo => agent::fold_repo(&entity.id, state, event, recorded),
        EntityKind::Alert => agent::fold_alert(&entity.id, state, event, recorded),
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

/// The lines of a log event: `{lines:[…]}` or `{message}`.
pub(super) fn log_lines(body: &State) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (body.get("lines"), body.get("message")) {
        (Some(Value::Array(lines)), _) => lines.iter().map(text).collect(),
        (_, Some(message)) => vec![text(message)],
        _ => Vec::new(),
    }
}

/// Appends lines to a log tail and keeps it within its bounds.
pub(super) fn append_lines(logs: &mut Vec<Value>, lines: impl IntoIterator<Item = String>) {
    logs.extend(lines.into_iter().map(Value::String));
    let surplus = logs.len().saturating_sub(LOG_LINES_MAX);
    logs.drain(..surplus);
    let size = |line: &Value| line.as_str().map_or(64, str::len);
    let mut bytes: usize = logs.iter().map(size).sum();
    let mut oversize = 0;
    while bytes > LOG_BYTES_MAX && oversize + 1 < logs.len() {
        bytes -= size(&logs[oversize]);
        oversize += 1;
    }
    logs.drain(..oversize);
    if bytes > LOG_BYTES_MAX
        && let Some(Value::String(line)) = logs.first_mut()
    {
        let mut end = LOG_BYTES_MAX;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
    }
}

/// Takes the log tail out of a state, whatever stands there.
pub(super) fn take_logs(state: &mut State) -> Vec<Value> {
    match state.get_mut("logs").map(Value::take) {
        Some(Value::Array(logs)) => logs,
        Some(Value::String(text)) => text.lines().map(|line| Value::String(line.into())).collect(),
        _ => Vec::new(),
    }
}

/// `ms` since 1970 as `2026-11-20T10:30:51.123Z`.
pub fn iso(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => String::from("1970-01-01T00:00:00.000Z"),
    }
}
