//! What agents say, checked, and what follows from it.

use broker::Registration;
use domain::{
    channel::{Channel, ChannelKind},
    entry::Fields,
    event::{
        DATA_BYTES_MAX,
        bound::bound,
        catalog::AGENT_STATUSES as STATUSES,
        entity::{Entity, EntityKind},
        submission::field,
    },
    id,
    source::Stream,
    time::iso,
};
use serde_json::{Map, Value, json};
use websocket::Frame;

use super::{
    dashboard,
    encoder::ENCODING,
    work,
    zod::{self, Issues},
};
use crate::{
    cluster::registry,
    protocol::{Append, Command, Condition, Mode, Receipt, Subscribe, View},
};

/// The registry's topic of agents, by agent and connection.
pub(super) const AGENTS: &str = "agents";

const TYPES: [&str; 4] = ["agent-status", "git-status", "task-result", "pong"];
const REPO_STATUSES: [&str; 5] = ["clean", "dirty", "ahead", "behind", "diverged"];
const RESULTS: [&str; 2] = ["completed", "failed"];

/// What a frame in the documented shape asks for.
pub(super) fn understand(value: Value, view: &View<'_>) -> Result<Vec<Command>, Issues> {
    let Value::Object(frame) = value else {
        return Err(zod::invalid_type("object", Some(&value), &json!([])).into());
    };
    let mut issues = Issues::default();
    let kind = frame.get("type").and_then(Value::as_str);
    if kind == Some("status-request") && noted(view).is_none() {
        return Ok(dashboard::open());
    }
    match kind {
        Some("agent-status") => check_agent(&frame, &mut issues),
        Some("git-status") => check_repos(&frame, &mut issues),
        Some("task-result") => {
            let mut fields = zod::FieldChecks::new(&frame, Vec::new(), &mut issues);
            fields.id("taskId");
            fields.word("status", &RESULTS, true);
            fields.maybe_text("logs");
        }
        Some(kind) if work::TYPES.contains(&kind) => work::check(kind, &frame, &mut issues),
        // Whatever its timestamp looks like: real agents write it in words.
        Some("pong") => {}
        _ => issues.push(zod::invalid_discriminator(&TYPES)),
    }
    if !issues.is_empty() {
        return Err(issues);
    }
    Ok(match kind {
        Some("agent-status") => agent_status(&frame, view),
        Some("git-status") => vec![git_status(&frame, view)],
        Some("task-result") => vec![task_result(&frame, view)],
        Some(kind) if work::TYPES.contains(&kind) => {
            let agent = noted(view);
            vec![work::step(kind, &frame, agent_id(agent.as_ref()), view, &work::FRAMES)?]
        }
        _ => pong(view),
    })
}

fn check_agent(frame: &Map<String, Value>, issues: &mut Issues) {
    let mut fields = zod::FieldChecks::new(frame, Vec::new(), issues);
    fields.id("agentId");
    fields.word("status", &STATUSES, true);
    fields.maybe_texts("capabilities");
    fields.maybe_object("metadata");
}

fn check_repos(frame: &Map<String, Value>, issues: &mut Issues) {
    let Some(Value::Array(repos)) = frame.get("repos") else {
        issues.push(zod::invalid_type("array", frame.get("repos"), &json!(["repos"])));
        return;
    };
    for (index, repo) in repos.iter().enumerate() {
        if issues.is_full() {
            // What follows is not looked at: an answer costs no more than it tells.
            return issues.skip(repos.len() - index);
        }
        let path = vec![Value::from("repos"), index.into()];
        let Value::Object(repo) = repo else {
            issues.push(zod::invalid_type("object", Some(repo), &Value::Array(path)));
            continue;
        };
        let mut fields = zod::FieldChecks::new(repo, path, issues);
        fields.id("id");
        fields.filled("path");
        fields.filled("name");
        fields.maybe_text("branch");
        fields.word("status", &REPO_STATUSES, false);
        for count in ["uncommittedCount", "aheadCount", "behindCount"] {
            fields.maybe_count(count);
        }
        fields.maybe_texts("modifiedFiles");
    }
}

