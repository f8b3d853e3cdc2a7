//! Tasks for one: each goes to one agent, its result counts once, nothing of it is forgotten.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    client::Socket,
    cluster::{Cluster, Plan},
};

mod agent;

use agent::Agent;

/// The embedded default, and two gateways with two workers.
fn everywhere() -> [Plan; 2] {
    [Cluster::embedded(), Cluster::of(2, 2)]
}

/// Creates a task for one by a bare event; `keys` go into its data.
async fn create(cluster: &Cluster, id: &str, mut keys: Value) {
    keys["title"] = format!("Task {id}").into();
    keys["assign"] = "one".into();
    cluster.append("tasks", &["type", "task_created", "id", id, "data", &keys.to_string()]).await;
}

/// A watcher of a task, past its `subscribed`.
async fn watch(cluster: &Cluster, task: &str) -> Socket {
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": format!("task:{task}")})).await;
    watcher.wait_for(json!({"type": "subscribed", "...": ""})).await;
    watcher
}

/// The next event of a task must be of this type; its data.
async fn step(watcher: &mut Socket, event: &str) -> Value {
    let frame = watcher.expect(json!({"type": "event", "event": event, "...": ""})).await;
    frame["data"].clone()
}

#[tokio::test]
async fn a_task_goes_to_one_agent_and_its_result_counts_once() {
    for plan in everywhere() {
        let cluster = plan.start().await;
        let mut watcher = watch(&cluster, "t1").await;
        let mut first = Agent::connect(&cluster, 0, "a1", json!({})).await;
        create(&cluster, "t1", json!({"executor": "codex", "payload": {"command": "ls -l"}})).await;
        step(&mut watcher, "task_created").await;
        assert_eq!(step(&mut watcher, "task_assigned").await, json!({"attempt": 1, "agent": "a1"}));
        let task = first.task().await;
        assert_eq!((&task["taskId"], &task["taskType"]), (&json!("t1"), &json!("codex")));
        assert_eq!((&task["attempt"], &task["graceMs"]), (&json!(1), &json!(30000)));
        assert_eq!(task["task"]["args"], json!(["-l"]), "the shape that real agents read");
        assert_eq!(step(&mut watcher, "task_accepted").await, json!({"attempt": 1, "agent": "a1"}));
        let result = json!({"taskId": "t1", "status": "completed", "result": {"exitCode": 0}});
        first.say("task-result", result.clone()).await;
        let data = step(&mut watcher, "task_result").await;
        let expected =
            json!({"status": "completed", "result": {"exitCode": 0}, "attempt": 1, "agent": "a1"});
        assert_eq!(data, expected);
        // Again: no error, and no second result.
        first.say("task-result", result).await;
        create(&cluster, "t2", json!({})).await;
        assert_eq!(first.task().await["taskId"], "t2", "nothing else came, and the slot is free");
        watcher.expect_silence(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn a_task_waits_until_an_agent_that_can_do_it_comes() {
    for plan in everywhere() {
        let cluster = plan.start().await;
        create(&cluster, "t1", json!({"requires": ["gpu"]})).await;
        let mut docs = Agent::connect(&cluster, 0, "docs", json!({"capabilities": ["docs"]})).await;
        docs.silent(Duration::from_millis(700)).await;
        let node = cluster.gateways.len() - 1;
        let skills = json!({"capabilities": ["gpu", "docs"]});
        let mut gpu = Agent::connect(&cluster, node, "gpu", skills).await;
        assert_eq!(gpu.task().await["taskId"], "t1");
        docs.silent(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn an_agent_that_lies_is_told_so_and_changes_nothing() {
    let cluster = Cluster::embedded().start().await;
    let mut watcher = watch(&cluster, "t1").await;
    let mut holder = Agent::connect(&cluster, 0, "a1", json!({})).await;
    create(&cluster, "t1", json!({})).await;
    holder.task().await;
    for event in ["task_created", "task_assigned", "task_accepted"] {
        step(&mut watcher, event).await;
    }
    let mut other = Agent::connect(&cluster, 0, "a2", json!({})).await;
    let result = json!({"taskId": "t1", "status": "completed", "result": 1});
    other.say("task-result", result).await;
    assert_eq!(other.hear("error").await["details"][0]["path"], json!(["taskId"]));
    holder.say("task-progress", json!({"taskId": "t1", "attempt": 7})).await;
    assert_eq!(holder.hear("error").await["details"][0]["path"], json!(["attempt"]));
    // Without a socket the attempt has to be named.
    let event =
        json!({"stream": "tasks", "type": "task_result", "id": "t1", "data": {"status": "failed"}});
    let refused = cluster.post("/v1/publish", &event).await.expect(400).json();
    assert_eq!(refused["problems"][0]["path"], "data.attempt");
    let reserved = json!({"stream": "tasks", "type": "task_assigned", "id": "t1", "data": {}});
    let refused = cluster.post("/v1/publish", &reserved).await.expect(400).json();
    assert_eq!(refused["problems"][0]["path"], "type");
    watcher.expect_silence(Duration::from_millis(300)).await;
    let named = json!({"status": "failed", "attempt": 1});
    let event = json!({"stream": "tasks", "type": "task_result", "id": "t1", "data": named});
    cluster.publish(event).await;
    assert_eq!(step(&mut watcher, "task_result").await["agent"], "a1");
}

#[tokio::test]
async fn slots_bound_what_an_agent_has_and_priority_orders_what_waits() {
    let cluster = Cluster::embedded().start().await;
    for (id, priority) in [("low", 1), ("old", 7), ("high", 9), ("new", 7)] {
        create(&cluster, id, json!({"priority": priority})).await;
    }
    let mut agent = Agent::connect(&cluster, 0, "a1", json!({"metadata": {"slots": 2}})).await;
    let mut got = vec![agent.task().await["taskId"].clone(), agent.task().await["taskId"].clone()];
    agent.silent(Duration::from_millis(400)).await;
    let done = json!({"taskId": "high", "status": "completed"});
    agent.say("task-result", done).await;
    got.push(agent.task().await["taskId"].clone());
    assert_eq!(got, [json!("high"), json!("old"), json!("new")]);
}

#[tokio::test]
async fn a_lost_attempt_is_tried_again_only_when_the_task_says_so() {
    let plan = Cluster::of(2, 2).set("AGENT_GRACE_MS", "500");
    let cluster = plan.start().await;
    for (task, retry) in [("once", json!(false)), ("again", json!({"backoff_ms": 0}))] {
        let mut watcher = watch(&cluster, task).await;
        let agent = Agent::connect(&cluster, 0, "a1", json!({})).await;
        create(&cluster, task, json!({"retry": retry})).await;
        for event in ["task_created", "task_assigned", "task_accepted"] {
            step(&mut watcher, event).await;
        }
        agent.leave().await;
        assert_eq!(step(&mut watcher, "task_released").await["why"], "lost");
        if task == "once" {
            let end = step(&mut watcher, "task_result").await;
            assert_eq!((&end["status"], &end["reason"]), (&json!("failed"), &json!("lost")));
            continue;
        }
        let mut second = Agent::connect(&cluster, 1, "a2", json!({})).await;
        assert_eq!(second.task().await["attempt"], 2);
        assert_eq!(step(&mut watcher, "task_assigned").await, json!({"attempt": 2, "agent": "a2"}));
    }
}

#[tokio::test]
async fn an_agent_that_comes_back_in_time_keeps_what_it_says_it_runs() {
    let cluster = Cluster::of(2, 1).set("AGENT_GRACE_MS", "5000").start().await;
    let mut watcher = watch(&cluster, "t1").await;
    let metadata = json!({"accepts": true, "cancels": true});
    let mut agent = Agent::connect(&cluster, 0, "a1", json!({"metadata": metadata})).await;
    create(&cluster, "t1", json!({})).await;
    agent.task().await;
    agent.say("task-accept", json!({"taskId": "t1", "attempt": 1})).await;
    for event in ["task_created", "task_assigned", "task_accepted"] {
        step(&mut watcher, event).await;
    }
    agent.leave().await;
    let running = json!([{"taskId": "t1", "attempt": 1}, {"taskId": "t0", "attempt": 3}]);
    let metadata = json!({"accepts": true, "cancels": true, "running": running});
    let mut agent = Agent::connect(&cluster, 1, "a1", json!({"metadata": metadata})).await;
    let stale = agent.hear("task-cancel").await;
    assert_eq!((&stale["taskId"], &stale["reason"]), (&json!("t0"), &json!("stale")));
    agent.say("task-progress", json!({"taskId": "t1", "progress": 50})).await;
    assert_eq!(step(&mut watcher, "task_progress").await["attempt"], 1);
    agent.say("task-result", json!({"taskId": "t1", "status": "completed"})).await;
    let recorded = agent.hear("task-recorded").await;
    assert_eq!(recorded, json!({"type": "task-recorded", "taskId": "t1", "attempt": 1}));
    step(&mut watcher, "task_result").await;
}

#[tokio::test]
async fn what_is_not_accepted_in_time_or_runs_too_long_times_out() {
    let cluster = Cluster::embedded().set("TASK_ACCEPT_MS", "300").start().await;
    let mut watcher = watch(&cluster, "t1").await;
    let metadata = json!({"accepts": true, "cancels": true});
    let mut agent = Agent::connect(&cluster, 0, "a1", json!({"metadata": metadata})).await;
    create(&cluster, "t1", json!({"retry": {"backoff_ms": 0}, "timeout_ms": 400})).await;
    agent.task().await;
    step(&mut watcher, "task_created").await;
    step(&mut watcher, "task_assigned").await;
    assert_eq!(step(&mut watcher, "task_released").await["why"], "timeout");
    step(&mut watcher, "task_assigned").await;
    assert_eq!(agent.task().await["attempt"], 2);
    agent.say("task-accept", json!({"taskId": "t1"})).await;
    step(&mut watcher, "task_accepted").await;
    assert_eq!(step(&mut watcher, "task_released").await["why"], "timeout");
    let told = agent.hear("task-cancel").await;
    assert_eq!((&told["attempt"], &told["reason"]), (&json!(2), &json!("timeout")));
}

#[tokio::test]
async fn a_rejection_goes_to_the_next_agent_and_the_last_one_ends_it() {
    let cluster = Cluster::embedded().start().await;
    let mut watcher = watch(&cluster, "t1").await;
    create(&cluster, "t1", json!({})).await;
    step(&mut watcher, "task_created").await;
    let metadata = json!({"metadata": {"accepts": true}});
    let mut first = Agent::connect(&cluster, 0, "a1", metadata.clone()).await;
    let mut second = Agent::connect(&cluster, 0, "a2", metadata).await;
    first.task().await;
    first.say("task-reject", json!({"taskId": "t1", "reason": "not mine"})).await;
    second.task().await;
    second.say("task-reject", json!({"taskId": "t1", "reason": "nor mine"})).await;
    for _ in 0..2 {
        step(&mut watcher, "task_assigned").await;
        assert_eq!(step(&mut watcher, "task_released").await["why"], "rejected");
    }
    assert_eq!(step(&mut watcher, "task_result").await["reason"], "rejected");
}

#[tokio::test]
async fn dependencies_wait_for_completion_and_fail_with_what_they_depend_on() {
    for plan in [Cluster::embedded(), Cluster::of(1, 2).set("INGEST_PARTITIONS", "2")] {
        let cluster = plan.start().await;
        create(&cluster, "last", json!({"depends_on": ["first"]})).await;
        let mut agent = Agent::connect(&cluster, 0, "a1", json!({})).await;
        agent.silent(Duration::from_millis(400)).await;
        create(&cluster, "first", json!({})).await;
        assert_eq!(agent.task().await["taskId"], "first");
        agent
            .say("task-result", json!({"taskId": "first", "status": "completed", "result": 42}))
            .await;
        let last = agent.task().await;
        assert_eq!(last["taskId"], "last");
        assert_eq!(last["dependencies"], json!([{"taskId": "first", "result": 42}]));
        agent.say("task-result", json!({"taskId": "last", "status": "failed"})).await;
        create(&cluster, "never", json!({"depends_on": ["last"]})).await;
        ends(&cluster, "never", "failed", "dependency").await;
        for (one, other) in [("x", "y"), ("y", "x")] {
            create(&cluster, one, json!({"depends_on": [other]})).await;
        }
        ends(&cluster, "x", "failed", "cycle").await;
        ends(&cluster, "y", "failed", "cycle").await;
    }
}

/// A task must come to this end soon.
async fn ends(cluster: &Cluster, task: &str, status: &str, reason: &str) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    loop {
        let path = format!("/v1/tasks/{task}?token={}", crate::cluster::token("w", &["*"]));
        // A bare event may not be recorded yet.
        let shown = cluster.get(&path).await.json();
        if shown["task"]["status"] == status && shown["task"]["reason"] == reason {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{task} is {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
