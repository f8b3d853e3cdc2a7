//! Interleavings of the record, each forced: commits that stall, reads between which the broker is
//! set back, tables that are locked, clocks that move (`design.md` §3).

use std::time::Duration;

use serde_json::{Value, json};
use services::{Postgres, Proxy, Redis};
use tokio::time::{Instant, sleep};

use crate::client::{PATIENCE, Socket};
use crate::cluster::Cluster;

async fn watch(cluster: &Cluster, channel: &str) -> Socket {
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": channel})).await;
    watcher.wait_for(json!({"type": "subscribed", "...": ""})).await;
    watcher
}

fn update(cluster: &Cluster, n: u32) {
    let data = json!({ "n": n }).to_string();
    cluster.xadd("deployments", &["type", "deployment_update", "id", "d", "data", &data]);
}

async fn see(watcher: &mut Socket, n: u32) {
    watcher.wait_for(json!({"type": "event", "data": {"n": n, "...": ""}, "...": ""})).await;
}

/// Waits until a database says this.
async fn until(postgres: &Postgres, database: &str, sql: &str, wanted: &str) {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        let found = postgres.sql(database, sql);
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}: {found}, not {wanted}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn archived(cluster: &Cluster, channel: &str) -> Vec<Value> {
    let page = cluster.archive(channel, "limit=500").await;
    page["events"].as_array().unwrap().clone()
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn rule_7_what_was_read_before_a_set_back_does_not_jump_over_what_is_read_again() {
    let scratch = services::Scratch::new("failpoint");
    let held = scratch.path().join("held");
    let cluster = Cluster::of(1, 0).redis(Redis::start()).set("BATCH_BYTES", "4096");
    let mut cluster = cluster.start().await;
    let mut watcher = watch(&cluster, "deployment:d").await;
    let key = format!("{}:deployments", cluster.prefix);
    let future = jiff::Timestamp::now().as_millisecond() + 600_000;
    let append = |cluster: &Cluster, id: i64, n: u32| {
        let data = json!({ "n": n, "pad": "x".repeat(3000) }).to_string();
        let entry = ["type", "deployment_update", "id", "d", "data", &data];
        cluster.redis().cli(&[&["XADD", &key, &format!("{id}-1")][..], &entry].concat());
    };
    // Read at once and recorded in parts, with ids that lie ahead of what comes later.
    for n in 1..=6 {
        append(&cluster, future + i64::from(n), n);
    }
    let point = format!("amid_publishing:1:hold={}", held.display());
    cluster.workers.push(cluster.spawn_with("worker", 1, &[("FAILPOINT", &point)]));
    cluster.workers[0].ready(&cluster.http).await;
    let deadline = Instant::now() + PATIENCE;
    while !held.exists() {
        assert!(Instant::now() < deadline, "nothing is published");
        sleep(Duration::from_millis(10)).await;
    }
    // The broker comes back with nothing, and takes entries that lie before those that were read.
    cluster.redis().kill();
    cluster.redis().restart();
    for n in 11..=15 {
        append(&cluster, future - 1000 + i64::from(n), n);
    }
    std::fs::remove_file(&held).unwrap();
    see(&mut watcher, 15).await;
    let seen: Vec<u64> =
        cluster.archive_numbers("deployment:d").await.into_iter().map(|(_, n)| n).collect();
    assert!(seen.ends_with(&[11, 12, 13, 14, 15]), "each is recorded, in order: {seen:?}");
    assert_eq!(cluster.get("/v1/dead").await.expect(200).json()["dead"], json!([]));
}

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn rule_1_a_source_whose_consumer_panics_is_claimed_again() {
    let mut cluster = Cluster::of(1, 0).start().await;
    let mut watcher = watch(&cluster, "deployment:d").await;
    let worker = cluster.spawn_with("worker", 1, &[("FAILPOINT", "after_commit:2:panic")]);
    worker.ready(&cluster.http).await;
    cluster.workers.push(worker);
    for n in 1..=4 {
        update(&cluster, n);
        see(&mut watcher, n).await;
    }
    let numbers: Vec<u64> =
        cluster.archive_numbers("deployment:d").await.into_iter().map(|(_, n)| n).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
}

#[tokio::test]
async fn rule_10_a_table_that_is_locked_over_restarts_makes_no_dead_letter() {
    let mut cluster = Cluster::of(1, 1).set("MAX_DELIVERIES", "2").start().await;
    let mut watcher = watch(&cluster, "deployment:d").await;
    update(&cluster, 1);
    see(&mut watcher, 1).await;
    let database = cluster.setting("DATABASE_URL");
    let lock = "BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)";
    let url = database.clone();
    let holding = std::thread::spawn(move || Postgres::shared().try_sql(&url, lock));
    let held = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' \
                AND relation = 'event'::regclass";
    until(cluster.postgres(), &database, held, "1").await;
    update(&cluster, 2);
    for _ in 0..3 {
        // Long enough for the entry to be tried and refused for time.
        sleep(Duration::from_secs(3)).await;
        cluster.workers[0].terminate();
        assert_eq!(cluster.workers[0].exit_code(), Some(0));
        let Cluster { workers, http, .. } = &mut cluster;
        workers[0].start_again(http).await;
    }
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid() \
               AND datname = current_database()";
    cluster.postgres().sql(&database, end);
    drop(holding.join().unwrap());
    see(&mut watcher, 2).await;
    assert_eq!(cluster.get("/v1/dead").await.expect(200).json()["dead"], json!([]));
}

#[tokio::test]
async fn rule_10_a_slow_database_gets_smaller_batches_and_nothing_dies() {
    let cluster = Cluster::of(1, 1).start().await;
    let database = cluster.setting("DATABASE_URL");
    // 125 rows a second: 500 of them never fit the deadline.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                PERFORM pg_sleep(0.008); RETURN NEW; END $$; \
                CREATE TRIGGER slow BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION slow()";
    cluster.postgres().sql(&database, slow);
    let mut watcher = watch(&cluster, "task:t").await;
    let script = "for n = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'type', 'task_update', \
                  'id', 't', 'data', '{\"n\":' .. n .. '}') end";
    let began = Instant::now();
    cluster.redis().cli(&["EVAL", script, "1", &format!("{}:tasks", cluster.prefix)]);
    for n in 1..=1000 {
        see(&mut watcher, n).await;
    }
    assert!(began.elapsed() < Duration::from_secs(40), "it took {:?}", began.elapsed());
    assert_eq!(cluster.get("/v1/dead").await.expect(200).json()["dead"], json!([]));
}

#[tokio::test]
async fn a_head_of_a_wrong_type_is_mended() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = watch(&cluster, "deployment:d").await;
    update(&cluster, 1);
    see(&mut watcher, 1).await;
    for kind in ["p", "h"] {
        let pattern = format!("{}:*:{kind}:deployment:d:*", cluster.prefix);
        let key = cluster.redis().cli(&["KEYS", &pattern]);
        assert!(!key.is_empty() && !key.contains('\n'), "one key: {key}");
        cluster.redis().cli(&["DEL", &key]);
        cluster.redis().cli(&["LPUSH", &key, "nonsense"]);
        let n = if kind == "p" { 2 } else { 3 };
        update(&cluster, n);
        see(&mut watcher, n).await;
    }
}

