//! The network between a gateway and Redis or SQL breaks; the other gateway notices nothing.

use std::time::Duration;

use serde_json::json;
use services::Proxy;
use tokio::time::Instant;

use crate::client::Socket;
use crate::cluster::Cluster;

/// Two gateways, the second with its Redis behind a proxy.
async fn cluster() -> (Cluster, Proxy) {
    let mut cluster = Cluster::of(1, 1).start().await;
    let proxy = Proxy::to(cluster.redis().port());
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let gateway = cluster.spawn_with("gateway", 2, &[("REDIS_URL", &url)]);
    gateway.ready(&cluster.http).await;
    cluster.gateways.push(gateway);
    (cluster, proxy)
}

async fn watch(cluster: &Cluster, node: usize) -> Socket {
    let mut watcher = cluster.watcher(node).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    watcher
}

fn append(cluster: &Cluster, n: u32) {
    let data = json!({ "n": n }).to_string();
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", &data]);
}

/// The next event, after any number of `status` frames.
async fn event(watcher: &mut Socket, n: u32) {
    loop {
        let frame = watcher.expect(json!({"type": "<one of status event>", "...": ""})).await;
        if frame["type"] == "event" {
            assert_eq!(frame["data"]["n"], n, "{frame}");
            return;
        }
    }
}

#[tokio::test]
async fn a_gateway_with_a_half_open_connection_catches_up_by_itself() {
    let (cluster, proxy) = cluster().await;
    let mut near = watch(&cluster, 0).await;
    let mut far = watch(&cluster, 1).await;
    append(&cluster, 1);
    event(&mut near, 1).await;
    event(&mut far, 1).await;
    proxy.stall();
    for n in 2..=20 {
        append(&cluster, n);
        event(&mut near, n).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    proxy.heal();
    for n in 2..=20 {
        event(&mut far, n).await;
    }
    append(&cluster, 21);
    event(&mut far, 21).await;
}

#[tokio::test]
async fn a_connection_cut_again_and_again_costs_no_event() {
    let (cluster, proxy) = cluster().await;
    let mut far = watch(&cluster, 1).await;
    for n in 1..=60 {
        append(&cluster, n);
        if n % 7 == 0 {
            proxy.cut();
        }
    }
    for n in 1..=60 {
        event(&mut far, n).await;
    }
    far.expect_silence(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_last_event_that_was_lost_shows_within_two_seconds_of_the_repair() {
    let (cluster, proxy) = cluster().await;
    let mut far = watch(&cluster, 1).await;
    append(&cluster, 1);
    event(&mut far, 1).await;
    let mut near = watch(&cluster, 0).await;
    proxy.refuse();
    append(&cluster, 2);
    event(&mut near, 2).await;
    proxy.heal();
    let healed = Instant::now();
    event(&mut far, 2).await;
    assert!(healed.elapsed() < Duration::from_secs(3), "it took {:?}", healed.elapsed());
}

#[tokio::test]
async fn a_slow_network_changes_nothing_but_the_time() {
    let (cluster, proxy) = cluster().await;
    let mut far = watch(&cluster, 1).await;
    proxy.delay(Duration::from_millis(100));
    for n in 1..=30 {
        append(&cluster, n);
    }
    for n in 1..=30 {
        event(&mut far, n).await;
    }
    let mut late = watch(&cluster, 1).await;
    late.send(json!({"type": "ping"})).await;
    late.expect(json!({"type": "pong"})).await;
}
