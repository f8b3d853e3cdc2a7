//! Who leaves without a word: nodes that die with their users and agents, containers that end right
//! behind their last frame.

use std::time::Duration;

use serde_json::json;
use services::{Proxy, Redis};
use tokio::time::{Instant, sleep};

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, token};

#[tokio::test]
async fn the_users_and_agents_of_a_node_that_dies_are_gone_everywhere() {
    let cluster = Cluster::of(2, 1).start().await;
    let [dying, living] = &cluster.gateways[..] else { panic!("two of them") };
    let mut viewer = Socket::connect(&living.ws("/ws")).await;
    viewer.expect(json!({"type": "auth", "...": ""})).await;
    viewer.expect(json!({"type": "notification", "...": ""})).await;
    let mut user = Socket::connect(&dying.ws("/ws?token=ann")).await;
    user.expect(json!({"type": "auth", "...": ""})).await;
    let mut agent = Socket::connect(&dying.ws("/api/ws")).await;
    agent.send(json!({"type": "agent-status", "agentId": "a-1", "status": "idle"})).await;
    agent.expect(json!({"type": "ack", "...": ""})).await;
    // It is in the registry when another node says so.
    let listed = living.http("/api/cockpit/agents");
    let agents = async || {
        let answer = cluster.http.send("GET", &listed, &[], None).await.unwrap();
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()["count"].clone()
    };
    while agents().await != 1 {
        sleep(Duration::from_millis(20)).await;
    }
    dying.kill();
    let data = json!({"userId": "user_ann", "status": "offline"});
    viewer.wait_for(json!({"type": "user_presence", "data": data, "...": ""})).await;
    assert_eq!(agents().await, 0);
}

#[tokio::test]
async fn the_users_and_agents_of_a_node_that_was_long_without_redis_are_there_again() {
    let proxy = Proxy::to(Redis::shared().port());
    let mut cluster = Cluster::of(1, 1).start().await;
    let through = format!("redis://127.0.0.1:{}", proxy.port());
    let cut_off = cluster.spawn_with("gateway", 2, &[("REDIS_URL", &through)]);
    cut_off.ready(&cluster.http).await;
    cluster.gateways.push(cut_off);
    let [near, far] = &cluster.gateways[..] else { panic!("two of them") };
    let mut viewer = Socket::connect(&near.ws("/ws?token=viewer-1")).await;
    viewer.expect(json!({"type": "auth", "...": ""})).await;
    let mut user = Socket::connect(&far.ws("/ws?token=ann")).await;
    user.expect(json!({"type": "auth", "...": ""})).await;
    let mut agent = Socket::connect(&far.ws("/api/ws")).await;
    agent.send(json!({"type": "agent-status", "agentId": "a-1", "status": "busy"})).await;
    agent.expect(json!({"type": "ack", "...": ""})).await;
    let list = format!("/v1/agents?token={}", token("reader", &["*"]));
    let said = async |status: &str| {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let list = cluster.get(&list).await.expect(200).json();
            if list["agents"][0]["status"] == status {
                return;
            }
            assert!(Instant::now() < deadline, "not {status}: {list}");
            sleep(Duration::from_millis(50)).await;
        }
    };
    said("busy").await;
    proxy.refuse();
    said("offline").await;
    let presence = |status: &str| {
        let data = json!({"userId": "user_ann", "status": status});
        json!({"type": "user_presence", "data": data, "...": ""})
    };
    viewer.wait_for(presence("offline")).await;
    proxy.heal();
    said("busy").await;
    viewer.wait_for(presence("online")).await;
}

#[tokio::test]
async fn a_container_that_ends_behind_its_last_frame_loses_none() {
    const LINES: u32 = 2000;
    let cluster = Cluster::of(2, 1).set("CLIENT_FRAMES_PER_SECOND", "1000000").start().await;
    let [near, far] = &cluster.gateways[..] else { panic!("two of them") };
    let mut watcher = Socket::connect(&far.ws("/?token=default-token&containerID=c")).await;
    watcher.expect(json!({"type": "STATUS", "...": ""})).await;
    let mut container = Socket::connect(&near.ws("/?token=default-token")).await;
    let log = |n: u32| {
        let data = json!({"level": "info", "message": n.to_string()});
        json!({"type": "LOG", "containerID": "c", "timestamp": "t", "data": data})
    };
    for n in 0..LINES {
        container.send(log(n)).await;
    }
    drop(container);
    for n in 0..LINES {
        watcher.expect(log(n)).await;
    }
}
