//! Leases of entities: who goes silent for longer than `lease_ms` ends as `abandoned`, once.

use serde_json::json;
use services::Postgres;

use crate::cluster::{Cluster, token};

const CHANNEL: &str = "task:t";

fn heartbeat(cluster: &Cluster, lease_ms: &str) {
    let data = r#"{"status":"running"}"#;
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", data, "lease_ms", lease_ms]);
}

/// How many events of the task's archive end it as abandoned.
async fn abandonments(cluster: &Cluster) -> usize {
    let page = cluster.archive(CHANNEL, "limit=500").await;
    let events = page["events"].as_array().unwrap();
    events.iter().filter(|event| event["data"]["status"] == "abandoned").count()
}

#[tokio::test]
async fn a_task_whose_producer_goes_silent_ends_as_abandoned_once_whoever_dies() {
    let cluster = Cluster::of(2, 2).start().await;
    let mut watchers = [cluster.watcher(0).await, cluster.watcher(1).await];
    for watcher in &mut watchers {
        watcher.send(json!({"type": "subscribe", "channel": CHANNEL})).await;
        watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    }
    heartbeat(&cluster, "2500");
    for watcher in &mut watchers {
        watcher.expect(json!({"type": "event", "event": "task_update", "...": ""})).await;
    }
    // The owner, or the one who stands by.
    cluster.workers[0].kill();
    let ending = json!({"status": "abandoned", "lease_ms": 2500, "abandoned_at": "<number>"});
    for watcher in &mut watchers {
        watcher
            .expect(json!({"type": "event", "event": "task_result", "data": ending, "...": ""}))
            .await;
    }
    // The real ending comes late: it is told, and the state says what was shown before.
    let late = json!({"status": "completed"});
    cluster.xadd("tasks", &["type", "task_result", "id", "t", "data", &late.to_string()]);
    for watcher in &mut watchers {
        watcher.expect(json!({"type": "event", "data": late, "...": ""})).await;
    }
    let path = format!("/v1/channels/{CHANNEL}?token={}", token("watcher", &["*"]));
    let state = cluster.get(&path).await.expect(200).json();
    assert_eq!(state["state"]["status"], "completed");
    assert!(state["state"]["abandoned_at"].is_number(), "{state}");
    assert_eq!(abandonments(&cluster).await, 1);
}

#[tokio::test]
async fn each_event_of_a_task_prolongs_its_lease() {
    let cluster = Cluster::embedded().start().await;
    let publish = async |data: &str| {
        let fields = ["type", "deployment_update", "id", "d", "data", data, "lease_ms", "1500"];
        cluster.append("deployments", &fields).await;
    };
    for progress in 1..=6 {
        publish(&json!({ "progress": progress }).to_string()).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    publish(r#"{"status":"success"}"#).await;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let state = cluster.get("/v1/channels/deployment:d").await.expect(200).json();
    assert_eq!(state["state"]["status"], "success");
    assert_eq!(state["state"]["abandoned_at"], json!(null), "{state}");
}

#[tokio::test]
async fn a_database_that_was_down_makes_nobody_silent() {
    let cluster = Cluster::of(1, 1).postgres(Postgres::options().start()).start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": CHANNEL})).await;
    watcher.wait_for(json!({"type": "subscribed", "...": ""})).await;
    heartbeat(&cluster, "1500");
    watcher.wait_for(json!({"type": "event", "...": ""})).await;
    cluster.postgres().kill();
    for _ in 0..6 {
        heartbeat(&cluster, "1500");
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    cluster.postgres().restart();
    cluster.xadd("tasks", &["type", "task_result", "id", "t", "data", r#"{"status":"completed"}"#]);
    let last = json!({"type": "event", "data": {"status": "completed"}, "...": ""});
    watcher.wait_for(last).await;
    assert_eq!(abandonments(&cluster).await, 0);
}
