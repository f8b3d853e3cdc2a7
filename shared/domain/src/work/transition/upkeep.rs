//! The steps that no agent takes: those of the worker, and what is asked by hand.

use serde_json::{Value, json};

use crate::{
    event::{EventKind, State},
    work::{
        spec::RetryOn,
        step::{
            AttemptChange, Recording, Ruling, TaskStep, end, fence, named_attempt, object, one,
            refused, signed, spend, wait_again,
        },
        task::{Task, TaskStatus},
    },
};

/// The worker gives it to an agent.
pub(super) fn assign(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    let agent = step.body.get("agent").and_then(Value::as_str);
    let Some(agent) = agent else { return Ruling::Moot };
    let is_next = named_attempt(step.body) == Ok(Some(task.attempt + 1));
    let is_ready = task.status == TaskStatus::Pending && task.ready_at <= step.now;
    let is_wanted = task.rejected_by.iter().all(|other| **other != *agent)
        && task.spec.agent.as_deref().is_none_or(|only| only == agent);
    let is_expired = task.expires_at.is_some_and(|at| at <= step.now);
    if !is_next || !is_ready || !is_wanted || is_expired {
        return Ruling::Moot;
    }
    task.status = TaskStatus::Assigned;
    task.attempt += 1;
    task.holder = Some(agent.into());
    (task.begun, task.pausing, task.expires_at) = (false, false, None);
    task.lease_at = task.lease_ms.map(|ms| step.now.saturating_add(ms));
    let data = signed(task, &State::new());
    one(EventKind::TaskAssigned, data, Some(AttemptChange::Began))
}

/// The worker found that the attempt is lost, or has taken too long.
pub(super) fn release(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    let why = match step.body.get("why").and_then(Value::as_str) {
        Some("lost") => RetryOn::Lost,
        Some("timeout") => RetryOn::Timeout,
        _ => return Ruling::Moot,
    };
    if let Some(moot) = fence(task, step) {
        return moot;
    }
    let is_running = task.status == TaskStatus::Running;
    let is_early = |at: Option<i64>| at.is_none_or(|at| at > step.now);
    if why == RetryOn::Timeout && is_running && is_early(task.timeout_at) && is_early(task.lease_at)
    {
        return Ruling::Moot;
    }
    let mut data = signed(task, &State::new());
    data.insert("why".into(), why.name().into());
    let keeps_slot = why == RetryOn::Timeout && is_running;
    let ended = Some(AttemptChange::Ended { end: why.name(), keeps_slot });
    if let Some(pause_ms) = spend(task, why) {
        data.insert("after_ms".into(), pause_ms.into());
        wait_again(task, Some(pause_ms), step.now);
        return one(EventKind::TaskReleased, data, ended);
    }
    let last = object(json!({
        "status": "failed", "result": null, "attempt": task.attempt,
        "agent": task.holder, "reason": why.name(),
    }));
    end(task, TaskStatus::Failed, Some(why.name()), step.now);
    let events = vec![(EventKind::TaskReleased, data), (EventKind::TaskResult, last)];
    Ruling::Recorded(Recording { events, attempt: ended })
}

/// The worker ends a task that no agent has: what it depends on failed, or nobody wants it.
pub(super) fn fail_unheld(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    let reason = step.body.get("reason").and_then(Value::as_str);
    let Some(reason) = reason.filter(|_| task.status == TaskStatus::Pending) else {
        return Ruling::Moot;
    };
    let data = object(json!({ "status": "failed", "result": null, "reason": reason }));
    end(task, TaskStatus::Failed, Some(reason), step.now);
    one(EventKind::TaskResult, data, None)
}

pub(super) fn expire(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    let is_due = task.expires_at.is_some_and(|at| at <= step.now);
    if task.status != TaskStatus::Pending || !is_due {
        return Ruling::Moot;
    }
    end(task, TaskStatus::Expired, None, step.now);
    one(EventKind::TaskExpired, State::new(), None)
}

/// The `by` and the `reason` of a request.
fn asked(body: &State, keys: &[&str]) -> State {
    let given = |key: &&str| Some(((*key).to_owned(), body.get(*key)?.clone()));
    keys.iter().filter_map(given).filter(|(_, value)| value.is_string()).collect()
}

pub(super) fn cancel(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    if task.status.is_end() {
        return refused(
            "status",
            "ended",
            format!("is {}: the task has ended", task.status.name()),
        );
    }
    let mut data = asked(step.body, &["by", "reason"]);
    let attempt = task.is_held().then(|| {
        data.insert("attempt".into(), task.attempt.into());
        AttemptChange::Ended { end: "cancelled", keeps_slot: true }
    });
    end(task, TaskStatus::Cancelled, None, step.now);
    one(EventKind::TaskCancelled, data, attempt)
}

pub(super) fn retry(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    if !task.status.is_end() {
        let message = format!("is {}: only what ended is tried again", task.status.name());
        return refused("status", "not ended", message);
    }
    let mut data = asked(step.body, &["by"]);
    data.insert("why".into(), "hand".into());
    task.begin_waiting(step.now);
    one(EventKind::TaskRetried, data, None)
}

/// What failed because of a task that it depends on waits again, now that this one does.
pub(super) fn revive(task: &mut Task, step: &TaskStep<'_>) -> Ruling {
    if task.status != TaskStatus::Failed || task.reason.as_deref() != Some("dependency") {
        return Ruling::Moot;
    }
    let mut data = asked(step.body, &["by"]);
    data.insert("why".into(), "dependency".into());
    task.begin_waiting(step.now);
    one(EventKind::TaskRetried, data, None)
}
