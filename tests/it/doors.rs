//! Doors: who comes in by which, and what stays closed.

use serde_json::{Value, json};

use crate::client::Socket;
use crate::cluster::{Cluster, JWT_SECRET, fanfare, token, token_with};
use crate::http::Answer;

const KEY: &str = "operator-key-of-the-test";

type Headers = Vec<(String, String)>;

fn header(name: &str, value: &str) -> Headers {
    vec![(name.to_owned(), value.to_owned())]
}

fn bearer(token: &str) -> Headers {
    header("Authorization", &format!("Bearer {token}"))
}

/// A token that may publish to these streams.
fn publisher(user: &str, publish: &[&str]) -> String {
    token_with(json!({ "sub": user, "publish": publish, "channels": ["*"] }))
}

async fn production(more: &[(&str, &str)]) -> Cluster {
    let keys = format!("ops:{KEY}");
    let plan = Cluster::embedded().set("ENVIRONMENT", "production").set("API_KEYS", &keys);
    more.iter().fold(plan, |plan, (name, value)| plan.set(name, value)).start().await
}

async fn ask(
    cluster: &Cluster,
    method: &str,
    path: &str,
    headers: &Headers,
    body: Option<&Value>,
) -> Answer {
    let url = cluster.gateways[0].http(path);
    let body = body.map(Value::to_string);
    cluster.http.send(method, &url, headers, body.as_deref()).await.unwrap()
}

async fn status_of_socket(cluster: &Cluster, path: &str, headers: &Headers) -> u16 {
    let opened = Socket::try_connect(&cluster.gateways[0].ws(path), headers).await;
    opened.map_or_else(|refusal| refusal.status, |_| 101)
}

#[tokio::test]
async fn a_token_without_publish_sends_nothing_by_the_door_of_003() {
    let cluster = production(&[]).await;
    let message = json!({"type": "chat_message", "data": {"content": "x"}, "user_id": "ann"});
    let doors = ["/api/v1/ws/broadcast", "/api/v1/ws/user/ann", "/api/v1/ws/send"];
    let narrow = publisher("mallory", &[]);
    for door in doors {
        let refused = ask(&cluster, "POST", door, &bearer(&narrow), Some(&message)).await;
        let said = refused.expect(403).json();
        assert_eq!(said["error"], "forbidden", "{said}");
        let may = publisher("ann", &["messages"]);
        ask(&cluster, "POST", door, &bearer(&may), Some(&message)).await.expect(200);
        ask(&cluster, "POST", door, &bearer(KEY), Some(&message)).await.expect(200);
        ask(&cluster, "POST", door, &bearer("wrong"), Some(&message)).await.expect(401);
    }
}

