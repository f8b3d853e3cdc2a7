//! Traces, as a collector receives them: real OTLP over HTTP, decoded.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::{Router, routing::post};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep};

use crate::client::PATIENCE;
use crate::cluster::{Cluster, Plan};

/// A trace that somebody else began, and wants collected.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// Where spans are sent.
struct Collector {
    endpoint: String,
    received: Arc<Mutex<Vec<Received>>>,
    // Held for its end.
    _server: JoinSet<()>,
}

/// A span, and who sent it with what key.
#[derive(Clone, Debug)]
struct Received {
    service: String,
    environment: String,
    key: Option<String>,
    span: Span,
}

impl Received {
    fn trace(&self) -> String {
        hex(&self.span.trace_id)
    }

    fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    fn attribute(&self, name: &str) -> String {
        attribute(&self.span.attributes, name)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(all: &[KeyValue], name: &str) -> String {
    let found = all.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

impl Collector {
    async fn start() -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let all = Arc::clone(&received);
        let take = move |headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            for resource in request.resource_spans {
                let about = resource.resource.unwrap_or_default().attributes;
                let key = headers.get("x-key").map(|key| key.to_str().unwrap().to_owned());
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                let received = |span| Received {
                    service: attribute(&about, "service.name"),
                    environment: attribute(&about, "deployment.environment.name"),
                    key: key.clone(),
                    span,
                };
                all.lock().unwrap().extend(spans.map(received));
            }
            StatusCode::OK
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, Router::new().route("/v1/traces", post(take))).await.unwrap();
        });
        Self { endpoint, received, _server: server }
    }

    /// A plan whose nodes send here, without delay.
    fn of(&self, plan: Plan) -> Plan {
        plan.set("OTEL_EXPORTER_OTLP_ENDPOINT", &self.endpoint).set("OTEL_BSP_SCHEDULE_DELAY", "50")
    }

    fn spans(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until the spans of a trace that are named so are there, and returns them.
    async fn wait_for(&self, trace: &str, name: &str, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let all = self.spans();
            let of = |span: &&Received| span.trace() == trace && span.span.name == name;
            let found: Vec<Received> = all.iter().filter(of).cloned().collect();
            if found.len() >= count {
                assert_eq!(found.len(), count, "{found:#?}");
                return found;
            }
            assert!(Instant::now() < deadline, "no {count} of {name} in {trace} among {all:#?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn one_trace_leads_from_the_xadd_to_every_node_with_listeners() {
    let collector = Collector::start().await;
    let cluster = collector.of(Cluster::of(2, 1)).start().await;
    let mut watchers = Vec::new();
    for node in [0, 0, 1] {
        let mut watcher = cluster.watcher(node).await;
        watcher.send(json!({"type": "subscribe", "channel": "task:t1"})).await;
        watcher.expect(json!({"type": "subscribed", "...": ""})).await;
        watchers.push(watcher);
    }
    let place = traceparent("01");
    let entry = cluster.xadd(
        "tasks",
        &["type", "task_update", "id", "t1", "data", r#"{"n":1}"#, "traceparent", &place],
    );
    for watcher in &mut watchers {
        let event = json!({"type": "event", "traceparent": place, "data": {"n": 1}, "...": ""});
        watcher.expect(event).await;
    }
    let worker = &collector.wait_for(TRACE, "process tasks", 1).await[0];
    assert_eq!(worker.parent(), PARENT);
    assert_eq!(worker.service, "fanfare");
    assert_eq!(worker.attribute("messaging.message.id"), entry);
    assert_eq!(worker.attribute("fanfare.outcome"), "recorded");

    let deliveries = collector.wait_for(TRACE, "deliver task", 2).await;
    let nodes: HashSet<String> = deliveries.iter().map(|d| d.attribute("fanfare.node")).collect();
    assert_eq!(nodes.len(), 2, "one span per node, however many sockets: {deliveries:#?}");
    let live = deliveries.iter().map(|d| d.attribute("fanfare.listeners.live"));
    assert_eq!(live.collect::<HashSet<_>>(), HashSet::from(["1".to_owned(), "2".to_owned()]));
    for delivery in &deliveries {
        assert_eq!(delivery.parent(), PARENT);
        assert_eq!(delivery.attribute("messaging.destination.name"), "task:t1");
        assert_eq!(delivery.attribute("fanfare.offset"), "1");
    }

    // The batch has a trace of its own, which leads to this one and is led to by it.
    let batch = worker.span.links.first().unwrap();
    let batch = hex(&batch.trace_id);
    assert_ne!(batch, TRACE);
    let receive = &collector.wait_for(&batch, "receive tasks", 1).await[0];
    assert_eq!(hex(&receive.span.links[0].trace_id), TRACE);
    for step in ["record", "publish tasks"] {
        let step = &collector.wait_for(&batch, step, 1).await[0];
        assert_eq!(step.span.parent_span_id, receive.span.span_id);
    }
}

#[tokio::test]
async fn a_publisher_over_http_says_where_it_is_by_a_header_or_begins_a_trace() {
    let collector = Collector::start().await;
    let plan = collector.of(Cluster::embedded()).set("OTEL_SERVICE_NAME", "orchestra");
    let cluster = plan.start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t1"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    let publish = async |headers: &[(String, String)]| {
        let event = json!({"stream": "tasks", "type": "task_update", "id": "t1", "data": {}});
        let url = cluster.gateways[0].http("/v1/publish");
        let body = event.to_string();
        cluster.http.send("POST", &url, headers, Some(&body)).await.unwrap().expect(200);
    };
    publish(&[("traceparent".to_owned(), traceparent("01"))]).await;
    let send = &collector.wait_for(TRACE, "send tasks", 1).await[0];
    assert_eq!(send.parent(), PARENT);
    assert_eq!(send.service, "orchestra");
    let place = format!("00-{TRACE}-{}-01", hex(&send.span.span_id));
    watcher.expect(json!({"type": "event", "traceparent": place, "...": ""})).await;
    for name in ["process tasks", "deliver task"] {
        let below = &collector.wait_for(TRACE, name, 1).await[0];
        assert_eq!(below.span.parent_span_id, send.span.span_id, "{name}");
    }

    publish(&[]).await;
    let event = watcher.expect(json!({"type": "event", "traceparent": "<text>", "...": ""})).await;
    let begun = event["traceparent"].as_str().unwrap().split('-').nth(1).unwrap().to_owned();
    assert_ne!(begun, TRACE);
    for name in ["send tasks", "process tasks", "deliver task"] {
        collector.wait_for(&begun, name, 1).await;
    }
}

#[tokio::test]
async fn what_a_request_logs_carries_its_trace_though_nobody_collects() {
    let cluster = Cluster::of(1, 0)
        .postgres(services::Postgres::options().fsync(false).start())
        .set("LOG_FORMAT", "json")
        .set("API_KEYS", "ops:key")
        .start()
        .await;
    cluster.postgres().stop();
    let headers = [("X-API-Key", "key"), ("traceparent", &traceparent("00"))];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let url = cluster.gateways[0].http("/v1/tasks");
    cluster.http.send("GET", &url, &headers, None).await.unwrap().expect(503);
    let log = cluster.gateways[0].log();
    let line = log.lines().find(|line| line.contains("request not answered")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["span"]["trace_id"], TRACE, "{line:#}");
}

#[tokio::test]
async fn what_nobody_wants_collected_is_carried_and_not_collected() {
    let collector = Collector::start().await;
    let cluster = collector.of(Cluster::of(1, 1)).start().await;
    let mut watcher = cluster.watcher(0).await;
    watcher.send(json!({"type": "subscribe", "channel": "task:t1"})).await;
    watcher.expect(json!({"type": "subscribed", "...": ""})).await;
    let unwanted = traceparent("00");
    let nonsense = format!("00-{}-{PARENT}-01", "x".repeat(32));
    for place in [unwanted.as_str(), nonsense.as_str(), ""] {
        cluster.xadd("tasks", &["type", "task_update", "id", "t1", "traceparent", place]);
    }
    let event = watcher.expect(json!({"type": "event", "...": ""})).await;
    assert_eq!(event["traceparent"], unwanted);
    for _ in 0..2 {
        let event = watcher.expect(json!({"type": "event", "...": ""})).await;
        assert!(event.get("traceparent").is_none(), "{event}");
    }
    // One that is wanted comes after them, so they would be there.
    let (trace, place) = ("1".repeat(32), format!("00-{}-{PARENT}-01", "1".repeat(32)));
    cluster.xadd("tasks", &["type", "task_update", "id", "t1", "traceparent", &place]);
    collector.wait_for(&trace, "deliver task", 1).await;
    collector.wait_for(&trace, "process tasks", 1).await;
    assert!(collector.spans().iter().all(|span| span.trace() != TRACE));
}

#[tokio::test]
async fn the_variables_of_the_standard_count() {
    let collector = Collector::start().await;
    let endpoint = format!("{}/v1/traces", collector.endpoint);
    let cluster = Cluster::embedded()
        .set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)
        .set("OTEL_EXPORTER_OTLP_HEADERS", "x-key=abc")
        .set("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=rehearsal")
        .set("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        .set("OTEL_BSP_SCHEDULE_DELAY", "50")
        .start()
        .await;
    let event = json!({"stream": "tasks", "type": "task_update", "id": "t1", "data": {}});
    cluster.publish(event.clone()).await;
    let page = cluster.archive("task:t1", "").await;
    let begun = page["events"][0]["traceparent"].as_str().unwrap();
    assert!(begun.ends_with("-00"), "nobody wants it collected: {begun}");
    let mut wanted = event;
    wanted["traceparent"] = traceparent("01").into();
    cluster.publish(wanted).await;
    let told = &collector.wait_for(TRACE, "process tasks", 1).await[0];
    assert_eq!((told.environment.as_str(), told.key.as_deref()), ("rehearsal", Some("abc")));
    assert!(collector.spans().iter().all(|span| span.trace() == TRACE), "and no other trace");
}

#[tokio::test]
async fn a_dead_letter_is_logged_with_its_trace_and_told_to_the_collector() {
    let collector = Collector::start().await;
    let cluster = collector.of(Cluster::of(1, 1)).set("LOG_FORMAT", "json").start().await;
    let place = traceparent("01");
    cluster.xadd("tasks", &["type", "task_update", "traceparent", &place]);
    let told = &collector.wait_for(TRACE, "process tasks", 1).await[0];
    assert_eq!(told.attribute("fanfare.outcome"), "dead");
    let log = cluster.workers[0].log();
    let line = log.lines().find(|line| line.contains("dead letter")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["trace_id"], TRACE);
}

// Waiting for an exit blocks a thread, and the collector needs one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_is_sent_before_the_process_ends() {
    let collector = Collector::start().await;
    // Nothing would be sent by itself for a long time.
    let plan = Cluster::embedded().set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint);
    let cluster =
        plan.set("OTEL_BSP_SCHEDULE_DELAY", "600000").set("DRAIN_MS", "500").start().await;
    cluster
        .publish(json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {},
            "traceparent": traceparent("01")}))
        .await;
    cluster.gateways[0].terminate();
    assert_eq!(cluster.gateways[0].exit_code(), Some(0));
    collector.wait_for(TRACE, "send tasks", 1).await;
    collector.wait_for(TRACE, "process tasks", 1).await;
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_event_and_no_exit() {
    let endpoint = format!("http://127.0.0.1:{}", services::free_port());
    let plan = Cluster::embedded().set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    let cluster = plan.set("OTEL_BSP_SCHEDULE_DELAY", "50").set("DRAIN_MS", "500").start().await;
    let event = json!({"stream": "tasks", "type": "task_update", "id": "t", "data": {},
        "traceparent": traceparent("01")});
    for _ in 0..5 {
        cluster.publish(event.clone()).await;
    }
    cluster.gateways[0].terminate();
    assert_eq!(cluster.gateways[0].exit_code(), Some(0));
}
