//! The scenarios of the demo: each a short series of events.

use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

/// An event as `POST /v1/publish` takes it.
pub(super) type Event = Value;

/// Yields the events of one scenario, in their order.
pub(super) type Scenario = Box<dyn Iterator<Item = Event> + Send>;

/// Every kind of scenario, the frequent ones several times. The number makes ids of its own.
pub(super) const SCENARIOS: [fn(u64) -> Scenario; 10] = [
    deployment,
    deployment,
    deployment,
    task,
    task,
    agent,
    container,
    alert,
    conversation,
    notification,
];

const PROJECTS: [&str; 6] =
    ["storefront", "billing-api", "search", "docs", "mobile-gateway", "image-resizer"];
const AGENTS: [&str; 5] = ["atlas", "boreas", "castor", "delphi", "echo"];
const BRANCHES: [&str; 4] = ["main", "main", "feature/cart", "fix/timeouts"];
const STAGES: [(&str, &str, u8); 7] = [
    ("building", "Cloning repository", 10),
    ("building", "Installing dependencies", 25),
    ("building", "Building project", 45),
    ("building", "Running tests", 60),
    ("deploying", "Uploading assets", 75),
    ("deploying", "Starting instances", 90),
    ("success", "Complete", 100),
];
const BUILD_LINES: [&str; 8] = [
    "resolved 412 packages in 1.9 s",
    "warning: 2 packages look for funding",
    "compiled 318 modules",
    "chunk vendor.js 142 kB",
    "147 tests passed, 3 skipped",
    "cache hit for layer 6 of 9",
    "uploaded 96 files",
    "health check answered in 41 ms",
];
const TASKS: [&str; 5] = [
    "Summarize the open pull requests",
    "Raise the test coverage of the cart",
    "Find the slow query of the dashboard",
    "Update the dependencies",
    "Write the release notes",
];

fn pick<T: Copy>(from: &[T]) -> T {
    from.choose(&mut rand::rng()).copied().unwrap_or(from[0])
}

fn event(stream: &str, kind: &str, id: &str, data: Value) -> Event {
    let mut event = json!({ "stream": stream, "type": kind, "id": id });
    event["data"] = data;
    event
}

/// From pending to success, or to an error one time in eight; between the stages the build talks.
fn deployment(number: u64) -> Scenario {
    let (id, project) = (format!("demo-{number}"), pick(&PROJECTS));
    let ends_at = if rand::random_bool(0.125) { rand::random_range(2..5) } else { STAGES.len() };
    let start = json!({
        "status": "pending", "progress": 0, "stage": "Queued", "projectName": project,
        "branch": pick(&BRANCHES),
    });
    let mut events = vec![event("deployments", "deployment_update", &id, start)];
    for (at, (status, stage, progress)) in STAGES.into_iter().enumerate() {
        let data = if at == ends_at {
            let message = format!("{stage} failed: exit code 1");
            json!({ "status": "error", "stage": stage, "message": message })
        } else if status == "success" {
            let url = format!("https://{project}-{number}.example.com");
            json!({ "status": status, "progress": progress, "stage": stage, "message": stage,
                    "deploymentUrl": url })
        } else {
            json!({ "status": status, "progress": progress, "stage": stage, "message": stage })
        };
        events.push(event("deployments", "deployment_update", &id, data));
        if at == ends_at || status == "success" {
            break;
        }
        for _ in 0..rand::random_range(0..3) {
            let lines = json!({ "lines": [pick(&BUILD_LINES)] });
            events.push(event("deployments", "deployment_log", &id, lines));
        }
    }
    Box::new(events.into_iter())
}

