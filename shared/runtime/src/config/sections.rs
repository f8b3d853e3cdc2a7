//! The settings by concern, and how each is read.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::layers::{Layers, SettingProblem};

/// `HeartbeatSettings` of the dialects.
#[derive(Clone, Debug)]
pub struct HeartbeatSettings {
    /// `COCKPIT_PING_MS`
    pub cockpit_ping: Duration,
    /// `COCKPIT_STALE_MS`
    pub cockpit_stale: Duration,
    /// `COCKPIT_STATUS_REQUEST_MS`
    pub cockpit_status_request: Duration,
    /// `CLOUD_AGENTS_PING_MS`
    pub cloud_agents_ping: Duration,
    /// `CLOUD_AGENTS_TIMEOUT_MS`
    pub cloud_agents_timeout: Duration,
    /// `ZEROSTATE_PING_MS`
    pub zerostate_ping: Duration,
    /// `ZEROSTATE_TIMEOUT_MS`
    pub zerostate_timeout: Duration,
    /// `HEARTBEAT_INTERVAL`
    pub container_heartbeat: Duration,
    /// `SESSION_TIMEOUT`
    pub container_timeout: Duration,
    /// `PING_MS`
    pub ping: Duration,
    /// `TIMEOUT_MS`
    pub timeout: Duration,
    /// `MOCK_STEP_MS`
    pub mock_step: (Duration, Duration),
}

/// `LimitSettings` of connections and of what clients may do.
#[derive(Clone, Debug)]
pub struct LimitSettings {
    /// `MAX_FRAME_BYTES`
    pub container_frame_bytes: usize,
    /// `AGENT_FRAME_BYTES`
    pub agent_frame_bytes: usize,
    /// `CLIENT_FRAME_BYTES`
    pub client_frame_bytes: usize,
    /// `ANONYMOUS_FRAME_BYTES`
    pub anonymous_frame_bytes: usize,
    /// `MESSAGE_TIMEOUT_MS`
    pub message_timeout: Duration,
    /// `UPLOAD_BYTES`
    pub upload_bytes: usize,
    /// `ANONYMOUS_UPLOAD_BYTES`
    pub anonymous_upload_bytes: usize,
    /// `ADDRESS_UPLOAD_BYTES`
    pub address_upload_bytes: usize,
    /// `SEND_QUEUE_BYTES`
    pub send_queue_bytes: usize,
    /// `SEND_QUEUES_BYTES`
    pub send_queues_bytes: usize,
    /// `MAX_CONNECTIONS`
    pub connections: usize,
    /// `MAX_CONNECTIONS_PER_USER`
    pub connections_per_user: usize,
    /// `MAX_SUBSCRIPTIONS`
    pub subscriptions: usize,
    /// `CLIENT_FRAMES_PER_SECOND`
    pub frames_per_second: u32,
    /// `CONTAINER_FRAMES_PER_SECOND`
    pub container_frames_per_second: u32,
    /// `PUBLISH_PER_SECOND`
    pub publish_per_second: u32,
    /// `READS_AT_ONCE`
    pub reads_at_once: usize,
    /// `USER_READS_AT_ONCE`
    pub user_reads_at_once: usize,
    /// `ADDRESS_CONNECTIONS_PER_SECOND`; 0: without limit.
    pub address_connections_per_second: u32,
    /// `MAX_HTTP_CONNECTIONS`
    pub http_connections: usize,
    /// `ADDRESS_HTTP_CONNECTIONS`; 0: without limit.
    pub address_http_connections: usize,
    /// `HTTP_BODY_BYTES`
    pub http_body_bytes: usize,
    /// `HTTP_BODY_TIMEOUT_MS`
    pub http_body_timeout: Duration,
    /// `HTTP_BODIES_BYTES`
    pub http_bodies_bytes: usize,
    /// `ADDRESS_HTTP_BODIES_BYTES`
    pub address_http_bodies_bytes: usize,
    /// `ADDRESS_FAILURES_PER_MINUTE`; 0: without limit.
    pub address_failures_per_minute: u32,
    /// `TRUSTED_PROXIES`
    pub trusted_proxies: Vec<IpNet>,
    /// `MAX_SESSIONS`
    pub container_sessions: usize,
    /// `DRAIN_MS`
    pub drain: Duration,
}

