//! Every transition of a task for one, and what is refused.

use serde_json::{Value, json};

use super::{
    AttemptChange, Recording, Ruling, Task, TaskSpec, TaskStatus, TaskStep, judge,
    step::{Defaults, Speaker},
};
use crate::event::EventKind;

const NOW: i64 = 1_000_000;
const DEFAULTS: Defaults = Defaults { timeout_ms: 60_000 };

fn task(mut data: Value) -> Task {
    data["assign"] = "one".into();
    let spec = TaskSpec::read(data.as_object().unwrap()).unwrap().unwrap();
    Task::new(spec, None, NOW)
}

fn take(task: &mut Task, at: i64, speaker: Speaker<'_>, kind: &EventKind, body: &Value) -> Ruling {
    let body = body.as_object().unwrap();
    judge(task, &TaskStep { kind, body, speaker, now: NOW + at, defaults: DEFAULTS })
}

/// The events of a step that must count: names and data.
fn events(judgement: Ruling) -> Vec<(String, Value)> {
    let Ruling::Recorded(Recording { events, .. }) = judgement else {
        panic!("not recorded: {judgement:?}");
    };
    events.into_iter().map(|(kind, data)| (kind.name().to_owned(), data.into())).collect()
}

fn word(judgement: Ruling) -> (String, &'static str) {
    let Ruling::Refused(rejection) = judgement else { panic!("not refused: {judgement:?}") };
    let label = rejection.label();
    (rejection.path, label)
}

fn assign(task: &mut Task, at: i64, agent: &str) -> Ruling {
    let body = json!({ "attempt": task.attempt + 1, "agent": agent });
    take(task, at, Speaker::Worker, &EventKind::TaskAssigned, &body)
}

fn release(task: &mut Task, at: i64, why: &str) -> Ruling {
    let body = json!({ "attempt": task.attempt, "why": why });
    take(task, at, Speaker::Worker, &EventKind::TaskReleased, &body)
}

fn answer(task: &mut Task, at: i64, agent: &str, body: &Value) -> Ruling {
    take(task, at, Speaker::Agent(agent), &EventKind::TaskResult, body)
}

/// A task that agent `a` was given and accepted.
fn running(data: Value) -> Task {
    let mut task = task(data);
    events(assign(&mut task, 1, "a"));
    events(take(&mut task, 2, Speaker::Agent("a"), &EventKind::TaskAccepted, &json!({})));
    assert_eq!(task.status, TaskStatus::Running);
    task
}

#[test]
fn a_task_goes_from_pending_to_completed() {
    let mut task = task(json!({ "expires_ms": 5000 }));
    assert_eq!(task.due_at(), Some(NOW + 5000));
    let assigned = events(assign(&mut task, 10, "a"));
    assert_eq!(assigned, [("task_assigned".into(), json!({ "attempt": 1, "agent": "a" }))]);
    assert_eq!((task.status, task.due_at()), (TaskStatus::Assigned, None));
    let accepted = take(&mut task, 20, Speaker::Agent("a"), &EventKind::TaskAccepted, &json!({}));
    assert_eq!(events(accepted)[0].1, json!({ "attempt": 1, "agent": "a" }));
    assert_eq!(task.due_at(), Some(NOW + 20 + 60_000));
    let body = json!({ "progress": 40 });
    let progress = take(&mut task, 30, Speaker::Agent("a"), &EventKind::TaskProgress, &body);
    assert_eq!(events(progress)[0].1, json!({ "progress": 40, "attempt": 1, "agent": "a" }));
    assert_eq!(task.due_at(), Some(NOW + 30 + 60_000), "progress renews the time");
    let done = events(answer(&mut task, 40, "a", &json!({ "status": "completed", "result": 7 })));
    let data = json!({ "status": "completed", "result": 7, "attempt": 1, "agent": "a" });
    assert_eq!(done, [("task_result".into(), data)]);
    assert_eq!(
        (task.status, task.ended_at, task.due_at()),
        (TaskStatus::Completed, Some(NOW + 40), None)
    );
}

