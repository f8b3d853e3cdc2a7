//! Event streams over HTTP: the same frames for those who cannot open a WebSocket.

use serde_json::{Value, json};

use crate::cluster::{Cluster, token};

const CHANNEL: &str = "task:t";

fn progress(cluster: &Cluster, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        let data = json!({ "progress": number }).to_string();
        cluster.xadd("tasks", &["type", "task_update", "id", "t", "data", &data]);
    }
}

#[tokio::test]
async fn events_over_http_resume_by_last_event_id() {
    let cluster = Cluster::of(2, 1).start().await;
    let token = token("watcher", &["*"]);
    let path = format!("/v1/events?channel={CHANNEL}&token={token}");
    let mut stream = EventStream::open(&cluster.gateways[0].http(&path), None).await;
    stream.until("subscribed").await;
    progress(&cluster, 1..=3);
    let (id, frame) = stream.until("event").await;
    assert_eq!(frame["data"]["progress"], 1);
    let mut back = EventStream::open(&cluster.gateways[1].http(&path), Some(&id)).await;
    for number in 2..=3 {
        let (_, frame) = back.until("event").await;
        assert_eq!(frame["data"]["progress"], number);
    }
}

#[tokio::test]
async fn one_event_id_resumes_all_channels_of_a_stream() {
    let cluster = Cluster::of(2, 1).start().await;
    let token = token("watcher", &["*"]);
    let path = format!("/v1/events?channel={CHANNEL}&channel=tasks&token={token}");
    let mut stream = EventStream::open(&cluster.gateways[0].http(&path), None).await;
    stream.until("subscribed").await;
    stream.until("subscribed").await;
    progress(&cluster, 1..=1);
    stream.until("event").await;
    let (id, _) = stream.until("event").await;
    assert!(id.contains(';') && !id.contains(CHANNEL), "{id}");
    progress(&cluster, 2..=2);
    // As a header, or as those write it who cannot set one.
    let polyfill = format!("{path}&lastEventId={id}");
    let mut other = EventStream::open(&cluster.gateways[1].http(&polyfill), None).await;
    assert_eq!(other.until("event").await.1["data"]["progress"], 2);
    let mut back = EventStream::open(&cluster.gateways[1].http(&path), Some(&id)).await;
    let mut channels = Vec::new();
    for _ in 0..2 {
        let (_, frame) = back.until("event").await;
        assert_eq!(frame["data"]["progress"], 2, "{frame}");
        channels.push(frame["channel"].as_str().unwrap().to_owned());
    }
    channels.sort();
    assert_eq!(channels, [CHANNEL, "tasks"]);
}

#[tokio::test]
async fn a_silent_event_stream_shows_that_it_lives() {
    let cluster = Cluster::embedded().set("PING_MS", "100").start().await;
    let url = cluster.gateways[0].http("/v1/events?channel=deployment:d");
    let mut stream = EventStream::open(&url, None).await;
    stream.until("subscribed").await;
    stream.text_until(": ping").await;
}

#[tokio::test]
async fn an_event_stream_ends_with_a_farewell_when_its_node_is_drained() {
    let cluster = Cluster::embedded().set("DRAIN_MS", "2000").start().await;
    let url = cluster.gateways[0].http("/v1/events?channel=deployment:d");
    let mut stream = EventStream::open(&url, None).await;
    stream.until("subscribed").await;
    cluster.gateways[0].terminate();
    let (_, bye) = stream.until("bye").await;
    assert_eq!(bye["reconnect"], true, "{bye}");
    stream.end().await;
}

#[tokio::test]
async fn what_an_event_stream_may_not_have_is_refused_in_words() {
    let cluster = Cluster::embedded().start().await;
    let wrong = cluster.get("/v1/events?channel=tasks&token=wrong").await.expect(401);
    assert_eq!(wrong.header("Content-Type"), Some("application/problem+json"));
    cluster.get("/v1/events").await.expect(400);
    cluster.get("/v1/events?channel=tasks&channel=task:t&since=0a-1").await.expect(400);
    let url = cluster.gateways[0].http("/v1/events?channel=tasks&channel=deployment:d");
    let mut stream = EventStream::open(&url, None).await;
    let (_, error) = stream.until("error").await;
    assert_eq!((&error["code"], &error["channel"]), (&json!("forbidden"), &json!("tasks")));
    stream.until("subscribed").await;
}

/// A `text/event-stream`, as far as these tests need it.
struct EventStream {
    response: reqwest::Response,
    text: String,
}

impl EventStream {
    async fn open(url: &str, last_event_id: Option<&str>) -> Self {
        crypto::install();
        let mut request = reqwest::Client::new().get(url);
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = response.headers()["Content-Type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self { response, text: String::new() }
    }

    /// Skips to the next event of this kind and returns its id and data.
    async fn until(&mut self, kind: &str) -> (String, Value) {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let lines = block.lines();
                    let mut values = lines.filter_map(|line| line.strip_prefix(name));
                    values.next().unwrap_or_default().trim().to_owned()
                };
                if field("event:") == kind {
                    return (field("id:"), serde_json::from_str(&field("data:")).unwrap());
                }
            }
            let chunk = self.chunk().await.expect("the stream goes on");
            self.text.push_str(&chunk);
        }
    }

    /// Skips to this text, outside of events too.
    async fn text_until(&mut self, wanted: &str) {
        while !self.text.contains(wanted) {
            let chunk = self.chunk().await.expect("the stream goes on");
            self.text.push_str(&chunk);
        }
    }

    /// Waits for the end of the stream.
    async fn end(&mut self) {
        while self.chunk().await.is_some() {}
    }

    async fn chunk(&mut self) -> Option<String> {
        let chunk = tokio::time::timeout(crate::client::PATIENCE, self.response.chunk()).await;
        let chunk = chunk.expect("something in time").unwrap()?;
        Some(String::from_utf8_lossy(&chunk).into_owned())
    }
}
