//! Ids and users that their issuers chose, through every door and every name (contract §3, `id`).

use serde_json::{Value, json};

use crate::client::Socket;
use crate::cluster::{Cluster, Plan, token, token_with};

const IDS: [&str; 7] =
    ["auth0|5f7c", "org/repo", "déploi 1", "e\u{301}", "%2F", "a\"b\\c", "x:y;z,{w}"];

/// An id as it stands in a URL.
fn encoded(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

macro_rules! on_both {
    ($($test:ident;)+) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Cluster::embedded(), 0).await;
            })+
        }
        mod roles_apart {
            $(#[tokio::test]
            async fn $test() {
                super::$test(super::Cluster::of(2, 1), 1).await;
            })+
        }
    };
}

on_both! {
    an_id_of_its_issuers_choice_passes_every_door_of_a_deployment;
    a_user_of_any_name_has_a_channel_and_can_be_cut_off;
    agents_repositories_and_containers_are_named_as_their_programs_name_them;
    an_event_stream_resumes_on_channels_of_any_name;
    what_only_decorates_an_event_costs_nothing_and_is_counted;
    a_topic_is_watched_read_and_resumed_as_every_channel_is;
    times_of_any_unit_are_brought_to_milliseconds;
    a_large_result_of_an_agent_ends_its_task;
    health_is_said_in_json;
}

/// The state of a channel, for whoever may read everything.
async fn state(cluster: &Cluster, channel: &str) -> Value {
    let header = [("Authorization".to_owned(), format!("Bearer {}", token("reader", &["*"])))];
    let url = cluster.gateways[0].http(&format!("/v1/channels/{}", encoded(channel)));
    let answer = cluster.http.send("GET", &url, &header, None).await.unwrap();
    answer.expect(200).json()["state"].clone()
}

async fn archive(cluster: &Cluster, channel: &str) -> Value {
    cluster.archive(&encoded(channel), "limit=100").await
}

