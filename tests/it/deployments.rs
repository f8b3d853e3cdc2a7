//! Seed 000 beyond its transcripts: the mock run, limits, time, production.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Socket;
use crate::cluster::Cluster;

async fn viewer(cluster: &Cluster, node: usize, id: &str) -> Socket {
    Socket::connect(&cluster.gateways[node].ws(&format!("/?deploymentId={id}"))).await
}

async fn update(cluster: &Cluster, id: &str, status: Value) {
    let path = format!("/internal/deployments/{id}/update");
    let answer = cluster.post(&path, &json!({ "status": status })).await.expect(200);
    assert_eq!(answer.body, "OK");
}

fn is_ending(frame: &Value) -> bool {
    matches!(frame["data"]["status"].as_str(), Some("success" | "error"))
}

/// Reads a whole run, to the first frame that ends it.
async fn run_of(viewer: &mut Socket) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        let frame = viewer.expect(json!({"type": "deployment_update", "data": "<object>"})).await;
        let ended = is_ending(&frame);
        frames.push(frame);
        if ended {
            return frames;
        }
    }
}

#[tokio::test]
async fn the_mock_run_goes_from_pending_to_its_end() {
    let cluster = Cluster::embedded().set("MOCK_STEP_MS", "1-5").start().await;
    let mut viewer = viewer(&cluster, 0, "12345678-abcd").await;
    viewer
        .expect(json!({"type": "deployment_update", "data": {"status": "pending", "...": ""}}))
        .await;

    let body = json!({"deploymentId": "12345678-abcd", "projectName": "My  Shop"});
    let answer = cluster.post("/test/deploy", &body).await.expect(200).json();
    assert_eq!(
        answer,
        json!({"message": "Mock deployment started", "deploymentId": "12345678-abcd"})
    );

    let frames = run_of(&mut viewer).await;
    assert!(frames.len() >= 2, "{frames:?}");
    let progress: Vec<_> = frames.iter().map(|frame| frame["data"]["progress"].as_f64()).collect();
    assert!(progress.is_sorted(), "progress never falls: {progress:?}");
    let last = &frames.last().unwrap()["data"];
    assert_eq!(last["projectId"], "My  Shop");
    if last["status"] == "success" {
        assert_eq!(last["progress"], 100);
        assert_eq!(last["stage"], "Complete");
        assert_eq!(last["deploymentUrl"], "https://my-shop-12345678.openagents.dev");
        assert_eq!(frames.len(), 11, "one frame per stage");
    } else {
        let message = last["message"].as_str().unwrap();
        assert!(message.ends_with(": Simulated error for testing"), "{message}");
    }
    trap_6_nothing_follows_the_end(&mut viewer).await;
}

