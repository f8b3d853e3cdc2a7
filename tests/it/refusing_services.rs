//! Services that answer and refuse: told as what they are in probes, metrics, logs, to clients and to
//! who publishes; and nobody is declared gone by a node that cannot renew itself.

use std::time::Duration;

use serde_json::{Value, json};
use services::{Postgres, Redis};
use tokio::time::{Instant, sleep};

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, token};

/// How long it may take until every client is told.
const TOLD_MAX: Duration = Duration::from_secs(5);

/// Waits until `/readyz` of a gateway says this cause of a part; it must stay 200 all the time.
async fn says(cluster: &Cluster, part: &str, cause: &Value) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let body = cluster.get("/readyz").await.expect(200).json();
        if body["parts"][part]["cause"] == *cause {
            return body;
        }
        assert!(Instant::now() < deadline, "{body:#}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn metric(cluster: &Cluster, line: &str) {
    let body = cluster.get("/metrics").await.expect(200).body;
    assert!(body.lines().any(|of| of == line), "{line} is missing:\n{body}");
}

/// How many lines of a log say that a service is out of order for this cause.
fn said(log: &str, cause: &str) -> usize {
    let lines = log.lines().filter(|line| line.contains("health: service out of order"));
    lines.filter(|line| line.contains(cause)).count()
}

/// Fills Redis beyond its limit, so that it takes nothing that makes it larger.
fn fill(redis: &Redis) {
    redis.cli(&["EVAL", "redis.call('SET', 'filler', string.rep('x', 4000000))", "0"]);
    redis.cli(&["CONFIG", "SET", "maxmemory", "3mb"]);
}

#[tokio::test]
async fn a_full_redis_is_told_as_full_and_nobody_is_declared_gone() {
    let cluster = Cluster::of(2, 1).redis(Redis::start()).start().await;
    let mut viewer = cluster.watcher(0).await;
    viewer.send(json!({"type": "subscribe", "channel": "presence"})).await;
    viewer.wait_for(json!({"type": "subscribed", "...": ""})).await;
    let path = format!("/v1/connect?token={}", token("ann", &["*"]));
    let mut ann = Socket::connect(&cluster.gateways[1].ws(&path)).await;
    ann.wait_for(json!({"type": "welcome", "degraded": null, "...": ""})).await;
    ann.send(json!({"type": "presence", "status": "online"})).await;
    viewer
        .wait_for(json!({"type": "presence", "user": "ann", "status": "online", "...": ""}))
        .await;
    fill(cluster.redis());
    let filled = Instant::now();
    viewer.wait_for(json!({"type": "status", "degraded": true, "reason": "broker"})).await;
    assert!(filled.elapsed() < TOLD_MAX, "after {:?}", filled.elapsed());
    let body = says(&cluster, "broker", &json!("memory_full")).await;
    assert_eq!((&body["degraded"], &body["reason"]), (&json!(true), &json!("broker")), "{body}");
    assert_eq!(body["parts"]["broker"]["state"], "refusing", "{body}");
    metric(&cluster, "fanfare_broker_writable 0").await;
    metric(&cluster, "fanfare_store_writable 1").await;
    let event = json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {}});
    let refused = cluster.post("/v1/publish", &event).await.expect(503);
    assert!(refused.body.contains("memory is full"), "{}", refused.body);
    let late = format!("/v1/connect?token={}", token("bob", &["*"]));
    let mut late = Socket::connect(&cluster.gateways[0].ws(&late)).await;
    late.wait_for(json!({"type": "welcome", "degraded": "broker", "...": ""})).await;
    // Longer than a node's lease: nobody renewed one.
    sleep(Duration::from_secs(12)).await;
    assert_eq!(said(&cluster.gateways[0].log(), "memory_full"), 1, "one line a cause and minute");
    let overview = cluster.get("/v1/overview").await.expect(200).json();
    assert_eq!(overview["degraded"], "broker", "{overview:#}");
    cluster.redis().cli(&["CONFIG", "SET", "maxmemory", "0"]);
    viewer.wait_for(json!({"type": "status", "degraded": false})).await;
    says(&cluster, "broker", &Value::Null).await;
    cluster.post("/v1/publish", &event).await.expect(200);
    // Ann was there all the time, and nobody said otherwise.
    ann.send(json!({"type": "presence", "status": "away"})).await;
    loop {
        let heard = viewer.wait_for(json!({"type": "presence", "user": "ann", "...": ""})).await;
        assert_ne!(heard["status"], "offline", "{heard}");
        if heard["status"] == "away" {
            break;
        }
    }
}

