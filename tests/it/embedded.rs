//! The default: one process, no service, no flag, no file.

use serde_json::json;

use crate::client::Socket;
use crate::cluster::Cluster;

#[tokio::test]
async fn what_was_accepted_survives_a_kill() {
    let mut cluster = Cluster::embedded().start().await;
    for progress in 1..=20 {
        let status =
            json!({"status": {"progress": progress, "message": format!("step {progress}")}});
        cluster.post("/internal/deployments/d/update", &status).await.expect(200);
    }
    let before = cluster.get("/v1/channels/deployment:d").await.expect(200).json();
    cluster.gateways[0].kill();
    cluster.gateways[0].start_again(&cluster.http).await;
    let after = cluster.get("/v1/channels/deployment:d").await.expect(200).json();
    assert_eq!(after, before);
    assert_eq!(after["state"]["progress"], 20);
}

#[tokio::test]
async fn a_watcher_resumes_by_position_after_a_kill() {
    let mut cluster = Cluster::embedded().start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    let publish = |progress: u32| json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {"progress": progress}});
    cluster.publish(publish(1)).await;
    let seen = watcher.expect(json!({"type": "event", "data": {"progress": 1}, "...": ""})).await;
    cluster.publish(publish(2)).await;
    cluster.gateways[0].kill();
    assert_eq!(watcher.closed().await.0, 1006);

    cluster.gateways[0].start_again(&cluster.http).await;
    cluster.publish(publish(3)).await;
    let mut watcher = cluster.watcher(0).await;
    let since = &seen["position"];
    watcher.send(json!({"type": "subscribe", "channel": "task:t", "since": since})).await;
    watcher.expect(json!({"type": "subscribed", "position": since, "...": ""})).await;
    watcher.expect(json!({"type": "event", "data": {"progress": 2}, "...": ""})).await;
    watcher.expect(json!({"type": "event", "data": {"progress": 3}, "...": ""})).await;
}

#[tokio::test]
async fn it_says_where_it_is_and_how_to_try_it() {
    let cluster = Cluster::embedded().start().await;
    let said = cluster.gateways[0].log();
    let address = cluster.gateways[0].http("");
    let address = address.strip_prefix("http://").unwrap();
    assert!(said.contains(address), "the address:\n{said}");
    assert!(said.contains("/test/deploy"), "a command to try:\n{said}");
    assert!(said.contains("fanfare watch deployment:"), "a command to watch:\n{said}");
    assert!(!said.contains(crate::cluster::JWT_SECRET), "secrets are never printed:\n{said}");
    let token = said
        .split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .find(|word| word.starts_with("eyJ") && word.matches('.').count() == 2)
        .unwrap_or_else(|| panic!("a development token:\n{said}"));
    let url = cluster.gateways[0].ws(&format!("/v1/connect?token={token}"));
    let mut socket = Socket::connect(&url).await;
    socket.expect(json!({"type": "welcome", "user": "<text>", "...": ""})).await;
}

#[tokio::test]
async fn sigterm_ends_it_in_order() {
    let cluster = Cluster::embedded().set("DRAIN_MS", "3000").start().await;
    let mut watcher = cluster.watcher(0).await;
    cluster.gateways[0].terminate();
    watcher
        .wait_for(
            json!({"type": "bye", "reason": "<text>", "reconnect": true, "after_ms": "<number>"}),
        )
        .await;
    assert_eq!(watcher.closed().await.0, 1012);
    assert_eq!(cluster.gateways[0].exit_code(), Some(0));
}

#[tokio::test]
async fn a_second_sigterm_ends_it_at_once() {
    let cluster = Cluster::embedded().set("DRAIN_MS", "30000").start().await;
    let _watcher = cluster.watcher(0).await;
    cluster.gateways[0].terminate();
    // Signals of one kind are not counted while one is pending: ask until the first was seen.
    loop {
        let answer =
            cluster.http.send("GET", &cluster.gateways[0].http("/readyz"), &[], None).await;
        if answer.is_err() || answer.is_ok_and(|answer| answer.status == 503) {
            break;
        }
    }
    let asked = std::time::Instant::now();
    cluster.gateways[0].terminate();
    cluster.gateways[0].exit_code();
    assert!(asked.elapsed().as_secs() < 5, "it took {:?}", asked.elapsed());
}
