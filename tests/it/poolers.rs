//! PostgreSQL behind a pooler.

use serde_json::json;
use services::{Pooler, Postgres};

use crate::cluster::{Cluster, fanfare};

#[tokio::test]
async fn through_a_pooler_in_session_mode_everything_works() {
    let postgres = Postgres::options().fsync(false).start();
    let pooler = Pooler::in_front_of(&postgres, "session");
    let database = pooler.url(&postgres.url("pooled"));
    let cluster = Cluster::of(1, 1).set("DATABASE_URL", &database).start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    let event =
        json!({"stream": "tasks", "type": "task_created", "id": "t", "data": {"title": "x"}});
    cluster.publish(event).await;
    watcher.expect(json!({"type": "event", "channel": "task:t", "...": ""})).await;
}

#[tokio::test]
async fn a_pooler_that_lends_sessions_for_a_transaction_is_refused_with_the_reason() {
    let postgres = Postgres::options().fsync(false).start();
    let pooler = Pooler::in_front_of(&postgres, "transaction");
    let database = pooler.url(&postgres.url("pooled"));
    let cluster = Cluster::of(0, 0).start().await;
    let settings = [
        ("REDIS_URL", cluster.redis().url()),
        ("DATABASE_URL", database),
        ("STARTUP_TIMEOUT_MS", "4000".to_owned()),
    ];
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = fanfare(&["worker"], &settings).await;
    assert!(matches!(refused.code, Some(69 | 78)), "{refused:?}");
    assert!(refused.stderr.contains("session mode"), "{refused:?}");
}
