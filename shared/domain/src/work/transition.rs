//! The state machine of a task for one: what each step does to it, and which events that makes.
//!
//! Pure. A step is judged against the task's row alone: the number of the current attempt and its
//! holder are the fence. What does not fit changes nothing and is refused with the word by which
//! dead letters are counted; a proposal of the worker that no longer fits is moot.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

mod upkeep;

use self::upkeep::{assign, cancel, expire, fail_unheld, release, retry, revive};
use super::{
    spec::{KEYS, RetryOn},
    task::{REJECTIONS_MAX, Task, TaskStatus},
};
use crate::event::{EventKind, Rejection, State};

/// The longest run of an attempt and the other spans that no task names.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// `TASK_TIMEOUT_MS`
    pub timeout_ms: i64,
}

/// Who takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker<'a> {
    /// Whoever may publish on `tasks`.
    Outside,
    /// An agent, by its own socket.
    Agent(&'a str),
    /// The worker, which found that something is due.
    Worker,
}

/// A step that somebody takes or asks for.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The type of the entry.
    pub kind: &'a EventKind,
    /// Its `data`.
    pub body: &'a State,
    /// Who takes it.
    pub speaker: Speaker<'a>,
    /// The time of recording, ms since 1970.
    pub now: i64,
    /// What the settings say.
    pub defaults: Defaults,
}

/// What becomes of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// It counts: these events are recorded.
    Recorded(Recording),
    /// The same was recorded before.
    Repeated,
    /// What the worker proposed no longer fits.
    Moot,
    /// It is refused and changes nothing.
    Refused(Rejection),
}

/// What is recorded of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// The events, in order.
    pub events: Vec<(EventKind, State)>,
    /// What happened to the current attempt.
    pub attempt: Option<AttemptChange>,
}

/// What a step does to an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptChange {
    /// It began, with an agent.
    Began,
    /// Its agent was heard; `accepted`: for the first time.
    Heard {
        /// Whether it runs from now on.
        accepted: bool,
    },
    /// It ended.
    Ended {
        /// `completed`, `failed`, `lost`, `timeout`, `rejected`, `cancelled`.
        end: &'static str,
        /// Whether its agent may still be at it, so that its slot stays taken until it was told.
        keeps_slot: bool,
    },
}

/// Judges a step of a task that is known, and takes it.
pub fn judge(task: &mut Task, step: &Step<'_>) -> Judgement {
    match (step.kind, step.speaker) {
        (EventKind::TaskCreated, _) => refused("id", "exists", "is the id of another task"),
        (EventKind::TaskUpdate, _) => update(task, step),
        (EventKind::TaskLog, _) => fenced(task, step, |task, step| heard(task, step, false)),
        (EventKind::TaskProgress, _) => fenced(task, step, |task, step| heard(task, step, true)),
        (EventKind::TaskAccepted, Speaker::Agent(_)) => fenced(task, step, accept),
        (EventKind::TaskReleased, Speaker::Agent(_)) => fenced(task, step, reject),
        (EventKind::TaskResult, Speaker::Worker) => fail_unheld(task, step),
        (EventKind::TaskResult, _) => result(task, step),
        (EventKind::TaskAssigned, Speaker::Worker) => assign(task, step),
        (EventKind::TaskReleased, Speaker::Worker) => release(task, step),
        (EventKind::TaskExpired, Speaker::Worker) => expire(task, step),
        (EventKind::TaskRetried, Speaker::Worker) => revive(task, step),
        (EventKind::TaskCancelled, Speaker::Worker) if task.status.is_end() => Judgement::Moot,
        (EventKind::TaskCancelled, Speaker::Worker) | (EventKind::TaskCancel, _) => {
            cancel(task, step)
        }
        (EventKind::TaskRetry, _) => retry(task, step),
        (kind, _) => Judgement::Refused(Rejection::reserved(kind.name())),
    }
}

fn refused(path: &str, word: &'static str, message: impl Into<String>) -> Judgement {
    Judgement::Refused(Rejection::worded(path, word, message))
}

fn one(kind: EventKind, data: State, attempt: Option<AttemptChange>) -> Judgement {
    Judgement::Recorded(Recording { events: vec![(kind, data)], attempt })
}

