//! A bare `XADD` by `redis-cli`: every type of `contract.md` §3 reaches its channels.

use serde_json::{Value, json};

use crate::client::Socket;
use crate::cluster::Cluster;

async fn subscribe(socket: &mut Socket, channel: &str) {
    socket.send(json!({"type": "subscribe", "channel": channel})).await;
    socket.expect(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
}

/// Stream, type, id (`-` for none), data, and the channels that it goes to.
const TABLE: &[(&str, &str, &str, &str, &[&str])] = &[
    (
        "deployments",
        "deployment_update",
        "d1",
        r#"{"progress":1}"#,
        &["deployment:d1", "deployments"],
    ),
    ("deployments", "deployment_log", "d1", r#"{"lines":["a"]}"#, &["deployment:d1"]),
    ("deployments", "deployment_log", "d1", r#"{"message":"b"}"#, &["deployment:d1"]),
    ("tasks", "task_created", "t1", r#"{"title":"sing"}"#, &["task:t1", "tasks"]),
    ("tasks", "task_update", "t1", r#"{"progress":3}"#, &["task:t1", "tasks"]),
    ("tasks", "task_log", "t1", r#"{"lines":["la"]}"#, &["task:t1", "tasks"]),
    ("tasks", "task_result", "t1", r#"{"status":"completed"}"#, &["task:t1", "tasks"]),
    ("agents", "agent_status", "a1", r#"{"status":"idle"}"#, &["agent:a1", "agents"]),
    ("agents", "agent_status", "a1", r#"{"state":"working"}"#, &["agent:a1", "agents"]),
    ("agents", "agent_update", "a1", r#"{"action":"updated"}"#, &["agent:a1", "agents"]),
    ("agents", "git_status", "a1", r#"{"repos":[{"id":"r","path":"/r","name":"r"}]}"#, &["repos"]),
    ("agents", "alert", "al1", r#"{"severity":"info","title":"hi"}"#, &["alerts"]),
    ("agents", "alert_acknowledged", "al1", "{}", &["alerts"]),
    ("containers", "log", "c1", r#"{"level":"info","message":"x"}"#, &["container:c1"]),
    ("containers", "status", "c1", r#"{"status":"running"}"#, &["container:c1"]),
    ("containers", "error", "c1", r#"{"error":"x"}"#, &["container:c1"]),
    ("containers", "complete", "c1", r#"{"exitCode":0}"#, &["container:c1"]),
    ("messages", "notification", "u1", r#"{"level":"info","message":"x"}"#, &["user:u1"]),
    ("messages", "notification", "-", r#"{"level":"info","message":"x"}"#, &["broadcast"]),
    ("messages", "chat_message", "v1", r#"{"content":"x"}"#, &["conversation:v1", "conversations"]),
    ("messages", "system", "-", r#"{"message":"x"}"#, &["broadcast"]),
    ("messages", "system", "u1", r#"{"message":"x"}"#, &["user:u1"]),
    ("messages", "weather", "-", r#"{"sunny":true}"#, &["broadcast"]),
    ("messages", "weather", "u1", r#"{"sunny":false}"#, &["user:u1"]),
];

#[tokio::test]
async fn every_type_of_the_table_reaches_its_channels_on_every_node() {
    let cluster = Cluster::of(2, 2).start().await;
    let mut channels: Vec<&str> = TABLE.iter().flat_map(|row| row.4.iter().copied()).collect();
    channels.sort_unstable();
    channels.dedup();
    // One socket per channel, on the nodes in turn: so what comes is exactly what goes to that channel.
    let mut sockets = Vec::new();
    for (index, channel) in channels.into_iter().enumerate() {
        let mut socket = cluster.watcher(index % 2).await;
        subscribe(&mut socket, channel).await;
        sockets.push((channel, socket));
    }
    for (stream, kind, id, data, _) in TABLE {
        let mut fields = vec!["type", kind, "data", data];
        if *id != "-" {
            fields.extend(["id", id]);
        }
        cluster.xadd(stream, &fields);
    }
    for (channel, socket) in &mut sockets {
        for (_, kind, _, data, _) in TABLE.iter().filter(|row| row.4.contains(channel)) {
            let data: Value = serde_json::from_str(data).unwrap();
            let event = json!({"type": "event", "channel": channel, "event": kind, "data": data, "...": ""});
            socket.expect(event).await;
        }
    }
}

#[tokio::test]
async fn an_event_with_a_user_goes_to_that_users_channel_too() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut socket = cluster.watcher(0).await;
    subscribe(&mut socket, "user:u1").await;
    cluster.xadd("tasks", &["type", "task_update", "id", "t1", "user", "u1", "data", r#"{"n":1}"#]);
    let frame = json!({"type": "event", "channel": "user:u1", "event": "task_update", "id": "t1",
        "data": {"n": 1}, "...": ""});
    socket.expect(frame).await;
    // Another stream has a number of its own within the position of this channel.
    cluster.xadd("messages", &["type", "notification", "id", "u1", "data", r#"{"message":"x"}"#]);
    socket
        .expect(
            json!({"type": "event", "position": "<position>", "event": "notification", "...": ""}),
        )
        .await;
}

#[tokio::test]
async fn the_same_event_id_is_applied_once() {
    let cluster = Cluster::of(1, 2).start().await;
    let mut socket = cluster.watcher(0).await;
    subscribe(&mut socket, "task:t1").await;
    for progress in [r#"{"progress":1}"#, r#"{"progress":2}"#] {
        let fields = ["type", "task_update", "id", "t1", "event_id", "same", "data", progress];
        cluster.xadd("tasks", &fields);
    }
    cluster.xadd("tasks", &["type", "task_update", "id", "t1", "data", r#"{"progress":3}"#]);
    socket.expect(json!({"type": "event", "data": {"progress": 1}, "...": ""})).await;
    socket.expect(json!({"type": "event", "data": {"progress": 3}, "...": ""})).await;
}

#[tokio::test]
async fn the_ingest_stream_is_read_from_its_beginning() {
    // A backend may publish before the first worker ever ran.
    let mut cluster = Cluster::of(1, 0).start().await;
    cluster.xadd("tasks", &["type", "task_created", "id", "early", "data", r#"{"title":"bird"}"#]);
    let worker = cluster.spawn("worker", 1);
    worker.ready(&cluster.http).await;
    cluster.workers.push(worker);
    let mut socket = cluster.watcher(0).await;
    subscribe(&mut socket, "task:early").await;
    // Recorded before or after the subscription: in the state or as an event.
    cluster.xadd("tasks", &["type", "task_update", "id", "early", "data", r#"{"progress":1}"#]);
    socket.wait_for(json!({"type": "event", "data": {"progress": 1}, "...": ""})).await;
    let mut late = cluster.watcher(0).await;
    late.send(json!({"type": "subscribe", "channel": "task:early"})).await;
    let state = json!({"title": "bird", "progress": 1, "...": ""});
    late.expect(json!({"type": "subscribed", "state": state, "...": ""})).await;
}
