//! Tasks for one, as agents speak of them: what they offer, the steps that they take, what they are
//! told (contract §8).

use domain::{
    entry::Fields,
    event::{Rejection, catalog::AGENT_STATUSES, submission::field},
    source::Stream,
};
use serde_json::{Map, Value, json};
use store::{AgentSocket, Attempts};
use websocket::Frame;

use super::{
    task,
    zod::{self, FieldChecks, Issues},
};
use crate::protocol::{AgentFrames, AgentOffer, Append, Command, Receipt, TaskHandover, View};

/// The frames of tasks for one that agents send.
pub(super) const TYPES: [&str; 4] = ["task-accept", "task-progress", "task-log", "task-reject"];

/// The most slots that an agent may offer.
const SLOTS_MAX: u64 = 1000;

/// The most attempts that an agent may say it still runs.
const RUNNING_MAX: usize = 10_000;

/// What the results of dependencies may take together in a frame, in bytes.
const DEPENDENCIES_BYTES_MAX: usize = 1 << 20;

/// The frames of seed 001's doors.
pub(super) static FRAMES: CockpitFrames = CockpitFrames;

/// Writes what agents are told, with errors in the words of Zod.
#[derive(Debug)]
pub(super) struct CockpitFrames;

impl AgentFrames for CockpitFrames {
    fn task(&self, handover: &TaskHandover<'_>) -> Frame {
        let claimed = handover.claimed;
        let mut frame = task::shape(handover.id, &claimed.state);
        frame["attempt"] = handover.attempt.into();
        frame["graceMs"] = handover.grace_ms.into();
        frame["timeoutMs"] = handover.timeout_ms.into();
        frame["priority"] = claimed.task.spec.priority.into();
        if !claimed.dependencies.is_empty() {
            frame["dependencies"] = dependencies(handover);
        }
        Frame::text(&frame.to_string())
    }

    fn cancel(&self, task: &str, attempt: u64, reason: &str) -> Frame {
        let frame =
            json!({ "type": "task-cancel", "taskId": task, "attempt": attempt, "reason": reason });
        Frame::text(&frame.to_string())
    }

    fn recorded(&self, task: &str, attempt: u64) -> Frame {
        let frame = json!({ "type": "task-recorded", "taskId": task, "attempt": attempt });
        Frame::text(&frame.to_string())
    }

    fn refused(&self, rejection: &Rejection) -> Frame {
        let path = rejection.path.strip_prefix("data.").unwrap_or(&rejection.path);
        let path: Vec<&str> = path.split('.').collect();
        let issue = json!({ "code": "custom", "message": rejection.message, "path": path });
        zod::error_frame(issue.into())
    }
}

/// The results of what a task depends on, in order; what is over the bound is null.
fn dependencies(handover: &TaskHandover<'_>) -> Value {
    let mut left = DEPENDENCIES_BYTES_MAX;
    let result = |(task, state): &(Box<str>, Option<domain::event::State>)| {
        let result = state.as_ref().and_then(|state| state.get("result")).cloned();
        let result = result.unwrap_or(Value::Null);
        let bytes = domain::event::bound::json_bytes(&result);
        if bytes > left {
            return json!({ "taskId": task, "result": null, "truncated": true });
        }
        left -= bytes;
        json!({ "taskId": task, "result": result })
    };
    handover.claimed.dependencies.iter().map(result).collect()
}

/// What an agent's metadata say of the tasks that it takes, as far as they do.
pub(super) fn terms(agent: &mut Map<String, Value>, frame: &Map<String, Value>) {
    let Some(Value::Object(metadata)) = frame.get("metadata") else { return };
    let mut terms = match agent.remove("work") {
        Some(Value::Object(terms)) => terms,
        _ => Map::new(),
    };
    if let Some(slots) = metadata.get("slots").and_then(Value::as_u64).filter(|n| *n <= SLOTS_MAX) {
        terms.insert("slots".into(), slots.into());
    }
    for key in ["accepts", "cancels"] {
        if let Some(Value::Bool(declared)) = metadata.get(key) {
            terms.insert(key.into(), (*declared).into());
        }
    }
    agent.insert("work".into(), terms.into());
}

/// The attempts that an agent says it still runs; none where it does not say so, or not as it should.
fn running(frame: &Map<String, Value>) -> Option<Attempts> {
    let Value::Array(running) = frame.get("metadata")?.get("running")? else { return None };
    let attempt = |item: &Value| {
        let task = item.get("taskId")?.as_str()?;
        Some((task.into(), item.get("attempt")?.as_u64()?))
    };
    let attempts: Option<Attempts> = running.iter().map(attempt).collect();
    attempts.filter(|attempts| attempts.len() <= RUNNING_MAX)
}

