//! The odd documents of `tests/documents/odd.json` through every door: what the watchers of every
//! kind, the archive and the state hold of each (contract §3, `data`).

use std::collections::BTreeMap;

use domain::json as tolerant;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json, value::RawValue};
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::client::PATIENCE;
use crate::cluster::{Cluster, Plan, token};

/// A document: how it is given, and what is to be seen of it.
struct Odd {
    name: String,
    /// The `data` as its publisher writes it.
    text: String,
    /// The same as it is forwarded.
    raw: String,
    /// Members of the state, by value; none when the document is refused.
    state: Option<Value>,
    /// What the refusal names.
    dead: Option<String>,
    levels: usize,
}

fn documents() -> Vec<Odd> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/documents/odd.json");
    let file = std::fs::read(path).unwrap();
    let document = tolerant::Document::read(&file).unwrap();
    let rows: Vec<BTreeMap<String, &RawValue>> = document.parse().unwrap();
    assert!(rows.len() >= 20);
    let odd = |row: BTreeMap<String, &RawValue>| {
        let value = |key: &str| -> Option<Value> {
            row.get(key).map(|raw| serde_json::from_str(raw.get()).unwrap())
        };
        let string = |key: &str| value(key).map(|value| value.as_str().unwrap().to_owned());
        let levels =
            value("nested").map(|levels| usize::try_from(levels.as_u64().unwrap()).unwrap());
        let nested = levels.map(|levels| {
            let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
            format!("{{\"title\":\"t\",\"x\":{open}{close}}}")
        });
        let data = row.get("data").map(|data| document.given(data).to_owned());
        let text = data.or(string("text")).or(nested).unwrap();
        let raw = string("raw").unwrap_or_else(|| text.clone());
        Odd {
            name: string("name").unwrap(),
            text,
            raw,
            state: value("state"),
            dead: string("dead"),
            levels: levels.unwrap_or(1),
        }
    };
    rows.into_iter().map(odd).collect()
}

impl Odd {
    /// The document inside of a larger one; a byte order mark stands before the whole.
    fn within(&self, before: &str, after: &str) -> String {
        match self.text.strip_prefix('\u{feff}') {
            Some(text) => format!("\u{feff}{before}{text}{after}"),
            None => format!("{before}{}{after}", self.text),
        }
    }
}

/// A socket that shows frames as they came, byte for byte.
struct Raw(
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>,
);

impl Raw {
    async fn connect(url: &str) -> Self {
        Self(connect_async(url).await.unwrap_or_else(|error| panic!("{url}: {error}")).0)
    }

    async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text.to_owned())).await.unwrap();
    }

    /// Skips frames until one contains all of these.
    async fn wait_for(&mut self, parts: &[&str]) -> String {
        let mut seen = Vec::new();
        loop {
            let Ok(message) = timeout(PATIENCE, self.0.next()).await else {
                panic!("never saw {parts:?}, only {seen:#?}")
            };
            let message = message.expect("the socket is open").unwrap();
            if let Message::Text(text) = message {
                if parts.iter().all(|part| text.contains(part)) {
                    return text.to_string();
                }
                seen.push(text.chars().take(300).collect::<String>());
            }
        }
    }
}

struct House {
    cluster: Cluster,
    apart: bool,
    native: Raw,
}

impl House {
    async fn start(plan: Plan, apart: bool) -> Self {
        let cluster = plan.start().await;
        let url = format!("/v1/connect?token={}", token("watcher", &["*"]));
        let mut native = Raw::connect(&cluster.gateways[cluster.gateways.len() - 1].ws(&url)).await;
        for channel in ["tasks", "deployments", "broadcast"] {
            native.send(&json!({"type": "subscribe", "channel": channel}).to_string()).await;
            native.wait_for(&["subscribed", channel]).await;
        }
        Self { cluster, apart, native }
    }

