//! Memories that disagree: a database or a Redis that was restored, replaced or promoted behind the
//! other's back; installations on one Redis; producers that trim (`design.md` §3, rules 6, 7 and 15).

use std::time::Duration;

use serde_json::{Value, json};
use services::{Postgres, Proxy, Redis};
use tokio::time::{Instant, sleep};

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, fanfare};

const CHANNEL: &str = "deployment:d";

async fn watch(cluster: &Cluster, since: Option<&str>) -> Socket {
    let mut watcher = cluster.watcher(0).await;
    let mut subscribe = json!({"type": "subscribe", "channel": CHANNEL});
    if let Some(since) = since {
        subscribe["since"] = since.into();
    }
    watcher.send(subscribe).await;
    next(&mut watcher, "subscribed").await;
    watcher
}

fn append(cluster: &Cluster, numbers: std::ops::RangeInclusive<u32>) {
    for n in numbers {
        let data = json!({ "n": n, "status": "building" }).to_string();
        cluster.xadd("deployments", &["type", "deployment_update", "id", "d", "data", &data]);
    }
}

/// The next frame of a type, with `status` and `state` frames before it allowed.
async fn next(socket: &mut Socket, wanted: &str) -> Value {
    loop {
        let frame = socket.expect(json!({"type": "<text>", "...": ""})).await;
        if frame["type"] == wanted {
            return frame;
        }
        assert!(frame["type"] == "status" || frame["type"] == "state", "{wanted} wanted: {frame}");
    }
}

/// These events come next; the position of the last.
async fn expect(socket: &mut Socket, numbers: std::ops::RangeInclusive<u32>) -> String {
    let mut position = String::new();
    for n in numbers {
        let frame = next(socket, "event").await;
        assert_eq!(frame["data"]["n"], n, "{frame}");
        frame["position"].as_str().unwrap().clone_into(&mut position);
    }
    position
}

async fn stop(cluster: &Cluster) {
    for node in cluster.workers.iter().chain(&cluster.gateways) {
        node.terminate();
    }
    for node in cluster.workers.iter().chain(&cluster.gateways) {
        assert_eq!(node.exit_code(), Some(0));
    }
}

async fn start(cluster: &mut Cluster) {
    let Cluster { gateways, workers, http, .. } = cluster;
    for node in workers.iter_mut().chain(gateways) {
        node.start_again(http).await;
    }
}

/// Drops and makes a database anew.
fn replace(postgres: &Postgres, url: &str) {
    let name = url.rsplit('/').next().unwrap();
    postgres.sql("postgres", &format!("DROP DATABASE \"{name}\" (FORCE)"));
    postgres.sql("postgres", &format!("CREATE DATABASE \"{name}\""));
}

/// One line of a node's metrics, by its beginning.
async fn metric(cluster: &Cluster, node: &str, name: &str) -> f64 {
    let answer = cluster.http.send("GET", &format!("{node}/metrics"), &[], None).await.unwrap();
    let line = answer.body.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
}

