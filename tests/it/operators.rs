//! What an operator sees and does: probes, metrics, connections, cutting a user off.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::client::{Frame, PATIENCE, Socket};
use crate::cluster::{Cluster, Node, token_with};

const KEY: &str = "operator-key-of-the-test-0123456789";

fn with_key() -> Vec<(String, String)> {
    vec![("X-API-Key".to_owned(), KEY.to_owned())]
}

#[tokio::test]
async fn the_metrics_have_their_fixed_names() {
    let cluster = Cluster::of(1, 1).start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", "{}"]);
    watcher.expect(json!({"type": "event", "...": ""})).await;
    let gateway = cluster.get("/metrics").await.expect(200).body;
    for name in [
        "fanfare_gateway_connections{dialect=\"native\"} 1",
        "fanfare_gateway_subscriptions 1",
        "fanfare_gateway_channels",
        "fanfare_gateway_frames_sent_total{dialect=\"native\"}",
        "fanfare_gateway_bytes_sent_total{dialect=\"native\"}",
        "fanfare_gateway_frames_received_total{",
        "fanfare_gateway_broker_up 1",
        "fanfare_delivery_seconds_bucket{",
        "fanfare_build_info{",
        "process_resident_memory_bytes",
    ] {
        assert!(gateway.contains(name), "{name} is missing:\n{gateway}");
    }
    let worker = &cluster.workers[0];
    // How far a worker is behind, it looks up every now and then.
    let deadline = Instant::now() + PATIENCE;
    let worker = loop {
        let body = cluster.http.get(&worker.http("/metrics")).await.expect(200).body;
        if body.contains("fanfare_worker_lag_entries{") || Instant::now() > deadline {
            break body;
        }
        sleep(Duration::from_millis(50)).await;
    };
    for name in [
        "fanfare_worker_events_total{",
        "fanfare_worker_batch_seconds_bucket",
        "fanfare_worker_lag_entries{",
        "fanfare_worker_lag_seconds{",
        "fanfare_worker_unpublished_events{",
        "fanfare_worker_lease{",
        "fanfare_build_info{",
    ] {
        assert!(worker.contains(name), "{name} is missing:\n{worker}");
    }
}

#[tokio::test]
async fn readyz_names_its_parts() {
    let cluster = Cluster::of(1, 1).start().await;
    let body = cluster.get("/readyz").await.expect(200).json();
    assert!(body.is_object() && body["degraded"] != true, "{body}");
    let body = cluster.http.get(&cluster.workers[0].http("/readyz")).await.expect(200).json();
    assert!(body.is_object(), "{body}");
}

#[tokio::test]
async fn connections_of_all_nodes_are_listed_and_a_user_is_cut_off_everywhere() {
    let cluster = Cluster::of(2, 1).set("API_KEYS", &format!("ops:{KEY}")).start().await;
    let path = format!("/v1/connect?token={}", token_with(json!({"sub": "mallory"})));
    let mut sockets = Vec::new();
    for node in &cluster.gateways {
        let mut socket = Socket::connect(&node.ws(&path)).await;
        socket.expect(json!({"type": "welcome", "user": "mallory", "...": ""})).await;
        sockets.push(socket);
    }
    let list = cluster.gateways[0].http("/v1/connections?user=mallory");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer =
            cluster.http.send("GET", &list, &with_key(), None).await.unwrap().expect(200).json();
        if answer["connections"].as_array().unwrap().len() == 2 {
            for connection in answer["connections"].as_array().unwrap() {
                assert_eq!(connection["user"], "mallory");
                assert_eq!(connection["dialect"], "native");
                assert!(connection["node"].is_string() && connection["connection"].is_string());
            }
            break;
        }
        assert!(Instant::now() < deadline, "{answer}");
    }
    let cut = cluster.gateways[0].http("/v1/users/mallory/connections");
    let answer =
        cluster.http.send("DELETE", &cut, &with_key(), None).await.unwrap().expect(200).json();
    assert_eq!(answer, json!({"closed": 2}));
    for socket in &mut sockets {
        assert_eq!(socket.closed().await.0, 4003);
    }
}

