//! What an input may cost: bounded by who sends it, refused with a word, and nobody else's delay.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::client::Socket;
use crate::cluster::{Cluster, Plan, token, token_with};

/// Production with everything that it needs.
fn production() -> Plan {
    Cluster::of(1, 1)
        .set("ENVIRONMENT", "production")
        .set("JWT_SECRET", "0123456789abcdef0123456789abcdef")
        .set("ALLOW_INSECURE", "true")
}

async fn native(cluster: &Cluster, query: &str) -> Socket {
    Socket::connect(&cluster.gateways[0].ws(&format!("/v1/connect{query}"))).await
}

async fn subscribed(cluster: &Cluster, channel: &str) -> Socket {
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": channel})).await;
    watcher.expect(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
    watcher
}

#[tokio::test]
async fn a_frame_is_bounded_by_its_dialect_before_it_is_decoded() {
    let cluster = Cluster::embedded().start().await;
    // A key that is none: what is read is refused with a word, what is too large with a close.
    let frame = |bytes: usize| json!({"type": "nothing", "padding": "x".repeat(bytes)});
    let agent = token_with(json!({"sub": "a-1", "role": "agent"}));
    let agent = format!("/v1/connect?token={agent}");
    for (door, fits, breaks) in [
        (agent.as_str(), 4_000_000, 4_200_000),
        ("/v1/connect", 60_000, 70_000),
        ("/ws", 60_000, 70_000),
        ("/api/v1/ws/connect", 60_000, 70_000),
        ("/?deploymentId=d", 60_000, 70_000),
        ("/api/ws", 4_000_000, 4_200_000),
        ("/?token=default-token", 4_000_000, 4_200_000),
    ] {
        let mut socket = Socket::connect(&cluster.gateways[0].ws(door)).await;
        socket.send(frame(fits)).await;
        drop(socket.try_send(frame(breaks)).await);
        assert_eq!(socket.closed().await.0, 1009, "{door}");
    }
}

#[tokio::test]
async fn who_shows_no_credential_in_production_may_send_16_kib() {
    let cluster = production().set("ANONYMOUS_CHANNELS", "deployment:*").start().await;
    let mut socket = native(&cluster, "").await;
    let welcome = socket.expect(json!({"type": "welcome", "user": null, "...": ""})).await;
    assert_eq!(welcome["limits"]["frame_bytes"], 16_384, "{welcome}");
    let frame = |bytes: usize| json!({"type": "ping", "x": "x".repeat(bytes)});
    socket.send(frame(16_000)).await;
    socket.expect(json!({"type": "error", "code": "bad_frame", "...": ""})).await;
    drop(socket.try_send(frame(17_000)).await);
    assert_eq!(socket.closed().await.0, 1009);
}

#[tokio::test]
async fn a_message_that_never_ends_is_closed_with_1008() {
    let cluster = Cluster::embedded().set("MESSAGE_TIMEOUT_MS", "300").start().await;
    let mut socket = cluster.watcher(0).await;
    let half = Frame::message(b"half".to_vec(), OpCode::Data(Data::Text), false);
    socket.send_message(Message::Frame(half)).await;
    assert_eq!(socket.closed().await.0, 1008);
}

#[tokio::test]
async fn frames_over_the_rate_are_delayed_and_none_is_swallowed() {
    let cluster = Cluster::embedded().set("CLIENT_FRAMES_PER_SECOND", "50").start().await;
    let mut watcher = cluster.watcher(0).await;
    let begin = Instant::now();
    for n in 0..300 {
        watcher.send(json!({"type": "unsubscribe", "channel": format!("task:t{n}")})).await;
    }
    for n in 0..300 {
        let channel = format!("task:t{n}");
        watcher.expect(json!({"type": "unsubscribed", "channel": channel})).await;
    }
    assert!(begin.elapsed() > Duration::from_millis(1500), "{:?}", begin.elapsed());
    watcher.send(json!({"type": "ping"})).await;
    watcher.expect(json!({"type": "pong"})).await;
}

#[tokio::test]
async fn a_container_that_prints_3000_lines_at_once_is_recorded_whole() {
    let cluster = Cluster::of(1, 1).start().await;
    let url = cluster.gateways[0].ws("/?token=default-token");
    let mut program = Socket::connect(&url).await;
    let begin = Instant::now();
    for n in 0..3000 {
        let data = json!({"message": n.to_string(), "stream": "stdout"});
        let frame = json!({"type": "LOG", "containerID": "c1", "timestamp": "2026-01-01T00:00:00Z", "data": data});
        program.send(frame).await;
    }
    let data = json!({"exitCode": 0});
    program
        .send(json!({"type": "COMPLETE", "containerID": "c1", "timestamp": "2026-01-01T00:00:00Z", "data": data}))
        .await;
    loop {
        let newest = cluster.archive("container:c1", "reverse=true&limit=1").await;
        if newest["events"][0]["event"] == "complete" {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{newest}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let position = cluster.archive("container:c1", "reverse=true&limit=1").await;
    let position = position["events"][0]["position"].as_str().unwrap_or_default().to_owned();
    assert!(position.ends_with("-3001"), "{position}");
}

#[tokio::test]
async fn an_unknown_key_refuses_the_frame_by_its_name() {
    let cluster = Cluster::embedded().start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "tasks", "sinse": "x"})).await;
    let details = json!([{"path": "sinse", "message": "<text>"}]);
    let error = json!({"type": "error", "code": "bad_frame", "details": details, "channel": "tasks", "...": ""});
    watcher.expect(error).await;
    for tail in [json!(10_001), json!(-1), json!("5"), json!(1.5)] {
        watcher.send(json!({"type": "subscribe", "channel": "tasks", "tail": tail})).await;
        let details = json!([{"path": "tail", "message": "<text>"}]);
        watcher
            .expect(json!({"type": "error", "code": "bad_frame", "details": details, "...": ""}))
            .await;
    }
}

