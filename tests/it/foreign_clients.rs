//! Clients, proxies and browsers that were written without us in mind.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, Node};

/// Writes a request, says that nothing more will come, and reads the answer to its end.
async fn say_and_listen(node: &Node, request: &str) -> String {
    let address = node.http("").replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
    read.expect("an answer in time").unwrap();
    answer
}

#[tokio::test]
async fn a_browser_may_send_its_trace_along() {
    let cluster = Cluster::embedded().start().await;
    let headers = [
        ("Origin".to_owned(), "http://localhost:3000".to_owned()),
        ("Access-Control-Request-Method".to_owned(), "POST".to_owned()),
        ("Access-Control-Request-Headers".to_owned(), "traceparent,tracestate".to_owned()),
    ];
    let url = cluster.gateways[0].http("/v1/publish");
    let answer = cluster.http.send("OPTIONS", &url, &headers, None).await.unwrap().expect(204);
    let allowed = answer.header("Access-Control-Allow-Headers").unwrap();
    assert!(allowed.contains("traceparent") && allowed.contains("tracestate"), "{allowed}");
}

#[tokio::test]
async fn who_has_said_all_that_it_had_to_say_is_answered() {
    let cluster = Cluster::embedded().start().await;
    let body = json!({"stream": "tasks", "type": "task_update", "id": "t"}).to_string();
    let request = format!(
        "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let answer = say_and_listen(&cluster.gateways[0], &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains(r#""position""#), "{answer}");
}

#[tokio::test]
async fn a_proxy_that_asks_by_an_old_version_is_told_which_one_is_needed() {
    let cluster = Cluster::embedded().start().await;
    for path in ["/v1/connect", "/ws", "/api/v1/ws/connect"] {
        let request = format!(
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        let answer = say_and_listen(&cluster.gateways[0], &request).await;
        assert!(answer.contains(" 426 ") && answer.contains("HTTP/1.1;"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn an_agent_is_asked_for_its_repositories_after_it_registered_and_again_and_again() {
    let cluster = Cluster::embedded().set("COCKPIT_STATUS_REQUEST_MS", "300").start().await;
    let mut agent = Socket::connect(&cluster.gateways[0].ws("/api/ws")).await;
    agent.send(json!({"type": "agent-status", "agentId": "a", "status": "idle"})).await;
    agent.expect(json!({"type": "ack", "...": ""})).await;
    for _ in 0..3 {
        agent.expect(json!({"type": "status-request"})).await;
    }
}

#[tokio::test]
async fn at_a_drain_a_dashboard_of_agents_ends_uncleanly_and_an_agent_with_1001() {
    let cluster = Cluster::embedded().set("DRAIN_MS", "3000").start().await;
    let mut dashboard = Socket::connect(&cluster.gateways[0].ws("/api/ws")).await;
    dashboard.send(json!({"type": "status-request"})).await;
    dashboard.expect(json!({"type": "tasks", "...": ""})).await;
    let mut agent = Socket::connect(&cluster.gateways[0].ws("/api/ws")).await;
    agent.send(json!({"type": "agent-status", "agentId": "a", "status": "idle"})).await;
    agent.expect(json!({"type": "ack", "...": ""})).await;
    cluster.gateways[0].terminate();
    assert_eq!(dashboard.closed().await.0, 1006);
    assert_eq!(agent.closed().await.0, 1001);
}

#[tokio::test]
async fn who_was_told_to_go_is_served_until_the_drain_ends() {
    let cluster = Cluster::of(2, 1).set("DRAIN_MS", "4000").start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    cluster.gateways[0].terminate();
    watcher.expect(json!({"type": "bye", "...": ""})).await;
    let url = cluster.gateways[1].http("/v1/publish");
    for n in 0..20 {
        let event = json!({"stream": "tasks", "type": "task_log", "id": "t", "data": {"n": n}});
        cluster.http.post(&url, &event).await.expect(200);
        let data = json!({"n": n});
        watcher.expect(json!({"type": "event", "data": data, "...": ""})).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(watcher.closed().await.0, 1012);
}
