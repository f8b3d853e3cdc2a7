//! The catalog: every type of event that means something, one row each (contract §3).
//!
//! Parsing, routing, the schemas at the doors and in `/schemas`, the fold, the documentation's table and
//! the descriptions of the API come from these rows or are held to them by tests. A new type is a
//! row here, its part in a fold, and an encoder for each dialect that has a word for it.

use std::sync::Arc;

use serde_json::Value;

use super::{
    entity::EntityKind,
    schema::{ANY, Schema, Shape, optional, required},
};
use crate::{channel::ChannelKind, source::Stream};

/// What an agent's status may be.
pub const AGENT_STATUSES: [&str; 4] = ["online", "offline", "busy", "idle"];
/// What an agent may be doing.
pub const AGENT_STATES: [&str; 3] = ["idle", "working", "stopped"];
/// How grave an alert may be.
pub const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

/// What a type is about: what its `id` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An entity, whose state the event changes.
    Entity(EntityKind),
    /// An agent; the event changes the states of the repositories that its data names.
    Repos,
    /// A conversation.
    Conversation,
    /// A user; without an id everybody.
    User,
}

/// Who may write events of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// Whoever may publish on its stream.
    Anyone,
    /// The worker alone: from outside it is refused as `reserved` (contract §8).
    Worker,
}

/// What becomes of an event of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is recorded and published.
    Recorded,
    /// It asks for something and is no event itself; answered with what it caused.
    Request,
}

/// A row of the catalog.
#[derive(Debug)]
pub struct EventType {
    /// The kind.
    pub kind: EventKind,
    /// Its name on the wire.
    pub name: &'static str,
    /// The stream that carries it.
    pub stream: Stream,
    /// What its `id` names.
    pub subject: Subject,
    /// The channels that carry it: those of an entity with its id.
    pub channels: &'static [ChannelKind],
    /// What its `data` must look like.
    pub schema: Schema,
    /// Who may write it.
    pub writer: Writer,
    /// What becomes of it.
    pub kept: Kept,
}

const DEPLOYMENT: Subject = Subject::Entity(EntityKind::Deployment);
const TASK: Subject = Subject::Entity(EntityKind::Task);
const AGENT: Subject = Subject::Entity(EntityKind::Agent);
const ALERT: Subject = Subject::Entity(EntityKind::Alert);
const CONTAINER: Subject = Subject::Entity(EntityKind::Container);

const OF_DEPLOYMENTS: &[ChannelKind] = &[ChannelKind::Deployment, ChannelKind::Deployments];
const OF_TASKS: &[ChannelKind] = &[ChannelKind::Task, ChannelKind::Tasks];
const OF_AGENTS: &[ChannelKind] = &[ChannelKind::Agent, ChannelKind::Agents];
const OF_CONVERSATIONS: &[ChannelKind] = &[ChannelKind::Conversation, ChannelKind::Conversations];

const fn asks(members: &'static [super::schema::Member]) -> Schema {
    Schema { members, ..ANY }
}

const LOG_LINES: Schema = Schema {
    first_of: &[required("lines", Shape::Texts), required("message", Shape::Text)],
    ..ANY
};
const AGENT_STATUS: Schema = Schema {
    members: &[
        optional("status", Shape::Word(&AGENT_STATUSES)),
        optional("state", Shape::Word(&AGENT_STATES)),
    ],
    any_of: &["status", "state"],
    ..ANY
};
const TITLE: Schema = asks(&[required("title", Shape::FilledText)]);
const REPOS: Schema = asks(&[required("repos", Shape::Repos)]);
const RAISED: Schema =
    asks(&[required("severity", Shape::Word(&SEVERITIES)), required("title", Shape::FilledText)]);
const LINE: Schema = asks(&[required("message", Shape::Text)]);
const MESSAGE: Schema = asks(&[required("message", Shape::FilledText)]);
const CONTENT: Schema = asks(&[required("content", Shape::FilledText)]);

/// Makes the enumeration and the rows out of one list.
macro_rules! catalog {
    ($($kind:ident $name:literal $stream:ident $subject:expr, $channels:expr, $schema:expr
        $(, $writer:ident)? $(=> $kept:ident)?;)*) => {
        /// What kind of thing happened.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $(
                #[doc = concat!("`", $name, "` of the stream of ", stringify!($stream))]
                $kind,
            )*
            /// Any other type on the stream of messages, and every type of a free message.
            Free(Arc<str>),
            /// Any type on the stream of topics.
            Topic(Arc<str>),
        }

        /// Every row, in the order of the contract's table.
        pub static CATALOG: &[EventType] = &[
            $(EventType {
                kind: EventKind::$kind,
                name: $name,
                stream: Stream::$stream,
                subject: $subject,
                channels: $channels,
                schema: $schema,
                writer: writer!($($writer)?),
                kept: kept!($($kept)?),
            },)*
        ];
    };
}

macro_rules! writer {
    () => {
        Writer::Anyone
    };
    ($writer:ident) => {
        Writer::$writer
    };
}

macro_rules! kept {
    () => {
        Kept::Recorded
    };
    ($kept:ident) => {
        Kept::$kept
    };
}