/// Connects with a token of mallory's that is good; what the socket says and how it is closed.
async fn mallory_comes(node: &Node) -> (String, Option<u16>) {
    let token = token_with(json!({"sub": "mallory"}));
    let mut socket = Socket::connect(&node.ws(&format!("/v1/connect?token={token}"))).await;
    let first = match socket.next().await {
        Frame::Json(frame) => frame["type"].as_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    let code = if first == "welcome" { None } else { Some(socket.closed().await.0) };
    (first, code)
}

#[tokio::test]
async fn who_is_denied_does_not_come_back_to_any_node_until_let_in_again() {
    let mut cluster = Cluster::of(2, 1).set("API_KEYS", &format!("ops:{KEY}")).start().await;
    let path = format!("/v1/connect?token={}", token_with(json!({"sub": "mallory"})));
    let mut open = Socket::connect(&cluster.gateways[1].ws(&path)).await;
    open.expect(json!({"type": "welcome", "user": "mallory", "...": ""})).await;
    let ask = async |method: &str, path: &str| {
        let url = cluster.gateways[0].http(path);
        cluster.http.send(method, &url, &with_key(), None).await.unwrap()
    };
    for wrong in ["0", "-1", "soon", "999999999999999"] {
        let path = format!("/v1/users/mallory/connections?deny_ms={wrong}");
        ask("DELETE", &path).await.expect(400);
    }
    let cut = ask("DELETE", "/v1/users/mallory/connections?deny_ms=3600000").await.expect(200);
    let until = cut.json()["denied_until"].as_i64().unwrap();
    assert_eq!(open.closed().await.0, 4003);
    let listed = ask("GET", "/v1/denied").await.expect(200).json();
    assert_eq!(listed, json!({"denied": [{"user": "mallory", "until": until}]}));

    // A node that was not there when the order was given has it from the record.
    let late = cluster.spawn("gateway", 3);
    late.ready(&cluster.http).await;
    cluster.gateways.push(late);
    let bearer = format!("Bearer {}", token_with(json!({"sub": "mallory"})));
    let bearer = [("Authorization".to_owned(), bearer)];
    for node in &cluster.gateways {
        assert_eq!(mallory_comes(node).await, ("error".to_owned(), Some(4003)));
        let url = node.http("/v1/channels/user:mallory");
        cluster.http.send("GET", &url, &bearer, None).await.unwrap().expect(403);
    }

    let url = cluster.gateways[0].http("/v1/denied/mallory");
    let again = cluster.http.send("DELETE", &url, &with_key(), None).await.unwrap().expect(200);
    assert_eq!(again.json(), json!({"admitted": true}));
    for node in &cluster.gateways {
        // The order takes its way over pub/sub.
        let deadline = Instant::now() + PATIENCE;
        while mallory_comes(node).await.0 != "welcome" {
            assert!(Instant::now() < deadline, "let in everywhere");
        }
    }
}

#[tokio::test]
async fn a_denial_ends_by_itself() {
    let cluster = Cluster::embedded().set("API_KEYS", &format!("ops:{KEY}")).start().await;
    let url = cluster.gateways[0].http("/v1/users/mallory/connections?deny_ms=3000");
    cluster.http.send("DELETE", &url, &with_key(), None).await.unwrap().expect(200);
    assert_eq!(mallory_comes(&cluster.gateways[0]).await.1, Some(4003));
    let deadline = Instant::now() + PATIENCE;
    while mallory_comes(&cluster.gateways[0]).await.0 != "welcome" {
        assert!(Instant::now() < deadline, "let in after its time");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_operators_paths_want_a_key_in_production() {
    let cluster = Cluster::embedded()
        .set("ENVIRONMENT", "production")
        .set("API_KEYS", &format!("ops:{KEY}"))
        .start()
        .await;
    for path in ["/v1/connections", "/v1/dead", "/v1/denied"] {
        cluster.get(path).await.expect(401);
        let url = cluster.gateways[0].http(path);
        cluster.http.send("GET", &url, &with_key(), None).await.unwrap().expect(200);
        let bearer = vec![("Authorization".to_owned(), format!("Bearer {KEY}"))];
        cluster.http.send("GET", &url, &bearer, None).await.unwrap().expect(200);
        let wrong = vec![("X-API-Key".to_owned(), "wrong".to_owned())];
        cluster.http.send("GET", &url, &wrong, None).await.unwrap().expect(401);
    }
}

#[tokio::test]
async fn in_production_nothing_is_answered_without_a_credential_but_what_is_described_so() {
    let settings = [("ENVIRONMENT", "production"), ("API_KEYS", "ops:operator-key-of-the-test")];
    let plan =
        settings.iter().fold(Cluster::embedded(), |plan, (name, value)| plan.set(name, value));
    let cluster = plan.start().await;
    let description = cluster.get("/openapi.json").await.expect(200).json();
    let mut closed = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array().unwrap();
            if security.iter().any(|way| way.as_object().unwrap().is_empty()) {
                continue;
            }
            let path: Vec<&str> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "deployments" } else { part })
                .collect();
            let url = cluster.gateways[0].http(&format!("{}?channel=tasks", path.join("/")));
            let wrong = [("Authorization".to_owned(), "Bearer wrong".to_owned())];
            for headers in [&[][..], &wrong] {
                let answer = cluster.http.send(&method.to_uppercase(), &url, headers, None).await;
                assert_eq!(answer.unwrap().status, 401, "{method} {url} {headers:?}");
            }
            closed += 1;
        }
    }
    assert!(closed >= 9, "only {closed} operations are closed");
}

#[tokio::test]
async fn lists_of_deployments_and_tasks_are_newest_first_and_paged() {
    let cluster = Cluster::embedded().start().await;
    for n in 1..=5 {
        let id = format!("t{n}");
        cluster
            .publish(
                json!({"stream": "tasks", "type": "task_created", "id": id, "data": {"title": id}}),
            )
            .await;
    }
    let key = crate::cluster::token("watcher", &["*"]);
    let bearer = vec![("Authorization".to_owned(), format!("Bearer {key}"))];
    let mut seen = Vec::new();
    let mut path = "/v1/tasks?limit=2".to_owned();
    loop {
        let url = cluster.gateways[0].http(&path);
        let page = cluster.http.send("GET", &url, &bearer, None).await.unwrap().expect(200).json();
        for task in page["tasks"].as_array().unwrap() {
            seen.push(task["id"].as_str().unwrap_or_default().to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/tasks?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["t5", "t4", "t3", "t2", "t1"]);
}
