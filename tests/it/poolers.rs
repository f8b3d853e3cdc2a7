//! PostgreSQL behind a pooler.

use serde_json::json;
use services::{Pooler, Postgres};

use crate::cluster::Cluster;

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
