//! Erasing a person or an entity: what was said goes from everywhere, the numbers stay.

use serde_json::{Value, json};

use crate::cluster::{Cluster, fanfare, token};

const SECRET: &str = "her-own-words";

/// What a GET by somebody who may read everything answers, as text.
async fn read(cluster: &Cluster, node: usize, path: &str) -> String {
    let bearer = [("Authorization".to_owned(), format!("Bearer {}", token("reader", &["*"])))];
    let url = cluster.gateways[node].http(path);
    cluster.http.send("GET", &url, &bearer, None).await.unwrap().expect(200).body
}

#[tokio::test]
async fn what_a_user_said_is_nowhere_afterwards_and_nobody_sees_a_hole() {
    let cluster = Cluster::of(2, 1).start().await;
    let mut viewers = [cluster.watcher(0).await, cluster.watcher(1).await];
    for viewer in &mut viewers {
        viewer.send(json!({"type": "subscribe", "channel": "task:t"})).await;
        viewer.wait_for(json!({"type": "subscribed", "...": ""})).await;
    }
    let data = format!(r#"{{"title":"{SECRET}","n":1}}"#);
    cluster.xadd("tasks", &["type", "task_created", "id", "t", "user", "ann", "data", &data]);
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", r#"{"progress":5}"#]);
    // A task and a deployment of the same name are not hers.
    let other = r#"{"status":"building","note":"kept"}"#;
    cluster.xadd("deployments", &["type", "deployment_update", "id", "ann", "data", other]);
    let wrong = format!(r#"{{"note":"{SECRET}\u0000"}}"#);
    cluster.xadd("tasks", &["type", "task_created", "id", "x", "user", "ann", "data", &wrong]);
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", r#"{"progress":6}"#]);
    for viewer in &mut viewers {
        viewer.wait_for(json!({"type": "event", "data": {"progress": 6}, "...": ""})).await;
    }
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.trim_end_matches('/'))];
    let said = fanfare(&["erase", "--user", "ann"], &settings).await.expect(0).stdout;
    let counts: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(counts, ["events", "1", "states", "1", "dead_letters", "1"], "{said}");
    for node in [0, 1] {
        for path in ["/v1/channels/task:t/events", "/v1/channels/user:ann/events", "/v1/tasks"] {
            let body = read(&cluster, node, path).await;
            assert!(!body.contains(SECRET), "{path}: {body}");
        }
    }
    let dead = cluster.get("/v1/dead").await.expect(200).body;
    assert!(!dead.contains(SECRET), "{dead}");
    let page: Value =
        serde_json::from_str(&read(&cluster, 1, "/v1/channels/task:t/events").await).unwrap();
    let events = page["events"].as_array().unwrap();
    assert_eq!(events.len(), 3, "{page:#}");
    assert_eq!(events[0]["data"], json!({"erased": true}), "{page:#}");
    assert_eq!(events[2]["data"], json!({"progress": 6}), "{page:#}");
    let deployment = read(&cluster, 0, "/v1/channels/deployment:ann").await;
    assert!(deployment.contains("kept"), "{deployment}");
    // Who comes now sees nothing of it, on either node, and life goes on.
    for node in [0, 1] {
        let mut late = cluster.watcher(node).await;
        late.send(json!({"type": "subscribe", "channel": "task:t", "tail": 10})).await;
        let subscribed = late.wait_for(json!({"type": "subscribed", "...": ""})).await;
        assert!(!subscribed.to_string().contains(SECRET), "{subscribed}");
        for _ in 0..3 {
            let event = late.wait_for(json!({"type": "event", "...": ""})).await;
            assert!(!event.to_string().contains(SECRET), "{event}");
        }
    }
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", r#"{"progress":7}"#]);
    for viewer in &mut viewers {
        viewer.wait_for(json!({"type": "event", "data": {"progress": 7}, "...": ""})).await;
    }
    let audit = cluster.get("/v1/audit").await.expect(200).json();
    assert_eq!(audit["audit"][0]["action"], "erase", "{audit:#}");
    assert_eq!(audit["audit"][0]["target"], "user:ann", "{audit:#}");
}

#[tokio::test]
async fn an_entity_is_erased_alone_and_what_is_no_entity_is_refused() {
    let cluster = Cluster::embedded().start().await;
    for id in ["a", "b"] {
        let data = json!({"status": "building", "note": SECRET});
        cluster.publish(json!({"stream": "deployments", "type": "deployment_update", "id": id, "data": data})).await;
    }
    let erased = cluster.post("/v1/erase", &json!({"deployment": "a"})).await.expect(200).json();
    assert_eq!(erased["erased"], json!({"events": 1, "states": 1, "dead_letters": 0}), "{erased}");
    assert_eq!(erased["done"], true);
    let state = cluster.get("/v1/channels/deployment:a").await.expect(200).json();
    assert_eq!(state["state"], Value::Null, "{state:#}");
    let state = cluster.get("/v1/channels/deployment:b").await.expect(200).body;
    assert!(state.contains(SECRET), "{state}");
    for wrong in
        [json!({}), json!({"user": "a", "task": "b"}), json!({"repo": "a"}), json!({"task": "*"})]
    {
        cluster.post("/v1/erase", &wrong).await.expect(400);
    }
}