#[test]
fn the_same_answer_of_the_same_attempt_is_no_error_and_another_one_is() {
    let mut task = running(json!({}));
    let body = json!({ "status": "completed", "result": 7 });
    events(answer(&mut task, 3, "a", &body));
    assert_eq!(answer(&mut task, 4, "a", &body), Ruling::Repeated);
    let named = json!({ "status": "completed", "result": 7, "attempt": 1 });
    assert_eq!(
        take(&mut task, 5, Speaker::Outside, &EventKind::TaskResult, &named),
        Ruling::Repeated
    );
    let other = json!({ "status": "failed", "attempt": 1 });
    assert_eq!(word(answer(&mut task, 6, "a", &other)), ("attempt".into(), "attempt"));
    assert_eq!(task.status, TaskStatus::Completed);
}

#[test]
fn what_comes_without_the_current_attempt_changes_nothing() {
    let mut task = running(json!({}));
    let before = task.clone();
    for kind in [EventKind::TaskResult, EventKind::TaskProgress, EventKind::TaskLog] {
        for body in [json!({}), json!({ "attempt": 2 }), json!({ "attempt": "1" })] {
            let outside = take(&mut task, 3, Speaker::Outside, &kind, &body);
            assert_eq!(word(outside), ("data.attempt".into(), "attempt"), "{kind:?} {body}");
        }
        let other = take(&mut task, 3, Speaker::Agent("b"), &kind, &json!({ "attempt": 1 }));
        assert_eq!(word(other), ("taskId".into(), "attempt"), "another's task");
        let old = take(&mut task, 3, Speaker::Agent("a"), &kind, &json!({ "attempt": 9 }));
        assert_eq!(word(old), ("attempt".into(), "attempt"));
    }
    assert_eq!(task, before);
    let named = json!({ "attempt": 1, "status": "completed" });
    events(take(&mut task, 4, Speaker::Outside, &EventKind::TaskResult, &named));
}

#[test]
fn an_update_never_says_how_far_it_is() {
    let mut task = running(json!({}));
    let body =
        json!({ "status": "completed", "attempt": 9, "priority": 1, "group": "x", "note": "n" });
    let update = take(&mut task, 3, Speaker::Outside, &EventKind::TaskUpdate, &body);
    assert_eq!(events(update), [("task_update".into(), json!({ "note": "n" }))]);
    assert_eq!(task.status, TaskStatus::Running);
}

#[test]
fn without_retry_a_lost_attempt_is_the_end() {
    let mut task = running(json!({}));
    let ended = events(release(&mut task, 5, "lost"));
    assert_eq!(
        ended[0],
        ("task_released".into(), json!({ "attempt": 1, "agent": "a", "why": "lost" }))
    );
    assert_eq!((ended[1].0.as_str(), &ended[1].1["reason"]), ("task_result", &json!("lost")));
    assert_eq!((task.status, task.reason.as_deref()), (TaskStatus::Failed, Some("lost")));
    assert_eq!(release(&mut task, 6, "lost"), Ruling::Moot);
}

#[test]
fn with_retry_it_waits_for_the_pause_that_doubles_until_attempts_are_used_up() {
    let mut task = running(json!({ "retry": { "attempts": 3, "backoff_ms": 100 } }));
    let released = events(release(&mut task, 10, "lost"));
    assert_eq!(released[0].1["after_ms"], 100);
    assert_eq!((task.status, task.pausing), (TaskStatus::Pending, true));
    assert_eq!(assign(&mut task, 109, "a"), Ruling::Moot, "it pauses");
    events(assign(&mut task, 110, "a"));
    assert_eq!(task.attempt, 2);
    assert_eq!(events(release(&mut task, 111, "timeout"))[0].1["after_ms"], 200);
    events(assign(&mut task, 311, "b"));
    assert_eq!(events(release(&mut task, 312, "lost")).len(), 2, "the third was the last");
    assert_eq!((task.status, task.spent), (TaskStatus::Failed, 3));
}