    async fn post(&self, path: &str, body: String) -> (u16, String) {
        let url = self.cluster.gateways[0].http(path);
        let client = reqwest::Client::new();
        let token = format!(
            "Bearer {}",
            crate::cluster::token_with(json!({
                "sub": "backend", "channels": ["*"], "publish": ["*"],
            }))
        );
        let answer = client
            .post(url)
            .header("content-type", "application/json")
            .header("authorization", token)
            .body(body)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> String {
        let url = self.cluster.gateways[0].http(path);
        let token = token("archivist", &["*"]);
        let client = reqwest::Client::new();
        client.get(url).bearer_auth(token).send().await.unwrap().text().await.unwrap()
    }

    /// The document lies in the archive as it was given, and in the state by value.
    async fn holds(&self, channel: &str, odd: &Odd, of_state: fn(&Value) -> &Value) {
        let archive =
            self.get(&format!("/v1/channels/{channel}/events?reverse=true&limit=1")).await;
        assert!(archive.contains(&odd.raw), "{}: the archive of {channel}: {archive}", odd.name);
        let answer = self.get(&format!("/v1/channels/{channel}")).await;
        assert!(!answer.contains("\\ud83d") || odd.name.contains("whole"), "{answer}");
        let answer = tolerant::value(answer.as_bytes()).unwrap();
        for (key, value) in odd.state.iter().flat_map(|state| state.as_object().unwrap()) {
            let state = of_state(&answer["state"]);
            assert_eq!(&state[key], value, "{}: {channel} {key}", odd.name);
        }
    }

    async fn dead_letter(&self, odd: &Odd, word: &str) {
        for _ in 0..150 {
            let url = self.cluster.gateways[0].http("/v1/dead?limit=1");
            let page = self.cluster.http.get(&url).await.expect(200).body;
            let page = tolerant::value(page.as_bytes()).unwrap();
            let reason = page["dead"][0]["reason"].as_str().unwrap_or_default();
            if reason.contains(word) {
                let id = page["dead"][0]["id"].to_string().replace('"', "");
                let url = self.cluster.gateways[0].http(&format!("/v1/dead/{id}"));
                reqwest::Client::new().delete(url).send().await.unwrap();
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{}: no dead letter names {word}", odd.name);
    }
}

async fn by_xadd(house: &mut House, odd: &Odd, id: &str) {
    let fields = ["type", "task_created", "id", id, "data", &odd.text];
    house.cluster.xadd("tasks", &fields);
    if let Some(word) = &odd.dead {
        house.dead_letter(odd, word).await;
    } else {
        let data = format!("\"data\":{}", odd.raw);
        house.native.wait_for(&["\"type\":\"event\"", id, &data]).await;
        house.holds(&format!("task:{id}"), odd, |state| state).await;
    }
}

async fn by_publish(house: &mut House, odd: &Odd, id: &str) {
    let before =
        format!("{{\"stream\":\"tasks\",\"type\":\"task_created\",\"id\":\"{id}\",\"data\":");
    let (status, answer) = house.post("/v1/publish", odd.within(&before, "}")).await;
    if odd.dead.is_some() {
        assert_eq!(status, 400, "{}: {answer}", odd.name);
    } else {
        assert_eq!(status, 200, "{}: {answer}", odd.name);
        let data = format!("\"data\":{}", odd.raw);
        house.native.wait_for(&["\"type\":\"event\"", id, &data]).await;
        house.holds(&format!("task:{id}"), odd, |state| state).await;
    }
}

async fn by_the_deployments_door(house: &mut House, odd: &Odd, id: &str) {
    let viewer = house.cluster.gateways[0].ws(&format!("/?deploymentId={id}"));
    let mut viewer = Raw::connect(&viewer).await;
    viewer.wait_for(&["deployment_update"]).await;
    let path = format!("/internal/deployments/{id}/update");
    let (status, answer) = house.post(&path, odd.within("{\"status\":", "}")).await;
    if odd.dead.is_some() {
        assert_eq!(status, 400, "{}: {answer}", odd.name);
    } else {
        assert_eq!(status, 200, "{}: {answer}", odd.name);
        let data = format!("\"data\":{}", odd.raw);
        house.native.wait_for(&["\"type\":\"event\"", id, &data]).await;
        let frame = viewer.wait_for(&["deployment_update", "title"]).await;
        assert!(serde_json::from_str::<Value>(&frame).is_ok(), "well-formed: {frame}");
        house.holds(&format!("deployment:{id}"), odd, |state| state).await;
    }
}

async fn by_the_broadcast_door(house: &mut House, odd: &Odd, id: &str) {
    let page = house.cluster.gateways[0].ws("/api/v1/ws/connect");
    let mut page = Raw::connect(&page).await;
    page.wait_for(&["connected"]).await;
    let before = format!("{{\"type\":\"party-{id}\",\"data\":");
    let (status, answer) = house.post("/api/v1/ws/broadcast", odd.within(&before, "}")).await;
    if odd.dead.is_some() {
        assert_eq!(status, 400, "{}: {answer}", odd.name);
    } else {
        assert_eq!(status, 200, "{}: {answer}", odd.name);
        let data = format!("\"data\":{}", odd.raw);
        page.wait_for(&[id, &data]).await;
        house.native.wait_for(&["\"free\":true", id, &data]).await;
        let archive = house.get("/v1/channels/broadcast/events?reverse=true&limit=1").await;
        assert!(archive.contains(&odd.raw), "{}: {archive}", odd.name);
    }
}

async fn by_a_container(house: &mut House, odd: &Odd, id: &str) {
    let url = |more: &str| house.cluster.gateways[0].ws(&format!("/?token=default-token{more}"));
    let mut watcher = Raw::connect(&url(&format!("&containerID={id}"))).await;
    watcher.wait_for(&["Connected to container"]).await;
    let mut container = Raw::connect(&url("")).await;
    let before =
        format!("{{\"type\":\"STATUS\",\"containerID\":\"{id}\",\"timestamp\":\"t\",\"data\":");
    container.send(&odd.within(&before, "}")).await;
    if odd.dead.is_some() {
        container.wait_for(&["INVALID_MESSAGE"]).await;
    } else {
        let frame = format!("{before}{}}}", odd.raw);
        assert_eq!(watcher.wait_for(&[id, "\"title\""]).await, frame, "{}", odd.name);
        let archive = format!("/v1/channels/container:{id}/events?reverse=true&limit=1");
        let archive = house.get(&archive).await;
        assert!(archive.contains(&odd.raw), "{}: {archive}", odd.name);
    }
}

async fn by_an_agent(house: &mut House, odd: &Odd, id: &str) {
    let task = json!({"id": id, "title": "t"}).to_string();
    assert_eq!(house.post("/api/cockpit/tasks", task).await.0, 201);
    let mut agent = Raw::connect(&house.cluster.gateways[0].ws("/api/ws")).await;
    let before = format!(
        "{{\"type\":\"task-result\",\"taskId\":\"{id}\",\"status\":\"completed\",\"result\":"
    );
    agent.send(&odd.within(&before, "}")).await;
    // The result is a level deeper than the `data` that holds it.
    let is_json = tolerant::value(odd.text.as_bytes()).is_ok();
    if !is_json || odd.levels >= tolerant::DEPTH_MAX {
        agent.wait_for(&["error"]).await;
    } else {
        house.native.wait_for(&["task_result", id]).await;
        house.holds_result(odd, id).await;
    }
}

impl House {
    /// The cockpit's list shows the result, by value.
    async fn holds_result(&self, odd: &Odd, id: &str) {
        let answer = self.get(&format!("/v1/channels/task:{id}")).await;
        let answer = tolerant::value(answer.as_bytes()).unwrap();
        for (key, value) in odd.state.iter().flat_map(|state| state.as_object().unwrap()) {
            assert_eq!(&answer["state"]["result"][key], value, "{}: {key}", odd.name);
        }
        let list = self.get("/api/cockpit/tasks?limit=1").await;
        assert!(tolerant::value(list.as_bytes()).is_ok(), "{list}");
    }
}

macro_rules! doors {
    ($($test:ident = $door:ident;)+) => {
        mod embedded {
            $(#[tokio::test]
            async fn $test() {
                let mut house = super::House::start(super::Cluster::embedded(), false).await;
                for (n, odd) in super::documents().iter().enumerate() {
                    super::$door(&mut house, odd, &format!("odd-{n}")).await;
                }
            })+
        }
        mod roles_apart {
            $(#[tokio::test]
            async fn $test() {
                let mut house = super::House::start(super::Cluster::of(2, 1), true).await;
                for (n, odd) in super::documents().iter().enumerate() {
                    super::$door(&mut house, odd, &format!("odd-{n}")).await;
                }
            })+
        }
    };
}

doors! {
    every_odd_document_by_publish = by_publish;
    every_odd_document_by_the_deployments_door = by_the_deployments_door;
    every_odd_document_by_the_broadcast_door = by_the_broadcast_door;
    every_odd_document_by_a_container = by_a_container;
    every_odd_document_by_an_agent = by_an_agent;
}

#[tokio::test]
async fn every_odd_document_by_xadd() {
    let mut house = House::start(Cluster::of(2, 1), true).await;
    assert!(house.apart);
    for (n, odd) in documents().iter().enumerate() {
        by_xadd(&mut house, odd, &format!("odd-{n}")).await;
    }
}