async fn restored_after(restarts: u32) {
    let url = Postgres::shared().url("it");
    let cluster = Cluster::of(1, 1).redis(Redis::start()).set("DATABASE_URL", &url);
    let mut cluster = cluster.set("DRAIN_MS", "500").start().await;
    let mut watcher = watch(&cluster, None).await;
    append(&cluster, 1..=5);
    expect(&mut watcher, 1..=5).await;
    let dump = Postgres::shared().dump(&url);
    for restart in 0..restarts {
        cluster.redis().restart();
        append(&cluster, 6 + restart..=6 + restart);
        expect(&mut watcher, 6 + restart..=6 + restart).await;
    }
    append(&cluster, 20..=25);
    let since = expect(&mut watcher, 20..=25).await;
    stop(&cluster).await;
    replace(Postgres::shared(), &url);
    Postgres::shared().play(&url, &dump);
    start(&mut cluster).await;

    let mut back = watch(&cluster, Some(&since)).await;
    let gap = next(&mut back, "gap").await;
    assert_eq!(gap["cause"], "epoch", "{gap}");
    let began = Instant::now();
    append(&cluster, 100..=103);
    // What Redis still had of the last minute is recorded again; then the new ones come.
    while next(&mut back, "event").await["data"]["n"] != 103 {}
    assert!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn rule_6_a_database_restored_beside_a_redis_that_remembers_goes_on_within_seconds() {
    for restarts in [0, 2] {
        restored_after(restarts).await;
    }
}

#[tokio::test]
async fn rule_6_a_database_restored_after_more_restarts_of_redis_goes_on_within_seconds() {
    for restarts in [1, 5] {
        restored_after(restarts).await;
    }
}

#[tokio::test]
async fn rule_6_an_operator_who_put_an_old_copy_back_says_so_and_no_position_means_anything_else() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = watch(&cluster, None).await;
    append(&cluster, 1..=3);
    let since = expect(&mut watcher, 1..=3).await;
    let database = cluster.setting("DATABASE_URL");
    let settings = [("DATABASE_URL", database.as_str())];
    let said = fanfare(&["migrate", "--new-epoch"], &settings).await.expect(0);
    assert!(said.stderr.contains("new epoch"), "{said:?}");
    assert_eq!(next(&mut watcher, "gap").await["cause"], "epoch");
    append(&cluster, 4..=4);
    let last = expect_after_reread(&mut watcher, 4).await;
    assert_ne!(since.split_once('-').unwrap().0, last.split_once('-').unwrap().0);
    let mut back = watch(&cluster, Some(&since)).await;
    assert_eq!(next(&mut back, "gap").await["cause"], "epoch");
}