#[tokio::test]
async fn a_channel_of_several_streams_is_read_backwards_without_a_hole() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = watch(&cluster, "user:u").await;
    for n in 1..=9 {
        let data = json!({ "n": n, "message": "m" }).to_string();
        match n % 3 {
            0 => cluster.xadd("messages", &["type", "notification", "id", "u", "data", &data]),
            1 => cluster
                .xadd("tasks", &["type", "task_update", "id", "t", "user", "u", "data", &data]),
            _ => cluster.xadd(
                "deployments",
                &["type", "deployment_update", "id", "d", "user", "u", "data", &data],
            ),
        };
        see(&mut watcher, n).await;
    }
    for limit in [1, 2, 4] {
        let (mut seen, mut query) = (Vec::new(), format!("limit={limit}&reverse=true"));
        loop {
            let page = cluster.archive("user:u", &query).await;
            let events = page["events"].as_array().unwrap();
            seen.extend(events.iter().map(|event| event["data"]["n"].as_u64().unwrap()));
            assert!(seen.len() <= 9, "{seen:?}");
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit={limit}&reverse=true&since={next}");
        }
        assert_eq!(seen, [9, 8, 7, 6, 5, 4, 3, 2, 1], "limit {limit}");
    }
}

#[tokio::test]
async fn a_position_beyond_every_offset_is_ahead() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = watch(&cluster, "deployment:d").await;
    update(&cluster, 1);
    see(&mut watcher, 1).await;
    let head =
        cluster.archive("deployment:d", "limit=1").await["head"].as_str().unwrap().to_owned();
    let epoch = head.split_once('-').unwrap().0;
    let token = crate::cluster::token("archivist", &["*"]);
    let far = format!("/v1/channels/deployment:d/events?since={epoch}-{}&token={token}", i64::MAX);
    assert_eq!(cluster.get(&far).await.expect(409).json()["head"], head);
}