fn object(value: Value) -> State {
    match value {
        Value::Object(object) => object,
        _ => State::new(),
    }
}

/// The attempt that a step names; an error for one that is no number.
fn named_attempt(body: &State) -> Result<Option<u64>, ()> {
    match body.get("attempt") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(()),
    }
}

/// Lets a step pass that comes with the current attempt: named, or held by the agent whose socket
/// says it.
fn fenced(
    task: &mut Task,
    step: &Step<'_>,
    then: impl FnOnce(&mut Task, &Step<'_>) -> Judgement,
) -> Judgement {
    match fence(task, step) {
        None => then(task, step),
        Some(refusal) => refusal,
    }
}

fn fence(task: &Task, step: &Step<'_>) -> Option<Judgement> {
    let named = named_attempt(step.body);
    let is_current = matches!(named, Ok(Some(number)) if number == task.attempt && task.is_held());
    match step.speaker {
        Speaker::Agent(agent) if task.holder.as_deref() != Some(agent) => {
            Some(refused("taskId", "attempt", "is not this agent's task"))
        }
        Speaker::Agent(_) if is_current || (named == Ok(None) && task.is_held()) => None,
        Speaker::Agent(_) => {
            let message = format!("is not the current one, the last was {}", task.attempt);
            Some(refused("attempt", "attempt", message))
        }
        Speaker::Outside | Speaker::Worker if is_current => None,
        Speaker::Outside => {
            let message = format!(
                "must be the number of the current attempt; the last one was {}, the task is {}",
                task.attempt,
                task.status.name()
            );
            Some(refused("data.attempt", "attempt", message))
        }
        Speaker::Worker => Some(Judgement::Moot),
    }
}

/// The `data` of a step with the attempt and its agent.
fn signed(task: &Task, body: &State) -> State {
    let mut data = body.clone();
    data.insert("attempt".into(), task.attempt.into());
    data.insert("agent".into(), task.holder.as_deref().into());
    data
}

/// An update says what it likes but how far the task is, and what describes it.
fn update(task: &Task, step: &Step<'_>) -> Judgement {
    let is_own = |key: &String| {
        matches!(key.as_str(), "status" | "attempt" | "result" | "reason")
            || KEYS.contains(&key.as_str())
    };
    let mut data = step.body.clone();
    data.retain(|key, _| !is_own(key));
    let attempt = (task.is_held() && matches!(step.speaker, Speaker::Agent(_)))
        .then_some(AttemptChange::Heard { accepted: false });
    one(EventKind::TaskUpdate, data, attempt)
}

/// Notes that the current attempt's agent was heard; `runs`: that it is at work.
fn heard(task: &mut Task, step: &Step<'_>, runs: bool) -> Judgement {
    let accepted = runs && task.status == TaskStatus::Assigned;
    task.lease_at = task.lease_ms.map(|ms| step.now.saturating_add(ms));
    if runs {
        task.begun = true;
        run(task, step);
    }
    let data = signed(task, step.body);
    one(step.kind.clone(), data, Some(AttemptChange::Heard { accepted }))
}

/// The attempt runs, and its time counts from now.
fn run(task: &mut Task, step: &Step<'_>) {
    task.status = TaskStatus::Running;
    let timeout_ms = task.spec.timeout_ms.unwrap_or(step.defaults.timeout_ms);
    task.timeout_at = Some(step.now.saturating_add(timeout_ms));
}

/// The agent accepted, or the frame of one that does not say so was `written`.
fn accept(task: &mut Task, step: &Step<'_>) -> Judgement {
    let is_written = step.body.get("written") == Some(&Value::Bool(true));
    task.begun |= !is_written;
    if task.status != TaskStatus::Assigned {
        return Judgement::Repeated;
    }
    run(task, step);
    let data = signed(task, &State::new());
    one(EventKind::TaskAccepted, data, Some(AttemptChange::Heard { accepted: true }))
}

/// The agent does not want it.
fn reject(task: &mut Task, step: &Step<'_>) -> Judgement {
    if task.begun {
        return refused("taskId", "attempt", "was accepted, so it cannot be rejected");
    }
    let mut data = signed(task, &State::new());
    data.insert("why".into(), "rejected".into());
    if let Some(reason) = step.body.get("reason").filter(|reason| reason.is_string()) {
        data.insert("reason".into(), reason.clone());
    }
    if task.rejected_by.len() >= REJECTIONS_MAX {
        task.rejected_by.remove(0);
    }
    task.rejected_by.extend(task.holder.clone());
    wait_again(task, None, step.now);
    let ended = AttemptChange::Ended { end: "rejected", keeps_slot: false };
    one(EventKind::TaskReleased, data, Some(ended))
}

/// The task waits for another attempt, after a pause if there is one.
fn wait_again(task: &mut Task, pause_ms: Option<i64>, now: i64) {
    task.status = TaskStatus::Pending;
    task.pausing = pause_ms.is_some_and(|ms| ms > 0);
    task.ready_at = now.saturating_add(pause_ms.unwrap_or(0));
    end_attempt(task);
    task.expires_at = None;
}

fn end_attempt(task: &mut Task) {
    (task.timeout_at, task.lease_at) = (None, None);
}

fn end(task: &mut Task, status: TaskStatus, reason: Option<&str>, now: i64) {
    task.status = status;
    task.reason = reason.map(Into::into);
    task.ended_at = Some(now);
    end_attempt(task);
}

/// Uses an attempt up; returns the pause before the next one, if there is to be one.
fn spend(task: &mut Task, why: RetryOn) -> Option<i64> {
    task.spent = task.spent.saturating_add(1);
    let retry = task.spec.retry.as_ref()?;
    let goes_on = retry.on.contains(&why) && task.spent < retry.attempts;
    goes_on.then(|| retry.pause_ms(task.spent))
}

/// An agent's result: the end, or that of an attempt.
fn result(task: &mut Task, step: &Step<'_>) -> Judgement {
    let digest = digest(step.body);
    if let Some((attempt, given)) = task.answered
        && given == digest
    {
        let named = named_attempt(step.body);
        let is_holder = matches!(step.speaker, Speaker::Agent(agent)
            if task.holder.as_deref() == Some(agent));
        if named == Ok(Some(attempt)) || (named == Ok(None) && is_holder && !task.is_held()) {
            return Judgement::Repeated;
        }
    }
    if let Some(refusal) = fence(task, step) {
        return refusal;
    }
    let status = match step.body.get("status") {
        None | Some(Value::Null) => {
            if step.body.get("error").is_some_and(|error| !error.is_null()) {
                "failed"
            } else {
                "completed"
            }
        }
        Some(Value::String(word)) if word == "completed" => "completed",
        Some(Value::String(word)) if word == "failed" => "failed",
        Some(_) => return refused("data.status", "data", "must be completed or failed"),
    };
    task.answered = Some((task.attempt, digest));
    let mut data = signed(task, step.body);
    data.insert("status".into(), status.into());
    data.entry("result").or_insert(Value::Null);
    let ended = AttemptChange::Ended { end: status, keeps_slot: false };
    if status == "completed" {
        end(task, TaskStatus::Completed, None, step.now);
        return one(EventKind::TaskResult, data, Some(ended));
    }
    let is_tried_again =
        task.spec.retry.as_ref().is_some_and(|retry| retry.on.contains(&RetryOn::Failed));
    if let Some(pause_ms) = spend(task, RetryOn::Failed) {
        data.shift_remove("status");
        data.insert("why".into(), "failed".into());
        data.insert("after_ms".into(), pause_ms.into());
        wait_again(task, Some(pause_ms), step.now);
        return one(EventKind::TaskReleased, data, Some(ended));
    }
    let reason = is_tried_again.then_some("failed");
    // What an agent calls a reason is part of its answer; the member is the worker's.
    data.shift_remove("reason");
    if let Some(reason) = reason {
        data.insert("reason".into(), reason.into());
    }
    end(task, TaskStatus::Failed, reason, step.now);
    one(EventKind::TaskResult, data, Some(ended))
}

/// The fingerprint of what an answer says, whichever attempt it names.
fn digest(body: &State) -> i64 {
    let said: State = body
        .iter()
        .filter(|(key, _)| !matches!(key.as_str(), "attempt" | "agent"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let text = serde_json::to_vec(&said).unwrap_or_default();
    let mut first = [0; 8];
    first.copy_from_slice(&Sha256::digest(&text)[..8]);
    i64::from_le_bytes(first)
}