/// What an agent offers by its status.
pub(super) fn offer(
    agent: &Map<String, Value>,
    frame: &Map<String, Value>,
    is_first: bool,
    view: &View<'_>,
    frames: &'static dyn AgentFrames,
) -> Command {
    let text = |key: &str| agent.get(key).and_then(Value::as_str);
    let terms = |key: &str| agent.get("work").and_then(|work| work.get(key));
    let declared = |key: &str| terms(key) == Some(&Value::Bool(true));
    let capabilities = agent.get("capabilities").and_then(Value::as_array);
    let capabilities = capabilities.into_iter().flatten().filter_map(Value::as_str);
    let slots = terms("slots").and_then(Value::as_u64).unwrap_or(1);
    let status = text("status").filter(|status| AGENT_STATUSES.contains(status));
    Command::Offer(Box::new(AgentOffer {
        socket: AgentSocket {
            connection: view.connection.into(),
            agent: text("agentId").unwrap_or_default().into(),
            status: status.unwrap_or("offline").into(),
            capabilities: capabilities.map(Into::into).collect(),
            slots: u32::try_from(slots).unwrap_or(1),
            accepts: declared("accepts"),
            cancels: declared("cancels"),
        },
        is_first,
        running: running(frame),
        frames,
    }))
}

/// Status and result of a task in the words of seed 001's tables, which know no other ends.
pub(super) fn as_row(task: &domain::event::State) -> (Value, Value) {
    let take = |key: &str| task.get(key).cloned().unwrap_or(Value::Null);
    match take("status").as_str() {
        Some("assigned") => ("running".into(), take("result")),
        Some(end @ ("cancelled" | "expired" | "abandoned")) => {
            let mut result = json!({ "error": end });
            if let Some(message) = task.get("reason").filter(|reason| reason.is_string()) {
                result["message"] = message.clone();
            }
            ("failed".into(), result)
        }
        _ => (take("status"), take("result")),
    }
}

/// Whether an agent that was noted declares that it says when it begins.
pub(super) fn says_when_it_begins(agent: &Map<String, Value>) -> bool {
    agent.get("work").and_then(|work| work.get("accepts")) == Some(&Value::Bool(true))
}

/// Checks a frame of a task for one.
pub(super) fn check(kind: &str, frame: &Map<String, Value>, issues: &mut Issues) {
    let mut fields = FieldChecks::new(frame, Vec::new(), issues);
    fields.id("taskId");
    fields.maybe_count("attempt");
    match kind {
        "task-progress" => {
            fields.maybe_number("progress");
            fields.maybe_text("message");
        }
        "task-log" => fields.texts("lines"),
        "task-reject" => fields.maybe_text("reason"),
        _ => {}
    }
}

/// The step that a frame takes. An agent that never said who it is takes none.
pub(super) fn step(
    kind: &str,
    frame: &Map<String, Value>,
    agent: Option<&str>,
    view: &View<'_>,
    frames: &'static dyn AgentFrames,
) -> Result<Command, Issues> {
    let Some(agent) = agent else {
        let message = "send agent-status first";
        let issue = json!({ "code": "custom", "message": message, "path": ["type"] });
        return Err(issue.into());
    };
    let (event, keys): (&str, &[&str]) = match kind {
        "task-accept" => ("task_accepted", &["attempt"]),
        "task-progress" => ("task_progress", &["attempt", "progress", "message"]),
        "task-log" => ("task_log", &["attempt", "lines"]),
        _ => ("task_released", &["attempt", "reason"]),
    };
    let given = |key: &&&str| frame.get(**key).is_some_and(|value| !value.is_null());
    let data: Map<String, Value> =
        keys.iter().filter(given).map(|key| ((*key).to_owned(), frame[*key].clone())).collect();
    let mut fields = Fields::default();
    fields.push(field::TYPE, event);
    fields.push(field::ID, frame.get("taskId").and_then(Value::as_str).unwrap_or_default());
    fields.push(field::DATA, Value::Object(data).to_string());
    sign(&mut fields, agent, view);
    let receipt = Some(Receipt { frames, result_of: None });
    Ok(Command::Append(Append { stream: Stream::Tasks, fields, condition: None, receipt }))
}

/// Says whose socket it is that an entry comes by.
pub(super) fn sign(fields: &mut Fields, agent: &str, view: &View<'_>) {
    fields.push(field::HOLDER, agent);
    fields.push(field::SOCKET, view.connection);
}
