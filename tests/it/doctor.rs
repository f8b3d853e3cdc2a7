//! `fanfare doctor` and `MIGRATE=off`: what an operator is told before something breaks.

use services::{Postgres, Redis, free_port};

use crate::cluster::{Cluster, Outcome, fanfare};

/// What `fanfare doctor` says with a cluster's settings.
async fn doctor(cluster: &Cluster) -> Outcome {
    let settings =
        ["REDIS_URL", "DATABASE_URL", "KEY_PREFIX"].map(|name| (name, cluster.setting(name)));
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, &**value)).collect();
    fanfare(&["doctor"], &settings).await
}

#[tokio::test]
async fn a_healthy_installation_has_nothing_and_each_fault_is_named() {
    let redis = Redis::options().appendonly().start();
    let cluster = Cluster::of(1, 1).redis(redis).start().await;
    let healthy = doctor(&cluster).await.expect(0);
    assert_eq!(healthy.stdout, "", "{healthy:#?}");
    cluster.xadd("deployment", &["type", "deployment_update", "id", "d"]);
    let key = format!("{}:deployment", cluster.prefix);
    let said = doctor(&cluster).await.expect(1).stdout;
    assert!(said.contains(&key) && said.contains("misspelled"), "{said}");
    cluster.redis().cli(&["DEL", &key]);
    cluster.redis().cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let said = doctor(&cluster).await.expect(1).stdout;
    assert!(said.contains("allkeys-lru"), "{said}");
    cluster.redis().cli(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    cluster.workers[0].terminate();
    assert_eq!(cluster.workers[0].exit_code(), Some(0));
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", "{}"]);
    let said = doctor(&cluster).await.expect(1).stdout;
    assert!(said.contains("tasks: entries wait, and no worker owns the stream"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_reached_or_contradicts_itself_is_named() {
    let redis = format!("redis://127.0.0.1:{}", free_port());
    let said = fanfare(&["doctor"], &[("REDIS_URL", &redis)]).await.expect(1).stdout;
    assert!(said.contains("redis:"), "{said}");
    let settings = [("PING_MS", "60000"), ("TIMEOUT_MS", "50000")];
    let said = fanfare(&["doctor"], &settings).await.expect(1).stdout;
    assert!(said.contains("PING_MS") && said.contains("TIMEOUT_MS"), "{said}");
    fanfare(&["doctor"], &[]).await.expect(0);
}

#[tokio::test]
async fn with_migrate_off_a_role_refuses_what_nobody_migrated() {
    let (redis, database) = (Redis::shared().url(), Postgres::shared().url("unmigrated"));
    let admin = format!("127.0.0.1:{}", free_port());
    let off = [
        ("REDIS_URL", &*redis),
        ("DATABASE_URL", &*database),
        ("ADMIN_LISTEN", &*admin),
        ("KEY_PREFIX", "unmigrated"),
        ("MIGRATE", "off"),
    ];
    let refused = fanfare(&["worker"], &off).await.expect(78);
    assert!(refused.stderr.contains("MIGRATE") && refused.stderr.contains("fanfare migrate"));
    let said = fanfare(&["doctor"], &off).await.expect(1).stdout;
    assert!(said.contains("fanfare migrate"), "{said}");
    fanfare(&["migrate"], &off).await.expect(0);
    let plan = Cluster::of(1, 1).set("MIGRATE", "off").set("DATABASE_URL", &database);
    let cluster = plan.start().await;
    cluster.get("/readyz").await.expect(200);
    fanfare(&["config"], &[("MIGRATE", "maybe")]).await.expect(78);
}