async fn an_id_of_its_issuers_choice_passes_every_door_of_a_deployment(plan: Plan, node: usize) {
    let cluster = plan.start().await;
    let mut watcher = cluster.watcher(node).await;
    for id in IDS {
        let channel = format!("deployment:{id}");
        watcher.send(json!({"type": "subscribe", "channel": channel})).await;
        watcher.expect(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
        let viewer = format!("/?deploymentId={}", encoded(id));
        let mut viewer = Socket::connect(&cluster.gateways[node].ws(&viewer)).await;
        viewer.wait_for(json!({"type": "deployment_update", "...": ""})).await;

        let fields = ["type", "deployment_update", "id", id, "data", r#"{"progress":1}"#];
        cluster.append("deployments", &fields).await;
        let event = json!({"type": "event", "channel": channel, "id": id, "data": {"progress": 1}, "...": ""});
        watcher.expect(event).await;
        let data = json!({"id": id, "projectId": id, "progress": 1, "...": ""});
        viewer.wait_for(json!({"type": "deployment_update", "data": data})).await;

        let update = format!("/internal/deployments/{}/update", encoded(id));
        cluster.post(&update, &json!({"status": {"progress": 2}})).await.expect(200);
        watcher
            .expect(json!({"type": "event", "id": id, "data": {"progress": 2}, "...": ""}))
            .await;
        let page = archive(&cluster, &channel).await;
        assert_eq!(page["channel"], channel);
        assert_eq!(page["events"].as_array().unwrap().len(), 2, "{page:#}");
        let state = cluster.get(&format!("/v1/channels/{}", encoded(&channel))).await;
        assert_eq!(state.expect(200).json()["state"]["progress"], 2);
        let at = format!("{channel}@{}", page["events"][0]["position"].as_str().unwrap());
        let explained = cluster.get(&format!("/v1/explain/{}", encoded(&at))).await;
        assert_eq!(explained.expect(200).json()["id"], id);
    }
    for wrong in [".", "..", "-", "a*", "a\u{7f}"] {
        let event = json!({"stream": "deployments", "type": "deployment_update", "id": wrong});
        let answer = cluster.post("/v1/publish", &event).await.expect(400).json();
        assert_eq!(answer["problems"][0]["path"], "id", "{answer:#}");
    }
    let half = r#"{"stream":"deployments","type":"deployment_update","id":"a\ud83d"}"#;
    let url = cluster.gateways[0].http("/v1/publish");
    let answer = cluster.http.send("POST", &url, &[], Some(half)).await.unwrap().expect(400).json();
    assert_eq!(answer["problems"][0]["path"], "id", "{answer:#}");
}

async fn a_user_of_any_name_has_a_channel_and_can_be_cut_off(plan: Plan, node: usize) {
    let cluster = plan.start().await;
    for id in IDS {
        let url = format!("/v1/connect?token={}", token_with(json!({"sub": id})));
        let mut own = Socket::connect(&cluster.gateways[node].ws(&url)).await;
        own.wait_for(json!({"type": "welcome", "user": id, "...": ""})).await;
        let channel = format!("user:{id}");
        own.send(json!({"type": "subscribe", "channel": channel})).await;
        own.expect(json!({"type": "subscribed", "channel": channel, "...": ""})).await;
        let fields = ["type", "task_update", "id", "t", "user", id, "data", r#"{"n":1}"#];
        cluster.append("tasks", &fields).await;
        own.expect(json!({"type": "event", "channel": channel, "data": {"n": 1}, "...": ""})).await;
        let url = cluster.gateways[0].http(&format!("/v1/users/{}/connections", encoded(id)));
        let answer = cluster.http.send("DELETE", &url, &[], None).await.unwrap().expect(200);
        assert!(answer.json()["closed"].is_number(), "{id}");
        assert_eq!(own.closed().await.0, 4003);
    }
    for wrong in ["", ".", "a*", "a\n"] {
        let url = format!("/v1/connect?token={}", token_with(json!({"sub": wrong})));
        let mut refused = Socket::connect(&cluster.gateways[node].ws(&url)).await;
        let error = refused.wait_for(json!({"type": "error", "...": ""})).await;
        assert!(error["message"].as_str().unwrap().contains("sub"), "{error}");
        assert_eq!(refused.closed().await.0, 4001);
    }
}

async fn agents_repositories_and_containers_are_named_as_their_programs_name_them(
    plan: Plan,
    node: usize,
) {
    let cluster = plan.start().await;
    let mut open = Vec::new();
    for (n, id) in IDS.into_iter().enumerate() {
        let mut agent = Socket::connect(&cluster.gateways[node].ws("/api/ws")).await;
        agent.send(json!({"type": "agent-status", "agentId": id, "status": "online"})).await;
        agent.wait_for(json!({"type": "ack", "...": ""})).await;
        let repo = json!({"id": id, "path": format!("/{n}"), "name": "r"});
        agent.send(json!({"type": "git-status", "repos": [repo]})).await;
        let url = format!("/?token=default-token&containerID={}", encoded(id));
        let mut container = Socket::connect(&cluster.gateways[node].ws(&url)).await;
        container.wait_for(json!({"type": "STATUS", "...": ""})).await;
        let log =
            json!({"type": "LOG", "containerID": id, "timestamp": "t", "data": {"message": "x"}});
        container.send(log.clone()).await;
        container.wait_for(log).await;
        let page = archive(&cluster, &format!("container:{id}")).await;
        assert_eq!(page["events"].as_array().unwrap().len(), 1);
        open.push(agent);
    }
    for _ in 0..150 {
        let repos = cluster.get("/api/cockpit/repos").await.expect(200).json();
        let agents = cluster.get("/api/cockpit/agents").await.expect(200).json();
        let names = |list: &Value, key: &str| -> Vec<String> {
            let mut names: Vec<String> = list
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item[key].as_str().unwrap().to_owned())
                .collect();
            names.sort();
            names
        };
        let mut ids = IDS.map(str::to_owned).to_vec();
        ids.sort();
        if names(&repos["repos"], "id") == ids && names(&agents["agents"], "agentId") == ids {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("agents and repositories are not all listed");
}

async fn an_event_stream_resumes_on_channels_of_any_name(plan: Plan, node: usize) {
    let cluster = plan.start().await;
    let channels: Vec<String> = IDS.iter().map(|id| format!("task:{id}")).collect();
    let query: Vec<String> = channels.iter().map(|c| format!("channel={}", encoded(c))).collect();
    let token = token("reader", &["*"]);
    let url = cluster.gateways[node].http(&format!("/v1/events?token={token}&{}", query.join("&")));
    let read = async |last: Option<&str>, until: &str| {
        let mut request = reqwest::Client::new().get(&url);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut response = request.send().await.unwrap();
        let mut text = String::new();
        while !text.contains(until) {
            let chunk = tokio::time::timeout(crate::client::PATIENCE, response.chunk()).await;
            text.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap().unwrap()));
        }
        let id = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
        (text, id)
    };
    let append = async |n: u32| {
        for id in IDS {
            let data = json!({ "n": n }).to_string();
            cluster.append("tasks", &["type", "task_update", "id", id, "data", &data]).await;
        }
    };
    append(1).await;
    for channel in &channels {
        for _ in 0..100 {
            if !archive(&cluster, channel).await["events"].as_array().unwrap().is_empty() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    let last = json!(channels.last().unwrap()).to_string();
    let (_, id) = read(None, &format!("\"type\":\"subscribed\",\"channel\":{last}")).await;
    assert!(id.is_ascii(), "{id}");
    append(2).await;
    let (text, _) = read(Some(&id), &format!("\"type\":\"event\",\"channel\":{last}")).await;
    assert!(!text.contains("\"type\":\"gap\""), "{text}");
    assert!(!text.contains("{\"n\":1}"), "{text}");
}

async fn what_only_decorates_an_event_costs_nothing_and_is_counted(plan: Plan, _node: usize) {
    let cluster = plan.start().await;
    let event = json!({
        "stream": "deployments", "type": "deployment_update", "id": "d",
        "data": {"status": "success"}, "user": "a*", "at": {"no": "time"}, "traceparent": 5,
        "lease_ms": "soon",
    });
    cluster.publish(event).await;
    let state = cluster.get("/v1/channels/deployment:d").await.expect(200).json();
    assert_eq!(state["state"]["status"], "success");
    let node = cluster.workers.first().unwrap_or(&cluster.gateways[0]);
    let metrics = cluster.http.get(&node.http("/metrics")).await.expect(200).body;
    for field in ["user", "at", "traceparent", "lease_ms"] {
        let line = format!("fanfare_worker_ignored_fields_total{{field=\"{field}\"}} 1");
        assert!(metrics.contains(&line), "{line}");
    }
}

async fn a_topic_is_watched_read_and_resumed_as_every_channel_is(plan: Plan, node: usize) {
    let cluster = plan.start().await;
    let mut watcher = cluster.watcher(node).await;
    watcher.send(json!({"type": "subscribe", "channel": "topic:weather"})).await;
    watcher.expect(json!({"type": "subscribed", "state": null, "...": ""})).await;
    for (n, kind) in ["reading", "task_update", "deployment_update"].into_iter().enumerate() {
        let data = json!({ "n": n }).to_string();
        cluster.append("topics", &["type", kind, "id", "weather", "data", &data]).await;
        let event = json!({"type": "event", "channel": "topic:weather", "event": kind, "data": {"n": n}, "...": ""});
        watcher.expect(event).await;
    }
    let page = cluster.archive("topic:weather", "limit=10").await;
    let since = page["events"][0]["position"].clone();
    assert_eq!(page["events"].as_array().unwrap().len(), 3);
    let at = format!("topic:weather@{}", since.as_str().unwrap());
    let explained = cluster.get(&format!("/v1/explain/{at}")).await.expect(200).json();
    assert_eq!((&explained["stream"], &explained["event"]), (&json!("topics"), &json!("reading")));
    let url = format!("/v1/connect?token={}", token("reader", &["topic:weather"]));
    let mut again = Socket::connect(&cluster.gateways[0].ws(&url)).await;
    again.wait_for(json!({"type": "welcome", "...": ""})).await;
    again.send(json!({"type": "subscribe", "channel": "topic:weather", "since": since})).await;
    again.expect(json!({"type": "subscribed", "...": ""})).await;
    again.expect(json!({"type": "event", "event": "task_update", "...": ""})).await;
    again.send(json!({"type": "subscribe", "channel": "topic:other"})).await;
    again.wait_for(json!({"type": "error", "code": "forbidden", "...": ""})).await;
    let state = state(&cluster, "task:weather").await;
    assert_eq!(state, Value::Null, "a topic's events change no task");
}

async fn times_of_any_unit_are_brought_to_milliseconds(plan: Plan, _node: usize) {
    let cluster = plan.start().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let ms = u64::try_from(now.as_millis()).unwrap();
    for (n, at) in [json!(ms / 1000), json!(ms), json!(ms * 1000), json!(ms * 1_000_000)]
        .into_iter()
        .enumerate()
    {
        let id = format!("t{n}");
        let event = json!({"stream": "tasks", "type": "task_update", "id": id, "at": at});
        cluster.publish(event).await;
        let page = cluster.archive(&format!("task:{id}"), "limit=1").await;
        let event = &page["events"][0];
        assert_eq!(event["at"].as_u64().unwrap() / 1000, ms / 1000, "{at}: {event}");
        assert!(event["recorded"].as_u64().unwrap() + 60_000 > ms, "{event}");
    }
    for (n, at) in
        [json!(0), json!(-1), json!(1e300), json!("soon"), json!(u64::MAX)].into_iter().enumerate()
    {
        let id = format!("u{n}");
        let event = json!({"stream": "tasks", "type": "task_update", "id": id, "at": at});
        cluster.publish(event).await;
        let page = cluster.archive(&format!("task:{id}"), "limit=1").await;
        let shown = page["events"][0]["at"].as_u64().unwrap();
        assert!(shown + 120_000 > ms && shown < ms + 120_000, "{at}: {shown}");
    }
}

async fn a_large_result_of_an_agent_ends_its_task(plan: Plan, node: usize) {
    let cluster = plan.start().await;
    for (n, length) in [300_000, 1_000_000, 2_200_000, 3_500_000].into_iter().enumerate() {
        let id = format!("large-{n}");
        let task = json!({"id": id, "title": "t"});
        cluster.post("/api/cockpit/tasks", &task).await.expect(201);
        let mut agent = Socket::connect(&cluster.gateways[node].ws("/api/ws")).await;
        agent.send(json!({"type": "agent-status", "agentId": "a", "status": "busy"})).await;
        agent.wait_for(json!({"type": "ack", "...": ""})).await;
        let result = json!({"stdout": "x".repeat(length), "exitCode": 0});
        agent.send(json!({"type": "task-result", "taskId": id, "status": "completed", "result": result})).await;
        let mut last = Value::Null;
        for _ in 0..150 {
            last = state(&cluster, &format!("task:{id}")).await;
            if last["status"] == "completed" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert_eq!(last["status"], "completed", "{length}");
        assert_eq!(last["result"]["exitCode"], 0);
        assert_eq!(last["result"]["truncated"], true, "{length}");
        let kept = last["result"]["stdout"].as_str().unwrap().len();
        assert!(kept > 200_000 && kept < 262_144, "{kept}");
    }
}

async fn health_is_said_in_json(plan: Plan, node: usize) {
    let cluster = plan.start().await;
    for path in ["/health", "/deployment-ws/health"] {
        let answer = cluster.http.get(&cluster.gateways[node].http(path)).await.expect(200).json();
        assert_eq!((&answer["status"], &answer["service"]), (&json!("healthy"), &json!("fanfare")));
        assert!(answer["version"].is_string() && answer["time"].is_string(), "{answer}");
    }
}
