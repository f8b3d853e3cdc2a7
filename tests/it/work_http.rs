//! Tasks for one over HTTP: created, shown, cancelled, tried again, counted in groups.

use serde_json::{Value, json};

use crate::cluster::{Cluster, token};

async fn shown(cluster: &Cluster, path: &str) -> Value {
    let path = format!("{path}?token={}", token("reader", &["*"]));
    cluster.get(&path).await.expect(200).json()
}

#[tokio::test]
async fn a_task_is_created_shown_cancelled_and_tried_again() {
    let cluster = Cluster::embedded().start().await;
    let asked = json!({"id": "t1", "title": "One", "requires": ["gpu"], "priority": 7});
    let created = cluster.post("/v1/tasks", &asked).await.expect(201).json();
    assert_eq!((&created["task"], &created["status"]), (&json!("t1"), &json!("pending")));
    assert!(created["position"].is_string(), "{created}");
    let again = cluster.post("/v1/tasks", &asked).await.expect(409).json();
    assert_eq!(again["problems"][0]["path"], "id");
    let view = shown(&cluster, "/v1/tasks/t1").await;
    assert_eq!((&view["task"]["assign"], &view["task"]["priority"]), (&json!("one"), &json!(7)));
    assert_eq!(view["waits"]["for"], "agent");
    assert_eq!(view["waits"]["agents"], json!({"can": 0, "free": 0}));
    let queue = cluster.get("/v1/queue").await.expect(200).json();
    assert_eq!((&queue["pending"], &queue["waiting"][0]["requires"]), (&json!(1), &json!(["gpu"])));
    let early = cluster.post("/v1/tasks/t1/retry", &json!({})).await.expect(409).json();
    assert_eq!(early["status"], "pending");
    for _ in 0..2 {
        let done = cluster.post("/v1/tasks/t1/cancel", &json!({"reason": "no need"})).await;
        assert_eq!(done.expect(200).json(), json!({"task": "t1", "status": "cancelled"}));
    }
    let retried = cluster.post("/v1/tasks/t1/retry", &json!({})).await.expect(200).json();
    assert_eq!(retried, json!({"task": "t1", "status": "pending"}));
    cluster.post("/v1/tasks/none/cancel", &json!({})).await.expect(404);
    let for_all = json!({"id": "all", "title": "All", "assign": "all"});
    cluster.post("/v1/tasks", &for_all).await.expect(201);
    let refused = cluster.post("/v1/tasks/all/cancel", &json!({})).await.expect(409).json();
    assert_eq!(refused["problems"][0]["path"], "assign");
    let event = json!({"stream": "tasks", "type": "task_retry", "id": "t1", "data": {}});
    cluster.post("/v1/publish", &event).await.expect(409);
}

#[tokio::test]
async fn each_wrong_key_of_a_task_is_named() {
    let cluster = Cluster::embedded().start().await;
    for (key, value, path) in [
        ("title", json!(""), "title"),
        ("assign", json!("some"), "assign"),
        ("requires", json!("gpu"), "requires"),
        ("agent", json!("a*"), "agent"),
        ("priority", json!(10), "priority"),
        ("retry", json!({"attempts": 0}), "retry.attempts"),
        ("retry", json!({"tries": 3}), "retry.tries"),
        ("timeout_ms", json!(0), "timeout_ms"),
        ("expires_ms", json!("1h"), "expires_ms"),
        ("not_before", json!(-1), "not_before"),
        ("depends_on", json!(["."]), "depends_on.0"),
        ("group", json!(5), "group"),
        ("lease_ms", json!(0), "lease_ms"),
        ("executor", json!(5), "executor"),
        ("colour", json!("red"), "colour"),
    ] {
        let mut asked = json!({"title": "One"});
        asked[key] = value;
        let refused = cluster.post("/v1/tasks", &asked).await.expect(400).json();
        assert_eq!(refused["problems"][0]["path"], path, "{asked}");
    }
}

#[tokio::test]
async fn a_group_is_counted_closed_and_takes_no_more() {
    let cluster = Cluster::of(1, 1).start().await;
    for id in ["a", "b"] {
        let asked = json!({"id": id, "title": id, "group": "g"});
        cluster.post("/v1/tasks", &asked).await.expect(201).json();
    }
    let group = shown(&cluster, "/v1/groups/g").await;
    assert_eq!((&group["closed"], &group["total"]), (&json!(false), &json!(2)));
    let closed = cluster.post("/v1/groups/g/cancel", &json!({})).await.expect(200).json();
    assert_eq!(closed, json!({"group": "g", "closed": true, "cancelled": 2}));
    let late = json!({"id": "c", "title": "c", "group": "g"});
    let late = cluster.post("/v1/tasks", &late).await.expect(201).json();
    assert_eq!(late["status"], "cancelled");
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    while shown(&cluster, "/v1/groups/g").await["by_status"] != json!({"cancelled": 3}) {
        assert!(tokio::time::Instant::now() < deadline, "the rest follows");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