catalog! {
    DeploymentUpdate "deployment_update" Deployments DEPLOYMENT, OF_DEPLOYMENTS, ANY;
    DeploymentLog "deployment_log" Deployments DEPLOYMENT, &[ChannelKind::Deployment], LOG_LINES;
    TaskCreated "task_created" Tasks TASK, OF_TASKS, TITLE;
    TaskUpdate "task_update" Tasks TASK, OF_TASKS, ANY;
    TaskLog "task_log" Tasks TASK, OF_TASKS, ANY;
    TaskResult "task_result" Tasks TASK, OF_TASKS, ANY;
    TaskProgress "task_progress" Tasks TASK, OF_TASKS, ANY;
    TaskAssigned "task_assigned" Tasks TASK, OF_TASKS, ANY, Worker;
    TaskAccepted "task_accepted" Tasks TASK, OF_TASKS, ANY, Worker;
    TaskReleased "task_released" Tasks TASK, OF_TASKS, ANY, Worker;
    TaskCancelled "task_cancelled" Tasks TASK, OF_TASKS, ANY, Worker;
    TaskExpired "task_expired" Tasks TASK, OF_TASKS, ANY, Worker;
    TaskRetried "task_retried" Tasks TASK, OF_TASKS, ANY, Worker;
    TaskCancel "task_cancel" Tasks TASK, OF_TASKS, ANY => Request;
    TaskRetry "task_retry" Tasks TASK, OF_TASKS, ANY => Request;
    AgentStatus "agent_status" Agents AGENT, OF_AGENTS, AGENT_STATUS;
    AgentUpdate "agent_update" Agents AGENT, OF_AGENTS, ANY;
    GitStatus "git_status" Agents Subject::Repos, &[ChannelKind::Repos], REPOS;
    Alert "alert" Agents ALERT, &[ChannelKind::Alerts], RAISED;
    AlertAcknowledged "alert_acknowledged" Agents ALERT, &[ChannelKind::Alerts], ANY;
    ContainerLog "log" Containers CONTAINER, &[ChannelKind::Container], LINE;
    ContainerStatus "status" Containers CONTAINER, &[ChannelKind::Container], ANY;
    ContainerError "error" Containers CONTAINER, &[ChannelKind::Container], ANY;
    ContainerComplete "complete" Containers CONTAINER, &[ChannelKind::Container], ANY;
    Notification "notification" Messages Subject::User, &[ChannelKind::User], MESSAGE;
    ChatMessage "chat_message" Messages Subject::Conversation, OF_CONVERSATIONS, CONTENT;
    System "system" Messages Subject::User, &[ChannelKind::User], MESSAGE;
}

/// Returns the JSON Schema of a type's `data`, as it is served at `/schemas/STREAM/TYPE.json`; of
/// streams that take any type there is one named `any`.
pub fn schema_document(stream: Stream, name: &str) -> Option<Value> {
    let address = format!("/schemas/{stream}/{name}.json");
    if name == "any" && matches!(stream, Stream::Messages | Stream::Topics) {
        return Some(ANY.document(&address, name));
    }
    let row = CATALOG.iter().find(|row| row.stream == stream && row.name == name)?;
    let mut document = row.schema.document(&address, name);
    let note = match (row.writer, row.kept) {
        (Writer::Worker, _) => "Written by the worker alone; refused from outside.",
        (_, Kept::Request) => "Asks for something and is no event itself.",
        _ => return Some(document),
    };
    document["description"] = note.into();
    Some(document)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_has_two_rows_and_no_channel_is_of_another_stream() {
        let names: BTreeSet<&str> = CATALOG.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), CATALOG.len());
        for row in CATALOG {
            assert!(!row.channels.is_empty(), "{}", row.name);
            for channel in row.channels {
                assert_eq!(channel.stream(), row.stream, "{} on {channel:?}", row.name);
            }
        }
    }

    #[test]
    fn the_steps_of_a_task_are_the_workers_and_what_asks_is_no_event() {
        let of = |wanted: fn(&EventType) -> bool| -> Vec<&str> {
            CATALOG.iter().filter(|row| wanted(row)).map(|row| row.name).collect()
        };
        assert_eq!(
            of(|row| row.writer == Writer::Worker),
            [
                "task_assigned",
                "task_accepted",
                "task_released",
                "task_cancelled",
                "task_expired",
                "task_retried"
            ]
        );
        assert_eq!(of(|row| row.kept == Kept::Request), ["task_cancel", "task_retry"]);
    }

    #[test]
    fn every_type_has_a_schema_and_free_types_have_one_for_all() {
        for row in CATALOG {
            let document = schema_document(row.stream, row.name).unwrap();
            assert_eq!(document["$id"], format!("/schemas/{}/{}.json", row.stream, row.name));
            let is_plain = row.writer == Writer::Anyone && row.kept == Kept::Recorded;
            assert_eq!(document.get("description").is_none(), is_plain, "{}", row.name);
        }
        let title = schema_document(Stream::Tasks, "task_created").unwrap();
        assert_eq!(title["required"][0], "title");
        for stream in Stream::ALL {
            let is_free = matches!(stream, Stream::Messages | Stream::Topics);
            assert_eq!(schema_document(stream, "any").is_some(), is_free, "{stream}");
        }
        assert_eq!(schema_document(Stream::Tasks, "alert"), None);
    }
}
