//! Who dies loses nothing and doubles nothing: workers and gateways, killed, frozen and asked to leave.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::client::Socket;
use crate::cluster::Cluster;

async fn watch(cluster: &Cluster, node: usize) -> Socket {
    let mut watcher = cluster.watcher(node).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    watcher
}

/// Appends a whole run of numbers in one round trip, as fast as Redis takes them.
fn append(cluster: &Cluster, first: u32, last: u32) {
    let script = "for n = ARGV[1], ARGV[2] do redis.call('XADD', KEYS[1], '*', 'type', 'task_update', \
        'id', 't', 'data', '{\"n\":' .. n .. '}') end";
    let key = format!("{}:tasks", cluster.prefix);
    cluster.redis().cli(&["EVAL", script, "1", &key, &first.to_string(), &last.to_string()]);
}

async fn expect(watcher: &mut Socket, first: u32, last: u32) {
    for n in first..=last {
        watcher.expect(json!({"type": "event", "data": {"n": n}, "...": ""})).await;
    }
}

/// Which worker owns the stream, by its own metric.
async fn owner(cluster: &Cluster) -> usize {
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        for (index, worker) in cluster.workers.iter().enumerate() {
            let metrics = cluster.http.send("GET", &worker.http("/metrics"), &[], None).await;
            let owns = |line: &str| {
                line.starts_with("fanfare_worker_lease{")
                    && line.contains("\"tasks\"")
                    && line.ends_with(" 1")
            };
            if metrics.is_ok_and(|metrics| metrics.body.lines().any(owns)) {
                return index;
            }
        }
        assert!(Instant::now() < deadline, "nobody owns the stream");
    }
}

#[tokio::test]
async fn a_killed_owner_is_replaced_within_five_seconds() {
    let mut cluster = Cluster::of(2, 2).start().await;
    let mut watchers = [watch(&cluster, 0).await, watch(&cluster, 1).await];
    append(&cluster, 1, 2000);
    expect(&mut watchers[0], 1, 100).await;
    let owner = owner(&cluster).await;
    append(&cluster, 2001, 4000);
    cluster.workers[owner].kill();
    let killed = Instant::now();
    append(&cluster, 4001, 4001);
    expect(&mut watchers[0], 101, 4001).await;
    // A debug build on a busy machine gets two seconds more.
    assert!(killed.elapsed() < Duration::from_secs(7), "it took {:?}", killed.elapsed());
    expect(&mut watchers[1], 1, 4001).await;
    cluster.workers[owner].start_again(&cluster.http).await;
    append(&cluster, 4002, 4010);
    for watcher in &mut watchers {
        expect(watcher, 4002, 4010).await;
        watcher.expect_silence(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn an_owner_that_leaves_hands_over_at_once() {
    let cluster = Cluster::of(1, 2).start().await;
    let mut watcher = watch(&cluster, 0).await;
    append(&cluster, 1, 10);
    expect(&mut watcher, 1, 10).await;
    let owner = owner(&cluster).await;
    cluster.workers[owner].terminate();
    assert_eq!(cluster.workers[owner].exit_code(), Some(0));
    let gone = Instant::now();
    append(&cluster, 11, 20);
    expect(&mut watcher, 11, 20).await;
    assert!(gone.elapsed() < Duration::from_secs(3), "it took {:?}", gone.elapsed());
}

#[tokio::test]
async fn an_owner_that_wakes_up_after_its_lease_doubles_nothing() {
    let cluster = Cluster::of(2, 2).start().await;
    let mut watchers = [watch(&cluster, 0).await, watch(&cluster, 1).await];
    append(&cluster, 1, 500);
    expect(&mut watchers[0], 1, 500).await;
    let owner = owner(&cluster).await;
    append(&cluster, 501, 3000);
    cluster.workers[owner].freeze();
    append(&cluster, 3001, 3100);
    expect(&mut watchers[0], 501, 3100).await;
    cluster.workers[owner].thaw();
    append(&cluster, 3101, 3200);
    expect(&mut watchers[0], 3101, 3200).await;
    expect(&mut watchers[1], 1, 3200).await;
    watchers[0].expect_silence(Duration::from_millis(500)).await;
}

#[tokio::test]
async fn a_killed_gateway_costs_its_watchers_nothing() {
    let mut cluster = Cluster::of(2, 1).start().await;
    let mut watcher = watch(&cluster, 0).await;
    append(&cluster, 1, 10);
    expect(&mut watcher, 1, 9).await;
    let last = watcher.expect(json!({"type": "event", "data": {"n": 10}, "...": ""})).await;
    cluster.gateways[0].kill();
    assert_eq!(watcher.closed().await.0, 1006);
    append(&cluster, 11, 300);
    let mut back = cluster.watcher(1).await;
    back.send(json!({"type": "subscribe", "channel": "task:t", "since": last["position"]})).await;
    back.expect(json!({"type": "subscribed", "...": ""})).await;
    expect(&mut back, 11, 300).await;
    cluster.gateways[0].start_again(&cluster.http).await;
}

#[tokio::test]
async fn a_gateway_that_drains_sends_its_watchers_elsewhere() {
    let cluster = Cluster::of(2, 1).set("DRAIN_MS", "3000").start().await;
    let mut watcher = watch(&cluster, 0).await;
    cluster.gateways[0].terminate();
    watcher
        .expect(
            json!({"type": "bye", "reason": "<text>", "reconnect": true, "after_ms": "<number>"}),
        )
        .await;
    assert_eq!(watcher.closed().await.0, 1012);
    assert_eq!(cluster.gateways[0].exit_code(), Some(0));
}