/// Waits for this event; what Redis still had of the last minute may be recorded again before it.
async fn expect_after_reread(socket: &mut Socket, n: u32) -> String {
    loop {
        let frame = next(socket, "event").await;
        if frame["data"]["n"] == n {
            return frame["position"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test]
async fn rule_6_a_new_database_beside_a_used_redis_goes_on_within_seconds() {
    let url = Postgres::shared().url("it");
    let cluster = Cluster::of(1, 1).redis(Redis::start()).set("DATABASE_URL", &url);
    let mut cluster = cluster.set("DRAIN_MS", "500").start().await;
    let mut watcher = watch(&cluster, None).await;
    append(&cluster, 1..=5);
    expect(&mut watcher, 1..=5).await;
    cluster.redis().restart();
    append(&cluster, 6..=8);
    let since = expect(&mut watcher, 6..=8).await;
    stop(&cluster).await;
    replace(Postgres::shared(), &url);
    start(&mut cluster).await;
    let mut back = watch(&cluster, Some(&since)).await;
    assert_eq!(next(&mut back, "gap").await["cause"], "epoch");
    append(&cluster, 100..=103);
    while next(&mut back, "event").await["data"]["n"] != 103 {}
}

#[tokio::test]
async fn rule_6_the_switch_to_a_synchronous_standby_costs_no_client_a_position() {
    let primary = Postgres::options().fsync(false).start();
    let url = primary.url("it");
    let database = url.rsplit('/').next().unwrap().to_owned();
    let standby = primary.standby();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
    let several = format!("postgres://postgres@{hosts}/{database}?target_session_attrs=read-write");
    let cluster = Cluster::of(1, 1).set("DATABASE_URL", &several).start().await;
    let mut watcher = watch(&cluster, None).await;
    append(&cluster, 1..=20);
    let since = expect(&mut watcher, 1..=20).await;
    primary.kill();
    append(&cluster, 21..=30);
    standby.sql("postgres", "SELECT pg_promote()");
    let last = expect(&mut watcher, 21..=30).await;
    assert_eq!(since.split_once('-').unwrap().0, last.split_once('-').unwrap().0, "one epoch");
    let mut back = watch(&cluster, Some(&since)).await;
    expect(&mut back, 21..=30).await;
    append(&cluster, 31..=35);
    for watcher in [&mut watcher, &mut back] {
        expect(watcher, 31..=35).await;
    }
}

#[tokio::test]
async fn rule_6_the_promotion_of_a_standby_that_lags_begins_a_new_epoch() {
    let primary = Postgres::options().fsync(false).start();
    let url = primary.url("it");
    let database = url.rsplit('/').next().unwrap().to_owned();
    let standby = primary.standby_that_may_lag();
    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", primary.port(), standby.port());
    let several = format!("postgres://postgres@{hosts}/{database}");
    let cluster = Cluster::of(1, 1).set("DATABASE_URL", &several).start().await;
    let mut watcher = watch(&cluster, None).await;
    append(&cluster, 1..=5);
    expect(&mut watcher, 1..=5).await;
    standby.stop_following();
    append(&cluster, 6..=20);
    expect(&mut watcher, 6..=20).await;
    primary.kill();
    standby.sql("postgres", "SELECT pg_promote()");
    assert_eq!(next(&mut watcher, "gap").await["cause"], "epoch");
    append(&cluster, 100..=100);
    while next(&mut watcher, "event").await["data"]["n"] != 100 {}
}

#[tokio::test]
async fn entries_that_a_producer_trims_unread_are_counted_and_said() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut cluster = cluster;
    let mut watcher = watch(&cluster, None).await;
    append(&cluster, 1..=3);
    expect(&mut watcher, 1..=3).await;
    let database = cluster.setting("DATABASE_URL");
    let counted = "SELECT coalesce(added, 0) FROM source WHERE name = 'deployments'";
    let deadline = Instant::now() + PATIENCE;
    while cluster.postgres().sql(&database, counted) != "3" {
        assert!(Instant::now() < deadline, "nobody counts");
        sleep(Duration::from_millis(50)).await;
    }
    cluster.workers[0].terminate();
    assert_eq!(cluster.workers[0].exit_code(), Some(0));
    let key = format!("{}:deployments", cluster.prefix);
    for n in 1..=40 {
        let data = json!({ "n": n }).to_string();
        let entry = ["type", "deployment_update", "id", "d", "data", &data];
        cluster.redis().cli(&[&["XADD", &key, "MAXLEN", "5", "*"][..], &entry].concat());
    }
    let Cluster { workers, http, .. } = &mut cluster;
    workers[0].start_again(http).await;
    expect(&mut watcher, 36..=40).await;
    let name = "fanfare_worker_trimmed_entries_total{stream=\"deployments\"}";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let trimmed = metric(&cluster, &cluster.workers[0].http(""), name).await;
        if (trimmed - 35.0).abs() < 0.1 {
            break;
        }
        assert!(Instant::now() < deadline, "{trimmed} are counted");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(cluster.workers[0].log().contains("trimmed from the stream unread"));
}

#[tokio::test]
async fn installations_on_one_redis_do_not_hear_each_other() {
    let redis = Redis::start();
    let address = redis.url();
    let with = |number: u32| format!("{}/{number}", address.trim_end_matches('/'));
    let production = Cluster::of(1, 1).set("REDIS_URL", &with(1)).set("KEY_PREFIX", "one");
    let production = production.start().await;
    let staging = Cluster::of(1, 1).set("REDIS_URL", &with(2)).set("KEY_PREFIX", "one");
    let staging = staging.start().await;
    let path = format!("/v1/connect?token={}", crate::cluster::token("u1", &["*"]));
    let mut user = Socket::connect(&production.gateways[0].ws(&path)).await;
    user.wait_for(json!({"type": "welcome", "...": ""})).await;
    let barred = staging.gateways[0].http("/v1/users/u1/connections?deny_ms=60000");
    let admin = crate::cluster::token_with(json!({"sub": "admin", "role": "admin"}));
    let header = [("Authorization".to_owned(), format!("Bearer {admin}"))];
    staging.http.send("DELETE", &barred, &header, None).await.unwrap().expect(200);
    let name = "fanfare_foreign_messages_total";
    let deadline = Instant::now() + PATIENCE;
    while metric(&production, &production.gateways[0].http(""), name).await < 1.0 {
        assert!(Instant::now() < deadline, "nobody counts");
        sleep(Duration::from_millis(50)).await;
    }
    user.expect_silence(Duration::from_millis(200)).await;
    assert!(production.gateways[0].log().contains("another installation uses the same Redis"));
}

#[tokio::test]
async fn rule_15_a_second_process_on_a_file_refuses_to_start_and_names_the_first() {
    let cluster = Cluster::embedded().start().await;
    let file = cluster.gateways[0].disk().join("fanfare.db");
    let url = format!("sqlite://{}", file.display());
    for command in [&["migrate"][..], &[]] {
        let settings = [("DATABASE_URL", url.as_str()), ("PORT", "0"), ("HOST", "127.0.0.1")];
        let refused = fanfare(command, &settings).await;
        assert_eq!(refused.code, Some(73), "{refused:?}");
        let pid = cluster.gateways[0].pid();
        assert!(refused.stderr.contains(&format!("process {pid}")), "{refused:?}");
    }
    cluster.publish(json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {}})).await;
}

