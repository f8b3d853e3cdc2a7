//! All five seed protocols at once, a thousand connections of each: everybody sees what is meant for
//! them, once, and nothing else.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use services::Nginx;

use crate::client::Socket;
use crate::cluster::{Cluster, Plan};
use crate::pattern::Captures;

/// Connections of each protocol.
const CROWD: usize = 1000;

/// How many connect at the same time.
const AT_ONCE: usize = 50;

/// The most events that are published in one request; as many in each second, by default.
const EVENTS_MAX: usize = 500;

/// One seed's clients: how one comes in, and what is meant for the one with this number.
struct Crowd {
    path: fn(usize) -> String,
    /// What it says first.
    hello: fn(usize) -> Option<Value>,
    greetings: fn(usize) -> Vec<Value>,
    /// Every frame that it is to see, in any order.
    frames: fn(usize) -> Vec<Value>,
}

const CROWDS: [Crowd; 5] = [
    Crowd {
        path: |_| "/api/ws".to_owned(),
        hello: |n| {
            let agent = format!("agent-{n}");
            Some(json!({"type": "agent-status", "agentId": agent, "status": "idle"}))
        },
        greetings: |_| vec![json!({"type": "ack", "message": "Status updated"})],
        frames: |_| {
            vec![
                json!({"type": "status-request"}),
                json!({"type": "task", "taskId": "for-all", "...": ""}),
            ]
        },
    },
    Crowd {
        path: |n| format!("/?deploymentId=d-{n}"),
        hello: |_| None,
        greetings: |_| vec![json!({"type": "deployment_update", "...": ""})],
        frames: |n| {
            let status = json!({"progress": n, "...": ""});
            vec![json!({"type": "deployment_update", "data": status, "...": ""})]
        },
    },
    Crowd {
        // The first eight characters make the user.
        path: |n| format!("/ws?token=u{n:07}"),
        hello: |_| None,
        greetings: |_| {
            vec![
                json!({"type": "auth", "...": ""}),
                json!({"type": "notification", "data": {"level": "info", "...": ""}, "...": ""}),
            ]
        },
        frames: |n| {
            let message = json!({"message": n.to_string(), "level": "info"});
            vec![json!({"type": "notification", "data": message, "...": ""})]
        },
    },
    Crowd {
        path: |_| "/api/v1/ws/connect".to_owned(),
        hello: |_| None,
        greetings: |_| vec![json!({"type": "system", "...": ""})],
        frames: |_| {
            let queued = json!({"task_id": "for-all", "status": "queued", "...": ""});
            vec![
                json!({"type": "task_update", "data": queued, "...": ""}),
                json!({"type": "party", "data": {"song": "fanfare"}, "...": ""}),
            ]
        },
    },
    Crowd {
        path: |n| format!("/?token=default-token&containerID=c-{n}"),
        hello: |_| None,
        greetings: |_| vec![json!({"type": "STATUS", "...": ""})],
        frames: |n| {
            let line = json!({"level": "info", "message": n.to_string()});
            vec![json!({"type": "LOG", "containerID": format!("c-{n}"), "data": line, "...": ""})]
        },
    },
];

impl Crowd {
    async fn gather(&self, url: impl Fn(usize, &str) -> String) -> Vec<Socket> {
        let enter = |n| {
            let url = url(n, &(self.path)(n));
            async move {
                let mut socket = Socket::connect(&url).await;
                if let Some(hello) = (self.hello)(n) {
                    socket.send(hello).await;
                }
                for greeting in (self.greetings)(n) {
                    socket.expect(greeting).await;
                }
                socket
            }
        };
        stream::iter(0..CROWD).map(enter).buffered(AT_ONCE).collect().await
    }
}

/// With room for everybody, and no pings between what is to be seen.
fn roomy(plan: Plan) -> Plan {
    plan.set("MAX_SESSIONS", "2000")
        .set("PUBLISH_PER_SECOND", "10000")
        .set("COCKPIT_PING_MS", "600000")
        .set("COCKPIT_STALE_MS", "1200000")
        .set("CLOUD_AGENTS_PING_MS", "600000")
        .set("CLOUD_AGENTS_TIMEOUT_MS", "1200000")
        .set("HEARTBEAT_INTERVAL", "600000")
        .set("SESSION_TIMEOUT", "1200000")
}

/// Something for each deployment, user and container, and one task and one party for all.
async fn publish(cluster: &Cluster) {
    let each = |n: usize| {
        [
            json!({"stream": "deployments", "type": "deployment_update", "id": format!("d-{n}"),
                   "data": {"progress": n}}),
            json!({"stream": "messages", "type": "notification", "id": format!("user_u{n:07}"),
                   "data": {"level": "info", "message": n.to_string()}}),
            json!({"stream": "containers", "type": "log", "id": format!("c-{n}"),
                   "data": {"level": "info", "message": n.to_string()}}),
        ]
    };
    let for_all = [
        json!({"stream": "tasks", "type": "task_created", "id": "for-all",
               "data": {"title": "For all", "executor": "codex"}}),
        json!({"stream": "messages", "type": "party", "data": {"song": "fanfare"}}),
    ];
    let events: Vec<Value> = (0..CROWD).flat_map(each).chain(for_all).collect();
    for part in events.chunks(EVENTS_MAX) {
        let answer = cluster.post("/v1/publish", &json!(part)).await;
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    }
}

async fn everybody_sees_their_own(cluster: &Cluster, url: impl Fn(usize, &str) -> String) {
    let mut all = Vec::new();
    for crowd in &CROWDS {
        all.push(crowd.gather(&url).await);
    }
    publish(cluster).await;
    for (crowd, sockets) in CROWDS.iter().zip(&mut all) {
        for (n, socket) in sockets.iter_mut().enumerate() {
            let mut wanted = (crowd.frames)(n);
            while !wanted.is_empty() {
                let frame = socket.expect(json!({"type": "<text>", "...": ""})).await;
                let is_it = |w: &Value| Captures::default().accept(w, &frame).is_ok();
                let at = wanted.iter().position(is_it);
                wanted.remove(at.unwrap_or_else(|| panic!("{frame} is none of {wanted:?}")));
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for socket in all.iter_mut().flatten() {
        socket.expect_silence(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_thousand_of_each_protocol_on_one_node_see_their_own_and_nothing_else() {
    let cluster = roomy(Cluster::embedded()).start().await;
    everybody_sees_their_own(&cluster, |_, path| cluster.gateways[0].ws(path)).await;
}

#[tokio::test]
async fn a_thousand_of_each_protocol_on_two_nodes_behind_nginx_see_their_own_and_nothing_else() {
    let cluster = roomy(Cluster::of(2, 1)).start().await;
    let servers = cluster.gateways.iter().map(|node| node.http("").replace("http://", ""));
    let nginx = Nginx::in_front_of(&servers.collect::<Vec<_>>());
    everybody_sees_their_own(&cluster, |_, path| nginx.ws(path)).await;
    for node in &cluster.gateways {
        let metrics = cluster.http.get(&node.http("/metrics")).await.body;
        let sent = |dialect: &str| {
            let name = format!("fanfare_gateway_frames_sent_total{{dialect=\"{dialect}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            line.and_then(|count| count.parse::<f64>().ok()).unwrap_or(0.0)
        };
        for dialect in ["deployments", "cockpit", "cloud_agents", "zerostate", "containers"] {
            assert!(sent(dialect) > 100.0, "{dialect}: all went to the other node\n{metrics}");
        }
    }
}