/// Created, taken up by an agent, logged, ended.
fn task(number: u64) -> Scenario {
    let (id, title, agent) = (format!("demo-task-{number}"), pick(&TASKS), pick(&AGENTS));
    let created = json!({ "title": title, "query": title, "executor": "codex" });
    let mut events = vec![event("tasks", "task_created", &id, created)];
    for progress in [5, 30, 55, 80] {
        let data = json!({ "status": "running", "progress": progress, "agentId": agent });
        events.push(event("tasks", "task_update", &id, data));
        let message = format!("{agent}: step {} of 4", progress / 25 + 1);
        events.push(event("tasks", "task_log", &id, json!({ "message": message })));
    }
    let result = if rand::random_bool(0.15) {
        json!({ "status": "failed", "error": "the agent ran out of time" })
    } else {
        json!({ "status": "completed", "progress": 100, "result": { "files": number % 9 + 1 } })
    };
    events.push(event("tasks", "task_result", &id, result));
    Box::new(events.into_iter())
}

/// An agent works and looks at its repositories.
fn agent(_number: u64) -> Scenario {
    let (name, project) = (pick(&AGENTS), pick(&PROJECTS));
    let status = |status: &str, state: &str| {
        let data = json!({ "status": status, "state": state, "agentName": name });
        event("agents", "agent_status", name, data)
    };
    let dirty = rand::random_range(0..6);
    let repo = json!({
        "id": project,
        "path": format!("/srv/git/{project}"),
        "name": project,
        "branch": pick(&BRANCHES),
        "status": if dirty > 0 { "dirty" } else { "clean" },
        "uncommittedCount": dirty,
    });
    let load = json!({ "cpu": rand::random_range(5..95), "agentName": name });
    let events = vec![
        status("online", "idle"),
        event("agents", "git_status", name, json!({ "repos": [repo] })),
        status("busy", "working"),
        event("agents", "agent_update", name, load),
        status("idle", "idle"),
    ];
    Box::new(events.into_iter())
}

/// A container starts, talks and ends.
fn container(number: u64) -> Scenario {
    let id = format!("demo-container-{number}");
    let mut events =
        vec![event("containers", "status", &id, json!({ "status": "running", "progress": 0 }))];
    for _ in 0..rand::random_range(3..8) {
        let data = json!({ "level": "info", "message": pick(&BUILD_LINES) });
        events.push(event("containers", "log", &id, data));
    }
    let code = i32::from(rand::random_bool(0.1));
    if code > 0 {
        let message = "process ended with code 1";
        events.push(event("containers", "error", &id, json!({ "message": message })));
    }
    events.push(event("containers", "complete", &id, json!({ "exitCode": code })));
    Box::new(events.into_iter())
}

/// An alert comes up; most are acknowledged.
fn alert(number: u64) -> Scenario {
    let id = format!("demo-alert-{number}");
    let (severity, title) = pick(&[
        ("info", "Certificate renews in 14 days"),
        ("warning", "Queue grows faster than it is read"),
        ("warning", "Disk is 85 % full"),
        ("critical", "Error rate above 5 %"),
    ]);
    let data = json!({
        "severity": severity, "title": title, "source": pick(&PROJECTS),
        "message": format!("{title}, since a few minutes"),
    });
    let mut events = vec![event("agents", "alert", &id, data)];
    if rand::random_bool(0.7) {
        events.push(event("agents", "alert_acknowledged", &id, json!({ "by": "on-call" })));
    }
    Box::new(events.into_iter())
}

/// A few words in a conversation.
fn conversation(number: u64) -> Scenario {
    let id = format!("demo-room-{}", number % 3 + 1);
    let words = [
        ("on-call", "The error rate went up after the last release."),
        ("release-bot", "Rolling back to the release before."),
        ("on-call", "It is back to normal."),
    ];
    let say = move |(author, content)| {
        event("messages", "chat_message", &id, json!({ "author": author, "content": content }))
    };
    Box::new(words.into_iter().map(say))
}

/// One notification, for everybody or for one user.
fn notification(number: u64) -> Scenario {
    let (level, message) = pick(&[
        ("info", "Maintenance window tonight at 22:00 UTC"),
        ("success", "Your export is ready"),
        ("warning", "Your token expires tomorrow"),
    ]);
    let data = json!({ "level": level, "message": message });
    let mut event = json!({ "stream": "messages", "type": "notification", "data": data });
    if number.is_multiple_of(2) {
        event["id"] = "developer".into();
    }
    Box::new(std::iter::once(event))
}
