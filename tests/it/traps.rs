//! The traps of `protocols.md` §0.2 that need a timer or an operator; a test named after each.
//!
//! The others: 2 in `004-containers.txt`, 3 and 5 in `001-agents.txt`, 6, 7 and 11 in `deployments.rs`.

use std::time::Duration;

use serde_json::json;

use crate::client::{Frame, Socket};
use crate::cluster::Cluster;

async fn connect(cluster: &Cluster, path: &str) -> Socket {
    Socket::connect(&cluster.gateways[0].ws(path)).await
}

async fn agent(cluster: &Cluster, id: &str) -> Socket {
    let mut agent = connect(cluster, "/api/ws").await;
    agent.send(json!({"type": "agent-status", "agentId": id, "status": "idle"})).await;
    agent.expect(json!({"type": "ack", "message": "Status updated"})).await;
    agent
}

/// What the container program does with every frame: anything but JSON ends it.
async fn only_json(socket: &mut Socket, time: Duration) {
    while let Some(frame) = socket.poll(time).await {
        assert!(matches!(frame, Frame::Json(_)), "the container program would exit at {frame:?}");
    }
}

#[tokio::test]
async fn trap_1_a_container_is_never_sent_anything_but_json() {
    let cluster = Cluster::embedded().set("HEARTBEAT_INTERVAL", "50").start().await;
    let mut producer = connect(&cluster, "/?token=default-token").await;
    for text in
        ["ping", "pong", "{", "null", "[]", "5", r#"{"type":"ping"}"#, r#"{"type":"pong"}"#, ""]
    {
        producer.send_message(text.into()).await;
    }
    only_json(&mut producer, Duration::from_millis(300)).await;
    // Another one: the first has spoken in lower case, and is answered so from then on.
    let mut producer = connect(&cluster, "/?token=default-token").await;
    producer.send(json!({"type": "HEARTBEAT", "containerID": "c", "timestamp": "t", "data": {"timestamp": "t"}})).await;
    producer.wait_for(json!({"type": "HEARTBEAT", "containerID": "c", "...": ""})).await;
}

#[tokio::test]
async fn trap_1_a_container_too_many_is_told_after_the_upgrade() {
    let cluster = Cluster::embedded().set("MAX_SESSIONS", "2").start().await;
    let mut held = Vec::new();
    for id in ["c1", "c2"] {
        let mut watcher =
            connect(&cluster, &format!("/?token=default-token&containerID={id}")).await;
        watcher.expect(json!({"type": "STATUS", "containerID": id, "...": ""})).await;
        held.push(watcher);
    }
    let mut third = connect(&cluster, "/?token=default-token&containerID=c3").await;
    let data = json!({"error": "<text>", "code": "MAX_SESSIONS", "...": ""});
    third.wait_for(json!({"type": "<one of ERROR error>", "data": data, "...": ""})).await;
    assert_eq!(third.closed().await.0, 1013);
    let mut known = connect(&cluster, "/?token=default-token&containerID=c2").await;
    known.expect(json!({"type": "STATUS", "containerID": "c2", "...": ""})).await;
}

#[tokio::test]
async fn trap_1_a_drain_never_ends_a_container_with_1000() {
    let cluster = Cluster::embedded().set("DRAIN_MS", "2000").start().await;
    let mut producer = connect(&cluster, "/?token=default-token").await;
    cluster.gateways[0].terminate();
    assert_eq!(producer.closed().await.0, 1001);
}

#[tokio::test]
async fn trap_4_an_agent_that_pongs_in_its_own_format_stays() {
    let cluster = Cluster::embedded()
        .set("COCKPIT_PING_MS", "150")
        .set("COCKPIT_STALE_MS", "450")
        .start()
        .await;
    let mut real = agent(&cluster, "real").await;
    let mut silent = agent(&cluster, "silent").await;
    let mut stranger = connect(&cluster, "/api/ws").await;
    for _ in 0..8 {
        real.wait_for(json!({"type": "ping", "timestamp": "<ms>"})).await;
        real.send(json!({"type": "pong", "timestamp": "2026-11-20T10:00:00.000Z"})).await;
    }
    assert_eq!(silent.closed().await, (1000, "Stale connection".to_owned()));
    // Pings and staleness concern registered agents only.
    stranger.expect_silence(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn trap_8_control_pongs_are_no_life_for_seed_002() {
    let cluster = Cluster::embedded()
        .set("CLOUD_AGENTS_PING_MS", "150")
        .set("CLOUD_AGENTS_TIMEOUT_MS", "400")
        .start()
        .await;
    let mut silent = connect(&cluster, "/ws?token=silent").await;
    let mut alive = connect(&cluster, "/ws?token=alive").await;
    for _ in 0..8 {
        alive.wait_for(json!({"type": "ping", "timestamp": "<iso>"})).await;
        alive.send(json!({"type": "pong"})).await;
    }
    // It read everything and its library answered control pings; no message of its own ever came.
    silent.wait_for(json!({"type": "ping", "timestamp": "<iso>"})).await;
    silent.closed().await;
    alive.wait_for(json!({"type": "ping", "...": ""})).await;
}

#[tokio::test]
async fn trap_9_only_control_pongs_are_life_for_seed_003() {
    let cluster = Cluster::embedded()
        .set("ZEROSTATE_PING_MS", "150")
        .set("ZEROSTATE_TIMEOUT_MS", "450")
        .start()
        .await;
    let mut quiet = connect(&cluster, "/api/v1/ws/connect").await;
    for _ in 0..8 {
        quiet.expect_ping().await;
    }
    quiet.send(json!({"type": "ping"})).await;
    quiet.wait_for(json!({"type": "pong", "...": ""})).await;

    let mut deaf = connect(&cluster, "/api/v1/ws/connect").await;
    for _ in 0..10 {
        if deaf.try_send(json!({"type": "ping"})).await.is_err() {
            break;
        }
        deaf.stop_reading_for(Duration::from_millis(120)).await;
    }
    deaf.closed().await;
}

#[tokio::test]
async fn trap_10_a_drain_closes_the_seeds_with_1001() {
    let cluster = Cluster::embedded().set("DRAIN_MS", "2000").start().await;
    let mut sockets = Vec::new();
    for path in ["/?deploymentId=d", "/ws?token=abc", "/api/v1/ws/connect", "/?token=default-token"]
    {
        sockets.push((path, connect(&cluster, path).await));
    }
    cluster.gateways[0].terminate();
    for (path, socket) in &mut sockets {
        assert_eq!(socket.closed().await.0, 1001, "{path}");
    }
    assert_eq!(cluster.gateways[0].exit_code(), Some(0));
}

#[tokio::test]
async fn a_passive_watcher_of_a_container_stays_fed() {
    let cluster = Cluster::embedded().set("HEARTBEAT_INTERVAL", "100").start().await;
    let mut watcher = connect(&cluster, "/?token=default-token&containerID=c").await;
    for _ in 0..6 {
        let data = json!({"timestamp": "<any>", "...": ""});
        watcher
            .wait_for(json!({"type": "HEARTBEAT", "containerID": "c", "data": data, "...": ""}))
            .await;
    }
    let mut producer = connect(&cluster, "/?token=default-token").await;
    producer.send(json!({"type": "LOG", "containerID": "c", "timestamp": "t", "data": {"level": "info", "message": "x"}})).await;
    watcher.wait_for(json!({"type": "LOG", "containerID": "c", "...": ""})).await;
}

#[tokio::test]
async fn a_container_session_without_a_frame_ends() {
    let cluster = Cluster::embedded().set("SESSION_TIMEOUT", "400").start().await;
    let mut watcher = connect(&cluster, "/?token=default-token&containerID=c").await;
    assert_eq!(watcher.closed().await, (1000, "Container session ended".to_owned()));
}

#[tokio::test]
async fn large_log_lines_of_a_container_pass() {
    let cluster = Cluster::of(2, 1).start().await;
    let mut watcher =
        Socket::connect(&cluster.gateways[1].ws("/?token=default-token&containerID=c")).await;
    watcher.expect(json!({"type": "STATUS", "...": ""})).await;
    let mut producer = connect(&cluster, "/?token=default-token").await;
    let large = "x".repeat(1_500_000);
    let frame = json!({"type": "LOG", "containerID": "c", "timestamp": "t", "data": {"level": "info", "message": large}});
    producer.send(frame.clone()).await;
    watcher.expect(frame).await;
    let too_large = "x".repeat(2_200_000);
    producer.send(json!({"type": "LOG", "containerID": "c", "timestamp": "t", "data": {"level": "info", "message": too_large}})).await;
    let data = json!({"error": "<text>", "code": "INVALID_MESSAGE"});
    producer.expect(json!({"type": "<one of ERROR error>", "data": data, "...": ""})).await;
    producer.send(json!({"type": "LOG", "containerID": "c", "timestamp": "t", "data": {"level": "info", "message": "small"}})).await;
    watcher
        .expect(json!({"type": "LOG", "data": {"level": "info", "message": "small"}, "...": ""}))
        .await;
}