/// What is noted beside the agent: the fingerprint of its last status, without its health.
const RECORDED: &str = "recorded";

/// What is noted about an agent's socket: the agent as the list of agents shows it.
fn noted(view: &View<'_>) -> Option<Map<String, Value>> {
    serde_json::from_str(view.memo?).ok()
}

/// Whether an agent of this status is given tasks.
fn takes_tasks(status: Option<&Value>) -> bool {
    status.and_then(Value::as_str).is_some_and(|status| matches!(status, "online" | "idle"))
}

fn note(mut agent: Map<String, Value>, view: &View<'_>) -> Vec<Command> {
    let memo = serde_json::to_string(&agent).unwrap_or_default();
    agent.remove(RECORDED);
    agent.remove("work");
    let id = agent_id(Some(&agent)).unwrap_or_default();
    let key = registry::key(id, view.connection);
    let text = serde_json::to_string(&agent).unwrap_or_default();
    vec![
        Command::Remember(memo.into()),
        Command::Register(Registration { topic: AGENTS, key, value: Some(text) }),
    ]
}

/// Returns what a status says of the agent's health.
fn health(status: &Map<String, Value>) -> Option<&Map<String, Value>> {
    status.get("metadata")?.get("health")?.as_object()
}

/// Returns the fingerprint of an agent's status, its health left out.
fn fingerprint(agent: Option<&Value>, mut status: Map<String, Value>) -> Value {
    if let Some(Value::Object(metadata)) = status.get_mut("metadata") {
        metadata.remove("health");
    }
    let agent = agent.and_then(Value::as_str).unwrap_or_default().to_owned();
    Fields(vec![(agent, Value::Object(status).to_string().into_bytes())]).digest().into()
}

/// Returns the id of an agent that was noted.
fn agent_id(agent: Option<&Map<String, Value>>) -> Option<&str> {
    agent?.get("agentId").and_then(Value::as_str)
}

