//! The executable as a command: `token`, `publish`, `watch`, `healthcheck`, `migrate`.

use serde_json::json;

use crate::client::Socket;
use crate::cluster::{Cluster, JWT_SECRET, fanfare, token};

#[tokio::test]
async fn a_token_made_by_hand_opens_the_door_it_names() {
    let cluster = Cluster::embedded().start().await;
    let arguments = [
        "token",
        "--sub",
        "alice",
        "--channels",
        "task:*,tasks",
        "--publish",
        "tasks",
        "--ttl",
        "1h",
    ];
    let outcome = fanfare(&arguments, &[("JWT_SECRET", JWT_SECRET)]).await.expect(0);
    let token = outcome.stdout.trim();
    let url = cluster.gateways[0].ws(&format!("/v1/connect?token={token}"));
    let mut socket = Socket::connect(&url).await;
    socket.expect(json!({"type": "welcome", "user": "alice", "...": ""})).await;
    socket.send(json!({"type": "subscribe", "channel": "task:t1"})).await;
    socket.expect(json!({"type": "subscribed", "channel": "task:t1", "...": ""})).await;
    socket.send(json!({"type": "subscribe", "channel": "agents"})).await;
    socket.expect(json!({"type": "error", "channel": "agents", "...": ""})).await;

    let header = [("Authorization".to_owned(), format!("Bearer {token}"))];
    let url = cluster.gateways[0].http("/v1/publish");
    let publish = |stream: &str, kind: &str| {
        json!({"stream": stream, "type": kind, "id": "t1", "data": {}}).to_string()
    };
    let body = publish("tasks", "task_update");
    cluster.http.send("POST", &url, &header, Some(&body)).await.unwrap().expect(200);
    let body = publish("deployments", "deployment_update");
    cluster.http.send("POST", &url, &header, Some(&body)).await.unwrap().expect(403);
}

#[tokio::test]
async fn a_token_without_a_secret_fits_a_local_server() {
    let cluster = Cluster::embedded().set("JWT_SECRET", "").start().await;
    let outcome = fanfare(&["token", "--sub", "alice"], &[]).await.expect(0);
    let url = cluster.gateways[0].ws(&format!("/v1/connect?token={}", outcome.stdout.trim()));
    let mut socket = Socket::connect(&url).await;
    socket.expect(json!({"type": "welcome", "user": "alice", "...": ""})).await;
}

#[tokio::test]
async fn explain_tells_every_hop_of_an_event_and_every_node_with_listeners() {
    let cluster = Cluster::of(3, 1).start().await;
    let mut watchers = Vec::new();
    for node in [0, 1, 1] {
        let mut watcher = cluster.watcher(node).await;
        watcher.send(json!({"type": "subscribe", "channel": "task:t1"})).await;
        watcher.expect(json!({"type": "subscribed", "...": ""})).await;
        watchers.push(watcher);
    }
    let place = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let fields = ["type", "task_update", "id", "t1", "at", "1700000000", "traceparent", place];
    let entry = cluster.xadd("tasks", &fields);
    let mut position = String::new();
    for watcher in &mut watchers {
        let event = watcher.expect(json!({"type": "event", "...": ""})).await;
        position = event["position"].as_str().unwrap().to_owned();
    }
    // Asked of a node that has no listener itself.
    let url = cluster.gateways[2].http("");
    let settings = [("FANFARE_URL", url.as_str())];
    for what in [entry.clone(), format!("task:t1@{position}")] {
        let outcome = fanfare(&["explain", &what, "--json"], &settings).await.expect(0);
        let told: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!(told["entry"], entry);
        assert_eq!(told["at"], 1_700_000_000_000_u64);
        let appended = told["appended_at"].as_u64().unwrap();
        assert_eq!(entry.split('-').next().unwrap(), appended.to_string());
        assert!(told["recorded_at"].as_u64().unwrap() >= appended);
        assert_eq!(told["published"], true);
        assert_eq!(told["traceparent"], place);
        let channels = told["channels"].as_array().unwrap();
        let channel = channels.iter().find(|channel| channel["channel"] == "task:t1").unwrap();
        assert_eq!((&channel["position"], &channel["broker_head"]), (&json!(position), &json!(1)));
        let nodes = channel["nodes"].as_array().unwrap();
        let mut live: Vec<_> = nodes.iter().map(|node| node["live"].as_u64().unwrap()).collect();
        live.sort_unstable();
        assert_eq!(live, [1, 2], "{told:#}");
        assert!(nodes.iter().all(|node| node["position"] == position), "{told:#}");
    }
    let said = fanfare(&["explain", &entry], &settings).await.expect(0).stdout;
    for hop in ["happened", "appended", "recorded", "published", "channel", "node", "trace"] {
        assert!(said.lines().any(|line| line.starts_with(hop)), "{hop} is missing:\n{said}");
    }
}

