//! Redis Cluster: three masters and three replicas that move slots and fail, under the whole house.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use services::{Redis, RedisCluster, eventually};
use tokio::task::block_in_place;

use crate::client::{PATIENCE, Socket};
use crate::cluster::Cluster;

const CHANNEL: &str = "task:t";

/// How long after a fault events may keep viewers waiting: a promotion takes a few seconds.
const RECOVERY_MAX: Duration = Duration::from_secs(40);

async fn start() -> Cluster {
    Cluster::of(2, 1).shards(RedisCluster::durable()).start().await
}

/// A bare XADD of these numbers.
fn publish(cluster: &Cluster, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let data = json!({ "n": number }).to_string();
        cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", &data]);
    }
}

/// A viewer of the channel on each node.
async fn viewers(cluster: &Cluster) -> Vec<Socket> {
    let mut viewers = Vec::new();
    for node in [0, 1] {
        let mut viewer = cluster.watcher(node).await;
        viewer.send(json!({"type": "subscribe", "channel": CHANNEL})).await;
        viewer.wait_for(json!({"type": "subscribed", "...": ""})).await;
        viewers.push(viewer);
    }
    viewers
}

/// Exactly these numbers come, each at the offset of the same number; the position of the last.
async fn expect(viewer: &mut Socket, numbers: std::ops::RangeInclusive<u32>) -> String {
    let begun = Instant::now();
    let (mut next, last) = (*numbers.start(), *numbers.end());
    let mut position = String::new();
    while next <= last {
        assert!(begun.elapsed() < RECOVERY_MAX, "{next} of {last} does not come");
        let Some(crate::client::Frame::Json(frame)) = viewer.poll(PATIENCE).await else { continue };
        match frame["type"].as_str() {
            Some("event") => {
                assert_eq!(frame["data"]["n"], json!(next), "{frame}");
                frame["position"].as_str().unwrap().clone_into(&mut position);
                assert!(position.ends_with(&format!("-{next}")), "{frame}");
                next += 1;
            }
            Some("status") => {}
            _ => panic!("unwanted {frame}"),
        }
    }
    position
}

/// The whole archive holds these numbers, once each and in order.
async fn archive_holds(cluster: &Cluster, last: u64) {
    let wanted: Vec<_> = (1..=last).map(|number| (number, number)).collect();
    assert_eq!(cluster.archive_numbers(CHANNEL).await, wanted);
}

/// The master that holds the ingest stream.
fn stream_master(cluster: &Cluster) -> &Redis {
    cluster.shards().master_of(&format!("{}:tasks", cluster.prefix))
}

