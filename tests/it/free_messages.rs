//! Seed 003's door: a message is for one user or for all, whatever its type is called, on every node,
//! in every dialect, in the archive, after a resume and after a restart (contract, "Where the pages meet").

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Socket;
use crate::cluster::{Cluster, Plan, token, token_with};

/// Names that mean something elsewhere, and one that means nothing.
const TYPES: [&str; 7] = [
    "chat_message",
    "notification",
    "system",
    "task_update",
    "agent_status",
    "deployment_update",
    "party",
];

const QUIET: Duration = Duration::from_millis(300);

struct Page {
    own: Socket,
    other: Socket,
}

/// Sockets of `u1` and of somebody else at a node, in one dialect.
async fn page(cluster: &Cluster, node: usize, path: &str) -> Page {
    let connect = async |user: &str| {
        let token = token_with(json!({"sub": user}));
        let url = cluster.gateways[node].ws(&format!("{path}?token={token}"));
        let mut socket = Socket::connect(&url).await;
        if path == "/v1/connect" {
            socket.wait_for(json!({"type": "welcome", "...": ""})).await;
            let channel = format!("user:{user}");
            for channel in [channel.as_str(), "broadcast"] {
                socket.send(json!({"type": "subscribe", "channel": channel})).await;
                socket.wait_for(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
            }
        } else if path == "/ws" {
            socket.wait_for(json!({"type": "notification", "...": ""})).await;
        } else {
            socket.wait_for(json!({"type": "system", "...": ""})).await;
        }
        socket
    };
    Page { own: connect("u1").await, other: connect("u2").await }
}

async fn say(cluster: &Cluster, path: &str, body: &Value) {
    let header = [("Authorization".to_owned(), format!("Bearer {}", backend()))];
    let url = cluster.gateways[0].http(path);
    let answer = cluster.http.send("POST", &url, &header, Some(&body.to_string())).await.unwrap();
    answer.expect(200);
}

fn backend() -> String {
    token_with(json!({"sub": "backend", "channels": ["*"], "publish": ["messages"]}))
}

async fn reaches_that_user_alone(plan: Plan, nodes: usize) {
    let mut cluster = plan.start().await;
    let last = nodes - 1;
    let mut zerostate = page(&cluster, last, "/api/v1/ws/connect").await;
    let mut cloud = page(&cluster, last, "/ws").await;
    let mut native = page(&cluster, last, "/v1/connect").await;
    let mut anybody = cluster.watcher(0).await;
    for channel in ["conversations", "tasks", "agents", "deployments"] {
        anybody.send(json!({"type": "subscribe", "channel": channel})).await;
        anybody.wait_for(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
    }
    for (n, kind) in TYPES.iter().enumerate() {
        let body = json!({"type": kind, "data": {"n": n}});
        say(&cluster, "/api/v1/ws/user/u1", &body).await;
        let frame = json!({"type": kind, "user_id": "u1", "data": {"n": n}, "...": ""});
        zerostate.own.wait_for(frame).await;
        let event = json!({
            "type": "event", "channel": "user:u1", "event": kind, "id": "u1", "free": true,
            "data": {"n": n}, "...": "",
        });
        native.own.wait_for(event).await;
        if matches!(*kind, "notification" | "system") {
            let data = json!({"n": n, "message": ""});
            let frame = json!({"type": "notification", "data": data, "...": ""});
            cloud.own.wait_for(frame).await;
        }
    }
    for socket in [&mut zerostate.other, &mut cloud.other, &mut native.other, &mut anybody] {
        socket.expect_silence(QUIET).await;
    }
    cloud.own.expect_silence(QUIET).await;

    // For all: everybody, and still nobody's task or conversation.
    for kind in TYPES {
        say(&cluster, "/api/v1/ws/broadcast", &json!({"type": kind, "data": {}})).await;
        let frame = json!({"type": kind, "data": {}, "timestamp": "<text>"});
        zerostate.own.wait_for(frame.clone()).await;
        zerostate.other.wait_for(frame).await;
        let event = json!({
            "type": "event", "channel": "broadcast", "event": kind, "id": null, "free": true, "...": "",
        });
        native.other.wait_for(event).await;
    }
    anybody.expect_silence(QUIET).await;

    // In the archive, after a resume, and after a restart they are still nobody else's.
    let page = cluster.archive("user:u1", "limit=100").await;
    let kinds: Vec<&str> =
        page["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, TYPES);
    assert!(page["events"].as_array().unwrap().iter().all(|event| event["free"] == true));
    for channel in ["conversations", "tasks", "agents", "deployments", "conversation:u1", "task:u1"]
    {
        let page = cluster.archive(channel, "limit=1").await;
        assert_eq!(page["events"], json!([]), "{channel}");
    }
    let state = cluster.get("/v1/channels/deployment:u1").await.expect(200).json();
    assert_eq!(state["state"], Value::Null);
    for node in &mut cluster.gateways {
        node.kill();
    }
    for node in &mut cluster.gateways {
        node.start_again(&cluster.http).await;
    }
    let since = page["events"][0]["position"].clone();
    let url = format!("/v1/connect?token={}", token("u1", &["user:*"]));
    let mut again = Socket::connect(&cluster.gateways[last].ws(&url)).await;
    again.wait_for(json!({"type": "welcome", "...": ""})).await;
    again.send(json!({"type": "subscribe", "channel": "user:u1", "since": since})).await;
    again.wait_for(json!({"type": "subscribed", "...": ""})).await;
    for kind in &TYPES[1..] {
        again.wait_for(json!({"type": "event", "event": kind, "free": true, "...": ""})).await;
    }
}

#[tokio::test]
async fn a_message_for_a_user_reaches_that_user_alone_embedded() {
    reaches_that_user_alone(Cluster::embedded(), 1).await;
}

#[tokio::test]
async fn a_message_for_a_user_reaches_that_user_alone_on_all_nodes() {
    reaches_that_user_alone(Cluster::of(2, 1), 2).await;
}