#[test]
fn a_failure_is_tried_again_only_when_the_task_says_so() {
    let failed = json!({ "status": "failed", "result": "no" });
    let mut task = running(json!({ "retry": true }));
    let end = events(answer(&mut task, 3, "a", &failed));
    assert_eq!((end[0].0.as_str(), end[0].1.get("reason")), ("task_result", None));
    let on = json!({ "retry": { "attempts": 2, "backoff_ms": 0, "on": ["failed"] } });
    let mut task = running(on);
    let released = events(answer(&mut task, 3, "a", &failed));
    let data =
        json!({ "result": "no", "attempt": 1, "agent": "a", "why": "failed", "after_ms": 0 });
    assert_eq!(released, [("task_released".into(), data)]);
    events(assign(&mut task, 4, "a"));
    assert_eq!(
        answer(&mut task, 4, "a", &json!({ "status": "failed", "result": "no", "attempt": 1 })),
        Ruling::Repeated
    );
    let end = events(answer(&mut task, 5, "a", &failed));
    assert_eq!((end[0].0.as_str(), &end[0].1["reason"]), ("task_result", &json!("failed")));
}

#[test]
fn a_time_out_is_never_early() {
    let mut task = running(json!({ "timeout_ms": 50 }));
    assert_eq!(release(&mut task, 51, "timeout"), Ruling::Moot);
    let Ruling::Recorded(ended) = release(&mut task, 52, "timeout") else { panic!("due") };
    assert_eq!(ended.attempt, Some(AttemptChange::Ended { end: "timeout", keeps_slot: true }));
    let mut unaccepted = self::task(json!({}));
    events(assign(&mut unaccepted, 1, "a"));
    let Ruling::Recorded(ended) = release(&mut unaccepted, 2, "timeout") else { panic!("due") };
    assert_eq!(ended.attempt, Some(AttemptChange::Ended { end: "timeout", keeps_slot: false }));
}

#[test]
fn a_lapsed_lease_is_a_time_out() {
    let mut task = Task { lease_ms: Some(30), ..task(json!({})) };
    events(assign(&mut task, 1, "a"));
    assert_eq!(task.due_at(), Some(NOW + 31));
    events(take(
        &mut task,
        20,
        Speaker::Agent("a"),
        &EventKind::TaskLog,
        &json!({ "lines": ["x"] }),
    ));
    assert_eq!(task.due_at(), Some(NOW + 50), "whoever is heard is not silent");
}

#[test]
fn a_rejection_costs_no_attempt_and_is_not_offered_again_to_that_agent() {
    let mut task = task(json!({}));
    events(assign(&mut task, 1, "a"));
    let rejected = take(
        &mut task,
        2,
        Speaker::Agent("a"),
        &EventKind::TaskReleased,
        &json!({ "reason": "busy" }),
    );
    assert_eq!(events(rejected)[0].1["why"], "rejected");
    assert_eq!((task.status, task.spent), (TaskStatus::Pending, 0));
    assert_eq!(assign(&mut task, 3, "a"), Ruling::Moot);
    events(assign(&mut task, 3, "b"));
    events(take(&mut task, 4, Speaker::Agent("b"), &EventKind::TaskProgress, &json!({})));
    let late = take(&mut task, 5, Speaker::Agent("b"), &EventKind::TaskReleased, &json!({}));
    assert_eq!(word(late), ("taskId".into(), "attempt"), "it has begun");
}

#[test]
fn the_frame_that_was_written_runs_and_may_still_be_rejected() {
    let mut task = task(json!({}));
    events(assign(&mut task, 1, "a"));
    let written = json!({ "written": true });
    events(take(&mut task, 2, Speaker::Agent("a"), &EventKind::TaskAccepted, &written));
    assert_eq!(task.status, TaskStatus::Running);
    events(take(&mut task, 3, Speaker::Agent("a"), &EventKind::TaskReleased, &json!({})));
    assert_eq!(task.status, TaskStatus::Pending);
}