/// Registers the agent; while it is online or idle it listens to new tasks. The acknowledgement
/// comes when it does: a task that is made after it is not missed.
fn agent_status(frame: &Map<String, Value>, view: &View<'_>) -> Vec<Command> {
    let before = noted(view);
    let was_listening = takes_tasks(before.as_ref().and_then(|agent| agent.get("status")));
    let is_new = before.is_none();
    let mut commands = vec![Command::Encode(ENCODING)];
    let renamed = before.as_ref().filter(|agent| agent.get("agentId") != frame.get("agentId"));
    let other_id = renamed.and_then(|agent| agent.get("agentId")).and_then(Value::as_str);
    let renamed = other_id.is_some();
    if let Some(id) = other_id {
        let key = registry::key(id, view.connection);
        commands.push(Command::Register(Registration { topic: AGENTS, key, value: None }));
    }
    let mut agent = before.unwrap_or_default();
    for key in ["agentId", "connectedAt", "lastPingAt", "status", "capabilities"] {
        if let Some(value) = frame.get(key) {
            agent.insert(key.to_owned(), value.clone());
        }
    }
    agent.entry("connectedAt").or_insert_with(|| iso(view.now).into());
    work::terms(&mut agent, frame);
    let mut data = frame.clone();
    for key in ["type", "agentId", "timestamp"] {
        data.remove(key);
    }
    let recorded = fingerprint(frame.get("agentId"), data.clone());
    let last = agent.insert(RECORDED.to_owned(), recorded.clone());
    commands.extend(note(agent.clone(), view));
    let health = health(&data).cloned();
    // What changes only the health of an agent is sampled and not recorded.
    if health.is_none() || last != Some(recorded) {
        commands.push(append(Stream::Agents, "agent_status", agent.get("agentId"), data));
    }
    if let (Some(said), Some(id)) = (health, agent.get("agentId").and_then(Value::as_str)) {
        commands.push(Command::Health { agent: id.into(), said });
    }
    commands.push(work::offer(&agent, frame, is_new || renamed, view, &work::FRAMES));
    if is_new {
        commands.push(Command::Watch);
    }
    let tasks = Channel::feed(ChannelKind::Tasks);
    match (was_listening, takes_tasks(agent.get("status"))) {
        (false, true) => {
            commands.push(Command::Subscribe(Subscribe::granted(&tasks, Mode::All)));
        }
        (true, false) => commands.push(Command::Unsubscribe(tasks)),
        (true, true) | (false, false) => {}
    }
    commands.push(Command::Send(Frame::text(r#"{"type":"ack","message":"Status updated"}"#)));
    commands
}

/// Asks an agent for all that it has to say of its repositories.
pub(super) fn status_request() -> Frame {
    Frame::text(r#"{"type":"status-request"}"#)
}

/// The repositories of an agent. One that never said who it is goes by what it calls itself here,
/// or by its connection.
fn git_status(frame: &Map<String, Value>, view: &View<'_>) -> Command {
    let agent = noted(view).and_then(|agent| agent.get("agentId").cloned());
    let given =
        frame.get("agentId").filter(|id| id.as_str().is_some_and(|id| id::check(id).is_ok()));
    let agent = agent.or(given.cloned()).unwrap_or_else(|| view.connection.into());
    let repos = frame.get("repos").cloned().unwrap_or_default();
    let data = Map::from_iter([(String::from("repos"), repos)]);
    append(Stream::Agents, "git_status", Some(&agent), data)
}

/// The result of a task that is known; the same result is applied once, however often it is sent.
fn task_result(frame: &Map<String, Value>, view: &View<'_>) -> Command {
    let task = frame.get("taskId");
    let mut data = Map::new();
    data.insert("status".to_owned(), frame.get("status").cloned().unwrap_or_default());
    data.insert("result".to_owned(), frame.get("result").cloned().unwrap_or_default());
    for key in ["logs", "attempt"] {
        if let Some(value) = frame.get(key).filter(|value| !value.is_null()) {
            data.insert(key.to_owned(), value.clone());
        }
    }
    // More than an event may hold: the longest strings are cut and marked, the end counts.
    bound(&mut data, DATA_BYTES_MAX);
    let mut command = append(Stream::Tasks, "task_result", task, data);
    if let Command::Append(append) = &mut command {
        let digest = append.fields.digest();
        append.fields.push(field::EVENT_ID, format!("result:{digest:x}"));
        let id: Box<str> = task.and_then(Value::as_str).unwrap_or_default().into();
        let agent = noted(view);
        let is_answered = agent.as_ref().is_some_and(work::says_when_it_begins);
        let attempt = frame.get("attempt").and_then(Value::as_u64);
        let result_of = is_answered.then(|| (id.clone(), attempt));
        append.receipt = Some(Receipt { frames: &work::FRAMES, result_of });
        append.condition = Some(Condition::Known(Entity { kind: EntityKind::Task, id }));
        if let Some(agent) = agent_id(agent.as_ref()) {
            work::sign(&mut append.fields, agent, view);
        }
    }
    command
}

fn pong(view: &View<'_>) -> Vec<Command> {
    let mut commands = vec![Command::Alive];
    if let Some(mut agent) = noted(view) {
        agent.insert("lastPingAt".to_owned(), iso(view.now).into());
        commands.extend(note(agent, view));
    }
    commands
}

fn append(stream: Stream, kind: &str, id: Option<&Value>, data: Map<String, Value>) -> Command {
    let mut fields = Fields::default();
    fields.push(field::TYPE, kind);
    fields.push(field::ID, id.and_then(Value::as_str).unwrap_or_default());
    fields.push(field::DATA, Value::Object(data).to_string());
    Command::Append(Append { stream, fields, condition: None, receipt: None })
}
