//! A step of a task for one, what becomes of it, and what all steps have in common.

use serde_json::Value;

use super::{
    spec::RetryOn,
    task::{Task, TaskStatus},
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
pub struct TaskStep<'a> {
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
pub enum Ruling {
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

/// Refuses a step, and says what was wrong with which of its members.
pub(super) fn refused(path: &str, word: &'static str, message: impl Into<String>) -> Ruling {
    Ruling::Refused(Rejection::worded(path, word, message))
}

/// Records one event.
pub(super) fn one(kind: EventKind, data: State, attempt: Option<AttemptChange>) -> Ruling {
    Ruling::Recorded(Recording { events: vec![(kind, data)], attempt })
}

/// The members of an object.
pub(super) fn object(value: Value) -> State {
    match value {
        Value::Object(object) => object,
        _ => State::new(),
    }
}

/// The attempt that a step names; an error for one that is no number.
pub(super) fn named_attempt(body: &State) -> Result<Option<u64>, ()> {
    match body.get("attempt") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(()),
    }
}

/// Why a step does not pass that has to come with the current attempt.
pub(super) fn fence(task: &Task, step: &TaskStep<'_>) -> Option<Ruling> {
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
        Speaker::Worker => Some(Ruling::Moot),
    }
}

/// The `data` of a step with the attempt and its agent.
pub(super) fn signed(task: &Task, body: &State) -> State {
    let mut data = body.clone();
    data.insert("attempt".into(), task.attempt.into());
    data.insert("agent".into(), task.holder.as_deref().into());
    data
}

/// The task waits for another attempt, after a pause if there is one.
pub(super) fn wait_again(task: &mut Task, pause_ms: Option<i64>, now: i64) {
    task.status = TaskStatus::Pending;
    task.pausing = pause_ms.is_some_and(|ms| ms > 0);
    task.ready_at = now.saturating_add(pause_ms.unwrap_or(0));
    end_attempt(task);
    task.expires_at = None;
}

/// The attempt has no time-outs any more.
pub(super) fn end_attempt(task: &mut Task) {
    (task.timeout_at, task.lease_at) = (None, None);
}

/// The task has ended.
pub(super) fn end(task: &mut Task, status: TaskStatus, reason: Option<&str>, now: i64) {
    task.status = status;
    task.reason = reason.map(Into::into);
    task.ended_at = Some(now);
    end_attempt(task);
}

/// Uses an attempt up; returns the pause before the next one, if there is to be one.
pub(super) fn spend(task: &mut Task, why: RetryOn) -> Option<i64> {
    task.spent = task.spent.saturating_add(1);
    let retry = task.spec.retry.as_ref()?;
    let goes_on = retry.on.contains(&why) && task.spent < retry.attempts;
    goes_on.then(|| retry.pause_ms(task.spent))
}