/// `LimitSettings` of the record and its caches.
#[derive(Clone, Debug)]
pub struct Record {
    /// `BATCH_BYTES`
    pub batch_bytes: usize,
    /// `BATCH_ENTRIES`
    pub batch_entries: usize,
    /// `BATCH_STATE_BYTES`
    pub batch_state_bytes: usize,
    /// `HISTORY_LENGTH`
    pub history_length: usize,
    /// `HISTORY_BYTES`
    pub history_bytes: usize,
    /// `HISTORY_TTL_MS`
    pub history_ttl: Duration,
    /// `STATE_BYTES`
    pub state_bytes: usize,
    /// `HUB_CACHE_BYTES`
    pub hub_cache_bytes: usize,
    /// `ARCHIVE_RETENTION_MS`
    pub archive_retention: Duration,
    /// `STATE_RETENTION_MS`
    pub state_retention: Duration,
    /// `DEAD_LETTER_RETENTION_MS`
    pub dead_letter_retention: Duration,
    /// `AUDIT_RETENTION_MS`
    pub audit_retention: Duration,
    /// `INGEST_PARTITIONS`
    pub partitions: u16,
    /// `MAX_DELIVERIES`
    pub deliveries_max: u32,
}

/// Spans of the queue of tasks.
#[derive(Clone, Debug)]
pub struct WorkSettings {
    /// `TASK_ALL_WAIT_MS`
    pub all_wait: Duration,
    /// `TASK_TIMEOUT_MS`
    pub timeout: Duration,
    /// `TASK_ACCEPT_MS`
    pub accept: Duration,
    /// `AGENT_GRACE_MS`
    pub grace: Duration,
}

impl WorkSettings {
    pub(super) fn build(layers: &mut Layers) -> Self {
        Self {
            all_wait: Duration::from_millis(
                layers.number("task_all_wait_ms", 0..=315_360_000_000_u64),
            ),
            timeout: layers.duration("task_timeout_ms"),
            accept: layers.duration("task_accept_ms"),
            grace: layers.duration("agent_grace_ms"),
        }
    }
}

/// Where traces go.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The whole URL; none: nowhere. `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` with the path of the standard.
    pub endpoint: Option<String>,
    /// `OTEL_SERVICE_NAME`
    pub service_name: String,
}

impl Traces {
    pub(super) fn build(layers: &Layers) -> Self {
        let base = layers.optional("otel_exporter_otlp_endpoint");
        let base = base.map(|base| format!("{}/v1/traces", base.trim_end_matches('/')));
        Self {
            endpoint: layers.optional("otel_exporter_otlp_traces_endpoint").or(base),
            service_name: layers.text("otel_service_name").to_owned(),
        }
    }
}

impl HeartbeatSettings {
    pub(super) fn build(layers: &mut Layers) -> Self {
        Self {
            cockpit_ping: layers.duration("cockpit_ping_ms"),
            cockpit_stale: layers.duration("cockpit_stale_ms"),
            cockpit_status_request: layers.duration("cockpit_status_request_ms"),
            cloud_agents_ping: layers.duration("cloud_agents_ping_ms"),
            cloud_agents_timeout: layers.duration("cloud_agents_timeout_ms"),
            zerostate_ping: layers.duration("zerostate_ping_ms"),
            zerostate_timeout: layers.duration("zerostate_timeout_ms"),
            container_heartbeat: layers.duration("heartbeat_interval"),
            container_timeout: layers.duration("session_timeout"),
            ping: layers.duration("ping_ms"),
            timeout: layers.duration("timeout_ms"),
            mock_step: mock_step(layers),
        }
    }
}

fn mock_step(layers: &mut Layers) -> (Duration, Duration) {
    let parse = |text: &str| text.trim().parse().ok().map(Duration::from_millis);
    let text = layers.text("mock_step_ms").to_owned();
    let range = text.split_once('-').and_then(|(from, to)| Some((parse(from)?, parse(to)?)));
    match range {
        Some((from, to)) if from <= to => (from, to),
        _ => {
            let reason = format!("{text:?} is no range of milliseconds such as 1000-3000");
            layers.problems.push(SettingProblem::new("mock_step_ms", reason));
            (Duration::ZERO, Duration::ZERO)
        }
    }
}