#[tokio::test]
async fn a_redis_without_its_replicas_is_told_as_that() {
    let cluster = Cluster::of(1, 1).redis(Redis::start()).start().await;
    cluster.redis().cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    says(&cluster, "broker", &json!("too_few_replicas")).await;
    let event = json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {}});
    let refused = cluster.post("/v1/publish", &event).await.expect(503);
    assert!(refused.body.contains("too few replicas"), "{}", refused.body);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let url = cluster.workers[0].http("/readyz");
        let body = cluster.http.get(&url).await.expect(200).json();
        if body["parts"]["broker"]["cause"] == "too_few_replicas" {
            break;
        }
        assert!(Instant::now() < deadline, "{body}");
        sleep(Duration::from_millis(50)).await;
    }
    cluster.redis().cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    says(&cluster, "broker", &Value::Null).await;
}

#[tokio::test]
async fn a_redis_that_became_a_replica_is_told_as_read_only() {
    let cluster = Cluster::of(1, 1).redis(Redis::start()).start().await;
    cluster.redis().cli(&["REPLICAOF", "127.0.0.1", "1"]);
    says(&cluster, "broker", &json!("read_only")).await;
    cluster.redis().cli(&["REPLICAOF", "NO", "ONE"]);
    says(&cluster, "broker", &Value::Null).await;
}

#[tokio::test]
async fn a_read_only_database_is_told_as_that_and_what_waits_is_recorded_afterwards() {
    let postgres = Postgres::options().fsync(false).start();
    let cluster = Cluster::of(1, 1).postgres(postgres).start().await;
    let mut viewer = cluster.watcher(0).await;
    viewer.send(json!({"type": "subscribe", "channel": "tasks"})).await;
    viewer.wait_for(json!({"type": "subscribed", "...": ""})).await;
    read_only(&cluster, true);
    let refused = Instant::now();
    viewer.wait_for(json!({"type": "status", "degraded": true, "reason": "store"})).await;
    assert!(refused.elapsed() < TOLD_MAX, "after {:?}", refused.elapsed());
    says(&cluster, "store", &json!("read_only")).await;
    metric(&cluster, "fanfare_store_writable 0").await;
    metric(&cluster, "fanfare_broker_writable 1").await;
    cluster.xadd("tasks", &["type", "task_created", "id", "t", "data", r#"{"title":"x"}"#]);
    read_only(&cluster, false);
    viewer.wait_for(json!({"type": "event", "id": "t", "...": ""})).await;
    says(&cluster, "store", &Value::Null).await;
}

/// Makes every new transaction of the database read-only, or none.
fn read_only(cluster: &Cluster, yes: bool) {
    let value = if yes { "on" } else { "off" };
    let alter = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    for sql in [&*alter, "SELECT pg_reload_conf()"] {
        cluster.postgres().sql("postgres", sql);
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_told_to_every_socket_and_to_who_comes() {
    let cluster =
        Cluster::of(1, 1).postgres(Postgres::options().fsync(false).start()).start().await;
    let mut viewer = cluster.watcher(0).await;
    cluster.postgres().kill();
    let killed = Instant::now();
    viewer.wait_for(json!({"type": "status", "degraded": true, "reason": "store"})).await;
    assert!(killed.elapsed() < TOLD_MAX, "after {:?}", killed.elapsed());
    says(&cluster, "store", &json!("unreachable")).await;
    let mut late = Socket::connect(&cluster.gateways[0].ws("/v1/connect")).await;
    late.wait_for(json!({"type": "welcome", "degraded": "store", "...": ""})).await;
    cluster.postgres().restart();
    viewer.wait_for(json!({"type": "status", "degraded": false})).await;
    late.wait_for(json!({"type": "status", "degraded": false})).await;
}