async fn trap_6_nothing_follows_the_end(viewer: &mut Socket) {
    viewer.expect_silence(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn trap_6_there_is_exactly_one_terminal_message() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut viewer = viewer(&cluster, 0, "d").await;
    update(&cluster, "d", json!({"status": "building"})).await;
    update(&cluster, "d", json!({"status": "success", "progress": 100})).await;
    let frames = run_of(&mut viewer).await;
    assert_eq!(frames.iter().filter(|frame| is_ending(frame)).count(), 1);
    trap_6_nothing_follows_the_end(&mut viewer).await;
}

#[tokio::test]
async fn trap_7_logs_are_always_the_whole_list_of_at_most_a_hundred() {
    let cluster = Cluster::of(2, 1).start().await;
    let mut viewer = viewer(&cluster, 1, "d").await;
    viewer.expect(json!({"type": "deployment_update", "...": ""})).await;
    let lines: Vec<String> = (1..=99).map(|line| format!("line {line}")).collect();
    update(&cluster, "d", json!({ "logs": lines })).await;
    viewer.expect(json!({"type": "deployment_update", "data": {"logs": lines, "...": ""}})).await;
    for (message, length, first) in
        [("a", 100, "line 1"), ("b", 100, "line 2"), ("c", 100, "line 3")]
    {
        update(&cluster, "d", json!({ "message": message })).await;
        let frame = viewer.expect(json!({"type": "deployment_update", "data": "<object>"})).await;
        let logs = frame["data"]["logs"].as_array().unwrap();
        assert_eq!(logs.len(), length);
        assert_eq!(logs[0], first);
        assert!(logs.last().unwrap().as_str().unwrap().ends_with(&format!("] {message}")));
    }
}

#[tokio::test]
async fn trap_11_a_viewer_who_comes_after_the_answer_sees_the_update() {
    let cluster = Cluster::of(1, 1).start().await;
    for progress in 1..=20 {
        let id = format!("d{}", progress % 3);
        update(&cluster, &id, json!({ "progress": progress })).await;
        let mut viewer = viewer(&cluster, 0, &id).await;
        viewer
            .expect(json!({"type": "deployment_update", "data": {"progress": progress, "...": ""}}))
            .await;
        let state = cluster.get(&format!("/v1/channels/deployment:{id}")).await.expect(200).json();
        assert_eq!(state["state"]["progress"], progress);
    }
}

#[tokio::test]
async fn the_time_of_a_deployment_never_falls() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut viewer = viewer(&cluster, 0, "d").await;
    let mut before = 0;
    for _ in 0..10 {
        let frame = viewer.expect(json!({"type": "deployment_update", "data": "<object>"})).await;
        let time = frame["data"]["timestamp"].as_u64().unwrap();
        assert!(time >= before);
        before = time;
        update(&cluster, "d", json!({"progress": 1, "timestamp": 1})).await;
    }
}

#[tokio::test]
async fn every_update_of_two_nodes_comes_once_and_in_order() {
    let cluster = Cluster::of(2, 2).start().await;
    let mut viewers = [viewer(&cluster, 0, "d").await, viewer(&cluster, 1, "d").await];
    for viewer in &mut viewers {
        viewer
            .expect(json!({"type": "deployment_update", "data": {"progress": 0, "...": ""}}))
            .await;
    }
    for progress in 1..=50 {
        let data = json!({ "progress": progress }).to_string();
        let fields = ["type", "deployment_update", "id", "d", "data", &data];
        cluster.xadd("deployments", &fields);
    }
    // A viewer of whole states may be shown the newest of several at once, never an older one.
    for viewer in &mut viewers {
        let mut before = 0;
        while before < 50 {
            let frame =
                viewer.expect(json!({"type": "deployment_update", "data": "<object>"})).await;
            let progress = frame["data"]["progress"].as_u64().unwrap();
            assert!(progress > before, "{progress} after {before}");
            before = progress;
        }
    }
}

#[tokio::test]
async fn production_has_no_mock_run_and_wants_the_internal_key() {
    let cluster = Cluster::embedded()
        .set("ENVIRONMENT", "production")
        .set("ANONYMOUS_CHANNELS", "deployment:*")
        .set("INTERNAL_API_KEY", "internal-key-of-the-test-0123456789")
        .start()
        .await;
    let body = json!({"deploymentId": "d", "projectName": "shop"});
    assert_eq!(cluster.post("/test/deploy", &body).await.expect(404).body, "Not Found");
    let body = json!({"status": {"progress": 1}});
    cluster.post("/internal/deployments/d/update", &body).await.expect(401);
    let mut viewer = viewer(&cluster, 0, "d").await;
    viewer.expect(json!({"type": "deployment_update", "data": {"progress": 0, "...": ""}})).await;
}

#[tokio::test]
async fn in_production_nobody_watches_a_deployment_without_leave() {
    let cluster = Cluster::embedded().set("ENVIRONMENT", "production").start().await;
    let refusal = Socket::try_connect(&cluster.gateways[0].ws("/?deploymentId=d"), &[]).await;
    assert_eq!(refusal.unwrap_err().status, 401);
}