impl LimitSettings {
    pub(super) fn build(layers: &mut Layers) -> Self {
        Self {
            container_frame_bytes: layers.number("max_frame_bytes", 1024..=1 << 30),
            agent_frame_bytes: layers.number("agent_frame_bytes", 1024..=1 << 30),
            client_frame_bytes: layers.number("client_frame_bytes", 1024..=1 << 30),
            anonymous_frame_bytes: layers.number("anonymous_frame_bytes", 1024..=1 << 30),
            message_timeout: layers.duration("message_timeout_ms"),
            upload_bytes: layers.number("upload_bytes", 1 << 20..=1 << 40),
            anonymous_upload_bytes: layers.number("anonymous_upload_bytes", 1 << 16..=1 << 40),
            address_upload_bytes: layers.number("address_upload_bytes", 1 << 20..=1 << 40),
            send_queue_bytes: layers.number("send_queue_bytes", 4096..=1 << 30),
            send_queues_bytes: layers.number("send_queues_bytes", 1 << 20..=1 << 40),
            connections: layers.number("max_connections", 1..=100_000_000),
            connections_per_user: layers.number("max_connections_per_user", 1..=100_000_000),
            subscriptions: layers.number("max_subscriptions", 1..=1_000_000),
            frames_per_second: layers.number("client_frames_per_second", 1..=1_000_000),
            container_frames_per_second: layers
                .number("container_frames_per_second", 1..=1_000_000),
            publish_per_second: layers.number("publish_per_second", 1..=100_000_000),
            reads_at_once: layers.number("reads_at_once", 1..=100_000),
            user_reads_at_once: layers.number("user_reads_at_once", 1..=100_000),
            address_connections_per_second: layers
                .number("address_connections_per_second", 0..=1_000_000),
            http_connections: layers.number("max_http_connections", 16..=10_000_000),
            address_http_connections: layers.number("address_http_connections", 0..=1_000_000),
            http_body_bytes: layers.number("http_body_bytes", 1024..=1 << 30),
            http_body_timeout: layers.duration("http_body_timeout_ms"),
            http_bodies_bytes: layers.number("http_bodies_bytes", 1024..=1 << 40),
            address_http_bodies_bytes: layers.number("address_http_bodies_bytes", 1024..=1 << 40),
            address_failures_per_minute: layers
                .number("address_failures_per_minute", 0..=1_000_000),
            trusted_proxies: trusted_proxies(layers),
            container_sessions: layers.number("max_sessions", 1..=100_000_000),
            drain: layers.duration("drain_ms"),
        }
    }
}

fn trusted_proxies(layers: &mut Layers) -> Vec<IpNet> {
    let mut proxies = Vec::new();
    for item in layers.list("trusted_proxies") {
        let address = || item.parse::<IpAddr>().map(IpNet::from);
        if let Ok(net) = item.parse::<IpNet>().or_else(|_| address()) {
            proxies.push(net);
        } else {
            let reason = format!("{item:?} is neither an address nor a network like 10.0.0.0/8");
            layers.problems.push(SettingProblem::new("trusted_proxies", reason));
        }
    }
    proxies
}

impl Record {
    pub(super) fn build(layers: &mut Layers) -> Self {
        Self {
            batch_bytes: layers.number("batch_bytes", 4096..=1 << 30),
            batch_entries: layers.number("batch_entries", 1..=100_000),
            batch_state_bytes: layers.number("batch_state_bytes", 1 << 20..=1 << 34),
            history_length: layers.number("history_length", 1..=10_000_000),
            history_bytes: layers.number("history_bytes", 4096..=1 << 30),
            history_ttl: layers.duration("history_ttl_ms"),
            state_bytes: layers.number("state_bytes", 1024..=1 << 30),
            hub_cache_bytes: layers.number("hub_cache_bytes", 1 << 20..=1 << 40),
            archive_retention: layers.duration("archive_retention_ms"),
            state_retention: layers.duration("state_retention_ms"),
            dead_letter_retention: layers.duration("dead_letter_retention_ms"),
            audit_retention: layers.duration("audit_retention_ms"),
            partitions: layers.number("ingest_partitions", 1..=64),
            deliveries_max: layers.number("max_deliveries", 1..=1000),
        }
    }
}
