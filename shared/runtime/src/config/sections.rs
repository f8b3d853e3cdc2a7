//! The settings by concern, and how each is read.

use std::{net::IpAddr, time::Duration};

use domain::channel::Pattern;
use ipnet::IpNet;

use super::{
    layers::{Layers, SettingProblem},
    role::{DEVELOPMENT_SECRET, Role},
};

/// Values that everybody knows, refused in production.
const WELL_KNOWN: [&str; 9] = [
    DEVELOPMENT_SECRET,
    "default-token",
    "your-secure-token",
    "secret",
    "changeme",
    "change-me",
    "password",
    "test",
    "development",
];

/// The least length of an HS256 secret in production, in bytes (RFC 7518 §3.2).
const SECRET_BYTES_MIN: usize = 32;

/// Keys and tokens.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// `JWT_SECRET`; in development the well-known one.
    pub jwt_secret: Option<String>,
    /// `JWT_PUBLIC_KEY`
    pub jwt_public_key: Option<String>,
    /// `JWKS_URL`
    pub jwks_url: Option<String>,
    /// `JWKS_REFRESH_MS`
    pub jwks_refresh: Duration,
    /// `JWKS_COOLDOWN_MS`
    pub jwks_cooldown: Duration,
    /// `JWT_ISSUER`
    pub jwt_issuer: Option<String>,
    /// `JWT_AUDIENCE`
    pub jwt_audience: Option<String>,
    /// `API_KEYS`: names and keys.
    pub api_keys: Vec<(String, String)>,
    /// `INTERNAL_API_KEY`
    pub internal_api_key: Option<String>,
    /// `QUEUE_API_KEY` and `ASSISTANT_API_KEY`, those that are set.
    pub cockpit_keys: Vec<String>,
    /// `AUTH_TOKEN`
    pub auth_token: Option<String>,
    /// `ANONYMOUS_CHANNELS`
    pub anonymous_channels: Vec<Pattern>,
    /// `ALLOWED_ORIGINS`; `*` allows all.
    pub allowed_origins: Vec<String>,
}

/// `HeartbeatSettings` of the dialects.
#[derive(Clone, Debug)]
pub struct HeartbeatSettings {
    /// `COCKPIT_PING_MS`
    pub cockpit_ping: Duration,
    /// `COCKPIT_STALE_MS`
    pub cockpit_stale: Duration,
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
    /// `INGEST_PARTITIONS`
    pub partitions: u16,
    /// `MAX_DELIVERIES`
    pub deliveries_max: u32,
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

impl AccessSettings {
    pub(super) fn build(layers: &mut Layers, production: bool) -> Self {
        let in_development = |name: &str, value: &str, layers: &Layers| {
            layers.optional(name).or_else(|| (!production).then(|| value.to_owned()))
        };
        let patterns = |list: &str| list.split(',').map(Pattern::encoded).collect();
        let verifies = ["jwt_public_key", "jwks_url"].iter().any(|n| layers.optional(n).is_some());
        let jwt_secret = layers.optional("jwt_secret");
        Self {
            jwt_secret: jwt_secret
                .or_else(|| (!production && !verifies).then(|| DEVELOPMENT_SECRET.to_owned())),
            jwt_public_key: layers.optional("jwt_public_key"),
            jwks_url: layers.optional("jwks_url"),
            jwks_refresh: layers.duration("jwks_refresh_ms"),
            jwks_cooldown: layers.duration("jwks_cooldown_ms"),
            jwt_issuer: layers.optional("jwt_issuer"),
            jwt_audience: layers.optional("jwt_audience"),
            api_keys: api_keys(layers),
            internal_api_key: layers.optional("internal_api_key"),
            cockpit_keys: ["queue_api_key", "assistant_api_key"]
                .iter()
                .filter_map(|name| layers.optional(name))
                .collect(),
            auth_token: in_development("auth_token", "default-token", layers),
            anonymous_channels: in_development("anonymous_channels", "deployment:*", layers)
                .map_or_else(Vec::new, |list| patterns(&list)),
            allowed_origins: match layers.list("allowed_origins") {
                list if list.is_empty() && !production => vec!["*".into()],
                list => list,
            },
        }
    }

    /// Production refuses to start on a missing or well-known secret.
    pub(super) fn check_production(&self, role: Role, problems: &mut Vec<SettingProblem>) {
        let verifies = self.jwt_public_key.is_some() || self.jwks_url.is_some();
        match &self.jwt_secret {
            Some(secret) if secret.len() < SECRET_BYTES_MIN => {
                let reason = format!("production needs at least {SECRET_BYTES_MIN} bytes");
                problems.push(SettingProblem::new("jwt_secret", reason));
            }
            None if !verifies && matches!(role, Role::Whole | Role::Gateway) => {
                let reason = "production needs JWT_SECRET, JWT_PUBLIC_KEY or JWKS_URL";
                problems.push(SettingProblem::new("jwt_secret", reason));
            }
            _ => {}
        }
        let mut named: Vec<(&str, &String)> = Vec::new();
        named.extend(self.jwt_secret.iter().map(|key| ("jwt_secret", key)));
        named.extend(self.internal_api_key.iter().map(|key| ("internal_api_key", key)));
        named.extend(self.cockpit_keys.iter().map(|key| ("queue_api_key", key)));
        named.extend(self.auth_token.iter().map(|key| ("auth_token", key)));
        named.extend(self.api_keys.iter().map(|(_, key)| ("api_keys", key)));
        for (name, key) in named {
            if WELL_KNOWN.contains(&key.to_lowercase().as_str()) {
                problems.push(SettingProblem::new(
                    name,
                    "is a well-known value: production refuses it",
                ));
            }
        }
    }
}

fn api_keys(layers: &mut Layers) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for item in layers.list("api_keys") {
        match item.split_once(':') {
            Some((name, key)) if !name.is_empty() && !key.is_empty() => {
                keys.push((name.to_owned(), key.to_owned()));
            }
            _ => {
                layers
                    .problems
                    .push(SettingProblem::new("api_keys", "must be NAME:KEY,NAME:KEY …"));
            }
        }
    }
    keys
}

impl HeartbeatSettings {
    pub(super) fn build(layers: &mut Layers) -> Self {
        Self {
            cockpit_ping: layers.duration("cockpit_ping_ms"),
            cockpit_stale: layers.duration("cockpit_stale_ms"),
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
            partitions: layers.number("ingest_partitions", 1..=1024),
            deliveries_max: layers.number("max_deliveries", 1..=1000),
        }
    }
}
