//! What happened can be told afterwards: what operators did, how sessions ended, what was refused, and
//! what became of an entry.

use std::time::Duration;

use serde_json::{Value, json};
use services::Postgres;
use tokio::time::{Instant, sleep};

use crate::client::{PATIENCE, Socket};
use crate::cluster::{Cluster, Node, fanfare, token};

const KEY: &str = "operator-key-of-the-test-0123456789";

/// Asks the first gateway with an operator's key.
async fn ask(cluster: &Cluster, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
    let key = [("X-API-Key".to_owned(), KEY.to_owned())];
    let url = cluster.gateways[0].http(path);
    let answer = cluster.http.send(method, &url, &key, body).await.unwrap();
    (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
}

async fn get(cluster: &Cluster, path: &str) -> Value {
    let (status, body) = ask(cluster, "GET", path, None).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// Waits until a line of a node's log holds all of this, and returns it.
async fn line(node: &Node, parts: &[&str]) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = node.log();
        let found = log.lines().find(|line| parts.iter().all(|part| line.contains(part)));
        if let Some(found) = found {
            return found.to_owned();
        }
        assert!(Instant::now() < deadline, "no line with {parts:?}:\n{log}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_operators_do_is_in_the_audit_with_who_what_and_where() {
    let cluster = Cluster::of(1, 1).set("API_KEYS", &format!("ops:{KEY}")).start().await;
    ask(&cluster, "DELETE", "/v1/users/mallory/connections", None).await;
    ask(&cluster, "DELETE", "/v1/users/mallory/connections?deny_ms=60000", None).await;
    ask(&cluster, "DELETE", "/v1/denied/mallory", None).await;
    cluster.xadd("tasks", &["type", "task_created", "id", "t", "data", "{}"]);
    let deadline = Instant::now() + PATIENCE;
    let letter = loop {
        let dead = get(&cluster, "/v1/dead").await;
        if let Some(letter) = dead["dead"].as_array().unwrap().first() {
            break letter["id"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < deadline, "it is not dead");
    };
    let fields = r#"{"fields":{"data":"{\"title\":\"x\"}"}}"#;
    let redriven = ask(&cluster, "POST", &format!("/v1/dead/{letter}/redrive"), Some(fields)).await;
    assert_eq!(redriven.0, 200, "{redriven:?}");
    ask(&cluster, "POST", "/v1/dead/drop", Some(r#"{"stream":"tasks"}"#)).await;
    let page = get(&cluster, "/v1/audit").await;
    let audit = page["audit"].as_array().unwrap();
    let acts: Vec<_> = audit.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(acts, ["drop", "redrive", "admit", "deny", "disconnect"], "newest first: {page:#}");
    for entry in audit {
        assert_eq!(entry["who"], "ops", "{entry}");
        assert!(entry["at"].is_i64() && entry["node"].is_string(), "{entry}");
        assert!(entry["details"].is_object(), "{entry}");
    }
    assert_eq!((&audit[1]["target"], &audit[3]["target"]), (&json!(letter), &json!("mallory")));
    let first = get(&cluster, "/v1/audit?limit=2").await;
    let next = first["next"].as_str().unwrap();
    let second = get(&cluster, &format!("/v1/audit?limit=10&cursor={next}")).await;
    assert_eq!(second["audit"].as_array().unwrap().len(), 3, "{second:#}");
    assert_eq!(second["next"], Value::Null);
    line(&cluster.gateways[0], &["audit: an operator acted", "mallory", "deny", "ops"]).await;
}

#[tokio::test]
async fn how_a_session_went_is_one_line_and_every_line_names_its_node() {
    let cluster = Cluster::of(1, 1)
        .set("NODE_NAME", "pod-3")
        .set("LOG_FORMAT", "json")
        .set("API_KEYS", &format!("ops:{KEY}"))
        .start()
        .await;
    let path = format!("/v1/connect?token={}", token("ann", &["*"]));
    let mut ann = Socket::connect(&cluster.gateways[0].ws(&path)).await;
    let welcome = ann.wait_for(json!({"type": "welcome", "...": ""})).await;
    ann.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    ann.wait_for(json!({"type": "subscribed", "...": ""})).await;
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", "{}"]);
    ann.wait_for(json!({"type": "event", "...": ""})).await;
    ask(&cluster, "DELETE", "/v1/users/ann/connections", None).await;
    assert_eq!(ann.closed().await.0, 4003);
    let ended = line(&cluster.gateways[0], &["session: ended", "ann"]).await;
    let ended: Value = serde_json::from_str(&ended).unwrap();
    assert_eq!((&ended["user"], &ended["dialect"]), (&json!("ann"), &json!("native")), "{ended}");
    assert_eq!((&ended["code"], &ended["address"]), (&json!(4003), &json!("127.0.0.1")), "{ended}");
    assert_eq!(ended["connection"], welcome["connection"], "{ended}");
    // Welcome, subscribed, the event, and the close's own frame.
    assert!(ended["frames"].as_u64() >= Some(3) && ended["seconds"].is_u64(), "{ended}");
    assert_eq!(ended["gaps"], 0, "{ended}");
    for node in cluster.gateways.iter().chain(&cluster.workers) {
        for line in node.log().lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            assert!(line["node"].as_str().unwrap().starts_with("pod-3-"), "{line}");
        }
    }
}

#[tokio::test]
async fn what_is_refused_is_counted_by_door_and_said_with_its_reason() {
    let cluster = Cluster::of(1, 1)
        .set("ENVIRONMENT", "production")
        .set("API_KEYS", &format!("ops:{KEY}"))
        .set("MAX_CONNECTIONS_PER_USER", "1")
        .start()
        .await;
    cluster.get("/v1/nodes").await.expect(401);
    let wrong = [("X-API-Key".to_owned(), "wrong".to_owned())];
    let url = cluster.gateways[0].http("/v1/nodes");
    cluster.http.send("GET", &url, &wrong, None).await.unwrap().expect(401);
    let path = format!("/v1/connect?token={}", token("ann", &["*"]));
    let mut first = Socket::connect(&cluster.gateways[0].ws(&path)).await;
    first.wait_for(json!({"type": "welcome", "...": ""})).await;
    let mut second = Socket::connect(&cluster.gateways[0].ws(&path)).await;
    assert_eq!(second.closed().await.0, 4009);
    let event = r#"{"stream":"tasks","type":"task_update","id":"t","data":{}}"#;
    let published = ask(&cluster, "POST", "/v1/publish", Some(event)).await;
    assert_eq!(published.0, 200, "{published:?}");
    let metrics = cluster.get("/metrics").await.expect(200).body;
    for wanted in [
        r#"fanfare_gateway_refusals_total{door="http",reason="no_credential"} 1"#,
        r#"fanfare_gateway_refusals_total{door="http",reason="credential"} 1"#,
        r#"fanfare_gateway_refusals_total{door="native",reason="user_full"} 1"#,
        r#"fanfare_http_requests_total{route="/v1/nodes",status="401"} 2"#,
        r#"fanfare_http_requests_total{route="/v1/publish",status="200"} 1"#,
        r#"fanfare_publish_total{door="publish",outcome="published"} 1"#,
        r#"fanfare_node_info{node=""#,
    ] {
        assert!(metrics.contains(wanted), "{wanted} is missing:\n{metrics}");
    }
    line(&cluster.gateways[0], &["refusals: a client was refused", "user_full", "native"]).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let url = cluster.workers[0].http("/metrics");
        let metrics = cluster.http.get(&url).await.expect(200).body;
        let wanted = [
            "fanfare_broker_memory_bytes ",
            "fanfare_broker_memory_limit_bytes 0",
            r#"fanfare_dead_letters{stream="tasks"} 0"#,
            "fanfare_broker_writable 1",
            "fanfare_store_writable 1",
        ];
        if wanted.iter().all(|wanted| metrics.contains(wanted)) {
            break;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn explain_knows_what_is_dead_what_waits_and_what_was_trimmed() {
    let postgres = Postgres::options().fsync(false).start();
    let cluster = Cluster::of(1, 1).postgres(postgres).start().await;
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.trim_end_matches('/'))];
    let mut viewer = cluster.watcher(0).await;
    viewer.send(json!({"type": "subscribe", "channel": "task:good"})).await;
    viewer.wait_for(json!({"type": "subscribed", "...": ""})).await;
    let dead = cluster.xadd("tasks", &["type", "task_created", "id", "t", "data", "{}"]);
    let good = cluster.xadd("tasks", &["type", "task_update", "id", "good", "data", "{}"]);
    viewer.wait_for(json!({"type": "event", "...": ""})).await;
    let explained = cluster.get(&format!("/v1/explain/{good}")).await.expect(200).json();
    assert_eq!(explained["status"], "recorded", "{explained:#}");
    cluster.get(&format!("/v1/explain/{good}?stream=agents")).await.expect(404);
    fanfare(&["explain", &good], &settings).await.expect(0);
    let explained = cluster.get(&format!("/v1/explain/{dead}")).await.expect(200).json();
    assert_eq!((&explained["status"], &explained["stream"]), (&json!("dead"), &json!("tasks")));
    assert!(explained["reason"].as_str().unwrap().contains("title"), "{explained:#}");
    let said = fanfare(&["explain", &dead], &settings).await.expect(3).stdout;
    assert!(said.contains("title") && said.contains("redrive"), "{said}");

    // Without a worker everything waits.
    cluster.workers[0].terminate();
    assert_eq!(cluster.workers[0].exit_code(), Some(0));
    let first = cluster.xadd("tasks", &["type", "task_update", "id", "w", "data", "{}"]);
    let last = cluster.xadd("tasks", &["type", "task_update", "id", "w", "data", "{}"]);
    let explained = cluster.get(&format!("/v1/explain/{last}")).await.expect(200).json();
    assert_eq!((&explained["status"], &explained["behind"]), (&json!("waiting"), &json!(1)));
    assert_eq!(explained["owner"], Value::Null, "{explained:#}");
    let said = fanfare(&["explain", &last], &settings).await.expect(2).stdout;
    assert!(said.contains("behind 1"), "{said}");
    let key = format!("{}:tasks", cluster.prefix);
    cluster.redis().cli(&["XTRIM", &key, "MINID", &last]);
    let explained = cluster.get(&format!("/v1/explain/{first}")).await.expect(200).json();
    assert_eq!(explained["status"], "trimmed", "{explained:#}");
    fanfare(&["explain", &first], &settings).await.expect(4);
    fanfare(&["explain", "1-1"], &settings).await.expect(4);
    fanfare(&["explain", "nonsense"], &settings).await.expect(4);
}

#[tokio::test]
async fn who_listens_and_how_far_they_are_behind_is_known_over_all_nodes() {
    let cluster = Cluster::of(2, 1).start().await;
    let mut sockets = Vec::new();
    for node in &cluster.gateways {
        let path = format!("/v1/connect?token={}", token("ann", &["*"]));
        let mut socket = Socket::connect(&node.ws(&path)).await;
        socket.wait_for(json!({"type": "welcome", "...": ""})).await;
        sockets.push(socket);
    }
    sockets[1].send(json!({"type": "subscribe", "channel": "task:t"})).await;
    sockets[1].wait_for(json!({"type": "subscribed", "...": ""})).await;
    let deadline = Instant::now() + PATIENCE;
    let listeners = loop {
        let listeners = cluster.get("/v1/connections?channel=task:t").await.expect(200).json();
        let all = cluster.get("/v1/connections?user=ann").await.expect(200).json();
        if listeners["count"] == 1 && all["count"] == 2 {
            let behind = |connection: &Value| connection["behind"] == 0;
            assert!(all["connections"].as_array().unwrap().iter().all(behind), "{all:#}");
            break listeners;
        }
        assert!(Instant::now() < deadline, "{listeners:#}\n{all:#}");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(listeners["connections"][0]["user"], "ann", "{listeners:#}");
    assert_eq!(listeners["connections"][0]["behind"], 0, "{listeners:#}");
    cluster.get("/v1/connections?channel=no*channel").await.expect(400);
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.trim_end_matches('/'))];
    let said = fanfare(&["explain", "--user", "ann"], &settings).await.expect(0).stdout;
    assert!(said.contains("connections 2") && said.contains("user ann"), "{said}");
    let said = fanfare(&["explain", "--channel", "task:t"], &settings).await.expect(0).stdout;
    assert!(said.contains("connections 1") && said.contains("0 behind"), "{said}");
    fanfare(&["explain"], &settings).await.expect(64);
}
