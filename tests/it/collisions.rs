//! One port, five protocols: which request is whose (`protocols.md` §0.1, `contract.md` "Where the pages meet").

use std::time::Duration;

use serde_json::json;

use crate::client::Socket;
use crate::cluster::Cluster;

fn header(name: &str, value: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), value.to_owned())]
}

async fn first_type(cluster: &Cluster, path: &str) -> String {
    let mut socket = Socket::connect(&cluster.gateways[0].ws(path)).await;
    let frame = socket.expect(json!({"type": "<text>", "...": ""})).await;
    frame["type"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_query_of_the_root_path_decides() {
    let cluster = Cluster::embedded().start().await;
    for path in [
        "/?deploymentId=d",
        "/?deploymentId=d&token=default-token&containerID=c",
        "/?token=wrong&deploymentId=d",
        "/deployment-ws?deploymentId=d",
    ] {
        assert_eq!(first_type(&cluster, path).await, "deployment_update", "{path}");
    }
    for path in
        ["/?token=default-token&containerID=c", "/some/where?token=default-token&containerID=c"]
    {
        assert_eq!(first_type(&cluster, path).await, "STATUS", "{path}");
    }
    let refused = [
        ("/", 400),
        ("/?containerID=c", 401),
        ("/?token=wrong", 401),
        ("/some/where?token=wrong", 401),
        ("/some/where", 404),
        ("/deployment-ws?token=default-token", 400),
    ];
    for (path, status) in refused {
        let refusal = Socket::try_connect(&cluster.gateways[0].ws(path), &[]).await;
        assert_eq!(refusal.expect_err(path).status, status, "{path}");
    }
}

#[tokio::test]
async fn the_headers_of_ws_decide() {
    let cluster = Cluster::embedded().start().await;
    assert_eq!(first_type(&cluster, "/ws?token=abc").await, "auth");
    assert_eq!(first_type(&cluster, "/ws").await, "auth");
    let url = cluster.gateways[0].ws("/ws?token=abc");
    for headers in
        [header("X-Agent-Id", "a"), header("X-API-Key", "k"), header("Authorization", "Bearer k")]
    {
        let mut agent = Socket::connect_with(&url, &headers).await;
        agent.send(json!({"type": "agent-status", "agentId": "a", "status": "idle"})).await;
        agent.expect(json!({"type": "ack", "message": "Status updated"})).await;
    }
    for path in ["/ws/", "/wsx"] {
        let refusal = Socket::try_connect(&cluster.gateways[0].ws(path), &[]).await;
        let status = refusal.expect_err(path).status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}

#[tokio::test]
async fn every_path_has_one_owner() {
    let cluster = Cluster::embedded().start().await;
    assert_eq!(first_type(&cluster, "/v1/connect").await, "welcome");
    assert_eq!(first_type(&cluster, "/api/v1/ws/connect").await, "system");
    let mut agent = Socket::connect(&cluster.gateways[0].ws("/api/ws?token=k")).await;
    agent.expect_silence(Duration::from_millis(100)).await;
    agent.send(json!({"type": "dance"})).await;
    agent
        .expect(json!({"type": "error", "message": "Invalid message format", "details": "<list>"}))
        .await;
}

#[tokio::test]
async fn all_protocols_see_their_own_and_nothing_else() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut sockets = Vec::new();
    for (path, greetings) in [
        ("/?deploymentId=d", 1),
        ("/api/ws", 0),
        ("/ws?token=abc", 2),
        ("/api/v1/ws/connect", 1),
        ("/?token=default-token&containerID=c", 1),
    ] {
        let mut socket = Socket::connect(&cluster.gateways[0].ws(path)).await;
        for _ in 0..greetings {
            socket.next().await;
        }
        sockets.push(socket);
    }
    let [deployments, cockpit, cloud_agents, zerostate, containers] = &mut sockets[..] else {
        panic!("five of them");
    };
    let data = r#"{"progress":5}"#;
    cluster.xadd("deployments", &["type", "deployment_update", "id", "d", "data", data]);
    deployments.expect(json!({"type": "deployment_update", "...": ""})).await;
    cluster.xadd(
        "containers",
        &["type", "log", "id", "c", "data", r#"{"level":"info","message":"x"}"#],
    );
    containers.expect(json!({"type": "LOG", "...": ""})).await;
    cluster.xadd("messages", &["type", "chat_message", "id", "v", "data", r#"{"content":"x"}"#]);
    cloud_agents.expect(json!({"type": "chat_message", "...": ""})).await;
    cluster.xadd("messages", &["type", "system", "data", r#"{"message":"x","level":"info"}"#]);
    zerostate
        .wait_for(json!({"type": "system", "data": {"message": "x", "level": "info"}, "...": ""}))
        .await;
    let data = json!({"message": "x", "level": "info"});
    cloud_agents.expect(json!({"type": "notification", "data": data, "...": ""})).await;
    for socket in [deployments, cockpit, cloud_agents, containers] {
        socket.expect_silence(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn production_closes_what_has_no_key() {
    let cluster = Cluster::embedded().set("ENVIRONMENT", "production").start().await;
    let refused = [
        ("/?deploymentId=d", 401),
        ("/api/ws", 401),
        ("/?token=default-token", 401),
        ("/api/v1/ws/connect?token=x", 401),
    ];
    for (path, status) in refused {
        let refusal = Socket::try_connect(&cluster.gateways[0].ws(path), &[]).await;
        assert_eq!(refusal.expect_err(path).status, status, "{path}");
    }
    let task = json!({"title": "x"});
    cluster.post("/api/cockpit/tasks", &task).await.expect(401);
    cluster.get("/api/cockpit/tasks").await.expect(401);
    let update = json!({"status": {"progress": 1}});
    cluster.post("/internal/deployments/d/update", &update).await.expect(401);
    let message = json!({"type": "x", "data": {}});
    cluster.post("/api/v1/ws/broadcast", &message).await.expect(401);
    cluster.post("/api/v1/ws/user/u", &message).await.expect(401);
    cluster
        .post("/v1/publish", &json!({"stream": "tasks", "type": "task_update", "id": "t"}))
        .await
        .expect(401);
    for path in ["/v1/dead", "/v1/connections", "/v1/channels/tasks"] {
        cluster.get(path).await.expect(401);
    }
    // Opaque development tokens mean nothing here; the client stays, as the document says.
    let mut opaque = Socket::connect(&cluster.gateways[0].ws("/ws?token=abc123")).await;
    let data = json!({"success": false, "error": "<text>"});
    opaque.expect(json!({"type": "auth", "data": data, "timestamp": "<iso>"})).await;
}
