//! The owner of a stream dies at each of the five points at which it hurts, within 10,000 events.
//!
//! The points are compiled in by the feature `failpoints` (see `shared/runtime/src/failpoint.rs`).

use std::time::Duration;

use serde_json::json;

use crate::client::Socket;
use crate::cluster::Cluster;

const EVENTS: u32 = 10_000;

#[tokio::test]
async fn an_owner_that_dies_after_reading_loses_none_and_doubles_none() {
    dies_at("after_read").await;
}

#[tokio::test]
async fn an_owner_that_dies_before_its_commit_loses_none_and_doubles_none() {
    dies_at("before_commit").await;
}

#[tokio::test]
async fn an_owner_that_dies_after_its_commit_loses_none_and_doubles_none() {
    dies_at("after_commit").await;
}

#[tokio::test]
async fn an_owner_that_dies_amid_publishing_loses_none_and_doubles_none() {
    dies_at("amid_publishing").await;
}

#[tokio::test]
async fn an_owner_that_dies_before_it_noted_what_is_published_loses_none_and_doubles_none() {
    dies_at("before_published").await;
}

async fn dies_at(point: &str) {
    let mut cluster = Cluster::of(2, 0).start().await;
    let armed = cluster.spawn_with("worker", 1, &[("FAILPOINT", &format!("{point}:4"))]);
    armed.ready(&cluster.http).await;
    let mut watchers = [watch(&cluster, 0).await, watch(&cluster, 1).await];
    append(&cluster);
    assert_eq!(armed.exit_code(), None, "the worker passed {point} four times and was aborted");
    let heir = cluster.spawn("worker", 2);
    heir.ready(&cluster.http).await;
    cluster.workers.push(heir);
    for watcher in &mut watchers {
        for n in 1..=EVENTS {
            watcher.expect(json!({"type": "event", "data": {"n": n}, "...": ""})).await;
        }
        watcher.expect_silence(Duration::from_millis(200)).await;
    }
    // The archive tells the same.
    let numbers: Vec<_> = (1..=u64::from(EVENTS)).map(|n| (n, n)).collect();
    assert_eq!(cluster.archive_numbers("task:t").await, numbers);
}

async fn watch(cluster: &Cluster, node: usize) -> Socket {
    let mut watcher = cluster.watcher(node).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    watcher
}

fn append(cluster: &Cluster) {
    let script = "for n = 1, ARGV[1] do redis.call('XADD', KEYS[1], '*', 'type', 'task_update', \
        'id', 't', 'data', '{\"n\":' .. n .. '}') end";
    let key = format!("{}:tasks", cluster.prefix);
    cluster.redis().cli(&["EVAL", script, "1", &key, &EVENTS.to_string()]);
}