#[tokio::test]
async fn publish_by_hand_says_where_it_went() {
    let cluster = Cluster::of(1, 1).start().await;
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.as_str())];
    let arguments = ["publish", "deployments", "deployment_update", "d1", r#"{"progress":7}"#];
    let outcome = fanfare(&arguments, &settings).await.expect(0);
    assert!(outcome.stdout.contains("deployment:d1"), "{outcome:#?}");
    let state = cluster.get("/v1/channels/deployment:d1").await.expect(200).json();
    assert_eq!(state["state"]["progress"], 7);

    fanfare(&["publish", "messages", "system", "-", r#"{"message":"x"}"#], &settings)
        .await
        .expect(0);
    let outcome = fanfare(&["publish", "tasks", "task_created", "t1", "{}"], &settings).await;
    assert_ne!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("title"), "the reason is shown: {outcome:#?}");
}

#[tokio::test]
async fn watch_follows_a_deployment_to_its_end() {
    let cluster = Cluster::embedded().start().await;
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.as_str())];
    let report = async |id: &str, status: &str| {
        let path = format!("/internal/deployments/{id}/update");
        for step in ["cloning", "building", "shipping"] {
            let body = json!({"status": {"status": "building", "message": step}});
            cluster.post(&path, &body).await.expect(200);
        }
        cluster
            .post(&path, &json!({"status": {"status": status, "progress": 100}}))
            .await
            .expect(200);
    };
    let (good, ()) =
        tokio::join!(fanfare(&["watch", "deployment:good"], &settings), report("good", "success"));
    let good = good.expect(0);
    assert!(good.stdout.contains("shipping"), "log lines are data: {good:#?}");
    let (bad, ()) =
        tokio::join!(fanfare(&["watch", "deployment:bad"], &settings), report("bad", "error"));
    bad.expect(1);
}

#[tokio::test]
async fn watch_begins_after_a_position() {
    let cluster = Cluster::embedded().start().await;
    let url = cluster.gateways[0].http("");
    let token = token("watcher", &["*"]);
    let settings = [("FANFARE_URL", url.as_str()), ("FANFARE_TOKEN", token.as_str())];
    let log = |line: &str| json!({"stream": "tasks", "type": "task_log", "id": "t", "data": {"message": line}});
    let first = cluster.publish(log("before")).await;
    cluster.publish(log("after")).await;
    let end = json!({"stream": "tasks", "type": "task_result", "id": "t", "data": {"status": "completed"}});
    cluster.publish(end).await;
    let since = first["published"][0]["position"].as_str().unwrap();
    let outcome = fanfare(&["watch", "task:t", "--since", since], &settings).await.expect(0);
    assert!(outcome.stdout.contains("after") && !outcome.stdout.contains("before"), "{outcome:#?}");
}

#[tokio::test]
async fn the_health_check_tells_ready_from_gone() {
    let cluster = Cluster::embedded().start().await;
    let url = cluster.gateways[0].http("");
    let settings = [("FANFARE_URL", url.as_str())];
    fanfare(&["healthcheck"], &settings).await.expect(0);
    cluster.gateways[0].kill();
    let outcome = fanfare(&["healthcheck"], &settings).await;
    assert_ne!(outcome.code, Some(0), "{outcome:#?}");
}

#[tokio::test]
async fn the_schema_is_made_once_however_many_make_it() {
    let database = services::Postgres::shared().url("migrate");
    let settings = [("DATABASE_URL", database.as_str())];
    let run = || fanfare(&["migrate"], &settings);
    let (a, b, c) = tokio::join!(run(), run(), run());
    for outcome in [a, b, c] {
        outcome.expect(0);
    }
}