#[test]
fn it_expires_only_while_it_waits_for_its_first_agent() {
    let mut task = task(json!({ "expires_ms": 50, "not_before": NOW + 100 }));
    assert_eq!(task.due_at(), Some(NOW + 150), "it counts from not_before");
    let expire =
        |task: &mut Task, at| take(task, at, Speaker::Worker, &EventKind::TaskExpired, &json!({}));
    assert_eq!(expire(&mut task, 149), Ruling::Moot);
    assert_eq!(assign(&mut task, 99, "a"), Ruling::Moot, "not before");
    assert_eq!(assign(&mut task, 150, "a"), Ruling::Moot, "it is over");
    assert_eq!(events(expire(&mut task, 150)), [("task_expired".into(), json!({}))]);
    assert_eq!(task.status, TaskStatus::Expired);
}

#[test]
fn cancelling_ends_what_has_not_ended() {
    let ask = json!({ "reason": "no need", "by": "ops" });
    let mut waiting = task(json!({}));
    let data = events(take(&mut waiting, 1, Speaker::Outside, &EventKind::TaskCancel, &ask));
    assert_eq!(data, [("task_cancelled".into(), json!({ "by": "ops", "reason": "no need" }))]);
    let mut task = running(json!({}));
    let data = events(take(&mut task, 3, Speaker::Outside, &EventKind::TaskCancel, &ask));
    assert_eq!(data[0].1["attempt"], 1);
    let again = take(&mut task, 4, Speaker::Outside, &EventKind::TaskCancel, &ask);
    assert_eq!(word(again), ("status".into(), "ended"));
    assert_eq!(word(answer(&mut task, 5, "a", &json!({ "status": "completed" }))).1, "attempt");
}

#[test]
fn what_ended_is_tried_again_by_hand_with_numbers_that_go_on() {
    let mut task = running(json!({ "expires_ms": 500 }));
    let ask = json!({ "by": "ops" });
    let early = take(&mut task, 3, Speaker::Outside, &EventKind::TaskRetry, &ask);
    assert_eq!(word(early), ("status".into(), "not ended"));
    events(release(&mut task, 4, "lost"));
    let retried = events(take(&mut task, 10, Speaker::Outside, &EventKind::TaskRetry, &ask));
    assert_eq!(retried, [("task_retried".into(), json!({ "by": "ops", "why": "hand" }))]);
    assert_eq!((task.spent, task.due_at()), (0, Some(NOW + 510)), "expiry counts anew");
    events(assign(&mut task, 11, "b"));
    assert_eq!(task.attempt, 2);
}

#[test]
fn what_fails_by_a_dependency_waits_again_when_that_one_does() {
    let mut task = task(json!({ "depends_on": ["x"] }));
    let why = json!({ "reason": "dependency" });
    let ended = events(take(&mut task, 1, Speaker::Worker, &EventKind::TaskResult, &why));
    assert_eq!(ended[0].1, json!({ "status": "failed", "result": null, "reason": "dependency" }));
    let revived =
        take(&mut task, 2, Speaker::Worker, &EventKind::TaskRetried, &json!({ "by": "ops" }));
    assert_eq!(events(revived)[0].1, json!({ "by": "ops", "why": "dependency" }));
    assert_eq!(task.status, TaskStatus::Pending);
    let twice = take(&mut task, 3, Speaker::Worker, &EventKind::TaskRetried, &json!({}));
    assert_eq!(twice, Ruling::Moot);
}

#[test]
fn a_second_task_of_an_id_is_refused() {
    let mut task = task(json!({}));
    let again =
        take(&mut task, 1, Speaker::Outside, &EventKind::TaskCreated, &json!({ "title": "t" }));
    assert_eq!(word(again), ("id".into(), "exists"));
}