#[tokio::test]
async fn nothing_given_is_echoed_beyond_200_characters() {
    let cluster = Cluster::embedded().set("CLIENT_FRAME_BYTES", "4194304").start().await;
    let long = "\u{200b}".repeat(400_000);
    let mut watcher = cluster.watcher(0).await;
    for frame in [
        json!({"type": "subscribe", "channel": long}),
        json!({"type": "unsubscribe", "channel": long}),
        json!({"type": "subscribe", "channel": "tasks", "since": long}),
        json!({"type": "subscribe", "channel": "tasks", "mode": long}),
        json!({"type": "subscribe", "channel": "tasks", "tail": long}),
        json!({"type": "presence", "status": long}),
        json!({"type": "token", "token": long}),
        json!({"type": long}),
        json!({"type": "ping", long.clone(): 1}),
    ] {
        watcher.send(frame).await;
        let error = watcher.expect(json!({"type": "error", "...": ""})).await.to_string();
        assert!(error.len() < 8_000, "{} bytes: {error:.500}", error.len());
    }
    for door in ["/api/ws", "/?token=default-token"] {
        let mut socket = Socket::connect(&cluster.gateways[0].ws(door)).await;
        let kind = if door == "/api/ws" { "agent-status" } else { "LOG" };
        socket
            .send(json!({"type": kind, "agentId": long, "containerID": long, "status": long}))
            .await;
        let answer = socket.expect(json!({"...": ""})).await.to_string();
        assert!(answer.len() < 8_000, "{door}: {} bytes", answer.len());
    }
    let body = json!({"stream": "tasks", "type": "task_update", "id": "t", long: 1});
    let answer = cluster.post("/v1/publish", &body).await.expect(400).json().to_string();
    assert!(answer.len() < 8_000, "{} bytes", answer.len());
}

#[tokio::test]
async fn a_list_of_issues_ends_after_20_and_says_how_many_more_there_are() {
    let cluster = Cluster::embedded().start().await;
    let mut agent = Socket::connect(&cluster.gateways[0].ws("/api/ws")).await;
    let repos: Vec<Value> = (0..300_000).map(|_| json!({})).collect();
    agent.send(json!({"type": "git-status", "repos": repos})).await;
    let answer = agent.expect(json!({"type": "error", "details": "<any>", "...": ""})).await;
    let details = answer["details"].as_array().unwrap();
    assert_eq!(details.len(), 20);
    let last = details[19]["message"].as_str().unwrap();
    assert!(last.starts_with("and ") && last.ends_with(" more"), "{last}");
}

