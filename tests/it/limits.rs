//! Every limit is told in the protocol's own words, and costs nobody else anything.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Socket;
use crate::cluster::{Cluster, token};

async fn connect(cluster: &Cluster, user: &str) -> Socket {
    let path = format!("/v1/connect?token={}", token(user, &["*"]));
    Socket::connect(&cluster.gateways[0].ws(&path)).await
}

fn error() -> Value {
    json!({"type": "error", "code": "<text>", "message": "<text>", "...": ""})
}

#[tokio::test]
async fn one_connection_too_many_of_a_user_is_closed_with_4009() {
    let cluster = Cluster::embedded().set("MAX_CONNECTIONS_PER_USER", "2").start().await;
    let mut held = vec![connect(&cluster, "alice").await, connect(&cluster, "alice").await];
    for socket in &mut held {
        socket.expect(json!({"type": "welcome", "...": ""})).await;
    }
    let mut third = connect(&cluster, "alice").await;
    third.wait_for(error()).await;
    assert_eq!(third.closed().await.0, 4009);
    let mut other = connect(&cluster, "bob").await;
    other.expect(json!({"type": "welcome", "user": "bob", "...": ""})).await;
    held.pop().unwrap().leave().await;
    loop {
        // The place is free once the server has seen the end.
        let mut again = connect(&cluster, "alice").await;
        if again.next().await != crate::client::Frame::Cut {
            break;
        }
    }
}

#[tokio::test]
async fn one_subscription_too_many_is_an_error_and_the_others_stay() {
    let cluster = Cluster::embedded().set("MAX_SUBSCRIPTIONS", "2").start().await;
    let mut watcher = cluster.watcher(0).await;
    for channel in ["task:a", "task:b"] {
        watcher.send(json!({"type": "subscribe", "channel": channel})).await;
        watcher.expect(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
    }
    watcher.send(json!({"type": "subscribe", "channel": "task:c"})).await;
    watcher.expect(error()).await;
    watcher.send(json!({"type": "unsubscribe", "channel": "task:a"})).await;
    watcher.expect(json!({"type": "unsubscribed", "channel": "task:a"})).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:c"})).await;
    watcher.expect(json!({"type": "subscribed", "channel": "task:c", "...": ""})).await;
}

#[tokio::test]
async fn a_client_that_floods_is_closed_with_1008() {
    let cluster = Cluster::embedded().set("CLIENT_FRAMES_PER_SECOND", "5").start().await;
    let mut flood = cluster.watcher(0).await;
    for _ in 0..200 {
        if flood.try_send(json!({"type": "ping"})).await.is_err() {
            break;
        }
    }
    flood.wait_for(error()).await;
    assert_eq!(flood.closed().await.0, 1008);
}

#[tokio::test]
async fn a_frame_above_the_limit_is_closed_with_1009() {
    let cluster = Cluster::embedded().set("MAX_FRAME_BYTES", "10000").start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "ping", "padding": "x".repeat(9000)})).await;
    watcher.expect(json!({"type": "pong"})).await;
    drop(watcher.try_send(json!({"type": "ping", "padding": "x".repeat(11_000)})).await);
    assert_eq!(watcher.closed().await.0, 1009);
}

#[tokio::test]
async fn a_foreign_page_is_refused_before_the_101() {
    let cluster = Cluster::embedded().set("ALLOWED_ORIGINS", "https://shop.example").start().await;
    let url = cluster.gateways[0].ws("/v1/connect");
    let origin = |value: &str| vec![("Origin".to_owned(), value.to_owned())];
    Socket::connect_with(&url, &origin("https://shop.example")).await;
    let refusal = Socket::try_connect(&url, &origin("https://thief.example")).await;
    assert_eq!(refusal.unwrap_err().status, 403);
}

#[tokio::test]
async fn a_publisher_is_held_to_its_rate() {
    let cluster = Cluster::embedded().set("PUBLISH_PER_SECOND", "5").start().await;
    let event = json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {}});
    for _ in 0..200 {
        let answer = cluster.post("/v1/publish", &event).await;
        if answer.status == 429 {
            let seconds: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
            assert!(seconds <= 60, "{seconds}");
            return;
        }
        answer.expect(200);
    }
    panic!("two hundred events and no 429");
}

#[tokio::test]
async fn data_above_its_limit_is_a_problem_and_a_body_above_its_own_is_413() {
    let cluster = Cluster::embedded().start().await;
    let event = |size: usize| {
        let data = json!({"x": "x".repeat(size)});
        json!({"stream": "messages", "type": "song", "data": data})
    };
    cluster.post("/v1/publish", &event(1_900_000)).await.expect(200);
    let problems = cluster.post("/v1/publish", &event(2_200_000)).await.expect(400).json();
    assert_eq!(problems["problems"][0]["path"], "data", "{problems}");
    cluster.post("/v1/publish", &event(5_000_000)).await.expect(413);
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_costs_the_others_nothing_and_misses_nothing() {
    let cluster = Cluster::of(1, 1).set("SEND_QUEUE_BYTES", "16384").start().await;
    let mut slow = cluster.watcher(0).await;
    let mut quick = cluster.watcher(0).await;
    for watcher in [&mut slow, &mut quick] {
        watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
        watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    }
    let script = "for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'type', 'task_update', 'id', 't', \
        'data', '{\"n\":' .. n .. ',\"x\":\"' .. string.rep('x', 10000) .. '\"}') end";
    let key = format!("{}:tasks", cluster.prefix);
    let publish = async {
        cluster.redis().cli(&["EVAL", script, "1", &key, "2000"]);
        for n in 1..=2000 {
            quick
                .expect(json!({"type": "event", "data": {"n": n, "x": "<text>"}, "...": ""}))
                .await;
        }
    };
    let asleep = slow.stop_reading_for(Duration::from_secs(3));
    tokio::join!(publish, asleep);
    for n in 1..=2000 {
        slow.expect(json!({"type": "event", "data": {"n": n, "x": "<text>"}, "...": ""})).await;
    }
}

#[tokio::test]
async fn a_watcher_of_the_latest_skips_to_the_newest_state() {
    let cluster = Cluster::of(1, 1).set("SEND_QUEUE_BYTES", "16384").start().await;
    let mut slow = cluster.watcher(0).await;
    slow.send(json!({"type": "subscribe", "channel": "task:t", "mode": "latest"})).await;
    slow.expect(json!({"type": "subscribed", "...": ""})).await;
    let script = "for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'type', 'task_update', 'id', 't', \
        'data', '{\"n\":' .. n .. ',\"x\":\"' .. string.rep('x', 10000) .. '\"}') end";
    let key = format!("{}:tasks", cluster.prefix);
    let publish = async { cluster.redis().cli(&["EVAL", script, "1", &key, "3000"]) };
    tokio::join!(slow.stop_reading_for(Duration::from_secs(4)), publish);
    let mut skipped = false;
    let mut newest = 0;
    while newest < 3000 {
        let frame = slow.expect(json!({"type": "<one of event gap>", "...": ""})).await;
        if frame["type"] == "event" {
            let n = frame["data"]["n"].as_u64().unwrap();
            assert_eq!(n, newest + 1, "{n} after {newest}");
            newest = n;
        } else {
            assert_eq!(frame["cause"], "latest", "{frame}");
            let state =
                json!({"type": "state", "position": frame["to"], "state": "<object>", "...": ""});
            newest = slow.expect(state).await["state"]["n"].as_u64().unwrap();
            skipped = true;
        }
    }
    assert!(skipped, "30 MB do not fit into the queue and the kernel's buffers");
}
