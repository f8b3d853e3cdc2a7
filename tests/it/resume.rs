//! Positions: who comes back anywhere gets exactly what was missed, and is told what cannot be had.

use serde_json::{Value, json};

use crate::client::Socket;
use crate::cluster::Cluster;

const CHANNEL: &str = "task:t";

fn progress(cluster: &Cluster, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let data = json!({ "progress": number }).to_string();
        cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", &data]);
    }
}

async fn subscribe(socket: &mut Socket, more: Value) -> Value {
    let mut frame = json!({"type": "subscribe", "channel": CHANNEL});
    frame.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    socket.send(frame).await;
    socket.expect(json!({"type": "subscribed", "channel": CHANNEL, "...": ""})).await
}

/// Expects these numbers next, in order, and returns the last position.
async fn expect(socket: &mut Socket, numbers: std::ops::RangeInclusive<u32>) -> String {
    let mut position = String::new();
    for number in numbers {
        let event = json!({"type": "event", "data": {"progress": number}, "...": ""});
        let frame = socket.expect(event).await;
        frame["position"].as_str().unwrap().clone_into(&mut position);
    }
    position
}

/// The same position with another offset.
fn with_offset(position: &str, offset: u64) -> String {
    format!("{}-{offset}", position.rsplit_once('-').unwrap().0)
}

#[tokio::test]
async fn a_watcher_that_comes_back_to_the_other_node_gets_exactly_what_it_missed() {
    let cluster = Cluster::of(2, 2).start().await;
    let mut watcher = cluster.watcher(0).await;
    subscribe(&mut watcher, json!({})).await;
    progress(&cluster, 1..=10);
    let position = expect(&mut watcher, 1..=10).await;
    watcher.leave().await;
    progress(&cluster, 11..=200);
    for node in [1, 0] {
        let mut back = cluster.watcher(node).await;
        let subscribed = subscribe(&mut back, json!({"since": position})).await;
        assert_eq!(subscribed["state"], Value::Null);
        assert_eq!(subscribed["position"], *position);
        expect(&mut back, 11..=200).await;
    }
}

#[tokio::test]
async fn what_is_live_follows_what_was_missed_without_a_seam() {
    let cluster = Cluster::of(2, 2).start().await;
    let mut watcher = cluster.watcher(0).await;
    subscribe(&mut watcher, json!({})).await;
    progress(&cluster, 1..=1);
    let position = expect(&mut watcher, 1..=1).await;
    progress(&cluster, 2..=50);
    let mut back = cluster.watcher(1).await;
    // The subscription falls between events that go on arriving.
    back.send(json!({"type": "subscribe", "channel": CHANNEL, "since": position})).await;
    progress(&cluster, 51..=120);
    back.expect(json!({"type": "subscribed", "position": position, "...": ""})).await;
    expect(&mut back, 2..=120).await;
    expect(&mut watcher, 2..=120).await;
}

#[tokio::test]
async fn positions_count_one_two_three() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = cluster.watcher(0).await;
    subscribe(&mut watcher, json!({})).await;
    progress(&cluster, 1..=30);
    for number in 1..=30 {
        let frame = watcher.expect(json!({"type": "event", "...": ""})).await;
        assert_eq!(frame["position"], with_offset(frame["position"].as_str().unwrap(), number));
    }
}

#[tokio::test]
async fn a_position_ahead_of_the_head_is_a_gap_and_the_newest_state() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = cluster.watcher(0).await;
    subscribe(&mut watcher, json!({})).await;
    progress(&cluster, 1..=3);
    let head = expect(&mut watcher, 1..=3).await;
    let ahead = with_offset(&head, 99);
    let mut back = cluster.watcher(0).await;
    let subscribed = subscribe(&mut back, json!({"since": ahead})).await;
    assert_eq!(subscribed["position"], *head);
    back.expect(
        json!({"type": "gap", "channel": CHANNEL, "from": ahead, "to": head, "cause": "ahead"}),
    )
    .await;
    let state = json!({"progress": 3, "...": ""});
    back.expect(json!({"type": "state", "channel": CHANNEL, "position": head, "state": state}))
        .await;
    progress(&cluster, 4..=4);
    expect(&mut back, 4..=4).await;
}

#[tokio::test]
async fn a_position_of_another_database_is_a_gap_and_the_newest_state() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = cluster.watcher(0).await;
    subscribe(&mut watcher, json!({})).await;
    progress(&cluster, 1..=3);
    let head = expect(&mut watcher, 1..=3).await;
    let (epoch, _) = head.rsplit_once('-').unwrap();
    let other: String = epoch.chars().map(|c| if c == '0' { '1' } else { '0' }).collect();
    let foreign = format!("{other}-2");
    let mut back = cluster.watcher(0).await;
    let subscribed = subscribe(&mut back, json!({"since": foreign})).await;
    assert_eq!(subscribed["position"], *head);
    back.expect(
        json!({"type": "gap", "channel": CHANNEL, "from": "<text>", "to": head, "cause": "epoch"}),
    )
    .await;
    back.expect(json!({"type": "state", "position": head, "state": "<object>", "...": ""})).await;
}

#[tokio::test]
async fn history_reaches_further_back_than_redis() {
    // Three entries of each channel in Redis; the rest must come from the archive in SQL.
    let cluster = Cluster::of(2, 1).set("HISTORY_LENGTH", "3").start().await;
    let mut watcher = cluster.watcher(0).await;
    subscribe(&mut watcher, json!({})).await;
    progress(&cluster, 1..=60);
    let first = expect(&mut watcher, 1..=1).await;
    expect(&mut watcher, 2..=60).await;
    let mut back = cluster.watcher(1).await;
    subscribe(&mut back, json!({"since": first})).await;
    expect(&mut back, 2..=60).await;
}
