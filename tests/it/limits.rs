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
async fn a_foreign_page_is_refused_before_the_101() {
    let cluster = Cluster::embedded().set("ALLOWED_ORIGINS", "https://shop.example").start().await;
    let url = cluster.gateways[0].ws("/v1/connect");
    let origin = |value: &str| vec![("Origin".to_owned(), value.to_owned())];
    Socket::connect_with(&url, &origin("https://shop.example")).await;
    let refusal = Socket::try_connect(&url, &origin("https://thief.example")).await;
    assert_eq!(refusal.unwrap_err().status, 403);
}

/// A proxy on this machine that speaks for an address.
fn forwarded(address: &str) -> Vec<(String, String)> {
    vec![("X-Forwarded-For".to_owned(), format!("203.0.113.99, {address}"))]
}

#[tokio::test]
async fn an_address_that_connects_too_fast_is_told_when_to_come_back_and_others_come_in() {
    let plan = Cluster::embedded().set("TRUSTED_PROXIES", "127.0.0.0/8, ::1");
    let cluster = plan.set("ADDRESS_CONNECTIONS_PER_SECOND", "1").start().await;
    let url = cluster.gateways[0].ws("/v1/connect");
    let (fast, other) = (forwarded("192.0.2.1"), forwarded("192.0.2.2"));
    let mut let_in = 0;
    let refusal = loop {
        match Socket::try_connect(&url, &fast).await {
            Ok(_) => let_in += 1,
            Err(refusal) => break refusal,
        }
        assert!(let_in < 200, "one per second, four at once");
    };
    assert!(let_in >= 4, "only {let_in} came in");
    assert_eq!((refusal.status, refusal.retry_after), (429, Some(1)), "{refusal:?}");
    Socket::connect_with(&url, &other).await;
    // A container ends for good when it is turned away.
    let container = cluster.gateways[0].ws("/?token=default-token&containerID=c");
    for _ in 0..10 {
        Socket::connect_with(&container, &fast).await;
    }
}

#[tokio::test]
async fn an_address_that_guesses_credentials_has_to_wait_until_it_shows_a_right_one() {
    let plan = Cluster::embedded().set("TRUSTED_PROXIES", "127.0.0.1").set("API_KEYS", "ops:right");
    let cluster = plan.set("ADDRESS_FAILURES_PER_MINUTE", "3").start().await;
    let node = &cluster.gateways[0];
    let ask = async |key: &str, address: &str| {
        let mut headers = forwarded(address);
        headers.push(("X-API-Key".to_owned(), key.to_owned()));
        let url = node.http("/v1/connections");
        cluster.http.send("GET", &url, &headers, None).await.unwrap()
    };
    let mut wrong = 0;
    let refused = loop {
        let answer = ask(&format!("wrong-{wrong}"), "192.0.2.1").await;
        if answer.status == 429 {
            break answer;
        }
        answer.expect(401);
        wrong += 1;
        assert!(wrong < 200, "three per minute");
    };
    let seconds: u64 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    // Who shows a right one is not kept out by those who guess beside it.
    ask("right", "192.0.2.1").await.expect(200);
    let url = node.ws(&format!("/v1/connect?token={}", token("ann", &["*"])));
    Socket::connect_with(&url, &forwarded("192.0.2.1")).await;
    let url = node.ws("/v1/connect?token=wrong");
    let refusal = Socket::try_connect(&url, &forwarded("192.0.2.1")).await.unwrap_err();
    assert_eq!(refusal.status, 429, "before the upgrade");
    // Who shows nothing is asked nothing.
    Socket::connect_with(&node.ws("/v1/connect"), &forwarded("192.0.2.1")).await;
    // Wrong tokens on sockets count as well, though they are told after the 101.
    for n in 0.. {
        let url = node.ws(&format!("/v1/connect?token=wrong-{n}"));
        match Socket::try_connect(&url, &forwarded("192.0.2.3")).await {
            Ok(mut socket) => assert_eq!(socket.closed().await.0, 4001),
            Err(refusal) => {
                assert_eq!(refusal.status, 429);
                break;
            }
        }
        assert!(n < 200, "three per minute");
    }
}

#[tokio::test]
async fn whom_nobody_trusts_speaks_for_nobody_and_this_machine_is_not_counted() {
    let plan = Cluster::embedded().set("ADDRESS_FAILURES_PER_MINUTE", "1");
    let cluster = plan.set("ADDRESS_CONNECTIONS_PER_SECOND", "1").start().await;
    for n in 0..20 {
        let url = cluster.gateways[0].ws(&format!("/v1/connect?token=wrong-{n}"));
        let mut socket = Socket::connect_with(&url, &forwarded("192.0.2.1")).await;
        assert_eq!(socket.closed().await.0, 4001);
    }
    let log = cluster.gateways[0].log();
    assert!(!log.contains("TRUSTED_PROXIES"), "a local tool is no proxy to warn of: {log}");
}

#[tokio::test]
async fn every_answer_tells_a_browser_to_run_and_frame_nothing() {
    let cluster = Cluster::embedded().start().await;
    for path in ["/health", "/v1/channels/tasks", "/nowhere", "/metrics", "/console", "/sdk.js"] {
        let answer = cluster.get(path).await;
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("X-Frame-Options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("Referrer-Policy"), Some("no-referrer"), "{path}");
        let policy = answer.header("Content-Security-Policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        let kept = answer.header("Cache-Control");
        assert_eq!(kept == Some("no-store"), path.starts_with("/v1/"), "{path}");
    }
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
