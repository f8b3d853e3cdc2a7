//! A wrong entry is never dropped silently and never blocks those behind it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::PATIENCE;
use crate::cluster::{Cluster, fanfare};

/// Waits until so many entries are dead, and returns them.
async fn dead(cluster: &Cluster, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = cluster.get("/v1/dead?limit=100").await.expect(200).json();
        let list = page["dead"].as_array().unwrap().clone();
        if list.len() >= count {
            assert_eq!(list.len(), count, "{list:#?}");
            return list;
        }
        assert!(Instant::now() < deadline, "only {list:#?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Appends one wrong entry, sees it dead with a reason that names the field, and the good one behind it
/// on its way.
async fn dies(stream: &str, fields: &[&str], named: &str) {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:good"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    let entry = cluster.xadd(stream, fields);
    cluster.xadd("tasks", &["type", "task_update", "id", "good", "data", r#"{"n":1}"#]);
    watcher.expect(json!({"type": "event", "data": {"n": 1}, "...": ""})).await;
    let letter = dead(&cluster, 1).await.remove(0);
    assert_eq!(letter["stream"], stream, "{letter:#}");
    assert_eq!(letter["entry"], entry, "{letter:#}");
    assert!(letter["at"].is_number() || letter["at"].is_string(), "{letter:#}");
    let reason = letter["reason"].as_str().unwrap();
    assert!(reason.contains(named), "the reason names {named:?}: {reason}");
}

#[tokio::test]
async fn an_entry_without_an_id_is_dead() {
    dies("tasks", &["type", "task_update", "data", "{}"], "id").await;
}

#[tokio::test]
async fn an_entry_without_a_type_is_dead() {
    dies("tasks", &["id", "t1", "data", "{}"], "type").await;
}

#[tokio::test]
async fn an_entry_of_an_unknown_type_on_a_typed_stream_is_dead() {
    dies("tasks", &["type", "task_dance", "id", "t1"], "type").await;
}

#[tokio::test]
async fn an_entry_with_broken_json_is_dead() {
    dies("tasks", &["type", "task_update", "id", "t1", "data", "{\"a\":"], "data").await;
}

#[tokio::test]
async fn an_entry_whose_data_is_no_object_is_dead() {
    dies("tasks", &["type", "task_update", "id", "t1", "data", "[1]"], "data").await;
}

#[tokio::test]
async fn an_entry_that_fails_its_schema_is_dead() {
    dies("tasks", &["type", "task_created", "id", "t1", "data", "{}"], "title").await;
    dies(
        "agents",
        &["type", "alert", "id", "a", "data", r#"{"severity":"mild","title":"x"}"#],
        "severity",
    )
    .await;
}

#[tokio::test]
async fn an_entry_with_a_bad_id_is_dead() {
    dies("tasks", &["type", "task_update", "id", "a*", "data", "{}"], "id").await;
}

#[tokio::test]
async fn an_entry_of_three_mebibytes_is_dead() {
    let cluster = Cluster::of(1, 1).start().await;
    // Longer than one argument of a command may be: so by a script within Redis.
    let script = "return redis.call('XADD', KEYS[1], '*', 'type', 'task_update', 'id', 't1', \
        'data', '{\"a\":\"' .. string.rep('x', 3 * 1024 * 1024) .. '\"}')";
    let key = format!("{}:tasks", cluster.prefix);
    cluster.redis().cli(&["EVAL", script, "1", &key]);
    let letter = dead(&cluster, 1).await.remove(0);
    assert!(letter["reason"].as_str().unwrap().contains("data"), "{}", letter["reason"]);
}

#[tokio::test]
async fn a_dead_letter_is_redriven_as_corrected_or_forgotten() {
    let cluster = Cluster::of(2, 1).start().await;
    let mut watcher = cluster.watcher(1).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t1"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    for event_id in ["one", "two"] {
        cluster
            .xadd("tasks", &["type", "task_created", "id", "t1", "event_id", event_id, "x", "y"]);
    }
    let letters = dead(&cluster, 2).await;
    let id = letters[0]["id"].to_string().replace('"', "");
    assert_eq!(letters[0]["fields"]["type"], "task_created");
    let corrected = json!({"fields": {"data": "{\"title\":\"again\"}", "x": null}});
    let answer = cluster.post(&format!("/v1/dead/{id}/redrive"), &corrected).await;
    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    // A dead letter did not use up its event_id.
    watcher.expect(json!({"type": "event", "event": "task_created", "data": {"title": "again"}, "...": ""})).await;
    let id = dead(&cluster, 1).await[0]["id"].to_string().replace('"', "");
    let url = cluster.gateways[0].http(&format!("/v1/dead/{id}"));
    let answer = cluster.http.send("DELETE", &url, &[], None).await.unwrap();
    assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    dead(&cluster, 0).await;
}

#[tokio::test]
async fn the_command_lists_shows_and_redrives_dead_letters() {
    let cluster = Cluster::of(1, 1).start().await;
    cluster.xadd("tasks", &["type", "task_created", "id", "t1"]);
    let id = dead(&cluster, 1).await[0]["id"].to_string().replace('"', "");
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.as_str())];
    let list = fanfare(&["dead", "list"], &settings).await.expect(0);
    assert!(list.stdout.contains(&id) && list.stdout.contains("title"), "{list:#?}");
    let show = fanfare(&["dead", "show", &id], &settings).await.expect(0);
    assert!(show.stdout.contains("task_created"), "{show:#?}");
    fanfare(&["dead", "drop", &id], &settings).await.expect(0);
    dead(&cluster, 0).await;
}

#[tokio::test]
async fn many_dead_letters_are_redriven_or_forgotten_at_once() {
    let cluster = Cluster::of(1, 1).start().await;
    for n in 1..=3 {
        cluster.xadd("tasks", &["type", "task_created", "id", &format!("t{n}")]);
    }
    cluster.xadd("deployments", &["type", "deployment_update", "data", "{}"]);
    let letters = dead(&cluster, 4).await;
    for wrong in [json!({}), json!({"streams": "tasks"}), json!({"stream": "nonsense"})] {
        cluster.post("/v1/dead/redrive", &wrong).await.expect(400);
        cluster.post("/v1/dead/drop", &wrong).await.expect(400);
    }
    let before = letters.iter().map(|letter| letter["at"].as_i64().unwrap()).min().unwrap();
    let none = cluster.post("/v1/dead/drop", &json!({ "before": before })).await.expect(200);
    assert_eq!(none.json(), json!({"dropped": 0}), "all are as young as that");
    // As they are they would be refused again: two of them are good by now.
    let database = cluster.setting("DATABASE_URL");
    let mend = "UPDATE dead_letter SET fields = replace(fields, 'task_created', 'task_update') \
                WHERE fields LIKE '%\"t1\"%' OR fields LIKE '%\"t2\"%'";
    cluster.postgres().sql(&database, mend);
    let redriven = cluster.post("/v1/dead/redrive", &json!({"stream": "tasks"})).await.expect(200);
    assert_eq!(redriven.json(), json!({"redriven": 2}));
    for task in ["t1", "t2"] {
        let page = cluster.archive(&format!("task:{task}"), "limit=10").await;
        assert_eq!(page["events"].as_array().unwrap().len(), 1, "{page}");
    }
    let left = dead(&cluster, 2).await;
    let reason = left.iter().find(|letter| letter["stream"] == "tasks").unwrap()["reason"].clone();
    let dropped = cluster.post("/v1/dead/drop", &json!({ "reason": reason })).await.expect(200);
    assert_eq!(dropped.json(), json!({"dropped": 1}));
    let dropped =
        cluster.post("/v1/dead/drop", &json!({"stream": "deployments"})).await.expect(200);
    assert_eq!(dropped.json(), json!({"dropped": 1}));
    dead(&cluster, 0).await;
}
