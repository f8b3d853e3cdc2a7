//! Dashboards, which ask first: what they are shown then, and from then on (`protocols.md` §2).

use domain::{
    channel::{Channel, ChannelKind},
    event::{EventKind, State, entity::EntityKind},
    position::Position,
    publication::{Publication, Recorded},
};
use serde_json::{Value, json};
use store::EntityFilter;
use websocket::Frame;

use crate::protocol::{Command, Encoder, Encoding, ListRequest, Mode, Subscribe};

/// The encoding of dashboards.
pub const DASHBOARD: Encoding = Encoding::new(8, &DashboardEncoder);

/// The most of each kind that a dashboard is shown when it asks.
const LISTED_MAX: usize = 100;

struct DashboardEncoder;

impl Encoder for DashboardEncoder {
    fn dialect(&self) -> &'static str {
        "cockpit"
    }

    fn event(&self, publication: &Publication, _position: &Position) -> Option<Frame> {
        let recorded = &publication.recorded;
        match (&recorded.event.kind, publication.channel.kind()) {
            (EventKind::TaskCreated, ChannelKind::Tasks) => {
                Some(frame("task_created", &created(recorded)))
            }
            (EventKind::TaskResult, ChannelKind::Tasks) => {
                Some(frame("task-result", &result(recorded)))
            }
            (EventKind::GitStatus, ChannelKind::Repos) => {
                let repos = recorded.event.body().get("repos");
                Some(frame("git-status", &json!({ "repos": repos })))
            }
            (EventKind::Alert, ChannelKind::Alerts) => Some(frame("alert", &raised(recorded))),
            _ => None,
        }
    }
}

/// Returns what follows from the first word of a dashboard. It listens before the lists are read, so
/// that nothing lies between them and what follows.
pub(super) fn open() -> Vec<Command> {
    let feeds = [ChannelKind::Tasks, ChannelKind::Repos, ChannelKind::Alerts];
    let listen = |feed| Command::Subscribe(Subscribe::granted(&Channel::feed(feed), Mode::All));
    let list = |kind, filter: EntityFilter, write| {
        let filter = EntityFilter { limit: LISTED_MAX, ..filter };
        Command::List(ListRequest { kind, filter, write })
    };
    let created = EntityFilter { having: Some("created_at"), ..EntityFilter::default() };
    let unseen =
        EntityFilter { matching: vec![("acknowledged", 0.into())], ..EntityFilter::default() };
    let mut commands = vec![Command::Encode(DASHBOARD)];
    commands.extend(feeds.map(listen));
    commands.push(list(EntityKind::Task, created, tasks));
    commands.push(list(EntityKind::Repo, EntityFilter::default(), repos));
    commands.push(list(EntityKind::Alert, unseen, alerts));
    commands
}

fn frame(kind: &str, payload: &Value) -> Frame {
    Frame::text(&json!({ "type": kind, "payload": payload }).to_string())
}

/// Returns members under other names; what is missing is null.
fn renamed(state: &State, names: &[(&str, &str)]) -> Value {
    let take = |(key, name): &(&str, &str)| {
        ((*name).to_owned(), state.get(*key).cloned().unwrap_or(Value::Null))
    };
    Value::Object(names.iter().map(take).collect())
}

const TASK: [(&str, &str); 8] = [
    ("id", "id"),
    ("title", "title"),
    ("status", "status"),
    ("executor", "executor"),
    ("created_at", "createdAt"),
    ("updated_at", "updatedAt"),
    ("logs", "logs"),
    ("result", "result"),
];

const REPO: [(&str, &str); 9] = [
    ("id", "id"),
    ("path", "path"),
    ("name", "name"),
    ("branch", "branch"),
    ("status", "status"),
    ("uncommitted_count", "uncommittedCount"),
    ("ahead_count", "aheadCount"),
    ("behind_count", "behindCount"),
    ("modifiedFiles", "modifiedFiles"),
];

const ALERT: [(&str, &str); 6] = [
    ("id", "id"),
    ("severity", "severity"),
    ("title", "title"),
    ("message", "message"),
    ("source", "source"),
    ("created_at", "createdAt"),
];

fn tasks(states: &[State]) -> Vec<Frame> {
    let tasks: Vec<Value> = states.iter().map(|task| renamed(task, &TASK)).collect();
    vec![frame("tasks", &tasks.into())]
}

fn repos(states: &[State]) -> Vec<Frame> {
    let repos: Vec<Value> = states.iter().map(|repo| renamed(repo, &REPO)).collect();
    vec![frame("git-status", &json!({ "repos": repos }))]
}

fn alerts(states: &[State]) -> Vec<Frame> {
    let alert = |state| {
        let mut alert = renamed(state, &ALERT);
        alert["acknowledged"] = false.into();
        frame("alert", &alert)
    };
    states.iter().map(alert).collect()
}

fn created(recorded: &Recorded) -> Value {
    let seconds = recorded.recorded / 1000;
    let mut task = renamed(recorded.event.body(), &TASK);
    task["id"] = recorded.event.id.as_deref().into();
    if task["status"].is_null() {
        task["status"] = "pending".into();
    }
    task["createdAt"] = seconds.into();
    task["updatedAt"] = seconds.into();
    task
}

fn result(recorded: &Recorded) -> Value {
    let body = recorded.event.body();
    let failed = body.get("error").is_some_and(|error| !error.is_null());
    let status = match body.get("status") {
        Some(status @ Value::String(_)) => status.clone(),
        _ => Value::from(if failed { "failed" } else { "completed" }),
    };
    json!({
        "taskId": recorded.event.id,
        "status": status,
        "result": body.get("result"),
        "logs": body.get("logs"),
    })
}

fn raised(recorded: &Recorded) -> Value {
    let mut alert = renamed(recorded.event.body(), &ALERT);
    alert["id"] = recorded.event.id.as_deref().into();
    alert["createdAt"] = (recorded.recorded / 1000).into();
    alert["acknowledged"] = false.into();
    alert
}
