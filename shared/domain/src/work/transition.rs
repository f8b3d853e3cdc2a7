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
    step::{
        AttemptChange, Ruling, Speaker, TaskStep, end, fence, named_attempt, one, refused, signed,
        spend, wait_again,
    },
    task::{REJECTIONS_MAX, Task, TaskStatus},
};
use crate::event::{EventKind, Rejection, State};

/// Judges a step of a task that is known, and takes it.
pub fn judge(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    match (step.kind, step.speaker) {
        (EventKind::TaskCreated, _) => refused("id", "exists", "is the id of another task"),
        (EventKind::TaskUpdate, _) => update(task, step),
        (EventKind::TaskLog, _) => fenced(task, step, |task, step| progressed(task, step, false)),
        (EventKind::TaskProgress, _) => {
            fenced(task, step, |task, step| progressed(task, step, true))
        }
        (EventKind::TaskAccepted, Speaker::Agent(_)) => fenced(task, step, accept),
        (EventKind::TaskReleased, Speaker::Agent(_)) => fenced(task, step, reject),
        (EventKind::TaskResult, Speaker::Worker) => fail_unheld(task, step),
        (EventKind::TaskResult, _) => result(task, step),
        (EventKind::TaskAssigned, Speaker::Worker) => assign(task, step),
        (EventKind::TaskReleased, Speaker::Worker) => release(task, step),
        (EventKind::TaskExpired, Speaker::Worker) => expire(task, step),
        (EventKind::TaskRetried, Speaker::Worker) => revive(task, step),
        (EventKind::TaskCancelled, Speaker::Worker) if task.status.is_end() => Ruling::Moot,
        (EventKind::TaskCancelled, Speaker::Worker) | (EventKind::TaskCancel, _) => {
            cancel(task, step)
        }
        (EventKind::TaskRetry, _) => retry(task, step),
        (kind, _) => Ruling::Refused(Rejection::reserved(kind.name())),
    }
}

/// Lets a step pass that comes with the current attempt: named, or held by the agent whose socket
/// says it.
fn fenced(
    task: &mut Task,
    step: &TaskStep<'_>,
    then: impl FnOnce(&mut Task, &TaskStep<'_>) -> Ruling,
) -> Ruling {
    match fence(task, step) {
        None => then(task, step),
        Some(refusal) => refusal,
    }
}

/// An update says what it likes but how far the task is, and what describes it.
fn update(task: &Task, step: &TaskStep<'_>) -> Ruling {
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
fn progressed(task: &mut Task, step: &TaskStep<'_>, runs: bool) -> Ruling {
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
fn run(task: &mut Task, step: &TaskStep<'_>) {
    task.status = TaskStatus::Running;
    let timeout_ms = task.spec.timeout_ms.unwrap_or(step.defaults.timeout_ms);
    task.timeout_at = Some(step.now.saturating_add(timeout_ms));
}

/// The agent accepted, or the frame of one that does not say so was `written`.
fn accept(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    let is_written = step.body.get("written") == Some(&Value::Bool(true));
    task.begun |= !is_written;
    if task.status != TaskStatus::Assigned {
        return Ruling::Repeated;
    }
    run(task, step);
    let data = signed(task, &State::new());
    one(EventKind::TaskAccepted, data, Some(AttemptChange::Heard { accepted: true }))
}

/// The agent does not want it.
fn reject(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
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

/// An agent's result: the end, or that of an attempt.
fn result(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    let digest = digest(step.body);
    if let Some((attempt, given)) = task.answered
        && given == digest
    {
        let named = named_attempt(step.body);
        let is_holder = matches!(step.speaker, Speaker::Agent(agent)
            if task.holder.as_deref() == Some(agent));
        if named == Ok(Some(attempt)) || (named == Ok(None) && is_holder && !task.is_held()) {
            return Ruling::Repeated;
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