#[tokio::test]
async fn all_publishing_doors_share_one_rate_and_a_key_a_user_of_its_name_do_not() {
    let cluster = production(&[("PUBLISH_PER_SECOND", "2")]).await;
    let message = json!({"type": "x", "data": {}});
    let event = json!({"stream": "messages", "type": "x"});
    let user = bearer(&publisher("ops", &["messages"]));
    let mut refused = None;
    // One door uses up what the other has, however slow this machine is.
    for _ in 0..50 {
        ask(&cluster, "POST", "/v1/publish", &user, Some(&json!([event, event]))).await;
        let answer = ask(&cluster, "POST", "/api/v1/ws/broadcast", &user, Some(&message)).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("a refusal");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(refused.json()["error"], "rate limit exceeded");
    ask(&cluster, "POST", "/v1/publish", &bearer(KEY), Some(&event)).await.expect(200);
}

#[tokio::test]
async fn a_dialect_that_is_left_out_is_404_and_recognizes_nothing() {
    let cluster = Cluster::embedded().set("DIALECTS", "native,containers").start().await;
    let none = Headers::new();
    for path in ["/ws", "/api/ws", "/api/v1/ws/connect", "/deployment-ws", "/?deploymentId=d", "/"]
    {
        assert_eq!(status_of_socket(&cluster, path, &none).await, 404, "{path}");
    }
    // The next rule decides: any path that nobody owns is the containers'.
    for path in ["/ws?token=default-token", "/api/ws?token=default-token"] {
        assert_eq!(status_of_socket(&cluster, path, &none).await, 101, "{path}");
    }
    for path in ["/api/cockpit/tasks", "/api/v1/ws/stats", "/test/deploy", "/agents"] {
        ask(&cluster, "GET", path, &none, None).await.expect(404);
    }
    cluster.get("/health").await.expect(200);
    let without = Cluster::embedded().set("DIALECTS", "deployments").start().await;
    assert_eq!(status_of_socket(&without, "/v1/connect", &none).await, 404);
    without.get("/v1/events?channel=tasks").await.expect(404);
    without.get("/v1/deployments").await.expect(401);
}

#[tokio::test]
async fn a_container_that_dials_the_path_of_002_is_a_container() {
    let cluster = Cluster::embedded().start().await;
    let path = "/ws?token=default-token&containerID=c1";
    let mut container = Socket::connect(&cluster.gateways[0].ws(path)).await;
    container.expect(json!({"type": "STATUS", "containerID": "c1", "...": ""})).await;
    let mut other = Socket::connect(&cluster.gateways[0].ws("/ws?token=abc123")).await;
    other.expect(json!({"type": "auth", "...": ""})).await;
}

#[tokio::test]
async fn strangers_of_002_and_003_hear_the_system_and_what_is_open_to_all() {
    let closed = production(&[]).await;
    let open = production(&[("ANONYMOUS_CHANNELS", "tasks,broadcast")]).await;
    let key = bearer(KEY);
    for (cluster, is_open) in [(&closed, false), (&open, true)] {
        let node = &cluster.gateways[0];
        let mut agents = Socket::connect(&node.ws("/ws")).await;
        agents.expect(json!({"type": "auth", "...": ""})).await;
        agents.expect(json!({"type": "notification", "...": ""})).await;
        agents.send(json!({"type": "user_presence", "data": "busy"})).await;
        agents.send(json!({"type": "ping"})).await;
        agents.expect(json!({"type": "pong", "...": ""})).await;
        let mut page = Socket::connect(&node.ws("/api/v1/ws/connect")).await;
        page.expect(json!({"type": "system", "...": ""})).await;
        let events = json!([
            {"stream": "tasks", "type": "task_created", "id": "t", "data": {"title": "x"}},
            {"stream": "messages", "type": "notification", "data": {"message": "n"}},
            {"stream": "agents", "type": "agent_status", "id": "a", "data": {"status": "idle"}},
            {"stream": "messages", "type": "deploy-plan", "data": {"secret": 1}},
            {"stream": "messages", "type": "system", "data": {"message": "maintenance"}},
        ]);
        ask(cluster, "POST", "/v1/publish", &key, Some(&events)).await.expect(200);
        // Streams keep no order among each other: the frames are counted, and nothing is behind them.
        let all = ["deploy-plan", "notification", "system", "task_update"];
        let expected = if is_open { &all[..] } else { &["system"] };
        let mut seen = Vec::new();
        for _ in expected {
            let frame = page.expect(json!({"type": "<text>", "...": ""})).await;
            seen.push(frame["type"].as_str().unwrap().to_owned());
        }
        seen.sort();
        assert_eq!(seen, expected);
        let last = json!({"stream": "messages", "type": "system", "data": {"message": "last"}});
        ask(cluster, "POST", "/v1/publish", &key, Some(&last)).await.expect(200);
        page.expect(json!({"type": "system", "data": {"message": "last"}, "...": ""})).await;
        if is_open {
            let data = json!({"message": "n"});
            agents.expect(json!({"type": "notification", "data": data, "...": ""})).await;
        }
        let data = json!({"message": "maintenance"});
        agents.expect(json!({"type": "notification", "data": data, "...": ""})).await;
    }
}

#[tokio::test]
async fn a_narrower_token_ends_the_subscriptions_that_it_does_not_cover() {
    let cluster = Cluster::embedded().start().await;
    let mut watcher = cluster.watcher(0).await;
    for channel in ["task:a", "task:b", "presence"] {
        watcher.send(json!({"type": "subscribe", "channel": channel})).await;
        watcher.expect(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
    }
    let narrow = token("watcher", &["task:b"]);
    watcher.send(json!({"type": "token", "token": narrow})).await;
    watcher.expect(json!({"type": "token", "expires_at": "<any>"})).await;
    for channel in ["task:a", "presence"] {
        let error = json!({"type": "error", "code": "forbidden", "channel": channel, "...": ""});
        watcher.expect(error).await;
        watcher.expect(json!({"type": "unsubscribed", "channel": channel})).await;
    }
    for id in ["a", "b"] {
        cluster.publish(json!({"stream": "tasks", "type": "task_update", "id": id})).await;
    }
    watcher.expect(json!({"type": "event", "channel": "task:b", "...": ""})).await;
}

#[tokio::test]
async fn a_stranger_may_say_later_who_it_is_and_counts_from_then_on() {
    let cluster = Cluster::embedded().set("MAX_CONNECTIONS_PER_USER", "1").start().await;
    let url = cluster.gateways[0].ws("/v1/connect");
    let ann = token("ann", &["*"]);
    let mut first = Socket::connect(&url).await;
    first.expect(json!({"type": "welcome", "user": null, "...": ""})).await;
    first.send(json!({"type": "token", "token": ann})).await;
    first.expect(json!({"type": "token", "...": ""})).await;
    let mut second = Socket::connect(&url).await;
    second.expect(json!({"type": "welcome", "...": ""})).await;
    second.send(json!({"type": "token", "token": ann})).await;
    second.wait_for(json!({"type": "error", "...": ""})).await;
    assert_eq!(second.closed().await.0, 4009);
}

#[tokio::test]
async fn origins_are_compared_as_origins_by_sockets_and_by_cors() {
    let cluster = production(&[("ALLOWED_ORIGINS", "https://Two.example/")]).await;
    let ok = header("Origin", "https://two.example:443");
    assert_eq!(status_of_socket(&cluster, "/ws", &ok).await, 101);
    let answer = ask(&cluster, "GET", "/health", &ok, None).await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://two.example:443"));
    let mut own = header("Origin", "https://app.example");
    own.extend(header("Host", "app.example:443"));
    assert_eq!(status_of_socket(&cluster, "/ws", &own).await, 101);
    for foreign in ["https://one.example", "http://two.example", "null", "https://two.example.evil"]
    {
        let headers = header("Origin", foreign);
        assert_eq!(status_of_socket(&cluster, "/ws", &headers).await, 403, "{foreign}");
        let answer = ask(&cluster, "GET", "/health", &headers, None).await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{foreign}");
    }
}

#[tokio::test]
async fn a_development_server_answers_to_no_foreign_name_and_no_foreign_page() {
    let cluster = Cluster::embedded().start().await;
    let task = json!({"title": "x", "executor": "codex"});
    for (name, value) in [("Host", "evil.example"), ("Origin", "https://evil.example")] {
        let foreign = header(name, value);
        let refused = ask(&cluster, "POST", "/api/cockpit/tasks", &foreign, Some(&task)).await;
        refused.expect(403);
        assert_eq!(status_of_socket(&cluster, "/api/ws", &foreign).await, 403, "{name}");
        let session = ask(&cluster, "GET", "/console/session", &foreign, None).await;
        assert!(!session.body.contains("eyJ"), "{name}: {session:?}");
    }
    for local in ["localhost:1", "a.localhost", "[::1]:8080", "host.docker.internal:8080"] {
        let session = ask(&cluster, "GET", "/console/session", &header("Host", local), None).await;
        assert!(session.body.contains("eyJ"), "{local}: {session:?}");
    }
    let local = header("Origin", "http://localhost:5173");
    ask(&cluster, "POST", "/api/cockpit/tasks", &local, Some(&task)).await.expect(201);
}

#[tokio::test]
async fn an_operators_address_serves_probes_and_metrics_and_the_public_one_does_not() {
    let port = services::free_port();
    let admin = format!("127.0.0.1:{port}");
    let cluster = Cluster::embedded().set("ADMIN_LISTEN", &admin).start().await;
    for path in ["/metrics", "/readyz", "/livez"] {
        cluster.get(path).await.expect(404);
        let url = format!("http://{admin}{path}");
        cluster.http.get(&url).await.expect(200);
    }
}

#[tokio::test]
async fn a_previous_secret_opens_the_same_doors() {
    let previous = [
        ("JWT_SECRET", "another-secret-of-the-test-0123456789"),
        ("JWT_SECRET_PREVIOUS", JWT_SECRET),
        ("INTERNAL_API_KEY", "internal-new"),
        ("INTERNAL_API_KEY_PREVIOUS", "internal-old"),
        ("QUEUE_API_KEY", "queue-new"),
        ("QUEUE_API_KEY_PREVIOUS", "queue-old"),
        ("AUTH_TOKEN", "container-new"),
        ("AUTH_TOKEN_PREVIOUS", "container-old"),
    ];
    let cluster = production(&previous).await;
    let old = bearer(&token("ann", &["*"]));
    ask(&cluster, "GET", "/v1/tasks", &old, None).await.expect(200);
    let update = json!({"status": {"progress": 1}});
    for key in ["internal-new", "internal-old"] {
        let path = "/internal/deployments/d/update";
        ask(&cluster, "POST", path, &bearer(key), Some(&update)).await.expect(200);
    }
    for key in ["queue-new", "queue-old"] {
        ask(&cluster, "GET", "/api/cockpit/tasks", &bearer(key), None).await.expect(200);
    }
    for key in ["container-new", "container-old"] {
        let path = format!("/?token={key}");
        assert_eq!(status_of_socket(&cluster, &path, &Headers::new()).await, 101);
    }
}

#[tokio::test]
async fn a_right_credential_passes_where_wrong_ones_came_from() {
    let more = [("TRUSTED_PROXIES", "127.0.0.0/8"), ("ADDRESS_FAILURES_PER_MINUTE", "5")];
    let cluster = production(&more).await;
    let from = |credential: &str| {
        let mut headers = bearer(credential);
        headers.extend(header("X-Forwarded-For", "192.0.2.7"));
        headers
    };
    // What is good elsewhere is no guess, however often it is shown at a door that refuses it.
    let token = from(&token("ann", &["tasks"]));
    for _ in 0..10 {
        ask(&cluster, "GET", "/api/cockpit/agents", &token, None).await.expect(401);
    }
    let mut statuses = Vec::new();
    for _ in 0..7 {
        let answer = ask(&cluster, "GET", "/v1/connections", &from("wrong"), None).await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[6], 429, "{statuses:?}");
    ask(&cluster, "GET", "/v1/connections", &from(KEY), None).await.expect(200);
    ask(&cluster, "GET", "/v1/tasks", &token, None).await.expect(200);
}

#[tokio::test]
async fn a_key_makes_a_token_and_a_user_does_not() {
    let cluster = production(&[]).await;
    let wanted = json!({"sub": "ann", "channels": ["task:*"], "ttl_ms": 60_000});
    let issued = ask(&cluster, "POST", "/v1/tokens", &bearer(KEY), Some(&wanted)).await;
    let issued = issued.expect(200).json();
    assert!(issued["expires_at"].as_u64().is_some(), "{issued}");
    let ann = bearer(issued["token"].as_str().unwrap());
    ask(&cluster, "GET", "/v1/channels/task:t", &ann, None).await.expect(200);
    ask(&cluster, "GET", "/v1/channels/tasks", &ann, None).await.expect(403);
    ask(&cluster, "POST", "/v1/tokens", &ann, Some(&wanted)).await.expect(403);
    for wrong in [
        json!({"sub": ""}),
        json!({}),
        json!({"sub": "a", "ttl_ms": 86_400_001_u64}),
        json!({"sub": "a", "chanels": []}),
    ] {
        ask(&cluster, "POST", "/v1/tokens", &bearer(KEY), Some(&wrong)).await.expect(400);
    }
}

#[tokio::test]
async fn lists_say_how_many_there_are_and_find_by_text() {
    let cluster = production(&[]).await;
    let key = bearer(KEY);
    let alert = |id: &str, title: &str| {
        json!({"stream": "agents", "type": "alert", "id": id,
               "data": {"severity": "critical", "title": title}})
    };
    let events = json!([
        alert("a1", "Disk full"),
        alert("a2", "Load is 100%_high"),
        {"stream": "agents", "type": "agent_status", "id": "agent-1", "data": {"status": "idle"}},
        {"stream": "agents", "type": "git_status", "id": "agent-1",
         "data": {"repos": [{"id": "r1", "path": "/r", "name": "r", "status": "clean"}]}},
        {"stream": "deployments", "type": "deployment_update", "id": "d1",
         "data": {"status": "building"}},
    ]);
    ask(&cluster, "POST", "/v1/publish", &key, Some(&events)).await.expect(200);
    let list = async |path: &str| ask(&cluster, "GET", path, &key, None).await.expect(200).json();
    let alerts = list("/v1/alerts").await;
    assert_eq!((&alerts["total"], &alerts["by_status"]), (&2.into(), &json!({"open": 2})));
    assert_eq!(alerts["alerts"][0]["id"], "a2");
    assert_eq!(list("/v1/alerts?sort=oldest").await["alerts"][0]["id"], "a1");
    assert_eq!(list("/v1/alerts?q=DISK").await["total"], 1);
    assert_eq!(list("/v1/alerts?q=%25_h").await["total"], 1, "no wildcards");
    assert_eq!(list("/v1/agents").await["agents"][0]["id"], "agent-1");
    assert_eq!(list("/v1/repos?status=clean").await["total"], 1);
    assert_eq!(list("/v1/deployments").await["by_status"], json!({"building": 1}));
    assert_eq!(list("/v1/containers").await["total"], 0);
    let reader = bearer(&token("ann", &["alerts"]));
    ask(&cluster, "GET", "/v1/alerts", &reader, None).await.expect(200);
    ask(&cluster, "GET", "/v1/agents", &reader, None).await.expect(403);
    ask(&cluster, "POST", "/v1/alerts/a1/ack", &reader, None).await.expect(403);
    let agent = bearer(&publisher("ann", &["agents"]));
    ask(&cluster, "POST", "/v1/alerts/a1/ack", &agent, None).await.expect(200);
    ask(&cluster, "POST", "/v1/alerts/a1/ack", &agent, None).await.expect(200);
    ask(&cluster, "POST", "/v1/alerts/a9/ack", &agent, None).await.expect(404);
    let alerts = list("/v1/alerts?status=acknowledged").await;
    assert_eq!((&alerts["total"], &alerts["alerts"][0]["id"]), (&1.into(), &json!("a1")));
}

#[tokio::test]
async fn a_url_that_cannot_be_understood_ends_at_once_and_is_not_shown() {
    for (name, url) in [
        ("REDIS_URL", "redis://:p/ss+w0rd==@host"),
        ("DATABASE_URL", "postgres://u:p/ss+w0rd@h/db"),
    ] {
        let outcome = fanfare(&["config"], &[(name, url)]).await.expect(78);
        let said = format!("{outcome:?}");
        assert!(said.contains(name) && !said.contains("w0rd"), "{said}");
    }
    let url = "redis+sentinel://h:1/?master=m&sentinel_password=w0rd";
    let shown = fanfare(&["config"], &[("REDIS_URL", url)]).await.expect(0).stdout;
    assert!(shown.contains("redis+sentinel://h:1") && !shown.contains("w0rd"), "{shown}");
}