#[tokio::test]
async fn a_standby_is_called_a_standby_at_once() {
    let primary = Postgres::options().fsync(false).start();
    let standby = primary.standby();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", standby.port());
    let began = Instant::now();
    let refused = fanfare(&["migrate"], &[("DATABASE_URL", &url)]).await;
    assert_eq!(refused.code, Some(69), "{refused:?}");
    assert!(refused.stderr.contains("the server is a standby"), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn fewer_partitions_strand_nothing() {
    let cluster = Cluster::of(1, 1).set("INGEST_PARTITIONS", "2").start().await;
    append(&cluster, 1..=1);
    let database = cluster.setting("DATABASE_URL");
    cluster.workers[0].terminate();
    assert_eq!(cluster.workers[0].exit_code(), Some(0));
    // What waits in a second partition, and what comes by every stream from now on.
    let key = format!("{}:tasks:1", cluster.prefix);
    let entry = ["type", "task_update", "id", "late", "data", "{}"];
    cluster.redis().cli(&[&["XADD", &key, "*"][..], &entry].concat());
    let worker = cluster.spawn_with("worker", 2, &[("INGEST_PARTITIONS", "1")]);
    worker.ready(&cluster.http).await;
    let free = "SELECT count(*) FROM source WHERE owner IS NULL AND name NOT LIKE '%:%' \
                OR seq < 1 AND name = 'tasks:1'";
    let deadline = Instant::now() + PATIENCE;
    while cluster.postgres().sql(&database, free) != "0" {
        assert!(Instant::now() < deadline, "a source has no owner");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn rule_1_an_owner_without_redis_leaves_its_sources_to_others() {
    let proxy = Proxy::to(Redis::shared().port());
    let mut cluster = Cluster::of(1, 0).start().await;
    let through = format!("redis://127.0.0.1:{}", proxy.port());
    let cut_off = cluster.spawn_with("worker", 1, &[("REDIS_URL", &through)]);
    cut_off.ready(&cluster.http).await;
    let mut watcher = watch(&cluster, None).await;
    append(&cluster, 1..=3);
    expect(&mut watcher, 1..=3).await;
    cluster.workers.push(cluster.spawn("worker", 2));
    cluster.workers[0].ready(&cluster.http).await;
    proxy.stall();
    let began = Instant::now();
    append(&cluster, 4..=6);
    expect(&mut watcher, 4..=6).await;
    let database = cluster.setting("DATABASE_URL");
    let owners = "SELECT count(DISTINCT owner) FROM source";
    while cluster.postgres().sql(&database, owners) != "1" {
        assert!(began.elapsed() < Duration::from_secs(30), "it keeps its sources");
        sleep(Duration::from_millis(50)).await;
    }
}