#[tokio::test]
async fn a_position_of_a_million_parts_is_an_error_and_delays_nobody() {
    let cluster = Cluster::embedded().set("CLIENT_FRAME_BYTES", "4194304").start().await;
    let parts: Vec<String> = (1..65_536).rev().map(|k| format!("t{k}.1")).collect();
    let since = format!("00000001-{}", parts.join(",").repeat(5));
    let mut watcher = cluster.watcher(0).await;
    let begin = Instant::now();
    watcher.send(json!({"type": "subscribe", "channel": "user:u", "since": since})).await;
    watcher.expect(json!({"type": "error", "code": "bad_position", "...": ""})).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_tail_says_how_many_come_and_has_as_many_as_were_asked_for() {
    let cluster = Cluster::of(1, 1).set("PUBLISH_PER_SECOND", "1000000").start().await;
    let events: Vec<Value> = (0..1500)
        .map(|n| json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {"n": n, "x": "x".repeat(1000)}}))
        .collect();
    for events in events.chunks(100) {
        cluster.publish(json!(events)).await;
    }
    let mut watcher = cluster.watcher(0).await;
    for (asked, come) in [(1200, 1200), (10_000, 1500)] {
        watcher.send(json!({"type": "subscribe", "channel": "task:t", "tail": asked})).await;
        watcher
            .expect(json!({"type": "subscribed", "channel": "task:t", "tail": come, "...": ""}))
            .await;
        for n in 1500 - come..1500 {
            watcher
                .expect(json!({"type": "event", "tail": true, "data": {"n": n, "x": "<text>"}, "...": ""}))
                .await;
        }
    }
}

