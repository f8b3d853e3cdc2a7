//! Sentinel promotes a replica that lags: Redis forgets what clients have seen, the record does not.

use serde_json::json;
use services::{Redis, Sentinels, eventually, free_port};

use crate::client::{PATIENCE, Socket};
use crate::cluster::Cluster;

const CHANNEL: &str = "task:t";

/// A bare XADD of these numbers, at this server.
fn publish(redis: &Redis, prefix: &str, numbers: std::ops::RangeInclusive<u32>) {
    let stream = format!("{prefix}:tasks");
    for number in numbers {
        let data = json!({ "n": number }).to_string();
        let fields = ["XADD", &stream, "*", "type", "task_update", "id", "t", "data", &data];
        redis.cli(&fields);
    }
}

/// Exactly these numbers come, each at the offset of the same number; the position of the last.
async fn expect(socket: &mut Socket, numbers: std::ops::RangeInclusive<u32>) -> String {
    let mut last = String::new();
    for number in numbers {
        let event = json!({"type": "event", "data": {"n": number}, "...": ""});
        let frame = next(socket, event).await;
        frame["position"].as_str().unwrap().clone_into(&mut last);
        assert!(last.ends_with(&format!("-{number}")), "{frame}");
    }
    last
}

/// The next frame that is no word about how the node is.
async fn next(socket: &mut Socket, pattern: serde_json::Value) -> serde_json::Value {
    loop {
        let frame = socket.expect(json!({"type": "<text>", "...": ""})).await;
        if frame["type"] != "status" {
            let fits = crate::pattern::Captures::default().accept(&pattern, &frame);
            fits.unwrap_or_else(|error| panic!("{error}: wanted {pattern}, got {frame}"));
            return frame;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fail_over_to_a_replica_that_lags_skips_no_number_and_no_position_means_two_things() {
    let primary = Redis::start();
    let replica = Redis::options().replica_of(&primary).start();
    let sentinels = Sentinels::watch(&primary, 3);
    sentinels.settle();
    let url = sentinels.url();
    let cluster = Cluster::of(2, 2).redis(primary).set("REDIS_URL", &url).start().await;
    let mut watchers = [cluster.watcher(0).await, cluster.watcher(1).await];
    for watcher in &mut watchers {
        watcher.send(json!({"type": "subscribe", "channel": CHANNEL})).await;
        next(watcher, json!({"type": "subscribed", "...": ""})).await;
    }
    publish(cluster.redis(), &cluster.prefix, 1..=20);
    let mut early = String::new();
    for watcher in &mut watchers {
        early = expect(watcher, 1..=20).await;
    }
    let stream = format!("{}:tasks", cluster.prefix);
    let replicated = || (replica.cli(&["XLEN", &stream]) == "20").then_some(());
    eventually(PATIENCE, replicated).expect("the replica follows");

    // From here on the replica hears nothing more; the clients do.
    replica.cli(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    publish(cluster.redis(), &cluster.prefix, 21..=40);
    for watcher in &mut watchers {
        expect(watcher, 21..=40).await;
    }
    cluster.redis().kill();
    let is_master = |role: String| role.starts_with("master").then_some(());
    let promoted = || replica.try_cli(&["ROLE"]).ok().and_then(is_master);
    eventually(PATIENCE, promoted).expect("the replica is promoted");
    assert_eq!(replica.cli(&["XLEN", &stream]), "20", "it lags");

    publish(&replica, &cluster.prefix, 41..=60);
    for watcher in &mut watchers {
        expect(watcher, 41..=60).await;
    }
    // Who comes back with a position from before gets the numbers that Redis never had.
    for node in [0, 1] {
        let mut back = cluster.watcher(node).await;
        back.send(json!({"type": "subscribe", "channel": CHANNEL, "since": early})).await;
        next(&mut back, json!({"type": "subscribed", "...": ""})).await;
        expect(&mut back, 21..=60).await;
    }
    let wanted: Vec<_> = (1..=60).map(|number| (number, number)).collect();
    assert_eq!(cluster.archive_numbers(CHANNEL).await, wanted);
}
