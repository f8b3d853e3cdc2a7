//! Liveness of our own protocol: who listens stays, who is gone is noticed.

use std::time::Duration;

use serde_json::json;

use crate::client::Socket;
use crate::cluster::{Cluster, Plan, token_with};

fn quick() -> Plan {
    Cluster::embedded().set("PING_MS", "150").set("TIMEOUT_MS", "450")
}

#[tokio::test]
async fn a_client_that_only_listens_is_pinged_and_stays() {
    let cluster = quick().start().await;
    let mut watcher = cluster.watcher(0).await;
    for _ in 0..8 {
        watcher.expect_ping().await;
    }
    watcher.send(json!({"type": "ping"})).await;
    watcher.expect(json!({"type": "pong"})).await;
}

#[tokio::test]
async fn a_client_that_answers_nothing_is_closed_with_4008() {
    let cluster = quick().start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.stop_reading_for(Duration::from_millis(1500)).await;
    watcher
        .wait_for(
            json!({"type": "bye", "reason": "<text>", "reconnect": true, "after_ms": "<number>"}),
        )
        .await;
    assert_eq!(watcher.closed().await.0, 4008);
}

#[tokio::test]
async fn a_fresh_token_in_time_keeps_the_socket() {
    let cluster = Cluster::embedded().start().await;
    let soon = jiff::Timestamp::now().as_second() + 3;
    let token = token_with(json!({"sub": "alice", "exp": soon}));
    let url = cluster.gateways[0].ws(&format!("/v1/connect?token={token}"));
    let mut socket = Socket::connect(&url).await;
    socket.expect(json!({"type": "welcome", "user": "alice", "...": ""})).await;
    let fresh = token_with(json!({"sub": "alice", "exp": soon + 600}));
    socket.send(json!({"type": "token", "token": fresh})).await;
    socket.expect(json!({"type": "token", "expires_at": (soon + 600) * 1000})).await;
    // Another user's token is none of this socket.
    let other = token_with(json!({"sub": "bob", "exp": soon + 600}));
    socket.send(json!({"type": "token", "token": other})).await;
    socket.expect(json!({"type": "error", "code": "forbidden", "...": ""})).await;
    while jiff::Timestamp::now().as_second() < soon + 2 {
        socket.send(json!({"type": "ping"})).await;
        socket.expect(json!({"type": "pong"})).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_socket_ends_with_its_token() {
    let cluster = Cluster::embedded().start().await;
    let soon = jiff::Timestamp::now().as_second() + 2;
    let token = token_with(json!({"sub": "alice", "exp": soon}));
    let url = cluster.gateways[0].ws(&format!("/v1/connect?token={token}"));
    let mut socket = Socket::connect(&url).await;
    socket.expect(json!({"type": "welcome", "user": "alice", "...": ""})).await;
    socket
        .wait_for(json!({"type": "error", "code": "<text>", "message": "<text>", "...": ""}))
        .await;
    assert_eq!(socket.closed().await.0, 4001);
}