#[tokio::test]
async fn nothing_of_a_subscription_comes_after_its_end() {
    let cluster = Cluster::of(1, 1).set("SEND_QUEUE_BYTES", "16384").start().await;
    let events: Vec<Value> = (0..500)
        .map(|n| json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {"n": n, "x": "x".repeat(2000)}}))
        .collect();
    let first = cluster.publish(json!(events[..100])).await;
    for events in events[100..].chunks(100) {
        cluster.publish(json!(events)).await;
    }
    let start = first["published"][0]["position"].as_str().unwrap().to_owned();
    for _ in 0..10 {
        let mut watcher = cluster.watcher(0).await;
        watcher.send(json!({"type": "subscribe", "channel": "task:t", "since": start})).await;
        watcher.expect(json!({"type": "subscribed", "...": ""})).await;
        watcher.send(json!({"type": "unsubscribe", "channel": "task:t"})).await;
        watcher.wait_for(json!({"type": "unsubscribed", "channel": "task:t"})).await;
        watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
        watcher.expect(json!({"type": "subscribed", "channel": "task:t", "...": ""})).await;
        watcher.expect_silence(Duration::from_millis(50)).await;
        // Subscribing again replaces: the new answer, and nothing of the old after it.
        watcher.send(json!({"type": "subscribe", "channel": "task:t", "since": start})).await;
        watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
        watcher.wait_for(json!({"type": "subscribed", "state": "<object>", "...": ""})).await;
        watcher.expect_silence(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn of_a_users_presence_the_last_within_a_moment_counts() {
    let cluster = Cluster::embedded().start().await;
    let mut watcher = subscribed(&cluster, "presence").await;
    let mut alice = native(&cluster, &format!("?token={}", token("alice", &["*"]))).await;
    alice.expect(json!({"type": "welcome", "...": ""})).await;
    for status in ["online", "away", "online", "away", "busy"] {
        alice.send(json!({"type": "presence", "status": status})).await;
    }
    let busy = json!({"type": "presence", "user": "alice", "status": "busy", "...": ""});
    watcher.expect(busy).await;
    watcher.expect_silence(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn the_welcome_says_what_its_node_is_and_what_may_be_sent() {
    let cluster = Cluster::embedded().start().await;
    let mut alice = native(&cluster, &format!("?token={}", token("alice", &["*"]))).await;
    let limits = json!({"frames_per_second": 50, "subscriptions": 128, "frame_bytes": 65_536});
    alice
        .expect(
            json!({"type": "welcome", "connection": "<text>", "node": "<text>", "user": "alice",
            "ping_ms": 25_000, "degraded": null, "limits": limits, "features": "<any>",
            "partitions": 1, "version": "<text>"}),
        )
        .await;
}

#[tokio::test]
async fn what_the_hub_holds_stays_below_its_bound_and_states_are_read_again() {
    let cluster = Cluster::of(1, 1)
        .set("HUB_CACHE_BYTES", "1048576")
        .set("PUBLISH_PER_SECOND", "1000000")
        .start()
        .await;
    let mut watcher = cluster.watcher(0).await;
    for d in 0..60 {
        let channel = format!("deployment:d{d}");
        watcher.send(json!({"type": "subscribe", "channel": channel})).await;
        watcher.expect(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
    }
    for round in 0..30 {
        let events: Vec<Value> = (0..60)
            .map(|d| {
                json!({"stream": "deployments", "type": "deployment_update", "id": format!("d{d}"),
                "data": {"round": round, "text": "x".repeat(400)}})
            })
            .collect();
        cluster.publish(json!(events)).await;
    }
    for _ in 0..1800 {
        watcher.expect(json!({"type": "event", "...": ""})).await;
    }
    let metrics = cluster.get("/metrics").await.expect(200).body;
    let held = metrics.lines().find_map(|line| line.strip_prefix("fanfare_gateway_cache_bytes "));
    let held: f64 = held.unwrap().parse().unwrap();
    assert!(held <= 1_048_576.0, "{held}");
    let mut late = cluster.watcher(0).await;
    for d in 0..60 {
        let channel = format!("deployment:d{d}");
        late.send(json!({"type": "subscribe", "channel": channel})).await;
        let state = json!({"id": format!("d{d}"), "round": 29, "...": ""});
        late.expect(json!({"type": "subscribed", "channel": channel, "state": state, "...": ""}))
            .await;
    }
    // Whoever was there goes on as before.
    let event = json!({"stream": "deployments", "type": "deployment_update", "id": "d7", "data": {"round": 30}});
    cluster.publish(event).await;
    for socket in [&mut watcher, &mut late] {
        socket.expect(json!({"type": "event", "channel": "deployment:d7", "data": {"round": 30}, "...": ""})).await;
    }
}

#[tokio::test]
async fn finished_containers_whose_watchers_stay_take_no_room_from_others() {
    let cluster = Cluster::of(1, 1).set("MAX_SESSIONS", "3").start().await;
    let mut watchers = Vec::new();
    for n in 0..6 {
        let url = cluster.gateways[0].ws(&format!("/?token=default-token&containerID=c{n}"));
        let mut watcher = Socket::connect(&url).await;
        watcher.expect(json!({"type": "STATUS", "...": ""})).await;
        let event = json!({"stream": "containers", "type": "complete", "id": format!("c{n}"), "data": {"exitCode": 0}});
        cluster.publish(event).await;
        watcher.expect(json!({"type": "COMPLETE", "...": ""})).await;
        watchers.push(watcher);
    }
}

#[tokio::test]
async fn the_number_of_subscriptions_is_true_also_for_presence() {
    let cluster = Cluster::embedded().start().await;
    let count = async || {
        let metrics = cluster.get("/metrics").await.expect(200).body;
        let line = metrics.lines().find_map(|l| l.strip_prefix("fanfare_gateway_subscriptions "));
        line.map(|count| count.parse::<f64>().unwrap()).unwrap_or_default()
    };
    let mut watcher = subscribed(&cluster, "presence").await;
    assert!((count().await - 1.0).abs() < 0.1);
    watcher.send(json!({"type": "unsubscribe", "channel": "presence"})).await;
    watcher.expect(json!({"type": "unsubscribed", "channel": "presence"})).await;
    assert!(count().await.abs() < 0.1);
}