#[tokio::test]
async fn the_last_event_of_a_channel_of_several_streams_survives_a_redis_and_a_database_that_were_away()
 {
    let proxy = Proxy::to(Postgres::shared().port());
    let database = Postgres::shared().url("it");
    let through = database
        .replace(&format!(":{}/", Postgres::shared().port()), &format!(":{}/", proxy.port()));
    let plan = Cluster::of(0, 1).redis(Redis::start()).set("DATABASE_URL", &database);
    let mut cluster = plan.start().await;
    let gateway = cluster.spawn_with("gateway", 1, &[("DATABASE_URL", &through)]);
    gateway.ready(&cluster.http).await;
    cluster.gateways.push(gateway);
    let say = |cluster: &Cluster, stream: &str, n: u32| {
        let data = json!({ "n": n, "message": "m" }).to_string();
        let kind = if stream == "messages" { ["notification", "u"] } else { ["task_update", "t"] };
        let fields = ["type", kind[0], "id", kind[1], "user", "u", "data", &data];
        cluster.xadd(stream, &fields);
    };
    let mut watcher = watch(&cluster, "user:u").await;
    for (n, stream) in (1..=2).zip(["tasks", "messages"]) {
        say(&cluster, stream, n);
        see(&mut watcher, n).await;
    }
    let position = cluster.archive("user:u", "limit=10").await["head"].as_str().unwrap().to_owned();
    for round in 1..=2 {
        proxy.refuse();
        cluster.redis().kill();
        cluster.redis().restart();
        let first = round * 10;
        say(&cluster, "tasks", first);
        say(&cluster, "messages", first + 1);
        say(&cluster, "tasks", first + 2);
        let recorded =
            format!("SELECT count(*) FROM event WHERE payload LIKE '%\"n\":{}%'", first + 2);
        until(cluster.postgres(), &database, &recorded, "1").await;
        sleep(Duration::from_secs(4)).await;
        proxy.heal();
        let mut wanted: Vec<u32> = (first..first + 3).collect();
        while !wanted.is_empty() {
            let frame = watcher.wait_for(json!({"type": "event", "...": ""})).await;
            wanted.retain(|n| frame["data"]["n"] != *n);
        }
    }
    let mut back = cluster.watcher(0).await;
    back.send(json!({"type": "subscribe", "channel": "user:u", "since": position})).await;
    let mut wanted = vec![10, 11, 12, 20, 21, 22];
    while !wanted.is_empty() {
        let frame = back.wait_for(json!({"type": "event", "...": ""})).await;
        wanted.retain(|n| frame["data"]["n"] != *n);
    }
}

