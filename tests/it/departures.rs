//! Who leaves without a word: nodes that die with their users and agents, containers that end right
//! behind their last frame.

use serde_json::json;

use crate::client::Socket;
use crate::cluster::Cluster;

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
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    dying.kill();
    let data = json!({"userId": "user_ann", "status": "offline"});
    viewer.wait_for(json!({"type": "user_presence", "data": data, "...": ""})).await;
    assert_eq!(agents().await, 0);
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
