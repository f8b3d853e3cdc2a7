//! Dashboards of the agent cockpit that ask first: `status-request` (`protocols.md` §2, additive replies).

use std::time::Duration;

use serde_json::json;

use crate::client::Socket;
use crate::cluster::{Cluster, Plan};

async fn is_shown_what_is_and_what_happens(plan: Plan, node: usize) {
    let cluster = plan.start().await;
    let api = cluster.gateways[node].ws("/api/ws");
    cluster.post("/api/cockpit/tasks", &json!({"id": "t1", "title": "One"})).await.expect(201);
    let alert = json!({"id": "x1", "severity": "warning", "title": "Disk"});
    cluster.post("/api/cockpit/alerts", &alert).await.expect(201);
    let seen = json!({"id": "x0", "severity": "info", "title": "Old"});
    cluster.post("/api/cockpit/alerts", &seen).await.expect(201);
    cluster.post("/api/cockpit/alerts/ack/x0", &json!({})).await.expect(200);
    let repo = json!({"id": "org/repo", "path": "/r", "name": "r", "aheadCount": 2});
    let event =
        json!({"stream": "agents", "type": "git_status", "id": "a", "data": {"repos": [repo]}});
    cluster.publish(event).await;

    let mut silent = Socket::connect(&api).await;
    let mut dashboard = Socket::connect(&api).await;
    dashboard.send(json!({"type": "status-request"})).await;
    let tasks = dashboard.wait_for(json!({"type": "tasks", "payload": "<any>"})).await;
    assert_eq!(tasks["payload"][0]["id"], "t1");
    assert_eq!(tasks["payload"][0]["status"], "pending");
    let repos = dashboard.wait_for(json!({"type": "git-status", "payload": "<any>"})).await;
    assert_eq!(repos["payload"]["repos"][0]["id"], "org/repo");
    assert_eq!(repos["payload"]["repos"][0]["aheadCount"], 2);
    let alert = dashboard.wait_for(json!({"type": "alert", "payload": "<any>"})).await;
    assert_eq!(
        (&alert["payload"]["id"], &alert["payload"]["acknowledged"]),
        (&json!("x1"), &json!(false))
    );

    cluster.post("/api/cockpit/tasks", &json!({"id": "t2", "title": "Two"})).await.expect(201);
    let created = dashboard.wait_for(json!({"type": "task_created", "payload": "<any>"})).await;
    assert_eq!(
        (&created["payload"]["id"], &created["payload"]["title"]),
        (&json!("t2"), &json!("Two"))
    );
    let result = json!({
        "stream": "tasks", "type": "task_result", "id": "t2", "data": {"status": "failed", "result": 7},
    });
    cluster.publish(result).await;
    let payload = json!({"taskId": "t2", "status": "failed", "result": 7, "logs": null});
    dashboard.wait_for(json!({"type": "task-result", "payload": payload})).await;
    let alert = json!({"id": "x2", "severity": "critical", "title": "Down", "source": "ops"});
    cluster.post("/api/cockpit/alerts", &alert).await.expect(201);
    let alert = dashboard.wait_for(json!({"type": "alert", "payload": "<any>"})).await;
    assert_eq!(alert["payload"]["id"], "x2");
    assert!(alert["payload"]["createdAt"].is_number());
    silent.expect_silence(Duration::from_millis(200)).await;
}

#[tokio::test]
async fn a_dashboard_that_asks_is_shown_what_is_and_what_happens_embedded() {
    is_shown_what_is_and_what_happens(Cluster::embedded(), 0).await;
}

#[tokio::test]
async fn a_dashboard_that_asks_is_shown_what_is_and_what_happens_with_roles_apart() {
    is_shown_what_is_and_what_happens(Cluster::of(2, 1), 1).await;
}

#[tokio::test]
async fn an_agent_that_asks_is_told_that_it_is_none_of_its_words() {
    let cluster = Cluster::embedded().start().await;
    let mut agent = Socket::connect(&cluster.gateways[0].ws("/api/ws")).await;
    agent.send(json!({"type": "agent-status", "agentId": "a", "status": "busy"})).await;
    agent.wait_for(json!({"type": "ack", "...": ""})).await;
    agent.send(json!({"type": "status-request"})).await;
    agent.wait_for(json!({"type": "error", "...": ""})).await;
}
