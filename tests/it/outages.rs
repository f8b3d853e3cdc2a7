//! Redis or SQL away: sockets stay, nothing recorded is lost, everything catches up by itself.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use services::{Postgres, Redis};
use tokio::time::{Instant, sleep};

use crate::client::{PATIENCE, Socket};
use crate::cluster::Cluster;

async fn watch(cluster: &Cluster) -> Socket {
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    watcher
}

fn append(cluster: &Cluster, n: u32) {
    let data = json!({ "n": n }).to_string();
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", &data]);
}

/// The next event, with `status` frames before it allowed; whether one said `degraded`.
async fn event(watcher: &mut Socket, n: u32) -> bool {
    let mut degraded = false;
    loop {
        let frame = watcher.expect(json!({"type": "<text>", "...": ""})).await;
        match frame["type"].as_str() {
            Some("status") => degraded |= frame["degraded"] == true,
            Some("event") => {
                assert_eq!(frame["data"]["n"], n, "{frame}");
                return degraded;
            }
            _ => panic!("unwanted {frame}"),
        }
    }
}

/// Waits until `/readyz` says so; it must stay 200 all the time.
async fn says_degraded(cluster: &Cluster, degraded: bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = cluster.get("/readyz").await.expect(200).json();
        if body["degraded"].as_bool().unwrap_or(false) == degraded {
            return;
        }
        assert!(Instant::now() < deadline, "{body}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn watchers_outlive_a_restart_of_redis_with_its_data() {
    let redis = Redis::options().appendonly().start();
    let cluster = Cluster::of(1, 1).redis(redis).start().await;
    let mut watcher = watch(&cluster).await;
    append(&cluster, 1);
    event(&mut watcher, 1).await;
    cluster.redis().kill();
    watcher.wait_for(json!({"type": "status", "degraded": true, "...": ""})).await;
    says_degraded(&cluster, true).await;
    cluster.redis().restart();
    append(&cluster, 2);
    event(&mut watcher, 2).await;
    says_degraded(&cluster, false).await;
}

#[tokio::test]
async fn positions_go_on_after_redis_came_back_empty() {
    let cluster = Cluster::of(1, 1).redis(Redis::start()).start().await;
    let mut watcher = watch(&cluster).await;
    for n in 1..=5 {
        append(&cluster, n);
        event(&mut watcher, n).await;
    }
    cluster.redis().restart();
    for n in 6..=8 {
        append(&cluster, n);
        event(&mut watcher, n).await;
    }
    let numbers: Vec<_> = (1..=8).map(|n| (n, n)).collect();
    assert_eq!(cluster.archive_numbers("task:t").await, numbers);
}

#[tokio::test]
async fn flushall_loses_nothing_that_was_recorded() {
    let cluster = Cluster::of(1, 1).redis(Redis::start()).start().await;
    let mut watcher = watch(&cluster).await;
    for n in 1..=5 {
        append(&cluster, n);
        event(&mut watcher, n).await;
    }
    cluster.redis().cli(&["FLUSHALL"]);
    for n in 6..=8 {
        append(&cluster, n);
        event(&mut watcher, n).await;
    }
}

#[tokio::test]
async fn what_redis_holds_is_recorded_when_sql_is_back() {
    let cluster =
        Cluster::of(1, 1).postgres(Postgres::options().fsync(false).start()).start().await;
    let mut watcher = watch(&cluster).await;
    append(&cluster, 1);
    event(&mut watcher, 1).await;
    cluster.postgres().kill();
    for n in 2..=10 {
        append(&cluster, n);
    }
    says_degraded(&cluster, true).await;
    cluster.postgres().restart();
    for n in 2..=10 {
        event(&mut watcher, n).await;
    }
    says_degraded(&cluster, false).await;
}

#[tokio::test]
async fn a_stalled_postgres_delays_and_loses_nothing() {
    let cluster =
        Cluster::of(1, 1).postgres(Postgres::options().fsync(false).start()).start().await;
    let mut watcher = watch(&cluster).await;
    append(&cluster, 1);
    event(&mut watcher, 1).await;
    cluster.postgres().freeze();
    for n in 2..=10 {
        append(&cluster, n);
    }
    says_degraded(&cluster, true).await;
    cluster.postgres().thaw();
    for n in 2..=10 {
        event(&mut watcher, n).await;
    }
}

#[tokio::test]
async fn livez_never_asks_a_service() {
    let cluster = Cluster::of(1, 1)
        .redis(Redis::start())
        .postgres(Postgres::options().fsync(false).start())
        .start()
        .await;
    cluster.redis().freeze();
    cluster.postgres().freeze();
    for node in cluster.gateways.iter().chain(&cluster.workers) {
        let asked = Instant::now();
        cluster.http.get(&node.http("/livez")).await.expect(200);
        assert!(asked.elapsed() < Duration::from_secs(1), "it took {:?}", asked.elapsed());
    }
    cluster.redis().thaw();
    cluster.postgres().thaw();
}

/// Fills a disk to the last byte; removing the file makes room again.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

#[tokio::test]
async fn a_full_disk_refuses_or_delays_and_loses_nothing_that_was_accepted() {
    let cluster = Cluster::embedded().disk("24m").start().await;
    let filler = fill(&cluster.gateways[0].disk());
    let padding = "x".repeat(100_000);
    let publish = async |n: u64| {
        let data = json!({"n": n, "padding": padding});
        let event = json!({"stream": "tasks", "type": "task_update", "id": "t", "event_id": n.to_string(), "data": data});
        let answer = cluster.post("/v1/publish", &event).await;
        assert!(matches!(answer.status, 200 | 202 | 503 | 504), "{answer:?}");
        answer.status
    };
    // The write-ahead log may have some room left.
    let mut n = 1;
    while publish(n).await == 200 {
        n += 1;
        assert!(n < 200, "the disk is not full");
    }
    let deadline = Instant::now() + PATIENCE;
    while !cluster.gateways[0].log().contains("disk is full") {
        assert!(Instant::now() < deadline, "nobody says what is wrong");
        sleep(Duration::from_millis(50)).await;
    }
    cluster.get("/readyz").await.expect(200);
    std::fs::remove_file(filler).unwrap();
    // Whatever was answered, the same event_id makes sending again harmless.
    for n in n..=n + 3 {
        while publish(n).await != 200 {
            assert!(Instant::now() < deadline + PATIENCE, "it does not go on");
        }
    }
    let numbers = cluster.archive_numbers("task:t").await;
    let wanted: Vec<_> = (1..=n + 3).map(|number| (number, number)).collect();
    assert_eq!(numbers, wanted);
}
