//! The clients that the seed documents print, run as they are by Node (`tests/clients`).

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use services::{Process, Scratch, Signal, eventually};

use crate::client::PATIENCE;
use crate::cluster::Cluster;

/// A browser's global for programs that were written for one; Debian's `node-ws` has its interface.
const BROWSER: &str = "globalThis.WebSocket = require('ws');\n";

/// What the document of seed 001 leaves to its reader.
const AGENT: &str = "globalThis.WebSocket = require('ws');\n\
                     const executeTask = (id, payload) => console.log('task', id, payload);\n";

/// A running client and what it prints.
struct Client {
    process: Process,
    _scratch: Scratch,
}

impl Client {
    /// Runs `tests/clients/FILE` with the address of the first gateway in place of the documents' own.
    fn run(cluster: &Cluster, file: &str, preamble: &str) -> Self {
        let path = format!("{}/tests/clients/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut code = std::fs::read_to_string(&path).unwrap();
        let address = cluster.gateways[0].ws("");
        for documented in [
            "ws://localhost:3000",
            "ws://localhost:8787",
            "ws://localhost:8080",
            "wss://your-worker.workers.dev",
        ] {
            code = code.replace(documented, &address);
        }
        let scratch = Scratch::new("client");
        let program = scratch.path().join("client.js");
        std::fs::write(&program, format!("{preamble}{code}")).unwrap();
        let mut node = Command::new("node");
        node.arg(&program).env("NODE_PATH", "/usr/share/nodejs");
        let log = scratch.path().join("log");
        Self { process: Process::spawn(file, &node, &log, Signal::Kill), _scratch: scratch }
    }

    /// Waits until it has printed this; white space does not count, for Node breaks lines as it likes.
    async fn prints(&self, text: &str) {
        let dense = |text: &str| text.split_whitespace().collect::<String>();
        let wanted = dense(text);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !dense(&self.process.log()).contains(&wanted) {
            assert!(
                tokio::time::Instant::now() < deadline && self.process.ended().is_none(),
                "it does not print {text}, but:\n{}\n(tests/install gets nodejs and node-ws)",
                self.process.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn the_viewer_of_seed_000_follows_the_documented_mock_run() {
    let cluster = Cluster::embedded().set("MOCK_STEP_MS", "1-5").start().await;
    let viewer = Client::run(&cluster, "000-viewer.js", BROWSER);
    viewer.prints("status: 'pending'").await;
    let body = json!({"deploymentId": "test-123", "projectName": "my-app"});
    cluster.post("/test/deploy", &body).await.expect(200);
    viewer.prints("status: 'building'").await;
    let ended = || {
        let log = viewer.process.log();
        (log.contains("'success'") || log.contains("'error'")).then_some(())
    };
    assert!(eventually(PATIENCE, ended).is_some(), "{}", viewer.process.log());
}

#[tokio::test]
async fn the_agent_of_seed_001_is_known_and_gets_the_task_of_the_document() {
    let cluster = Cluster::embedded().set("QUEUE_API_KEY", "YOUR_API_KEY").start().await;
    let agent = Client::run(&cluster, "001-agent.js", AGENT);
    let key = [("Authorization".to_owned(), "Bearer YOUR_API_KEY".to_owned())];
    let (agents, tasks) = (
        cluster.gateways[0].http("/api/cockpit/agents"),
        cluster.gateways[0].http("/api/cockpit/tasks"),
    );
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let list = cluster.http.send("GET", &agents, &key, None).await.unwrap().expect(200).json();
        if list["agents"][0]["agentId"] == "mac-agent-1" {
            assert_eq!(list["agents"][0]["capabilities"], json!(["git", "npm", "docker"]));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{list}\n{}", agent.process.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let task = json!({
        "title": "Run npm test", "executor": "subagent", "payload": { "command": "npm test" },
    });
    let answer = cluster.http.send("POST", &tasks, &key, Some(&task.to_string())).await;
    let id = answer.unwrap().expect(201).json()["taskId"].as_str().unwrap().to_owned();
    agent.prints(&format!("task {id} {{ command: 'npm test' }}")).await;
}

#[tokio::test]
async fn the_browser_class_of_seed_002_gets_what_the_backend_pushes() {
    let cluster = Cluster::embedded().start().await;
    let client = Client::run(&cluster, "002-browser.js", BROWSER);
    client.prints("Notification: { message: 'Connected to Code Cloud Agents WebSocket'").await;
    cluster
        .append("agents", &["type", "agent_status", "id", "A", "data", r#"{"state":"working"}"#])
        .await;
    client.prints("Agent status: {").await;
    client.prints("state: 'working'").await;
    let chat = r#"{"content":"Analysis complete!"}"#;
    cluster.append("messages", &["type", "chat_message", "id", "c", "data", chat]).await;
    let whole = "Chat message: { content: 'Analysis complete!' }";
    client.prints(whole).await;
    let failed = r#"{"level":"error","message":"Task failed"}"#;
    cluster
        .append("messages", &["type", "notification", "id", "user_your-tok", "data", failed])
        .await;
    client.prints("Notification: { level: 'error', message: 'Task failed' }").await;
}

#[tokio::test]
async fn the_browser_class_of_seed_002_comes_back_after_a_kill() {
    let mut cluster = Cluster::embedded().start().await;
    let client = Client::run(&cluster, "002-browser.js", BROWSER);
    client.prints("WebSocket connected").await;
    cluster.gateways[0].kill();
    client.prints("WebSocket disconnected").await;
    cluster.gateways[0].start_again(&cluster.http).await;
    client.prints("Reconnecting... ✅ WebSocket connected").await;
}

#[tokio::test]
async fn the_node_client_of_seed_002_sees_its_own_presence() {
    let cluster = Cluster::embedded().start().await;
    let client = Client::run(&cluster, "002-node.js", "");
    client.prints("✅ Connected").await;
    client.prints("data: { success: true, userId: 'user_test-tok' }").await;
    client.prints("data: { userId: 'user_test-tok', status: 'online' }").await;
}

#[tokio::test]
async fn the_watcher_of_seed_004_sees_lower_case() {
    let cluster = Cluster::embedded().set("AUTH_TOKEN", "your-secure-token").start().await;
    let watcher = Client::run(&cluster, "004-watcher.js", BROWSER);
    watcher.prints("type: 'status', containerID: 'container-123'").await;
    let log = r#"{"level":"info","message":"Repository cloned successfully"}"#;
    cluster.append("containers", &["type", "log", "id", "container-123", "data", log]).await;
    watcher.prints("type: 'log', containerID: 'container-123'").await;
    watcher.prints("message: 'Repository cloned successfully'").await;
}