/// Waits until the replica of a master has the whole ingest stream.
fn replicated(cluster: &Cluster, master: &Redis) {
    let stream = format!("{}:tasks", cluster.prefix);
    let replica = cluster.shards().replica_of(master);
    replica.cli(&["CONFIG", "SET", "replica-serve-stale-data", "yes"]);
    let offset = |redis: &Redis| {
        let info = redis.cli(&["INFO", "replication"]);
        let field = if redis.port() == master.port() {
            "master_repl_offset:"
        } else {
            "slave_repl_offset:"
        };
        let line = info.lines().find_map(|line| line.strip_prefix(field)).map(str::trim);
        line.and_then(|offset| offset.parse::<u64>().ok())
    };
    let wanted = offset(master).expect("a master tells its offset");
    let there = || (offset(replica)? >= wanted).then_some(());
    eventually(PATIENCE, there).unwrap_or_else(|| panic!("{stream} is not replicated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_runs_through_a_cluster_and_whoever_wrote_reads_it() {
    let cluster = start().await;
    let mut viewers = viewers(&cluster).await;
    publish(&cluster, 1..=5);
    for viewer in &mut viewers {
        expect(viewer, 1..=5).await;
    }
    // Six streams, each at the server of its own name, and their feeds with them or not.
    for stream in ["deployments", "tasks", "agents", "containers", "messages", "topics"] {
        let id = format!("{stream}-1");
        let data = match stream {
            "agents" => json!({"status": "idle"}),
            "containers" | "messages" => json!({"message": "m"}),
            _ => json!({"title": "t"}),
        };
        let kind = match stream {
            "deployments" => "deployment_update",
            "tasks" => "task_created",
            "agents" => "agent_status",
            "containers" => "log",
            "messages" => "notification",
            _ => "anything",
        };
        let event = json!({"stream": stream, "type": kind, "id": id, "data": data});
        let answer = cluster.publish(event).await;
        for published in answer["published"].as_array().unwrap() {
            let channel = published["channel"].as_str().unwrap();
            let page = cluster.archive(channel, "").await;
            assert_eq!(page["head"], published["position"], "{channel}");
        }
    }
    // Answered, it is what a listener of the same node begins with, whichever server told first.
    for round in 1..=20 {
        let event =
            json!({"stream": "tasks", "type": "task_update", "id": "own", "data": {"n": round}});
        cluster.publish(event).await;
        let mut viewer = cluster.watcher(0).await;
        viewer.send(json!({"type": "subscribe", "channel": "task:own"})).await;
        let subscribed = viewer.wait_for(json!({"type": "subscribed", "...": ""})).await;
        assert_eq!(subscribed["state"]["n"], json!(round), "{subscribed}");
    }
    let prefix = format!("{}:*", cluster.prefix);
    let holders = cluster.shards().masters().into_iter();
    let keys: Vec<_> = holders.map(|master| master.cli(&["KEYS", &prefix])).collect();
    assert!(keys.iter().all(|keys| !keys.is_empty()), "every server has a part: {keys:?}");
    archive_holds(&cluster, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_killed_costs_a_pause_and_nothing_else() {
    let cluster = start().await;
    let mut viewers = viewers(&cluster).await;
    publish(&cluster, 1..=20);
    let mut early = String::new();
    for viewer in &mut viewers {
        early = expect(viewer, 1..=20).await;
    }
    let master = stream_master(&cluster);
    replicated(&cluster, master);
    let replica = cluster.shards().replica_of(master);
    block_in_place(|| master.kill());
    block_in_place(|| cluster.shards().until_promoted(replica));
    block_in_place(|| publish(&cluster, 21..=40));
    for viewer in &mut viewers {
        expect(viewer, 21..=40).await;
    }
    // It comes back as a replica of what was its own, and takes its place again in order.
    block_in_place(|| {
        master.restart();
        cluster.shards().settle();
        cluster.shards().switch_over(replica);
        publish(&cluster, 41..=60);
    });
    for viewer in &mut viewers {
        expect(viewer, 41..=60).await;
    }
    for node in [0, 1] {
        let mut back = cluster.watcher(node).await;
        back.send(json!({"type": "subscribe", "channel": CHANNEL, "since": early})).await;
        back.wait_for(json!({"type": "subscribed", "...": ""})).await;
        expect(&mut back, 21..=60).await;
    }
    archive_holds(&cluster, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_under_load_and_nothing_is_lost() {
    let cluster = start().await;
    let mut viewers = viewers(&cluster).await;
    let masters = cluster.shards().masters();
    let last = block_in_place(|| {
        std::thread::scope(|scope| {
            let moving = scope.spawn(|| {
                for (from, to) in [(0, 1), (1, 2), (2, 0)] {
                    cluster.shards().reshard(masters[from], masters[to], 2_000);
                }
            });
            let mut last = 0;
            while !moving.is_finished() || last < 100 {
                last += 1;
                publish(&cluster, last..=last);
            }
            last
        })
    });
    for viewer in &mut viewers {
        expect(viewer, 1..=last).await;
    }
    archive_holds(&cluster, u64::from(last)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_master_answers_nothing_the_others_go_on_and_it_is_said() {
    let cluster = start().await;
    let mut viewers = viewers(&cluster).await;
    publish(&cluster, 1..=3);
    for viewer in &mut viewers {
        expect(viewer, 1..=3).await;
    }
    let own = stream_master(&cluster).port();
    let masters = cluster.shards().masters();
    let master = masters.into_iter().find(|master| master.port() != own).unwrap();
    // Its replica must not take its place: this test is about being away.
    let replica = cluster.shards().replica_of(master);
    replica.cli(&["CONFIG", "SET", "cluster-replica-no-failover", "yes"]);
    master.freeze();
    // Whether the channel lives there or not: what is recorded reaches its viewers.
    let begun = Instant::now();
    block_in_place(|| publish(&cluster, 4..=6));
    let mut statuses = Vec::new();
    for viewer in &mut viewers {
        let mut next = 4;
        while next <= 6 || statuses.is_empty() {
            assert!(begun.elapsed() < RECOVERY_MAX, "{next}, {statuses:?}");
            let Some(crate::client::Frame::Json(frame)) = viewer.poll(PATIENCE).await else {
                continue;
            };
            match frame["type"].as_str() {
                Some("event") => {
                    assert_eq!(frame["data"]["n"], json!(next), "{frame}");
                    next += 1;
                }
                Some("status") => statuses.push(frame),
                _ => panic!("unwanted {frame}"),
            }
        }
    }
    assert_eq!(statuses[0]["degraded"], Value::Bool(true));
    assert_eq!(statuses[0]["reason"], "broker");
    master.thaw();
    block_in_place(|| publish(&cluster, 7..=9));
    for viewer in &mut viewers {
        expect(viewer, 7..=9).await;
    }
    let mut late = cluster.watcher(0).await;
    late.send(json!({"type": "subscribe", "channel": CHANNEL})).await;
    let subscribed = late.wait_for(json!({"type": "subscribed", "...": ""})).await;
    assert_eq!(subscribed["state"]["n"], json!(9));
    archive_holds(&cluster, 9).await;
}