#[tokio::test]
async fn rule_3_an_ending_whose_commit_stalls_is_published_when_it_comes_to_light() {
    // Commits wait for a standby that there is not, but only where the trigger says so.
    let postgres = Postgres::options().fsync(false).set("synchronous_standby_names", "nobody");
    let cluster = Cluster::of(1, 1).postgres(postgres.set("synchronous_commit", "local").start());
    let cluster = cluster.start().await;
    let database = cluster.setting("DATABASE_URL");
    let stall = "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 PERFORM set_config('synchronous_commit', 'on', true); RETURN NULL; END $$; \
                 CREATE TRIGGER stall AFTER INSERT ON event FOR EACH ROW \
                 WHEN (NEW.payload LIKE '%\"abandoned\"%') EXECUTE FUNCTION stall()";
    cluster.postgres().sql(&database, stall);
    let mut watcher = watch(&cluster, "deployment:d").await;
    let fields = ["type", "deployment_update", "id", "d", "data", r#"{"n":1}"#, "lease_ms", "1500"];
    cluster.xadd("deployments", &fields);
    see(&mut watcher, 1).await;
    let waiting = "SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let deadline = Instant::now() + PATIENCE;
    let pid = loop {
        match cluster.postgres().sql(&database, waiting) {
            none if none == "0" => assert!(Instant::now() < deadline, "no ending is committed"),
            pid => break pid,
        }
        sleep(Duration::from_millis(10)).await;
    };
    // Longer than its client waits; nobody can tell meanwhile whether it is recorded.
    sleep(Duration::from_secs(4)).await;
    cluster.postgres().sql(&database, &format!("SELECT pg_cancel_backend({pid})"));
    let ending = json!({"status": "abandoned", "...": ""});
    watcher.wait_for(json!({"type": "event", "data": ending, "...": ""})).await;
    update(&cluster, 2);
    see(&mut watcher, 2).await;
    let endings = archived(&cluster, "deployment:d").await;
    let endings = endings.iter().filter(|event| event["data"]["status"] == "abandoned");
    assert_eq!(endings.count(), 1, "it ends once");
}

#[tokio::test]
async fn rule_10_the_publisher_of_an_entry_that_the_database_refuses_is_told_and_no_other() {
    let cluster = Cluster::of(1, 1).set("MAX_DELIVERIES", "2").start().await;
    let database = cluster.setting("DATABASE_URL");
    let refuse = "ALTER TABLE event ADD CONSTRAINT no_poison CHECK (payload NOT LIKE '%poison%')";
    cluster.postgres().sql(&database, refuse);
    let event = |data: Value| json!({"stream": "deployments", "type": "deployment_update", "id": "d", "data": data});
    let (before, poison, after) =
        (event(json!({"n": 1})), event(json!({"x": "poison"})), event(json!({"n": 2})));
    let (before, poison, after) = tokio::join!(
        cluster.post("/v1/publish", &before),
        cluster.post("/v1/publish", &poison),
        cluster.post("/v1/publish", &after),
    );
    assert_eq!((before.status, after.status), (200, 200), "{before:?} {after:?}");
    let refused = poison.expect(400).json();
    assert!(refused["problems"][0]["message"].is_string(), "{refused}");
    assert_eq!(archived(&cluster, "deployment:d").await.len(), 2);
}

#[tokio::test]
async fn a_gateway_on_the_old_side_of_a_split_says_so_and_reads_the_record() {
    let old = Redis::start();
    let cluster = Cluster::of(1, 1).redis(old).start().await;
    let mut watcher = watch(&cluster, "deployment:d").await;
    update(&cluster, 1);
    see(&mut watcher, 1).await;
    let new = Redis::options().replica_of(cluster.redis()).start();
    let deadline = Instant::now() + PATIENCE;
    while !new.cli(&["INFO", "replication"]).contains("master_link_status:up") {
        assert!(Instant::now() < deadline, "the replica does not follow");
        sleep(Duration::from_millis(20)).await;
    }
    cluster.workers[0].terminate();
    assert_eq!(cluster.workers[0].exit_code(), Some(0));
    new.cli(&["REPLICAOF", "NO", "ONE"]);
    let worker = cluster.spawn_with("worker", 2, &[("REDIS_URL", &new.url())]);
    worker.ready(&cluster.http).await;
    let key = format!("{}:deployments", cluster.prefix);
    let append = |n: u32| {
        let data = json!({ "n": n }).to_string();
        new.cli(&["XADD", &key, "*", "type", "deployment_update", "id", "d", "data", &data]);
    };
    append(2);
    see(&mut watcher, 2).await;
    let deadline = Instant::now() + PATIENCE;
    while cluster.get("/readyz").await.json()["degraded"] != true {
        assert!(Instant::now() < deadline, "it trusts the old side");
        sleep(Duration::from_millis(50)).await;
    }
    for n in 3..=5 {
        let began = Instant::now();
        append(n);
        see(&mut watcher, n).await;
        assert!(began.elapsed() < Duration::from_secs(4), "late by {:?}", began.elapsed());
    }
}
