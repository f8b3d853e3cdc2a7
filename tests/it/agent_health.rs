//! The health of agents: sampled, not recorded, and an alert when it stays bad.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, Plan, token};

/// The time between two samples.
const SAMPLE: Duration = Duration::from_millis(150);

fn plan(plan: Plan) -> Plan {
    plan.set("HEALTH_SAMPLE_MS", &SAMPLE.as_millis().to_string())
}

async fn agent(cluster: &Cluster, node: usize) -> Socket {
    Socket::connect(&cluster.gateways[node].ws("/api/ws")).await
}

/// Says how it is until a node has taken a sample of that.
async fn say(cluster: &Cluster, agent: &mut Socket, mut health: Value) {
    static SAID: AtomicU64 = AtomicU64::new(1);
    let mark = SAID.fetch_add(1, Ordering::Relaxed);
    health["mark"] = mark.into();
    let status = json!({
        "type": "agent-status", "agentId": "gpu-1", "status": "idle",
        "metadata": { "health": health },
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        agent.send(status.clone()).await;
        agent.wait_for(json!({"type": "ack", "...": ""})).await;
        let samples = samples(cluster).await;
        if samples.last().is_some_and(|sample| sample["mark"] == mark) {
            return;
        }
        assert!(Instant::now() < deadline, "{mark} is not sampled: {samples:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A GET by somebody who may read everything.
async fn get(cluster: &Cluster, path: &str) -> Value {
    let token = token("reader", &["*"]);
    cluster.get(&format!("{path}?token={token}")).await.expect(200).json()
}

async fn samples(cluster: &Cluster) -> Vec<Value> {
    let answer = get(cluster, "/v1/agents/gpu-1/health").await;
    assert_eq!(answer["agent"], "gpu-1");
    answer["samples"].as_array().unwrap().clone()
}

/// Waits until the list of alerts is one of this, and returns it.
async fn alert(cluster: &Cluster, acknowledged: u32) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = get(cluster, "/v1/alerts").await;
        if list["alerts"][0]["acknowledged"] == acknowledged {
            assert_eq!(list["total"], 1, "{list}");
            return list["alerts"][0].clone();
        }
        assert!(Instant::now() < deadline, "{list}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Alternates between the two nodes, if there are two: each judges what the other has sampled.
async fn raised_ended_and_raised_again(cluster: &Cluster) {
    let nodes = cluster.gateways.len();
    let mut agents = Vec::new();
    for node in 0..nodes {
        agents.push(agent(cluster, node).await);
    }
    let mut turn = 0;
    for cpu in [0.97, 0.5, 0.98] {
        say(cluster, &mut agents[turn % nodes], json!({ "cpu": cpu, "load": 3 })).await;
        turn += 1;
    }
    let none = get(cluster, "/v1/alerts").await;
    assert_eq!(none["total"], 0, "one sample alone raises nothing: {none}");
    say(cluster, &mut agents[turn % nodes], json!({ "cpu": 0.99 })).await;
    let raised = alert(cluster, 0).await;
    assert_eq!(raised["id"], "health:cpu:gpu-1");
    assert_eq!(raised["severity"], "warning");
    assert_eq!(raised["source"], "agent:gpu-1");
    for cpu in [0.99, 0.2, 0.99, 0.1, 0.2] {
        turn += 1;
        say(cluster, &mut agents[turn % nodes], json!({ "cpu": cpu })).await;
    }
    alert(cluster, 1).await;
    for cpu in [0.96, 0.97, 0.98] {
        turn += 1;
        say(cluster, &mut agents[turn % nodes], json!({ "cpu": cpu })).await;
    }
    alert(cluster, 0).await;
    let page = cluster.archive("alerts", "limit=100").await;
    let events: Vec<_> =
        page["events"].as_array().unwrap().iter().map(|event| &event["event"]).collect();
    assert_eq!(events, ["alert", "alert_acknowledged", "alert"], "each once: {page}");
}

#[tokio::test]
async fn two_samples_above_a_bound_raise_an_alert_and_two_below_end_it() {
    let cluster = plan(Cluster::embedded()).start().await;
    raised_ended_and_raised_again(&cluster).await;
}

#[tokio::test]
async fn two_nodes_judge_the_samples_of_one_agent_together() {
    let cluster = plan(Cluster::of(2, 1)).start().await;
    raised_ended_and_raised_again(&cluster).await;
}

#[tokio::test]
async fn a_status_that_changes_only_health_is_sampled_and_not_recorded() {
    let cluster = plan(Cluster::of(1, 1)).start().await;
    let mut agent = agent(&cluster, 0).await;
    for n in 1..=3 {
        say(&cluster, &mut agent, json!({ "cpu": 0.1 * f64::from(n), "memory": 7, "note": "x" }))
            .await;
    }
    let found = samples(&cluster).await;
    let shown: Vec<_> = found.iter().map(|sample| sample["cpu"].as_f64().unwrap()).collect();
    assert_eq!(shown, [0.1, 0.2, 0.1 * 3.0]);
    assert!(found[0].get("memory").is_none() && found[0].get("note").is_none(), "{found:?}");
    let ages =
        found.windows(2).map(|two| two[1]["at"].as_i64().unwrap() - two[0]["at"].as_i64().unwrap());
    assert!(ages.clone().all(|age| age >= 150), "one per HEALTH_SAMPLE_MS: {found:?}");
    // What is recorded after the others shows that none of them was.
    agent.send(json!({"type": "agent-status", "agentId": "gpu-1", "status": "busy"})).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = cluster.archive("agent:gpu-1", "limit=100").await;
        let events = page["events"].as_array().unwrap();
        let said: Vec<_> = events.iter().map(|event| &event["data"]["status"]).collect();
        if said.len() >= 2 {
            assert_eq!(said, ["idle", "busy"], "{page}");
            return;
        }
        assert!(Instant::now() < deadline, "{page}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_redis_that_lost_the_samples_neither_raises_twice_nor_forgets_the_end() {
    let cluster = plan(Cluster::of(1, 1).redis(services::Redis::start())).start().await;
    let mut agent = agent(&cluster, 0).await;
    for _ in 0..2 {
        say(&cluster, &mut agent, json!({ "disk": 1 })).await;
    }
    assert_eq!(alert(&cluster, 0).await["id"], "health:disk:gpu-1");
    cluster.redis().cli(&["FLUSHALL"]);
    for disk in [1.0, 1.0, 0.1] {
        say(&cluster, &mut agent, json!({ "disk": disk })).await;
    }
    cluster.redis().cli(&["FLUSHALL"]);
    for _ in 0..6 {
        say(&cluster, &mut agent, json!({ "disk": 0.1 })).await;
    }
    alert(&cluster, 1).await;
    let page = cluster.archive("alerts", "limit=100").await;
    assert_eq!(page["events"].as_array().unwrap().len(), 2, "{page}");
}

#[tokio::test]
async fn health_is_read_by_whoever_may_read_the_agent() {
    let cluster = Cluster::embedded().set("HEALTH_CPU", "").start().await;
    let read = async |channels: &[&str]| {
        let token = token("u", channels);
        cluster.get(&format!("/v1/agents/gpu-1/health?token={token}")).await.status
    };
    assert_eq!(read(&["agent:gpu-1"]).await, 200);
    assert_eq!(read(&["agent:gpu-2"]).await, 403);
    assert_eq!(cluster.get("/v1/agents/gpu-1/health").await.status, 401);
}
